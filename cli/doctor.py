"""`sensorvision doctor`: try everything that sending needs, and say what to do."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import ContextManager

from rich.padding import Padding
from rich.text import Text

from sensorvision.config import Config
from sensorvision.diagnosis import Finding, diagnose

from .commands import command, with_config
from .exits import Exit
from .output import is_json, show
from .tables import console

_MARKS = {True: ("ok    ", "green"), False: ("FAILED", "red"), None: ("-     ", "dim")}


@command("doctor")
@with_config
def doctor(config: Config) -> Exit:
    """Check URL, TLS, server, credential, clock, rights and broker; store nothing.

    Ends with 1 if a check fails.
    """
    with _waiting():
        findings = asyncio.run(diagnose(config))
    is_well = all(finding.is_ok is not False for finding in findings)
    if is_json():
        show({"ok": is_well, "checks": [_facts(finding) for finding in findings]})
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            _print(finding, width)
    return Exit.DONE if is_well else Exit.NOT_DELIVERED


def _waiting() -> ContextManager[object]:
    """Show a person that something goes on: what is away is waited for."""
    screen = console(is_for_trouble=True)
    if is_json() or not screen.is_terminal:
        return nullcontext()
    return screen.status("Trying all that sending needs")


def _print(finding: Finding, width: int) -> None:
    """Print a check on a line, and its remedy below."""
    mark, style = _MARKS[finding.is_ok]
    line = Text.assemble((mark, style), f"  {finding.check:{width}}  {finding.text}")
    console().print(line, soft_wrap=True)
    if finding.is_ok is False and finding.remedy:
        console().print(Padding(Text(finding.remedy), (0, 0, 0, width + 10)))


def _facts(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "ok": finding.is_ok,
        "text": finding.text,
        "remedy": finding.remedy or None,
    }
