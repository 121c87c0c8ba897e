"""The documentation of boards: its links lead somewhere, and its tables are the code's."""

from pathlib import Path
import re

import pytest

from micropython import ROOT
from micropython.provision.cli import board
from micropython.provision.errors import Exit
from micropython.provision.rules import device_module
from micropython.provision.settings import parse_sensor

DOCS = ROOT / "docs"
PAGES = [DOCS / "board.md", *sorted((DOCS / "board").glob("*.md"))]
_ENTRY = PAGES[0].read_text(encoding="utf-8")

# What the chapter on power assumes of each wake.
_AWAKE_S = 5
_AWAKE_MA = 120


def section(title: str) -> str:
    """Return the text of a chapter of the entry page."""
    _, _, rest = _ENTRY.partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def table_keys(text: str) -> set[str]:
    """Return what stands in the first column of the tables of a text, as code."""
    return {
        key
        for line in text.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def anchors(page: Path) -> set[str]:
    """Return what links can point at within a page, as GitHub makes it of headings."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(
            r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


def test_each_picture_is_shown_once() -> None:
    shown = [
        link
        for page in PAGES
        for link in re.findall(
            r"\]\(wiring/([^)]+)\)", page.read_text(encoding="utf-8")
        )
    ]
    assert sorted(shown) == sorted(
        path.name for path in (DOCS / "board" / "wiring").glob("*.svg")
    )


def test_each_setting_is_told_and_has_its_default() -> None:
    rules = device_module("settings")._NODE
    told = section("Settings")
    assert set(rules) <= table_keys(told)
    for key, rule in rules.items():
        if rule[0] is int and rule[2] is not None:
            [line] = [
                line for line in told.splitlines() if line.startswith(f"| `{key}`")
            ]
            assert line.endswith(f"| {rule[2]} |")


def test_each_sensor_and_each_of_its_options_is_told() -> None:
    sensors = device_module("sensors")
    told = section("Sensors")
    for type_ in sensors.TYPES:
        assert f"`{type_}`" in told
        assert set(sensors.find(type_).OPTIONS) <= table_keys(told)


def test_each_command_that_is_shown_is_one() -> None:
    shown = [
        command
        for page in PAGES
        for command in re.findall(
            r"scripts/sensorvision board (.+)",
            page.read_text(encoding="utf-8").replace("\\\n", " "),
        )
    ]
    assert len(shown) > len(PAGES)
    for command in shown:
        name, _, rest = command.partition("`")[0].partition(" ")
        options = {
            option for known in board.commands[name].params for option in known.opts
        }
        assert set(re.findall(r"--[\w-]+", rest.partition("#")[0])) <= options, command


def test_each_command_and_each_exit_code_is_told() -> None:
    told = section("The command")
    assert set(board.commands) <= table_keys(told)
    codes = {int(cells[0]) for cells in _rows(told) if cells[0].isdigit()}
    # Click itself ends with 2.
    assert codes == {*Exit, 2}


def test_each_sensor_on_a_command_line_is_taken_by_the_board() -> None:
    sensors = [
        text
        for page in PAGES
        for text in re.findall(
            r"--sensor\s+([\w:=,]+)", page.read_text(encoding="utf-8")
        )
    ]
    assert len(sensors) > len(PAGES)
    check = device_module("settings").check
    for text in sensors:
        checked = check(
            {
                "url": "http://192.168.1.5:8080",
                "token": "11111111-2222-4333-8444-555555555555",
                "device_id": "greenhouse",
                "sensors": [parse_sensor(text)],
            }
        )
        assert checked["sensors"]


def test_power_for_a_day_is_what_the_formula_gives() -> None:
    told = section("Power")
    sleeping = {
        cells[0]: {"deep": cells[1], "light": cells[2]}
        for cells in _rows(told)
        if "mA" in cells[2]
    }
    checked = 0
    for cells in _rows(told):
        board, comma, sleep = cells[0].partition(", ")
        if not comma:
            continue
        sleep_ma = float(sleeping[board][sleep].removesuffix(" mA"))
        for interval_s, mah in zip((60, 300, 900, 3600), cells[1:], strict=True):
            wake_mah = _AWAKE_S * _AWAKE_MA / 3600
            assert int(mah) == round(24 * sleep_ma + 86400 / interval_s * wake_mah)
            checked += 1
    assert checked == 7 * 4
    assert f"wakes x {_AWAKE_S} s x {_AWAKE_MA} mA / 3600" in told


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
