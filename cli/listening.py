"""What a broker hands out of devices' telemetry."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Sequence

from sensorvision.config import Config
from sensorvision.topics import TOPIC_PREFIXES

from .brokers import run_broker
from .moments import read_moment
from .values import Newest, Update, Values

if TYPE_CHECKING:
    from sensorvision import MQTTClient
    from sensorvision.mqtt_status import MqttStatus


def listen(
    config: Config,
    wanted: Sequence[str],
    count: int | None,
    values: Values,
    update: Update,
) -> None:
    """Show what the broker hands out, and go on over lost sessions.

    Args:
        config: where the broker is.
        wanted: the devices, or none for all.
        count: after how many messages to end, or None.
        values: takes what is told.
        update: is called with what is new.

    Raises:
        SensorVisionError: there is no broker to begin with.
    """

    def show_status(status: MqttStatus) -> None:
        if status.is_connected:
            values.trouble = ""
        elif status.problem:
            values.fail(status.problem)

    run_broker(
        config,
        lambda client: _listen(client, wanted, count, values, update),
        show_status,
    )


async def _listen(
    client: MQTTClient,
    wanted: Sequence[str],
    count: int | None,
    values: Values,
    update: Update,
) -> None:
    """Show what the broker hands out of devices' telemetry."""
    messages = client.messages()
    await client.subscribe(
        [f"{prefix}/devices/+/telemetry" for prefix in TOPIC_PREFIXES]
    )
    heard = 0
    async for message in messages:
        now = dt.datetime.now(dt.timezone.utc)
        found = [
            each
            for each in newest_of(message.payload, now)
            if not wanted or each.device_id in wanted
        ]
        if found:
            update(values.take(found))
            heard += 1
        if heard == count:
            return


def newest_of(payload: bytes, now: dt.datetime) -> list[Newest]:
    """Return what a telemetry message tells, as the server reads it (contract 4.3)."""
    try:
        told = json.loads(payload)
        device_id, variables = told["deviceId"], told.get("variables")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return []
    if not isinstance(variables, dict):
        return []
    return [
        Newest(str(device_id), name, value, "", _moment(told.get("timestamp"), now))
        for name, value in variables.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def _moment(text: object, now: dt.datetime) -> dt.datetime:
    """Return when it was true; without a zone it is UTC, and anything else is now."""
    return _read(f"{text}") or _read(f"{text}Z") or now


def _read(text: str) -> dt.datetime | None:
    try:
        return read_moment(text)
    except ValueError:
        return None
