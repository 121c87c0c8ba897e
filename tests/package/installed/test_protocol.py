"""The protocol's table, whose rows run on MicroPython and in the repository too."""

from __future__ import annotations
import __future__

import json
from pathlib import Path
from typing import Any

import pytest

from sensorvision import protocol

TABLE = Path(__file__).with_name("protocol_table.py")


def _table() -> dict[str, Any]:
    """Run the table's code, whose annotations Python 3.8 could not evaluate."""
    flags = __future__.annotations.compiler_flag
    code = compile(TABLE.read_text(encoding="utf-8"), str(TABLE), "exec", flags)
    names: dict[str, Any] = {"__name__": TABLE.stem}
    exec(code, names)
    return names


_TABLE = _table()


@pytest.mark.parametrize("row", _TABLE["rows"](), ids=lambda row: row[0])
def test_row(row: tuple[str, str, tuple[object, ...], object]) -> None:
    _, function, arguments, expected = row
    outcome = _TABLE["outcome_of"](protocol, function, arguments)
    assert json.loads(json.dumps(outcome)) == json.loads(json.dumps(expected))
