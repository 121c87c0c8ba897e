"""A client of the broker that the settings name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Awaitable, Callable, TypeVar

from sensorvision import AsyncSensorVisionClient, SensorVisionError
from sensorvision.config import Config

from .exits import Exit
from .failures import CommandError

if TYPE_CHECKING:
    from sensorvision import MQTTClient
    from sensorvision.mqtt_status import MqttStatus

T = TypeVar("T")


def run_broker(
    config: Config,
    action: Callable[[MQTTClient], Awaitable[T]],
    on_status: Callable[[MqttStatus], None] | None = None,
) -> T:
    """Do something with a session with the broker.

    Args:
        config: where the broker is.
        action: what to do.
        on_status: is called when a session begins or is lost.

    Raises:
        ConfigError: a setting is wrong or missing.
        SensorVisionError: what else the client raises.
    """
    try:
        # Loaded here: without --mqtt nobody needs its library.
        from sensorvision import MQTTClient
    except ImportError as err:
        raise CommandError(
            "config",
            "--mqtt needs aiomqtt, which is not installed",
            'Install it with pip install "sensorvision[mqtt]"',
            Exit.SETTINGS,
        ) from err
    config.require("mqtt_host")

    async def run() -> T:
        told: dict[str, Any] = {"on_status": on_status}
        if config.mqtt_prefix is None:
            prefix = await _prefix_of_server(config)
            told.update({} if prefix is None else {"topic_prefix": prefix})
        async with MQTTClient.from_config(config, **told) as client:
            return await action(client)

    return asyncio.run(run())


async def _prefix_of_server(config: Config) -> str | None:
    """Return what the server's topics begin with, or None if it can't be told."""
    if config.url is None:
        return None
    try:
        async with AsyncSensorVisionClient.from_config(config) as client:
            return (await client.server_info()).mqtt_prefix
    except SensorVisionError:
        # The broker may be there without it.
        return None
