"""`sensorvision watch`: the newest values and their age, live."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
import datetime as dt
import itertools
from typing import Iterator, Sequence

import click
from rich.live import Live

from sensorvision import (
    AsyncSensorVisionClient,
    Device,
    NetworkError,
    RateLimitError,
    ServerError,
    Variable,
)
from sensorvision.config import Config

from .commands import command, run_client, with_config
from .exits import Exit
from .failures import CommandError
from .output import is_json, show
from .tables import console
from .values import Newest, Update, Values

_MAX_IN_FLIGHT = 4
_FRAMES_A_SECOND = 2


@command("watch")
@click.argument("devices", nargs=-1, metavar="[DEVICE...]")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks at the server.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="End after so many looks, or messages with --mqtt.",
)
@click.option("--mqtt", "is_mqtt", is_flag=True, help="Listen to the broker instead.")
@with_config
def watch(
    devices: tuple[str, ...],
    interval_s: float,
    count: int | None,
    is_mqtt: bool,
    config: Config,
) -> Exit:
    """Show the newest values of all devices, or of each DEVICE, until Ctrl-C.

    The server shows values to an account with its password; a user key gets none. With
    --mqtt what the broker hands out is shown, which needs no account. With --json each new
    value is one line, which `replay` can read.
    """
    values = Values()
    with _shown(values) as update:
        try:
            if is_mqtt:
                # Loaded here, as a watch of the server needs nothing of MQTT.
                from .listening import listen

                listen(config, devices, count, values, update)
            else:
                run_client(
                    config,
                    lambda client: _look(
                        client, devices, interval_s, count, values, update
                    ),
                )
        except KeyboardInterrupt:
            # That is how a watch ends.
            pass
    return Exit.DONE


@contextmanager
def _shown(values: Values) -> Iterator[Update]:
    """Show values as JSON lines, as a live table, or as one table after another."""
    screen = console()
    if is_json():

        def print_lines(new: Sequence[Newest]) -> None:
            for each in new:
                show(each.as_json())

        yield print_lines
    elif screen.is_terminal:
        # Ages grow between looks, too.
        with Live(
            console=screen,
            get_renderable=values.shown,
            refresh_per_second=_FRAMES_A_SECOND,
        ) as live:
            yield lambda _new: live.refresh()
    else:
        yield lambda _new: screen.print(values.shown())


async def _look(
    client: AsyncSensorVisionClient,
    wanted: Sequence[str],
    interval_s: float,
    count: int | None,
    values: Values,
    update: Update,
) -> None:
    """Ask the server for values again and again.

    Raises:
        SensorVisionError: the first look failed, or another for good.
    """
    seen: dict[str, dt.datetime | None] = {}
    for look in itertools.count(1):
        try:
            found = await _found(client, wanted, seen)
        except (NetworkError, RateLimitError, ServerError) as err:
            if look == 1:
                raise
            values.fail(CommandError.of(err).problem)
            update(())
        else:
            values.trouble = ""
            update(values.take(found))
        if look == count:
            return
        await asyncio.sleep(interval_s)


async def _found(
    client: AsyncSensorVisionClient,
    wanted: Sequence[str],
    seen: dict[str, dt.datetime | None],
) -> list[Newest]:
    """Return the values of the devices that have sent since they were seen last."""
    devices = {device.device_id: device for device in await client.devices()}
    for device_id in wanted:
        if device_id not in devices:
            raise CommandError(
                "device",
                f"Your organisation has no device {device_id}",
                "See `sensorvision devices list`",
                Exit.ACCOUNT,
            )
    limit = asyncio.Semaphore(_MAX_IN_FLIGHT)

    async def variables(device: Device) -> list[Variable]:
        async with limit:
            return await client.variables(device)

    changed = [
        device
        for device_id, device in devices.items()
        if (not wanted or device_id in wanted)
        and (device_id not in seen or seen[device_id] != device.last_seen_at)
    ]
    lists = await asyncio.gather(*(variables(device) for device in changed))
    seen.update({device.device_id: device.last_seen_at for device in changed})
    return [
        Newest(
            variable.device_id,
            variable.name,
            variable.last_value,
            variable.unit or "",
            variable.last_value_at,
        )
        for found in lists
        for variable in found
        if variable.last_value is not None and variable.last_value_at is not None
    ]
