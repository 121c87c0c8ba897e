"""The command line: `python -m micropython.provision flash`."""

from collections.abc import Mapping
import os
from pathlib import Path
import sys
import tempfile
from typing import Any

import click

from micropython.provision import firmware, flash as flashing, log, ports, settings
from micropython.provision.build import build
from micropython.provision.errors import Exit, ProvisionError
from micropython.provision.mpremote import Board

_PATH = click.Path(path_type=Path)


@click.group()
def cli() -> None:
    """Put the MicroPython port on a board."""


@cli.command()
@click.option("--port", help="The board's serial port, where there are several.")
@click.option(
    "--settings", "settings_file", type=_PATH, help="Settings file to begin with."
)
@click.option("--url", help="The server's address.")
@click.option("--device-id", help="The device's id on the server.")
@click.option("--ssid", help="Name of the Wi-Fi network.")
@click.option("--country", help="Country code whose radio rules hold, such as DE.")
@click.option("--interval", type=int, help="Seconds between two readings.")
@click.option(
    "--sensor", "sensors", multiple=True, help="Such as bme280:sda=21,scl=22."
)
@click.option(
    "--ca", type=_PATH, help="Certificate of the server's authority, PEM or DER."
)
@click.option(
    "--timeout", default=90, show_default=True, help="Seconds for the first reading."
)
def flash(port: str | None, timeout: int, ca: Path | None, **given: object) -> None:
    """Copy the port and its settings to a board and wait for its first reading.

    Settings come from --settings, else from the board; options are laid over them. The
    token and the Wi-Fi password come from SENSORVISION_TOKEN and
    SENSORVISION_WIFI_PASSWORD, or are asked for.

    Exit codes: 0 a reading was delivered, 1 none was, 2 wrong options, 3 no board or
    several, 4 the board does not answer, 5 unsuitable firmware, 6 wrong settings, 7 full
    flash, 8 copying failed.
    """
    try:
        code = _flash(Board(_port(port)), timeout, ca, given)
    except ProvisionError as err:
        click.echo(f"{err}.", err=True)
        code = err.code
    sys.exit(code)


def _port(port: str | None) -> str:
    return ports.check_access(port or ports.choose(ports.candidates()))


def _flash(
    board: Board, timeout: int, ca: Path | None, given: Mapping[str, Any]
) -> Exit:
    # What is wrong on this side is said before the board is touched.
    certificate = flashing.certificate(ca) if ca else None
    base = (
        settings.read_file(given["settings_file"]) if given["settings_file"] else None
    )
    survey = firmware.survey(board)
    firmware.check_firmware(survey.name, survey.version)
    flashing.report(survey, click.echo)
    if base is None:
        text = survey.settings
        base = settings.parse(text, "The board's settings") if text else {}
    chosen = _complete(base, given, flashing.CA_PATH if ca else None)
    settings.check(chosen)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = build(directory / "files", survey.mpy_version)
        if certificate:
            files[flashing.CA_PATH] = directory / "ca.der"
            files[flashing.CA_PATH].write_bytes(certificate)
        plan = flashing.plan(files, survey)
        commands = flashing.copy_commands(plan)
        if chosen != base or given["settings_file"]:
            commands += flashing.settings_commands(chosen, directory)
        board.run(*commands, ["reset"])
    click.echo(f"{len(plan.changed)} files copied, {plan.unchanged} up to date.")
    click.echo("The board starts:")
    outcome = log.follow(
        log.lines(board.port, timeout), lambda line: click.echo(f"    {line}")
    )
    if outcome.delivered is None:
        last = (
            f" It said: {outcome.trouble}."
            if outcome.trouble
            else " It said nothing wrong."
        )
        click.echo(f"No reading has been delivered.{last}", err=True)
        return Exit.NOT_DELIVERED
    click.echo(f"The server has stored the board's first reading: {outcome.delivered}.")
    return Exit.DELIVERED


def _complete(
    base: dict[str, Any], given: Mapping[str, Any], ca_file: str | None
) -> dict[str, Any]:
    """Lay options and secrets over settings, and ask for secrets that are missing."""
    flags = {
        "url": given["url"],
        "token": os.environ.get(settings.TOKEN_VARIABLE),
        "device_id": given["device_id"],
        "interval_s": given["interval"],
        "sensors": [settings.parse_sensor(text) for text in given["sensors"]],
        "ca_file": ca_file,
    }
    wifi = {
        "ssid": given["ssid"],
        "password": os.environ.get(settings.PASSWORD_VARIABLE),
        "country": given["country"],
    }
    chosen = settings.combine(base, flags, wifi)
    if sys.stdin.isatty():
        if not chosen.get("token"):
            chosen["token"] = click.prompt("Device token", hide_input=True)
        if given["ssid"] and not chosen["wifi"].get("password"):
            chosen["wifi"]["password"] = click.prompt(
                f"Password of {given['ssid']}",
                hide_input=True,
                default="",
                show_default=False,
            )
    elif not chosen.get("token"):
        raise ProvisionError(
            Exit.SETTINGS,
            f"Settings: token is missing. Put it into the environment as "
            f"{settings.TOKEN_VARIABLE}",
        )
    return chosen


if __name__ == "__main__":
    cli()
