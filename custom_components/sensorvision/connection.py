"""Open a client with what an entry holds, and say beside which field it fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
import re
import ssl
from typing import Any

from homeassistant.const import (
    CONF_API_KEY,
    CONF_PASSWORD,
    CONF_URL,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .client import (
    USER_KEY,
    AsyncSensorVisionClient,
    AuthenticationError,
    CertificateError,
    CircuitBreaker,
    HostNotFoundError,
    KeyLockedError,
    LoginError,
    LoginLimitError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PermissionDeniedError,
    Probe,
    RateLimit,
    RedirectError,
    RequestTimeoutError,
    SensorVisionError,
    Timeouts,
    ValidationError,
)
from .client.http import normalize_url
from .client.user_protocol import check_user_key
from .const import CONF_AUTHORITY, CONF_CREDENTIAL, CONF_PREFIX, MAX_PREFIX_CHARS

# A person waits for the form.
_TIMEOUTS = Timeouts(connect_s=10, read_s=15, total_s=20)

_PREFIX = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_PREFIX_CHARS}}}")

# The first class that fits, with a field that there is, says what is wrong and how.
_ERRORS: tuple[tuple[type[SensorVisionError], str, str], ...] = (
    (HostNotFoundError, CONF_URL, "host_not_found"),
    (CertificateError, CONF_VERIFY_SSL, "certificate"),
    (NotHttpError, CONF_URL, "not_http"),
    (RequestTimeoutError, CONF_URL, "timeout"),
    (NetworkError, CONF_URL, "cannot_connect"),
    (LoginError, CONF_PASSWORD, "invalid_login"),
    (LoginLimitError, "base", "login_limit"),
    (AuthenticationError, CONF_API_KEY, "invalid_auth"),
    (KeyLockedError, CONF_API_KEY, "key_locked"),
    (PermissionDeniedError, CONF_PREFIX, "prefix_taken"),
    (NotSensorVisionError, CONF_URL, "not_sensorvision"),
    (RedirectError, CONF_URL, "redirect"),
    (SensorVisionError, "base", "server_error"),
)


@dataclass(frozen=True)
class Attempt:
    """What came of trying a connection.

    Attributes:
        data: what an entry is to hold, with the kind of the credential.
        errors: what is wrong beside its field; empty if all is well.
        message: what was said about it, for the errors that repeat it.
        probe: what was found out about the server, or None if something is wrong.
    """

    data: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)
    message: str = ""
    probe: Probe | None = None


def open_client(
    hass: HomeAssistant,
    data: Mapping[str, Any],
    timeouts: Timeouts | None = None,
    details_of_new: Callable[[str], Mapping[str, str]] | None = None,
) -> AsyncSensorVisionClient:
    """Return a client for what an entry holds; it has connected to nothing yet.

    Args:
        hass: whose session is used.
        data: the entry's data. A key of no kind is from before there were kinds, and
            the server tells which it is.
        timeouts: how long to wait.
        details_of_new: what is known of a device that is about to be made.
    """
    key = data.get(CONF_API_KEY)
    is_user_key = data.get(CONF_CREDENTIAL) == USER_KEY
    return AsyncSensorVisionClient(
        data[CONF_URL],
        api_key=None if is_user_key else key,
        user_key=key if is_user_key else None,
        username=data.get(CONF_USERNAME),
        password=data.get(CONF_PASSWORD),
        session=async_get_clientsession(hass, data[CONF_VERIFY_SSL]),
        ssl=trust(data),
        timeouts=timeouts,
        # The delivery has its own pace, and pauses of its own when the server is away.
        rate_limit=RateLimit.off(),
        breaker=CircuitBreaker.off(),
        details_of_new=details_of_new,
    )


async def load_authority(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Read the entry's own authority, once, where the event loop does not wait for it.

    Raises:
        ValueError: it is not a certificate in PEM.
    """
    if CONF_AUTHORITY in data:
        await hass.async_add_executor_job(_context, data[CONF_AUTHORITY])


def trust(data: Mapping[str, Any]) -> ssl.SSLContext | bool:
    """Return whom to trust beyond what the session does; the authority is loaded."""
    if data[CONF_VERIFY_SSL] and CONF_AUTHORITY in data:
        return _context(data[CONF_AUTHORITY])
    return True


@cache
def _context(authority: str) -> ssl.SSLContext:
    """Return the context that all who trust an authority can share."""
    return context_trusting(authority)


def context_trusting(authority: str) -> ssl.SSLContext:
    """Return a context that trusts one authority, or one server's own certificate.

    As Home Assistant's own, it asks no more of old home-made authorities than needed.

    Raises:
        ValueError: it is not a certificate in PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, TypeError) as err:
        raise ValueError("It is not a certificate in PEM") from err
    return context


def connection_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a new connection to the server is needed for when it changes."""
    return {key: value for key, value in data.items() if key != CONF_PREFIX}


def is_overheard(url: str) -> bool:
    """Tell whether what is sent to a URL can be read on the way, beyond one's own network."""
    parts = normalize_url(url)
    return parts.scheme == "http" and is_strange(str(parts.host))


def is_strange(host: str) -> bool:
    """Tell whether a host is beyond one's own network.

    Own are loopback, private and link-local addresses, and names that have no dot or end
    in `.local`.
    """
    host = host.rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(".local")
    return not (address.is_private or address.is_loopback or address.is_link_local)


def malformed_fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be told to be wrong without asking the server."""
    errors = {}
    try:
        normalize_url(data[CONF_URL])
    except ValidationError:
        errors[CONF_URL] = "invalid_url"
    if not _PREFIX.fullmatch(data[CONF_PREFIX]):
        errors[CONF_PREFIX] = "invalid_prefix"
    if CONF_USERNAME not in data:
        try:
            check_user_key(data[CONF_API_KEY])
        except ValidationError:
            errors[CONF_API_KEY] = "invalid_key"
        return errors
    if not data[CONF_USERNAME].strip():
        errors[CONF_USERNAME] = "username_missing"
    if not data[CONF_PASSWORD]:
        errors[CONF_PASSWORD] = "password_missing"
    return errors


def tidied(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return well-formed data as an entry holds it: without blanks around it."""
    tidy = {**data, CONF_URL: str(normalize_url(data[CONF_URL]))}
    for key in (CONF_API_KEY, CONF_USERNAME):
        if key in tidy:
            tidy[key] = tidy[key].strip()
    if not tidy.get(CONF_AUTHORITY, "").strip():
        tidy.pop(CONF_AUTHORITY, None)
    return tidy


async def try_connection(hass: HomeAssistant, data: Mapping[str, Any]) -> Attempt:
    """Try what an entry is to hold, and store nothing on the server."""
    try:
        await load_authority(hass, data)
    except ValueError:
        return Attempt(dict(data), {CONF_AUTHORITY: "invalid_authority"})
    client = open_client(hass, data, _TIMEOUTS)
    try:
        probe = await client.probe(data[CONF_PREFIX])
    except SensorVisionError as err:
        name, error = next(
            (name, error)
            for kind, name, error in _ERRORS
            if isinstance(err, kind) and (name in data or name == "base")
        )
        return Attempt(dict(data), {name: error}, str(err))
    return Attempt({**data, CONF_CREDENTIAL: probe.credential}, probe=probe)
