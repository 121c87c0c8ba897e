"""What can go wrong between a reading and its server, and what to do about it."""

from __future__ import annotations

import re
from typing import ClassVar, Sequence

from .protocol import (
    DELIVERED,
    SIGN_IN,
    TRY_LATER,
    WRONG_DEVICE,
    WRONG_PAYLOAD,
    Answer,
    SensorVisionError,
    ValidationError,
)
from .user_protocol import LOGIN_REFUSED, LOGINS_USED_UP, correlation_id_of

__all__ = [
    "AnswerError",
    "AuthenticationError",
    "BrokerLoginError",
    "CapabilityError",
    "CertificateError",
    "CircuitOpenError",
    "ClientCertificateError",
    "ConfigError",
    "DeviceError",
    "DeviceExistsError",
    "HostNotFoundError",
    "KeyLockedError",
    "LoginError",
    "LoginLimitError",
    "NetworkError",
    "NotHttpError",
    "NotSensorVisionError",
    "PayloadError",
    "PermissionDeniedError",
    "RateLimitError",
    "RedirectError",
    "RequestTimeoutError",
    "SensorVisionError",
    "ServerError",
    "SubscriptionError",
    "TokenExistsError",
    "ValidationError",
    "error_of",
    "raise_for",
]

# `protocol` declares them, and does not set them: that would take room on a board.
SensorVisionError.code = "error"
ValidationError.code = "validation"

# A proxy says so, too, when the server was reached and its answer was lost.
_MAY_HAVE_ARRIVED = frozenset({502, 504})

_FIELD_IN_MESSAGE = re.compile(r"for field '([^']*)'")


class ConfigError(ValidationError):
    """A setting can't be used.

    Attributes:
        origin: where it was set: by an argument, a variable or a file, or "" if nowhere.
    """

    code = "config"

    def __init__(
        self, field: str, value: object, problem: str, remedy: str, origin: str = ""
    ) -> None:
        super().__init__(
            field, value, f"from {origin} {problem}" if origin else problem, remedy
        )
        if value is None:
            self.args = (f"{field} {problem}. {remedy}",)
        self.origin = origin


class CapabilityError(SensorVisionError):
    """The credential, or the server's age, does not allow what was asked for.

    Nothing was sent.

    Attributes:
        remedy: what to do about it, a sentence.
    """

    code = "capability"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.remedy = remedy


class SubscriptionError(SensorVisionError):
    """The broker does not let this client subscribe to something.

    Attributes:
        filters: to what.
        remedy: what to do about it, a sentence.
    """

    code = "subscription"
    remedy: ClassVar[str] = "Check what the broker allows this user to read"

    def __init__(self, filters: Sequence[str]) -> None:
        names = ", ".join(filters)
        super().__init__(f"The broker refuses to subscribe to {names}. {self.remedy}")
        self.filters = tuple(filters)


class NetworkError(SensorVisionError):
    """The server was not reached, or no whole answer came back.

    Attributes:
        remedy: what to do about it, a sentence.
        may_have_arrived: whether the server may have done what it was asked.
    """

    code = "network"
    remedy: ClassVar[str] = (
        "Check that the server is on and that this machine reaches it"
    )

    def __init__(self, problem: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(f"{problem}. {self.remedy}")
        self.may_have_arrived = may_have_arrived


class HostNotFoundError(NetworkError):
    """The host's name has no address."""

    code = "host_not_found"
    remedy = "Check the host name"


class CertificateError(NetworkError):
    """The server's TLS certificate is not trusted."""

    code = "certificate"
    remedy = (
        "Install the certificate's authority on this machine, or check the host name"
    )


class ClientCertificateError(CertificateError):
    """The broker asks for a certificate that this client has not given."""

    code = "client_certificate"
    remedy = "Give a certificate that the broker trusts, and its key"


class NotHttpError(NetworkError):
    """What answered does not speak HTTP, or not the kind that the URL asks for."""

    code = "not_http"
    remedy = "Check the URL: its port, and whether it begins with http or https"


class RequestTimeoutError(NetworkError):
    """The server took too long; whether it stored the data is unknown."""

    code = "timeout"
    remedy = "Check the connection and the server's load"


class CircuitOpenError(NetworkError):
    """The server has failed too often and is not asked for a while; nothing was sent.

    Attributes:
        retry_after_s: seconds until it is asked again.
    """

    code = "circuit_open"
    remedy = "Wait, and see why the server failed, or allow more by a CircuitBreaker"

    def __init__(self, problem: str, *, retry_after_s: float) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class AnswerError(SensorVisionError):
    """The server answered with anything but yes.

    Attributes:
        answer: what the answer means.
        status: HTTP status, or 0 of what is no HTTP.
        server_message: what the server said, or what can be said in its place.
        error_type: the server's name of its error, or "".
        correlation_id: how the server's log names the request, for who looks after the
            server, or None if it did not say.
        field: the variable that the server named, or None.
        remedy: what to do about it, a sentence.
        retry_after_s: seconds that the server asks to wait, or None.
        may_have_arrived: whether the server may have done what it was asked.
    """

    code = "answer"
    remedy: ClassVar[str] = "Try again later"

    def __init__(self, answer: Answer) -> None:
        said = answer.message.rstrip(".")
        status = f" (HTTP {answer.status})" if answer.status else ""
        super().__init__(f"{said}{status}. {self.remedy}")
        self.answer = answer
        self.status = answer.status
        self.server_message = answer.message
        self.error_type = answer.error_type
        self.correlation_id = correlation_id_of(answer)
        self.retry_after_s = answer.retry_after_s
        self.may_have_arrived = answer.status in _MAY_HAVE_ARRIVED
        named = _FIELD_IN_MESSAGE.search(answer.message)
        self.field = named.group(1) if named else None


class AuthenticationError(AnswerError):
    """The server refused the credential."""

    code = "auth"
    remedy = "Copy the key again, or make a new one"


class LoginError(AuthenticationError):
    """The server refused user name and password."""

    code = "login"
    remedy = "Check user name and password"


class BrokerLoginError(AuthenticationError):
    """The broker refused user name and password, or asks for some."""

    code = "broker_login"
    remedy = "Check user name and password of the broker"


class DeviceError(AnswerError):
    """The server does not take data at this address or for this device."""

    code = "device"
    remedy = "Check the URL and the device id"


class PermissionDeniedError(DeviceError):
    """The device id belongs to another organisation."""

    code = "permission"
    remedy = "Choose another device id: ids are unique over the whole server"


class PayloadError(AnswerError):
    """The server refused the data, and would refuse it again."""

    code = "payload"
    remedy = "Send finite numbers below 1e14 under names of at most 100 characters"


class DeviceExistsError(AnswerError):
    """There is a device of this id already, of whatever organisation."""

    code = "device_exists"
    remedy = "Use the device that there is, or choose another device id"


class TokenExistsError(AnswerError):
    """The device has a token already, which the server shows to nobody."""

    code = "token_exists"
    remedy = "Use the token that you have, or rotate it"


class RateLimitError(AnswerError):
    """The server asks to slow down."""

    code = "rate_limit"
    remedy = "Send less often"


class KeyLockedError(RateLimitError):
    """The server ignores user keys from this address; the key may be good.

    After ten failed look-ups of a key it does so for a quarter of an hour, and each post
    with a device token, by whatever program behind this address, is such a look-up.
    """

    code = "key_locked"
    remedy = "Wait a quarter of an hour, or log in with user name and password"


class LoginLimitError(RateLimitError):
    """Too many logins came from this address; user name and password may be good."""

    code = "login_limit"
    remedy = "Try again in a minute"


class ServerError(AnswerError):
    """The server is in trouble of its own."""

    code = "server"


class RedirectError(AnswerError):
    """The server points to another address, where no credential is sent."""

    code = "redirect"
    remedy = "Use the address it redirects to, often https in place of http"


class NotSensorVisionError(AnswerError):
    """Something else than a SensorVision server answered."""

    code = "not_sensorvision"
    remedy = "Check host, port and path of the URL"


def raise_for(answer: Answer) -> None:
    """Raise the exception that an answer stands for, or return if it was yes.

    Raises:
        AnswerError: a subclass that says what the server refused and why.
    """
    error = error_of(answer)
    if error is not None:
        raise error


def error_of(answer: Answer) -> AnswerError | None:
    """Return the exception that an answer stands for, or None if it was yes."""
    if answer.kind == DELIVERED:
        return None
    return _exception_class(answer)(answer)


def _exception_class(answer: Answer) -> type[AnswerError]:
    if answer.kind == SIGN_IN:
        is_login = answer.message == LOGIN_REFUSED
        return LoginError if is_login else AuthenticationError
    if answer.kind == WRONG_DEVICE:
        is_foreign = answer.status == 403 and answer.is_json
        return PermissionDeniedError if is_foreign else DeviceError
    if answer.kind == WRONG_PAYLOAD:
        return PayloadError
    if answer.message == LOGINS_USED_UP:
        return LoginLimitError
    if answer.status == 401 and answer.kind == TRY_LATER:
        return KeyLockedError
    if answer.status == 429:
        return RateLimitError
    if 300 <= answer.status < 400:
        return RedirectError
    # Of one reading of many the server says so with a 200 to all of them.
    if answer.status < 300 and not answer.suspect:
        return NotSensorVisionError
    return ServerError
