"""A local SensorVision server for trying clients against, written from its wire contract."""

from .sandbox import Sandbox
from .settings import DeviceSeed, Mode, Settings

__all__ = ["DeviceSeed", "Mode", "Sandbox", "Settings"]
