"""`sensorvision send`: numbers of a device, from the command line."""

from __future__ import annotations

import datetime as dt

import click

from sensorvision.config import Config

from .brokers import run_broker
from .commands import command, run_client, with_config
from .exits import Exit
from .failures import CommandError
from .moments import read_moment
from .output import instant, is_json, say, show


@command("send")
@click.argument("device")
@click.argument("values", nargs=-1, metavar="NAME=VALUE...")
@click.option(
    "--timestamp",
    metavar="TIME",
    help="When it was true, such as 2026-01-31T12:00:00Z; by default now.",
)
@click.option("--mqtt", "is_mqtt", is_flag=True, help="Through the broker.")
@with_config
def send(
    device: str,
    values: tuple[str, ...],
    timestamp: str | None,
    is_mqtt: bool,
    config: Config,
) -> Exit:
    """Send numbers of DEVICE, such as temperature=21.5 humidity=48.

    Without DEVICE the one of the settings is meant. Numbers below zero need no care:
    outdoor=-3.5. Over MQTT the broker alone says that it has the message; whether the
    server takes it, MQTT does not tell.
    """
    if "=" in device:
        values = (device, *values)
        device = _configured_device(config)
    variables = _variables(values)
    moment = _moment(timestamp)
    if is_mqtt:
        run_broker(config, lambda client: client.stream_data(device, variables, moment))
    else:
        run_client(config, lambda client: client.send_data(device, variables, moment))
    if is_json():
        show(
            {
                "device": device,
                "variables": variables,
                "timestamp": instant(moment),
                "way": "mqtt" if is_mqtt else "http",
            }
        )
    told = ", ".join(f"{name}={value}" for name, value in variables.items())
    way = "handed to the broker" if is_mqtt else "stored"
    say(f"{device}: {told} {way}.")
    return Exit.DONE


def _configured_device(config: Config) -> str:
    if not config.device_id:
        raise click.UsageError(
            "Name the device before its values, or set SENSORVISION_DEVICE_ID."
        )
    return config.device_id


def _variables(values: tuple[str, ...]) -> dict[str, int | float]:
    """Read numbers by name.

    Raises:
        click.UsageError: there is none.
        CommandError: one can't be read.
    """
    if not values:
        raise click.UsageError("Give at least one value, such as temperature=21.5.")
    variables: dict[str, int | float] = {}
    for text in values:
        name, equals, value = text.rpartition("=")
        try:
            variables[name] = int(value)
        except ValueError:
            try:
                variables[name] = float(value)
            except ValueError:
                equals = ""
        if not equals or not name:
            raise CommandError(
                "validation",
                f"{text!r} is no name with a number",
                "Write it like temperature=21.5",
                Exit.DATA,
            )
    return variables


def _moment(text: str | None) -> dt.datetime | None:
    """Read the time that was given, if one was."""
    try:
        return None if text is None else read_moment(text)
    except ValueError as err:
        problem, _, remedy = str(err).partition(". ")
        raise CommandError("validation", problem, remedy, Exit.DATA) from None
