"""Say where to send readings and as whom: by arguments, the environment and a file."""

from __future__ import annotations

from dataclasses import dataclass, field
import os
from pathlib import Path
import ssl
from typing import Any, Callable, Mapping

from . import config_values as values
from .config_file import find_file, read_file, refuse_unknown, warn_of_readers
from .exceptions import ConfigError
from .secret import MASK, Secret

PREFIX = "SENSORVISION_"

_READERS: Mapping[str, Callable[[object], object]] = {
    "url": values.read_url,
    "fallback_urls": values.read_urls,
    "api_key": values.read_secret,
    "user_key": values.read_secret,
    "username": values.read_text,
    "password": values.read_secret,
    "device_id": values.read_device_id,
    "verify_tls": values.read_bool,
    "ca_file": values.read_file,
    "timeout_s": values.read_seconds,
    "retries": values.read_count,
    "rate_limit": values.read_rate,
    "mqtt_host": values.read_host,
    "mqtt_port": values.read_port,
    "mqtt_username": values.read_text,
    "mqtt_password": values.read_secret,
    "mqtt_tls": values.read_bool,
    "mqtt_prefix": values.read_prefix,
    "outbox": values.read_path,
}
SETTINGS = tuple(_READERS)
_SECRETS = frozenset(
    name for name, read in _READERS.items() if read is values.read_secret
)
_PATHS = frozenset({"ca_file", "outbox"})

# A credential is one of these.
_CREDENTIALS = (("api_key",), ("user_key",), ("username", "password"))


@dataclass(frozen=True)
class Config:
    """Where to send readings and as whom; what is None is left to the client.

    Give a credential as `api_key`, as `user_key`, or as `username` with `password`.

    Attributes:
        url: where the server is, such as `https://sensors.example.org`.
        fallback_urls: further addresses, tried in turn where one does not answer.
        api_key: device token or user key.
        user_key: a key that is known to be a user's.
        username: name or e-mail address of an account.
        password: the account's password.
        device_id: the device that readings are of where none is named.
        verify_tls: whether to trust none but known certificates.
        ca_file: PEM file of the authorities to trust in place of this machine's.
        timeout_s: how long an exchange may take, in seconds.
        retries: how often to try again what may succeed later; 0 for never.
        rate_limit: requests a second at the most; 0 for no limit.
        mqtt_host: name or address of the broker.
        mqtt_port: its port; None for 1883, or 8883 with TLS.
        mqtt_username: user to log in as at the broker.
        mqtt_password: that user's password.
        mqtt_tls: whether to speak TLS with the broker.
        mqtt_prefix: what the server's topics begin with, `indcloud` or `sensorvision`.
        outbox: file in which readings wait for the server.
        origins: where each setting was set, in words, by its name.

    Raises:
        ConfigError: a setting can't be used, or there are two credentials.
    """

    url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    api_key: Secret | None = None
    user_key: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    device_id: str | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    timeout_s: float | None = None
    retries: int | None = None
    rate_limit: float | None = None
    mqtt_host: str | None = None
    mqtt_port: int | None = None
    mqtt_username: str | None = None
    mqtt_password: Secret | None = None
    mqtt_tls: bool = False
    mqtt_prefix: str | None = None
    outbox: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            given = getattr(self, name)
            if given is not None:
                origin = self.origins.get(name, "an argument")
                object.__setattr__(self, name, _read(name, read, given, origin))
        given = [name for kind in _CREDENTIALS for name in kind if getattr(self, name)]
        if sum(any(name in given for name in kind) for kind in _CREDENTIALS) > 1:
            places = (
                f"{name} from {self.origins.get(name, 'an argument')}" for name in given
            )
            raise ConfigError(
                "credential",
                MASK,
                f"is more than one: {', '.join(places)}",
                "Keep one: api_key, user_key, or username with password",
            )

    def require(self, name: str) -> Any:  # noqa: ANN401 - of whichever type it has
        """Return a setting that can't be done without.

        Raises:
            ConfigError: it is not set.
        """
        value = getattr(self, name)
        if value is None:
            raise ConfigError(
                name,
                value,
                "is missing",
                f"Set {PREFIX}{name.upper()}, or {name} in sensorvision.toml",
            )
        return value

    def credential(self) -> dict[str, Any]:
        """Return what the clients' constructors take of the credential, to be kept secret.

        Raises:
            ConfigError: there is none.
        """
        given = {
            name: value.reveal() if isinstance(value, Secret) else value
            for kind in _CREDENTIALS
            for name in kind
            if (value := getattr(self, name)) is not None
        }
        if not given:
            raise ConfigError(
                "credential",
                None,
                "is missing",
                f"Set {PREFIX}API_KEY to a device token or a user key, or"
                f" {PREFIX}USERNAME and {PREFIX}PASSWORD",
            )
        return given

    def ssl_context(self) -> ssl.SSLContext:
        """Return whom to trust; it reads files.

        Raises:
            ConfigError: the file of authorities holds none.
        """
        try:
            context = ssl.create_default_context(
                cafile=None if self.ca_file is None else str(self.ca_file)
            )
        except (ssl.SSLError, OSError) as err:
            raise ConfigError(
                "ca_file",
                str(self.ca_file),
                "holds no certificate",
                "Give a file in PEM format",
                self.origins.get("ca_file", ""),
            ) from err
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def load_config(
    file: str | Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    **given: object,
) -> Config:
    """Return the settings: each from an argument, else the environment, else a file.

    The variables are `SENSORVISION_URL`, `SENSORVISION_API_KEY` and so on, one for each
    of `Config`'s attributes; an empty one counts for nothing. The file is TOML with the
    attributes' names as keys, and paths in it begin at its folder. It is the one that is
    named here or by `SENSORVISION_CONFIG`, else `sensorvision.toml` in the current
    folder, else `sensorvision/sensorvision.toml` in `$XDG_CONFIG_HOME` or `~/.config`.

    A credential hides those of other kinds that come from less near: a key in the
    environment hides user name and password in the file.

    Args:
        file: a file of settings, which must be there.
        environ: variables, in place of this process's.
        **given: settings by name; None counts for nothing.

    Raises:
        ConfigError: a setting is unknown or can't be used, or the file can't be read.
    """
    environ = os.environ if environ is None else environ
    sources = [
        _Source(_known(given), "an argument"),
        _Source(_of_environment(environ), "the variable {}", _variable),
    ]
    path = find_file(file, environ)
    if path is not None:
        sources.append(_Source(_of_file(path), f"the file {path}"))
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in sources:
        hidden = _hidden_by(merged)
        for name, value in source.settings.items():
            if name not in merged and name not in hidden:
                merged[name] = value
                origins[name] = source.origin(name)
    return Config(**merged, origins=origins)


@dataclass(frozen=True)
class _Source:
    """Settings that come from one place.

    Attributes:
        settings: by name.
        place: what it is called in an error, with `{}` for the setting.
        spelt: how it calls a setting.
    """

    settings: Mapping[str, object]
    place: str
    spelt: Callable[[str], str] = str

    def origin(self, name: str) -> str:
        """Say where a setting is from."""
        return self.place.format(self.spelt(name))


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _known(given: Mapping[str, object]) -> dict[str, object]:
    """Return what was given in the call."""
    refuse_unknown(given, SETTINGS, "the arguments")
    return {name: value for name, value in given.items() if value is not None}


def _of_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Return what an environment holds; what is empty there was meant to be nothing."""
    found = {name: environ.get(_variable(name), "") for name in SETTINGS}
    return {name: text for name, text in found.items() if text.strip()}


def _of_file(path: Path) -> dict[str, object]:
    """Return what a file holds."""
    found = read_file(path)
    refuse_unknown(found, SETTINGS, str(path))
    if any(name in _SECRETS for name in found):
        warn_of_readers(path)
    for name in _PATHS.intersection(found):
        text = found[name]
        if isinstance(text, str):
            # An absolute one, or one of the user's, stays as it is.
            found[name] = str(path.parent / Path(text).expanduser())
    return found


def _hidden_by(nearer: Mapping[str, object]) -> frozenset[str]:
    """Return the credentials that one of another kind, from nearer, hides."""
    kinds = [set(kind) for kind in _CREDENTIALS]
    if not any(kind & nearer.keys() for kind in kinds):
        return frozenset()
    return frozenset(
        name for kind in kinds if not kind & nearer.keys() for name in kind
    )


def _read(
    name: str, read: Callable[[object], object], value: object, origin: str
) -> object:
    """Return a setting as the type that it has.

    Raises:
        ConfigError: it can't be one.
    """
    try:
        return read(value)
    except values.Unfit as err:
        problem, remedy, is_shown = err.problem, err.remedy, err.is_shown
    # Raised outside of the handler, whose exception may repeat the value.
    is_shown = is_shown and name not in _SECRETS
    raise ConfigError(name, value if is_shown else MASK, problem, remedy, origin)
