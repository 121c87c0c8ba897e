"""`sensorvision devices`: the devices of an account."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any, Callable

import click

from sensorvision import AsyncSensorVisionClient, CapabilityError, Device, Variable
from sensorvision.config import Config

from .commands import command, run_client, with_config
from .exits import Exit, epilog
from .output import age, instant, is_json, number, say, show
from .tables import print_table

_DETAILS = ("name", "description", "location", "sensor_type", "firmware_version")


@click.group("devices", epilog=epilog())
def devices() -> None:
    """List and change the devices of your account; with a user key, too."""


def _with_details(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each thing that is told of a device."""
    for name in reversed(_DETAILS):
        told = name.replace("_", " ")
        function = click.option(f"--{told.replace(' ', '-')}", help=f"Its {told}.")(
            function
        )
    return function


@command("list", devices)
@with_config
def list_devices(config: Config) -> Exit:
    """List the devices of your organisation."""
    found = run_client(config, lambda client: client.devices())
    if is_json():
        show([_facts(device) for device in found])
    elif not found:
        say("There is no device yet. Add one with `sensorvision devices add ID`.")
    else:
        now = dt.datetime.now(dt.timezone.utc)
        print_table(
            ("device", "name", "status", "last seen", "location"),
            [
                (
                    device.device_id,
                    device.name,
                    device.status.lower(),
                    age(device.last_seen_at, now),
                    device.location or "",
                )
                for device in found
            ],
        )
    return Exit.DONE


@command("show", devices)
@click.argument("device_id", metavar="DEVICE")
@with_config
def show_device(device_id: str, config: Config) -> Exit:
    """Show DEVICE and the newest value of each of its variables.

    The server shows values to an account with its password, and not to a user key.
    """
    device, variables = run_client(config, lambda client: _looked_up(client, device_id))
    now = dt.datetime.now(dt.timezone.utc)
    if is_json():
        told = None if variables is None else [_value(each) for each in variables]
        show({**_facts(device), "variables": told})
        return Exit.DONE
    rows = {
        "device": device.device_id,
        "name": device.name,
        "status": device.status.lower(),
        "last seen": age(device.last_seen_at, now),
        "description": device.description,
        "location": device.location,
        "sensor type": device.sensor_type,
        "firmware version": device.firmware_version,
    }
    print_table((), [(name, text) for name, text in rows.items() if text])
    if variables is None:
        say("\nIts values are shown to an account with its password alone.")
    elif variables:
        say("")
        print_table(
            ("variable", "value", "unit", "age"),
            [
                (
                    each.name,
                    "" if each.last_value is None else number(each.last_value),
                    each.unit or "",
                    age(each.last_value_at, now),
                )
                for each in variables
            ],
        )
    return Exit.DONE


@command("add", devices)
@click.argument("device_id", metavar="DEVICE")
@_with_details
@with_config
def add(device_id: str, config: Config, **details: str | None) -> Exit:
    """Make DEVICE: an id of letters, digits, dots, dashes and underscores."""
    made = run_client(config, lambda client: client.add_device(device_id, **details))
    _tell(made, f"Made {made.device_id}.")
    say(f"Get its token with `sensorvision devices token {made.device_id}`.")
    return Exit.DONE


@command("update", devices)
@click.argument("device_id", metavar="DEVICE")
@_with_details
@with_config
def update(device_id: str, config: Config, **details: str | None) -> Exit:
    """Change what is told of DEVICE; what no option names stays as it is."""
    if not any(details.values()):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in _DETAILS)
        raise click.UsageError(f"Say what to change, with {options}.")
    changed = run_client(
        config, lambda client: client.update_device(device_id, **details)
    )
    _tell(changed, f"Changed {changed.device_id}.")
    return Exit.DONE


@command("remove", devices)
@click.argument("device_id", metavar="DEVICE")
@click.option("--yes", "is_sure", is_flag=True, help="Without being asked.")
@with_config
def remove(device_id: str, is_sure: bool, config: Config) -> Exit:
    """Remove DEVICE for good, with its token and all its data."""
    if not is_sure:
        if is_json() or not sys.stdin.isatty():
            raise click.UsageError(
                "Nobody can be asked whether it is meant: add --yes."
            )
        click.confirm(f"Remove {device_id} with all its data, for good?", abort=True)
    run_client(config, lambda client: client.unregister_device(device_id))
    if is_json():
        show({"device": device_id, "removed": True})
    say(f"Removed {device_id} with all its data.")
    return Exit.DONE


@command("token", devices)
@click.argument("device_id", metavar="DEVICE")
@click.option(
    "--rotate",
    "is_rotated",
    is_flag=True,
    help="Replace the one that it has, which shuts out whatever uses that.",
)
@with_config
def token(device_id: str, is_rotated: bool, config: Config) -> Exit:
    """Make a token for DEVICE and print it, this once: the server shows it to nobody."""
    made = run_client(
        config,
        lambda client: (
            client.rotate_token(device_id)
            if is_rotated
            else client.create_token(device_id)
        ),
    )
    if is_json():
        show({"device": device_id, "token": made})
    say(made)
    return Exit.DONE


async def _looked_up(
    client: AsyncSensorVisionClient, device_id: str
) -> tuple[Device, list[Variable] | None]:
    device = await client.device(device_id)
    try:
        return device, await client.variables(device)
    except CapabilityError:
        return device, None


def _tell(device: Device, text: str) -> None:
    if is_json():
        show(_facts(device))
    say(text)


def _facts(device: Device) -> dict[str, object]:
    """Return what JSON has of a device."""
    return {
        "device": device.device_id,
        "status": device.status,
        "last_seen_at": instant(device.last_seen_at),
        "active": device.active,
        **{name: getattr(device, name) for name in _DETAILS},
    }


def _value(variable: Variable) -> dict[str, object]:
    """Return what JSON has of a variable."""
    return {
        "variable": variable.name,
        "value": variable.last_value,
        "unit": variable.unit,
        "timestamp": instant(variable.last_value_at),
    }
