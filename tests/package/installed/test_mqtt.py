"""The MQTT client sends and receives, with the library that its extra brings."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from sensorvision import AsyncSensorVisionClient, MQTTClient

if TYPE_CHECKING:
    from .conftest import Servers

DEADLINE_S = 20


def test_message_comes_back_from_the_broker(servers: Servers) -> None:
    topic = f"tests/{os.getpid()}/greeting"

    # Made before there is a loop: before Python 3.10, a lock belongs to the one it is made in.
    client = MQTTClient("127.0.0.1", servers.broker_port)

    async def run() -> bytes:
        async with client:
            arrived = client.messages()
            await client.subscribe(topic, qos=2)
            await client.publish(topic, {"say": "hello"}, qos=2)
            message = await asyncio.wait_for(arrived.__anext__(), DEADLINE_S)
            return message.payload

    assert asyncio.run(run()) == b'{"say":"hello"}'


def test_telemetry_reaches_the_server(servers: Servers) -> None:
    name = f"mqtt_{os.getpid()}"

    async def run() -> float:
        async with MQTTClient("127.0.0.1", servers.broker_port) as client:
            await client.stream_data("dev-a", {name: 4.5}, token=servers.token)
        async with AsyncSensorVisionClient(
            servers.url, username=servers.username, password=servers.password
        ) as reader:
            # Another process stores it.
            while name not in (  # noqa: ASYNC110
                values := await reader.latest_values("dev-a")
            ):
                await asyncio.sleep(0.05)
            return values[name]

    assert asyncio.run(asyncio.wait_for(run(), DEADLINE_S)) == 4.5
