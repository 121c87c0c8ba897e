"""``python -m proofs.subscriber PORT LOG``: write down each message, then acknowledge it.

Its session outlives it: the broker keeps for it what is published until it is back. It
prints a line as soon as it has subscribed. SIGTERM ends it.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
import json
from pathlib import Path
import signal
import sys
from typing import Any, TextIO

from paho.mqtt.client import Client, MQTTErrorCode, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from demo.processes import StartError, first_line, running

from .judgement import in_us

# Device, variable, value and time in microseconds.
type Point = tuple[str, str, int, int]

CLIENT_ID = "sensorvision-durable"
TOPIC = "indcloud/devices/+/telemetry"

_START_TIMEOUT_S = 60
_LOOK_EVERY_S = 0.2


@asynccontextmanager
async def subscribed(port: int, log: Path) -> AsyncIterator[None]:
    """Let the subscriber listen until the block ends; its session stays.

    Args:
        port: where the broker listens on this machine.
        log: takes what it receives.

    Raises:
        StartError: it found no way to the broker.
    """
    command = ["-m", "proofs.subscriber", str(port), str(log)]
    error_log = log.with_suffix(".log")
    async with running(command, error_log, asyncio.subprocess.PIPE) as process:
        if not await first_line(process, _START_TIMEOUT_S):
            error = await asyncio.to_thread(error_log.read_text)
            raise StartError(f"The subscriber found no way to the broker: {error}")
        yield


def read_received(log: Path) -> list[Point]:
    """Return the readings in the log of the subscriber, as often as they came."""
    return [*told(log.read_text("utf-8").splitlines())]


def told(messages: Iterable[str | bytes]) -> Iterator[Point]:
    """Yield the readings in messages."""
    for text in messages:
        message = json.loads(text)
        at_us = in_us(datetime.fromisoformat(message["timestamp"]).timestamp())
        for variable, value in message["variables"].items():
            yield message["deviceId"], variable, int(value), at_us


def _write(log: TextIO, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
    """Write a message down; the library acknowledges it on return."""
    log.write(message.payload.decode() + "\n")
    log.flush()


def _subscribe(client: Client, *_connected: Any) -> None:
    client.subscribe(TOPIC, qos=1)


def _tell(*_subscribed: Any) -> None:
    print("subscribed", flush=True)


def main() -> int:
    """Take messages until told to stop, or until the session ends."""
    parser = argparse.ArgumentParser(prog="python -m proofs.subscriber")
    parser.add_argument("port", type=int)
    parser.add_argument("log", type=Path)
    options = parser.parse_args()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    with options.log.open("a") as log:
        client = Client(CallbackAPIVersion.VERSION2, CLIENT_ID, clean_session=False)
        client.on_connect = _subscribe
        client.on_subscribe = _tell
        client.on_message = partial(_write, log)
        client.connect("127.0.0.1", options.port)
        while not stopped:
            if client.loop(_LOOK_EVERY_S) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return 1
        client.disconnect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
