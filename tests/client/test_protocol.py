"""The same table of cases gives the same outcomes on CPython and on MicroPython."""

import inspect
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from custom_components.sensorvision.client import protocol

from . import protocol_table

ROWS = protocol_table.rows()
NAMES = [row[0] for row in ROWS]
MICROPYTHON = Path(sys.executable).with_name("micropython")


def _micropython(*arguments: str | Path) -> str:
    return subprocess.run(
        [MICROPYTHON, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Return what MicroPython makes of every row."""
    folder = Path(protocol.__file__).parent
    output = _micropython(protocol_table.__file__, folder)
    return dict(zip(NAMES, json.loads(output), strict=True))


@pytest.mark.parametrize(
    ("function", "arguments", "expected"), [row[1:] for row in ROWS], ids=NAMES
)
def test_row_has_the_expected_outcome_on_cpython(
    function: str, arguments: tuple[Any, ...], expected: object
) -> None:
    """As Home Assistant runs it."""
    assert protocol_table.outcome_of(protocol, function, arguments) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [(row[0], row[3]) for row in ROWS], ids=NAMES
)
def test_row_has_the_expected_outcome_on_micropython(
    outcomes: dict[str, Any], name: str, expected: object
) -> None:
    """As a board runs it."""
    assert outcomes[name] == expected


def test_the_other_interpreter_is_micropython() -> None:
    """Two runs on CPython would prove nothing."""
    said = _micropython("-c", "import sys; print(sys.implementation.name)")
    assert said.strip() == "micropython"


def test_names_of_rows_are_unique() -> None:
    """Outcomes are found by them."""
    assert len(set(NAMES)) == len(NAMES)


def test_every_public_function_has_a_row() -> None:
    """A new function needs new rows."""
    public = {
        name
        for name, _ in inspect.getmembers(protocol, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public == {row[1] for row in ROWS}


@pytest.mark.parametrize(
    ("name", "limit"), sorted(protocol.RESERVED_VARIABLE_LIMITS.items())
)
def test_reserved_names_are_limited_as_the_table_says(name: str, limit: float) -> None:
    """They go into a smaller table too."""
    with pytest.raises(protocol.ValidationError, match=f"^{name} .* reserved name"):
        protocol.check_variables({name: limit})


def test_integer_too_long_to_print_is_refused_in_words() -> None:
    """CPython alone refuses to print it."""
    with pytest.raises(protocol.ValidationError, match=r"^a .* is out of range"):
        protocol.check_variables({"a": 10**5000})


def test_long_value_is_not_repeated_whole() -> None:
    """An error is a sentence."""
    with pytest.raises(protocol.ValidationError) as caught:
        protocol.check_device_id("x" * 10_000)
    assert len(str(caught.value)) < 300


def test_a_board_gets_the_very_same_file() -> None:
    """The list for mip names this one, and there is no copy of it."""
    root = Path(__file__).parents[2]
    listed = dict(json.loads((root / "package.json").read_text())["urls"])
    assert root / listed["sensorvision/protocol.py"] == Path(protocol.__file__)
    folders = (root / "micropython", root / "custom_components")
    found = [path for folder in folders for path in folder.rglob("protocol.py")]
    assert found == [Path(protocol.__file__)]
