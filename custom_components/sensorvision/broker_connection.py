"""Read what a broker's subentry holds, and say beside which field it fails."""

from collections.abc import Mapping
import re
import ssl
from tempfile import NamedTemporaryFile
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import (
    CONF_HOST,
    CONF_PASSWORD,
    CONF_PORT,
    CONF_USERNAME,
    CONF_VERIFY_SSL,
)
from homeassistant.core import HomeAssistant
from homeassistant.util.ssl import create_client_context, create_no_verify_ssl_context
from homeassistant.util.ulid import ulid_now

from .client import (
    AuthenticationError,
    CertificateError,
    HostNotFoundError,
    NetworkError,
    RequestTimeoutError,
    SensorVisionError,
    Timeouts,
)
from .client.mqtt import Broker, Publisher
from .connection import context_trusting
from .const import (
    CONF_AUTHORITY,
    CONF_CLIENT_CERTIFICATE,
    CONF_CLIENT_KEY,
    CONF_TLS,
    CONF_TOPIC_PREFIX,
)

# A person waits for the form.
_TIMEOUTS = Timeouts(connect_s=10, read_s=10, total_s=15)

_HOST = re.compile(r"[^\s/@?#]+")
_CLIENT_ID_CHARS = 20

# The first class that fits says what is wrong and where.
_ERRORS: tuple[tuple[type[SensorVisionError], str, str], ...] = (
    (HostNotFoundError, CONF_HOST, "host_not_found"),
    (CertificateError, CONF_VERIFY_SSL, "certificate"),
    (RequestTimeoutError, CONF_HOST, "timeout"),
    (NetworkError, CONF_HOST, "cannot_connect"),
    (AuthenticationError, CONF_USERNAME, "refused"),
    (SensorVisionError, "base", "broker_error"),
)


class FieldError(ValueError):
    """What a field holds is of no use.

    Attributes:
        name: of the field.
        error: key of the text that says what is wrong.
    """

    def __init__(self, name: str, error: str) -> None:
        """Say where and what."""
        super().__init__(f"{name}: {error}")
        self.name = name
        self.error = error


async def load_broker(hass: HomeAssistant, subentry: ConfigSubentry) -> Broker:
    """Return the broker of a subentry, with what TLS needs read off the event loop.

    Raises:
        FieldError: a certificate or a key is none.
    """
    return await _load(hass, subentry.data, subentry.subentry_id)


async def _load(hass: HomeAssistant, data: Mapping[str, Any], ulid: str) -> Broker:
    context = None
    if data[CONF_TLS]:
        context = await hass.async_add_executor_job(_make_context, data)
    return Broker(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        topic_prefix=data[CONF_TOPIC_PREFIX],
        username=data.get(CONF_USERNAME),
        password=data.get(CONF_PASSWORD),
        tls=context,
        # The end of it is what differs; more than 23 characters not every broker takes.
        client_id=f"ha-{ulid[-_CLIENT_ID_CHARS:]}",
    )


def _make_context(data: Mapping[str, Any]) -> ssl.SSLContext:
    """Return a context of this broker's own, which reads files.

    Raises:
        FieldError: a certificate or a key is none.
    """
    context = _trust(data)
    if CONF_CLIENT_CERTIFICATE in data:
        certificate, key = data[CONF_CLIENT_CERTIFICATE], data[CONF_CLIENT_KEY]
        _check_certificate(CONF_CLIENT_CERTIFICATE, certificate)
        # Only a file can be loaded. Nobody else can read this one, while it is there.
        with NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{certificate}\n{key}\n")
            file.flush()
            try:
                # With a password, or a process would ask for that of an encrypted key.
                context.load_cert_chain(file.name, password="")
            except ssl.SSLError as err:
                raise FieldError(CONF_CLIENT_KEY, "invalid_client_key") from err
    return context


def _trust(data: Mapping[str, Any]) -> ssl.SSLContext:
    if not data[CONF_VERIFY_SSL]:
        return create_no_verify_ssl_context()
    if CONF_AUTHORITY in data:
        return _check_certificate(CONF_AUTHORITY, data[CONF_AUTHORITY])
    return create_client_context()


def _check_certificate(name: str, pem: str) -> ssl.SSLContext:
    """Return a context that trusts a certificate.

    Raises:
        FieldError: it is none.
    """
    try:
        return context_trusting(pem)
    except ValueError as err:
        raise FieldError(name, "invalid_certificate") from err


def malformed_fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what can be told to be wrong without asking the broker."""
    errors = {}
    if not _HOST.fullmatch(data[CONF_HOST].strip()):
        errors[CONF_HOST] = "invalid_host"
    tidy = tidied(data)
    if CONF_PASSWORD in tidy and CONF_USERNAME not in tidy:
        errors[CONF_USERNAME] = "username_missing"
    if CONF_CLIENT_CERTIFICATE in tidy and CONF_CLIENT_KEY not in tidy:
        errors[CONF_CLIENT_KEY] = "client_key_missing"
    if CONF_CLIENT_KEY in tidy and CONF_CLIENT_CERTIFICATE not in tidy:
        errors[CONF_CLIENT_CERTIFICATE] = "client_certificate_missing"
    return errors


def tidied(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as a subentry holds it: without blanks around it, and nothing empty."""
    tidy = {**data, CONF_HOST: data[CONF_HOST].strip(), CONF_PORT: int(data[CONF_PORT])}
    if CONF_USERNAME in tidy:
        tidy[CONF_USERNAME] = tidy[CONF_USERNAME].strip()
    for key in (
        CONF_USERNAME,
        CONF_PASSWORD,
        CONF_AUTHORITY,
        CONF_CLIENT_CERTIFICATE,
        CONF_CLIENT_KEY,
    ):
        if not tidy.get(key, "").strip():
            tidy.pop(key, None)
    return tidy


async def try_broker(
    hass: HomeAssistant, data: Mapping[str, Any]
) -> tuple[dict[str, str], str]:
    """Connect to a broker once, and publish nothing.

    Returns:
        What is wrong beside its field, and what was said about it.
    """
    try:
        broker = await _load(hass, data, ulid_now())
    except FieldError as err:
        return {err.name: err.error}, ""
    publisher = Publisher(broker, timeouts=_TIMEOUTS)
    try:
        await publisher.connect()
    except SensorVisionError as err:
        name, error = next(
            (name, error) for kind, name, error in _ERRORS if isinstance(err, kind)
        )
        return {name: error}, str(err)
    finally:
        await publisher.close()
    return {}, ""
