"""Send readings to a SensorVision server and lose none of them."""

from .exceptions import (
    AnswerError,
    AuthenticationError,
    CertificateError,
    DeviceError,
    HostNotFoundError,
    NetworkError,
    NotHttpError,
    NotSensorVisionError,
    PayloadError,
    PermissionDeniedError,
    RateLimitError,
    RedirectError,
    RequestTimeoutError,
    SensorVisionError,
    ServerError,
    ValidationError,
)
from .http import AsyncSensorVisionClient, Probe
from .pace import RetryPolicy, Timeouts

__all__ = [
    "AnswerError",
    "AsyncSensorVisionClient",
    "AuthenticationError",
    "CertificateError",
    "DeviceError",
    "HostNotFoundError",
    "NetworkError",
    "NotHttpError",
    "NotSensorVisionError",
    "PayloadError",
    "PermissionDeniedError",
    "Probe",
    "RateLimitError",
    "RedirectError",
    "RequestTimeoutError",
    "RetryPolicy",
    "SensorVisionError",
    "ServerError",
    "Timeouts",
    "ValidationError",
]
