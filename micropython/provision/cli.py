"""The commands `sensorvision board ...`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import functools
import math
from pathlib import Path
import sys
from typing import Any

import click

from . import (
    firmware,
    images,
    install,
    log,
    ports,
    release,
    selftest,
    settings,
    work,
)
from .asking import Given
from .errors import Exit, ProvisionError
from .mpremote import Board
from .options import PATH, own_sensor_option, with_settings
from .telling import json_option, tell, tell_error, warn

_CODES = """
\b
Exit codes:
  0  done; a reading was delivered, or the test passed
  1  the board runs, but no reading was delivered, or its test failed
  2  wrong options
  3  no board found, or several: cable, USB driver, --port
  4  the board does not answer, or its port can't be opened
  5  no MicroPython, one that is too old, or a wrong firmware file
  6  a setting is wrong or missing
  7  the board's flash is full
  8  copying or writing failed
  9  the server refused the login or the device
"""

_port_option = click.option("--port", help="The board's serial port.")
_wait_option = click.option(
    "--wait",
    default=0.0,
    metavar="SECONDS",
    help="Wait for a board that sleeps deeply: as long as its interval.",
)
_timeout_option = click.option(
    "--timeout", default=90, show_default=True, help="Seconds for the first reading."
)


def _ends_by_code(command: Callable[..., Exit | None]) -> Callable[..., None]:
    """Let a command end with the code that it returns, or that its error has."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:  # noqa: ANN401
        try:
            code = command(*arguments, **options)
        except ProvisionError as err:
            tell_error(err.code.name.lower(), str(err))
            code = err.code
        sys.exit(code or 0)

    return json_option(run)


@click.group(epilog=_CODES)
def board() -> None:
    """Put the MicroPython port on boards, and look after them.

    Secrets never stand on the command line. They come from the environment, or are asked
    for: SENSORVISION_TOKEN, SENSORVISION_WIFI_PASSWORD, SENSORVISION_PASSWORD (of
    --login), SENSORVISION_MQTT_PASSWORD, SENSORVISION_UPDATE_KEY.
    """


@board.command("list", epilog=_CODES)
@_port_option
@_ends_by_code
def list_boards(port: str | None) -> Exit:
    """List the boards that are plugged in, with port, type and firmware.

    A board that answers is started again, as asking it interrupts its program.
    """
    found = (
        [ports.Port(ports.check_access(port), "named")] if port else ports.candidates()
    )
    in_bootsel = [] if port else list(install.drives())
    for each in found:
        try:
            said = firmware.identify(Board(each.path))
        except ProvisionError as err:
            said = str(err)
        tell(
            f"{each.path}  {each.kind}  {said}",
            "board",
            port=each.path,
            kind=each.kind,
            answer=said,
        )
    for drive, chip in in_bootsel:
        tell(
            f"{drive}  {chip} in BOOTSEL mode  no firmware answers",
            "drive",
            drive=str(drive),
            chip=chip,
        )
    if not found and not in_bootsel:
        ports.choose(found)
    return Exit.DONE


@board.command(epilog=_CODES)
@_port_option
@click.option(
    "--firmware",
    "firmware_file",
    type=PATH,
    help="MicroPython for the board, .bin (ESP32) or .uf2 (Pico), installed where none is.",
)
@click.option("--reinstall", is_flag=True, help="Install --firmware over another one.")
@click.option(
    "--in-boot-mode",
    is_flag=True,
    help="An ESP32 is in its boot mode already: BOOT was held during a reset.",
)
@click.option(
    "--drive", type=PATH, help="Where the drive of a Pico in BOOTSEL mode is mounted."
)
@_wait_option
@_timeout_option
@_ends_by_code
@with_settings
def flash(
    *,
    port: str | None,
    firmware_file: Path | None,
    reinstall: bool,
    in_boot_mode: bool,
    drive: Path | None,
    wait: float,
    timeout: int,
    given: Given,
    certificate: bytes | None,
    login: work.Login | None,
) -> Exit:
    """Bring a board from its box to its first reading on the server.

    Installs --firmware if the board has none, copies the port's files as far as they have
    changed, writes the settings, lets the board test itself, and waits for its first
    reading. Run it again at any time, also after a cable was pulled.

    Settings come from --settings, else from the board; options are laid over them. With
    --login the device is made on the server where it is not there yet, and its token is
    fetched from there.
    """
    image = images.read_image(firmware_file) if firmware_file else None
    if reinstall and not image:
        raise click.UsageError("--reinstall needs --firmware.")
    found, survey = work.prepare(
        port, wait, work.Firmware(image, reinstall, in_boot_mode, drive)
    )
    work.write(
        found, survey, given, certificate=certificate, login=login, is_whole=True
    )
    if selftest.is_in_port():
        try:
            work.test(found)
        except ProvisionError as err:
            # The log of its start tells more.
            warn(f"The self-test has no result: {err}.")
    return work.see_it_report(found, timeout)


@board.command(epilog=_CODES)
@_port_option
@_wait_option
@_timeout_option
@_ends_by_code
@with_settings
def configure(
    *,
    port: str | None,
    wait: float,
    timeout: int,
    given: Given,
    certificate: bytes | None,
    login: work.Login | None,
) -> Exit:
    """Change settings on a board that has been flashed, and see it report with them."""
    found, survey = _flashed(port, wait)
    work.write(
        found, survey, given, certificate=certificate, login=login, is_whole=False
    )
    return work.see_it_report(found, timeout)


@board.command(epilog=_CODES)
@_port_option
@_wait_option
@_ends_by_code
def test(port: str | None, wait: float) -> Exit:
    """Let a board try its sensors, its network, its clock and its server."""
    found, survey = _flashed(port, wait)
    if not selftest.is_on(survey):
        raise ProvisionError(
            Exit.FIRMWARE,
            "The port on the board is too old to test itself. Bring it up to date with "
            "`sensorvision board update`",
        )
    is_good = work.test(found)
    found.run(["reset"])
    return Exit.DONE if is_good else Exit.NOT_DELIVERED


@board.command(epilog=_CODES)
@_port_option
@click.option("--seconds", type=float, help="Until when; without it, until Ctrl-C.")
@_ends_by_code
def logs(port: str | None, seconds: float | None) -> Exit:
    """Show what a board prints, without interrupting it."""
    found = work.find_board(port)
    with contextlib.suppress(KeyboardInterrupt):
        for line in log.lines(found.port, seconds or math.inf):
            tell(line, "log")
    return Exit.DONE


@board.command(epilog=_CODES)
@_port_option
@_wait_option
@_timeout_option
@click.option(
    "--release",
    "directory",
    type=PATH,
    metavar="DIR",
    help="Touch no board, but write into DIR what boards fetch over the air.",
)
@click.option(
    "--zip",
    "archive",
    type=PATH,
    metavar="FILE",
    help="Touch no board, but write FILE, a zip to unpack onto one.",
)
@click.option("--version", help="With --release: its version, by default the port's.")
@click.option(
    "--key-file",
    type=PATH,
    help="With --release: holds the key that boards have as update.key.",
)
@own_sensor_option
@_ends_by_code
def update(
    port: str | None,
    wait: float,
    timeout: int,
    directory: Path | None,
    archive: Path | None,
    version: str | None,
    key_file: Path | None,
    own_sensors: tuple[Path, ...],
) -> Exit:
    """Bring the port's files on a board up to date by cable, and keep its settings."""
    if (key_file or version) and not directory:
        raise click.UsageError("--key-file and --version need --release.")
    if directory:
        _write_release(directory, version or release.port_version(), key_file)
    if archive:
        with _files_usable():
            release.write_zip(archive)
        tell(f"Version {release.port_version()} is in {archive}.", "written")
    if directory or archive:
        return Exit.DONE
    for path in own_sensors:
        settings.add_sensor(path)
    found, survey = _flashed(port, wait)
    work.write(
        found,
        survey,
        Given(None, {}, (), {}, (), own_sensors),
        certificate=None,
        login=None,
        is_whole=True,
    )
    return work.see_it_report(found, timeout)


def _flashed(port: str | None, wait_s: float) -> tuple[Board, firmware.Survey]:
    found, survey = work.prepare(port, wait_s)
    if survey.settings is None or "/main.py" not in survey.files:
        raise ProvisionError(
            Exit.FIRMWARE,
            "The port is not on this board yet. Put it there with `sensorvision board flash`",
        )
    return found, survey


def _write_release(directory: Path, version: str, key_file: Path | None) -> None:
    with _files_usable():
        key = key_file.read_text(encoding="utf-8").strip() if key_file else None
        release.write_release(directory, version, key)
    signed = "signed" if key else "not signed"
    tell(f"Version {version} is in {directory}, {signed}.", "written")


@contextlib.contextmanager
def _files_usable() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise ProvisionError(
            Exit.SETTINGS, f"{err.filename} can't be used: {err.strerror}"
        ) from err
