"""Do what the commands promise: firmware, files and settings onto a board, and a reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import tempfile
import time
from typing import Any

import click

from sensorvision.version import build_info

from . import (
    asking,
    copying,
    firmware,
    install,
    log,
    ports,
    selftest,
    settings,
)
from .account import PASSWORD_VARIABLE, Account
from .asking import Given
from .build import build
from .errors import Exit, ProvisionError
from .firmware import Survey
from .images import EspImage, Uf2Image
from .mpremote import Board
from .telling import bar_file, tell, warn

# A first start formats the flash.
_START_DEADLINE_S = 30
_POLL_S = 0.5

# Has the form of a token, for checks before there is one.
_NO_TOKEN = "00000000-0000-4000-8000-000000000000"  # noqa: S105


@dataclass(frozen=True)
class Login:
    """A person's login, with which a board gets its token.

    Attributes:
        user: its name.
        server: the server's URL, or None for the one in the settings.
        is_rotated: whether a token that is there already is replaced.
    """

    user: str
    server: str | None
    is_rotated: bool


@dataclass(frozen=True)
class Firmware:
    """What was said about MicroPython itself.

    Attributes:
        image: what may be installed, or None.
        is_reinstalled: whether it replaces a firmware that would do.
        is_in_boot_mode: whether a person has brought the chip into its boot mode.
        drive: where a Pico's drive is mounted, or None to look for it.
    """

    image: EspImage | Uf2Image | None
    is_reinstalled: bool
    is_in_boot_mode: bool
    drive: Path | None


def find_board(port: str | None, timeout_s: float = 0) -> Board:
    """Return the board at a port, or the only one that there is.

    Args:
        port: the board's, or None.
        timeout_s: seconds for which it may be away, as boards with USB of their own are
            while they restart or sleep.

    Raises:
        ProvisionError: there is none, there are several, or it can't be opened.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            board = Board(port or ports.choose(ports.candidates()))
            ports.check_access(board.port)
        except ProvisionError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(_POLL_S)
        else:
            return board


def prepare(
    port: str | None, wait_s: float, wanted: Firmware | None = None
) -> tuple[Board, Survey]:
    """Find a board, install its firmware if that was asked for, and look at it.

    Args:
        port: the board's, or None for the only one that there is.
        wait_s: seconds for which it may sleep.
        wanted: what was said about its firmware.

    Raises:
        ProvisionError: there is no board that runs MicroPython in the end.
    """
    image = wanted.image if wanted else None
    if wanted and isinstance(image, Uf2Image):
        board = _with_uf2(port, image, wanted)
    else:
        board = find_board(port, wait_s)
        if wanted and isinstance(image, EspImage):
            _with_esp(board, image, wanted)
    found = firmware.wait_for(board, max(wait_s, _START_DEADLINE_S if image else 0))
    firmware.check_firmware(found.name, found.version)
    tell(firmware.describe(found), "firmware")
    return board, found


def write(
    board: Board,
    survey: Survey,
    given: Given,
    *,
    certificate: bytes | None,
    login: Login | None,
    is_whole: bool,
) -> None:
    """Write settings onto a board, and the port's files unless they stay as they are.

    Args:
        board: the board.
        survey: what lies on it.
        given: what was said about settings.
        certificate: of the authority that vouches for the server, in DER.
        login: to get a token with, or None.
        is_whole: whether the port's files are copied, too.

    Raises:
        ProvisionError: a setting is wrong, or something can't be written.
    """
    base = given.settings
    if base is None:
        text = survey.settings
        base = settings.parse(text, "The board's settings") if text else {}
    chosen = asking.complete(base, given)
    if certificate:
        chosen["ca_file"] = copying.CA_PATH
    is_login_needed = login is not None and (
        login.is_rotated
        or not chosen.get("token")
        or (
            chosen["token"] == base.get("token")
            and chosen.get("device_id") != base.get("device_id")
        )
    )
    if not is_login_needed and not chosen.get("token"):
        chosen["token"] = asking.ask_secret("token", settings.TOKEN_VARIABLE)
    settings.check({**chosen, "token": chosen.get("token") or _NO_TOKEN})
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        own = given.own_sensors
        files = build(directory / "files", survey.mpy_version, own) if is_whole else {}
        if certificate:
            files[copying.CA_PATH] = directory / "ca.der"
            files[copying.CA_PATH].write_bytes(certificate)
        plan = copying.plan(files, survey, is_whole=is_whole)
        if login and is_login_needed:
            chosen["token"] = _token(login, chosen, certificate, survey)
        # First, because a token is shown once: a cable pulled later does not lose it.
        if chosen != base or given.settings is not None:
            _write_settings(board, chosen, directory, login)
        _copy(board, plan)
    if is_whole:
        count = len(plan.changed)
        tell(
            f"{count} file{'' if count == 1 else 's'} copied, {plan.unchanged} up to date.",
            "copied",
            changed=count,
            unchanged=plan.unchanged,
        )


def test(board: Board) -> bool:
    """Run the board's self-test, show its steps, and tell whether all went well.

    Raises:
        ProvisionError: it has not begun, or came to no end.
    """
    tell("The board tests itself:", "test")
    steps = selftest.run_selftest(board, _show, lambda line: tell(f"    {line}", "log"))
    return all(step.is_ok for step in steps)


def see_it_report(board: Board, timeout_s: float) -> Exit:
    """Start the board, and follow it until it has delivered its first reading."""
    board.run(["reset"])
    tell("The board starts:", "start")
    outcome = log.follow(
        log.lines(board.port, timeout_s), lambda line: tell(f"    {line}", "log")
    )
    if outcome.delivered is None:
        last = (
            f" It said: {outcome.trouble}."
            if outcome.trouble
            else " It said nothing wrong."
        )
        warn(f"No reading has been delivered.{last}")
        return Exit.NOT_DELIVERED
    tell(
        f"The board has delivered its first reading: {outcome.delivered}.",
        "delivered",
        reading=outcome.delivered,
    )
    return Exit.DONE


def _with_esp(board: Board, image: EspImage, wanted: Firmware) -> None:
    found = None if wanted.is_in_boot_mode else _answer_of(board)
    if found and not wanted.is_reinstalled:
        _say_it_stays(found)
        return
    with click.progressbar(
        length=100, label=f"Writing {image.path.name}", file=bar_file()
    ) as bar:
        install.install_esp(
            image,
            board.port,
            # What another firmware left on the flash, MicroPython takes for a damaged one.
            is_erased=found is None,
            is_in_boot_mode=wanted.is_in_boot_mode,
            on_percent=lambda percent: bar.update(int(percent) - bar.pos),
        )
    tell("The firmware is written and verified.")
    if wanted.is_in_boot_mode:
        tell("Press and release RESET (EN) now.")


def _with_uf2(port: str | None, image: Uf2Image, wanted: Firmware) -> Board:
    known = ports.candidates()
    before = port or (known[0].path if len(known) == 1 else None)
    board = Board(before) if before else None
    found = _answer_of(board) if board else None
    if board and found:
        if not wanted.is_reinstalled:
            _say_it_stays(found)
            return board
        if wanted.drive is None or install.drive_chip(wanted.drive) is None:
            board.run(["bootloader"])
    drive = install.find_drive(image.chip, wanted.drive)
    install.install_uf2(image, drive)
    tell(f"{image.path.name} is copied to {drive}; the board restarts.")
    return find_board(port, _START_DEADLINE_S)


def _answer_of(board: Board) -> Survey | None:
    """Return what a board with a firmware that would do says of itself."""
    try:
        found = firmware.survey(board)
        firmware.check_firmware(found.name, found.version)
    except ProvisionError:
        return None
    return found


def _say_it_stays(found: Survey) -> None:
    version = ".".join(str(part) for part in found.version)
    tell(f"MicroPython {version} stays on the board; --reinstall would replace it.")


def _token(
    login: Login, chosen: dict[str, Any], certificate: bytes | None, survey: Survey
) -> str:
    """Return a token for the device, which is made where it is not there yet."""
    url = login.server or str(chosen["url"])
    if not url.startswith("http"):
        raise ProvisionError(
            Exit.SETTINGS,
            f"A login needs the server's own address, and {url} is a broker's. Give it with "
            "--server, such as https://sensorvision.example",
        )
    device_id = str(chosen["device_id"])
    password = asking.ask_secret(f"password of {login.user}", PASSWORD_VARIABLE)
    with Account(url, login.user, password, certificate) as account:
        token = account.token(
            device_id,
            firmware=_build(survey),
            is_rotated=login.is_rotated,
        )
    if token:
        tell(
            f"The server has the device {device_id}, and made a token for it.", "token"
        )
        return token
    warn(
        f"The device {device_id} has a token already, which the server shows to nobody, and "
        "which is not replaced unasked: whatever uses it would be shut out."
    )
    try:
        return asking.ask_secret("token", settings.TOKEN_VARIABLE)
    except ProvisionError as err:
        raise ProvisionError(
            Exit.ACCOUNT, f"{err}, or replace it with --rotate-token"
        ) from None


def _build(survey: Survey) -> str:
    """Return what the server shows as the firmware of a board's device."""
    port = build_info()
    version = ".".join(str(part) for part in survey.version)
    return f"sensorvision {port.version} ({port.revision}), MicroPython {version}"


def _write_settings(
    board: Board, chosen: dict[str, Any], directory: Path, login: Login | None
) -> None:
    try:
        board.run(*copying.settings_commands(chosen, directory))
    except ProvisionError as err:
        hint = " and with --rotate-token, as the new token is lost" if login else ""
        raise ProvisionError(err.code, f"{err}{hint}") from err


def _copy(board: Board, plan: copying.Plan) -> None:
    commands = copying.copy_commands(plan)
    if not commands:
        return
    with click.progressbar(
        length=len(plan.changed), label="Copying", file=bar_file()
    ) as bar:

        def count(line: str) -> None:
            if line.startswith("cp "):
                bar.update(1)

        board.run(*commands, on_line=count)


def _show(step: selftest.Step) -> None:
    mark = "ok    " if step.is_ok else "FAILED"
    tell(
        f"    {mark} {step.name}{f': {step.text}' if step.text else ''}",
        "step",
        name=step.name,
        ok=step.is_ok,
        found=step.text,
    )
