"""Send readings to a SensorVision server and lose none of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .age import ServerAge
from .broker import Broker
from .capabilities import Capabilities, Probe, ServerInfo
from .config import Config, load_config
from .credentials import ACCOUNT, DEVICE_TOKEN, USER_KEY
from .diagnosis import Finding, diagnose
from .durable import DurableSender
from .durable_status import DurableStatus
from .exceptions import (
    AnswerError,
    AuthenticationError,
    BrokerLoginError,
    CapabilityError,
    CertificateError,
    CircuitOpenError,
    ClientCertificateError,
    ConfigError,
    DeviceError,
    DeviceExistsError,
    HostNotFoundError,
    KeyLockedError,
    LoginError,
    LoginLimitError,
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
    SubscriptionError,
    TokenExistsError,
    ValidationError,
)
from .health import Health
from .http import AsyncSensorVisionClient
from .limits import Limits
from .metrics import RequestMetrics
from .models import Device, DeviceStatus, Sample, Value, Variable
from .mqtt_messages import (
    Command,
    Message,
    Outgoing,
    PublishBatch,
    PublishResult,
    Will,
)
from .mqtt_statistics import MqttStatistics, TopicInfo, Traffic
from .mqtt_status import MqttStatus
from .pace import Pace, RetryPolicy, Timeouts
from .policies import CircuitBreaker, RateLimit
from .results import BatchResult, SampleResult
from .secret import Secret
from .structured_logging import JsonFormatter
from .version import BuildInfo, __version__, build_info

if TYPE_CHECKING:
    # Not in __all__: with a star nobody asks for what an extra is for.
    from .broker_health import BrokerHealth as BrokerHealth
    from .mqtt_client import MQTTClient as MQTTClient
    from .sync import SensorVisionClient as SensorVisionClient
    from .sync_durable import SyncDurableSender as SyncDurableSender

__all__ = [
    "ACCOUNT",
    "DEVICE_TOKEN",
    "USER_KEY",
    "AnswerError",
    "AsyncSensorVisionClient",
    "AuthenticationError",
    "BatchResult",
    "Broker",
    "BrokerLoginError",
    "BuildInfo",
    "Capabilities",
    "CapabilityError",
    "CertificateError",
    "CircuitBreaker",
    "CircuitOpenError",
    "ClientCertificateError",
    "Command",
    "Config",
    "ConfigError",
    "Device",
    "DeviceError",
    "DeviceExistsError",
    "DeviceStatus",
    "DurableSender",
    "DurableStatus",
    "Finding",
    "Health",
    "HostNotFoundError",
    "JsonFormatter",
    "KeyLockedError",
    "Limits",
    "LoginError",
    "LoginLimitError",
    "Message",
    "MqttStatistics",
    "MqttStatus",
    "NetworkError",
    "NotHttpError",
    "NotSensorVisionError",
    "Outgoing",
    "Pace",
    "PayloadError",
    "PermissionDeniedError",
    "Probe",
    "PublishBatch",
    "PublishResult",
    "RateLimit",
    "RateLimitError",
    "RedirectError",
    "RequestMetrics",
    "RequestTimeoutError",
    "RetryPolicy",
    "Sample",
    "SampleResult",
    "Secret",
    "SensorVisionError",
    "ServerAge",
    "ServerError",
    "ServerInfo",
    "SubscriptionError",
    "Timeouts",
    "TokenExistsError",
    "TopicInfo",
    "Traffic",
    "ValidationError",
    "Value",
    "Variable",
    "Will",
    "__version__",
    "build_info",
    "diagnose",
    "load_config",
]

# What needs a library of an extra is loaded when it is asked for: its module and the extra.
_OF_EXTRAS = {
    "BrokerHealth": ("broker_health", "mqtt"),
    "MQTTClient": ("mqtt_client", "mqtt"),
    "SensorVisionClient": ("sync", "sync"),
    "SyncDurableSender": ("sync_durable", "sync"),
}

if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> object:
        """Load what an extra is for."""
        if name not in _OF_EXTRAS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, extra = _OF_EXTRAS[name]
        try:
            return getattr(import_module(f".{module}", __name__), name)
        except ModuleNotFoundError as err:
            raise ImportError(
                f"{name} needs {err.name}, which is not installed: "
                f'pip install "sensorvision[{extra}]"'
            ) from err


def __dir__() -> list[str]:
    """Name what can be imported."""
    return sorted({*globals(), *_OF_EXTRAS})
