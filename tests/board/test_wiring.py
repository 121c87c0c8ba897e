"""The pictures of the wiring: drawn from the tables, and true to boards, drivers and docs."""

from collections.abc import Iterator
from itertools import combinations, pairwise
import re
import xml.etree.ElementTree as ET

import pytest

from micropython import ROOT
from micropython.provision.rules import device_module
from micropython.wiring.__main__ import DIRECTORY, pictures
from micropython.wiring.boards import BOARDS
from micropython.wiring.picture import legend
from micropython.wiring.sensors import SENSORS, WIRES

PAGES = {
    "esp32": "esp32.md",
    "esp32-s3": "esp32-s3-c3.md",
    "esp32-c3": "esp32-s3-c3.md",
    "pico-w": "pico-w.md",
}

# What the makers' guides tell to leave alone: it decides how the chip starts, belongs to
# its flash or its plug, or can only be read.
_UNFIT = {
    "esp32": {0, 1, 2, 3, 5, *range(6, 13), 15, *range(34, 40)},
    "esp32-s3": {0, 3, 19, 20, *range(26, 38), 43, 44, 45, 46, 48},
    "esp32-c3": {2, 8, 9, *range(11, 22)},
    "pico-w": {23, 24, 25, 29},
}

type Point = tuple[int, int]

_KEYS = sorted(WIRES)
_SVG = "{http://www.w3.org/2000/svg}"


def gpios(board: str, sensor: str) -> dict[str, int]:
    """Return the GPIO of each setting of a sensor, as the picture has it wired."""
    return {
        option: int(BOARDS[board].label(*WIRES[board, sensor][pin]).removeprefix("GP"))
        for pin, option in SENSORS[sensor].options.items()
    }


def drawing(board: str, sensor: str) -> ET.Element:
    """Return a picture as it lies in the docs."""
    return ET.fromstring(  # noqa: S314
        (DIRECTORY / f"{board}-{sensor}.svg").read_text(encoding="utf-8")
    )


def wires(picture: ET.Element) -> Iterator[list[Point]]:
    """Yield the corners of each wire."""
    for path in picture.iter(f"{_SVG}path"):
        if path.get("class") == "halo":
            yield [
                (int(x), int(y))
                for x, y in re.findall(r"(\d+) (\d+)", path.attrib["d"])
            ]


def pads(picture: ET.Element) -> dict[Point, str]:
    """Return what stands beside each pad, by the pad's middle."""
    texts = [
        (int(text.attrib["x"]), int(text.attrib["y"]), str(text.text))
        for text in picture.iter(f"{_SVG}text")
    ]
    found = {}
    for pad in picture.iter(f"{_SVG}rect"):
        if pad.get("class") == "pad":
            x, y = int(pad.attrib["x"]) + 5, int(pad.attrib["y"]) + 5
            found[x, y] = next(
                words
                for text_x, text_y, words in texts
                if abs(text_x - x) < 20 and text_y == y + 5
            )
    return found


def test_files_are_what_the_tables_draw() -> None:
    drawn = pictures()
    assert set(DIRECTORY.glob("*.svg")) == set(drawn)
    for path, content in drawn.items():
        assert path.read_text(encoding="utf-8") == content, (
            f"{path.name}: run python -m micropython.wiring"
        )


def test_each_sensor_has_a_picture_on_each_board() -> None:
    assert set(WIRES) == {(board, sensor) for board in BOARDS for sensor in SENSORS}


@pytest.mark.parametrize(
    ("board", "pins", "known"),
    [
        # Some pins of each guide's table, copied by hand a second time.
        ("esp32", 38, {"J2-1": "3V3", "J2-19": "5V", "J3-6": "21", "J3-19": "CLK"}),
        ("esp32-s3", 44, {"J1-12": "8", "J1-22": "GND", "J3-4": "1", "J3-18": "21"}),
        ("esp32-c3", 30, {"J1-2": "3V3", "J1-11": "10", "J3-9": "6", "J3-14": "19"}),
        (
            "pico-w",
            40,
            {"pin 1": "GP0", "pin 20": "GP15", "pin 36": "3V3", "pin 26": "GP20"},
        ),
    ],
)
def test_header_is_that_of_the_guide(
    board: str, pins: int, known: dict[str, str]
) -> None:
    made = BOARDS[board]
    header = {
        made.pin(side, place): label
        for side in ("left", "right")
        for place, label in enumerate(made.row(side), 1)
    }
    assert len(header) == pins
    assert known.items() <= header.items()


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_power_meets_power_and_ground_meets_ground(board: str, sensor: str) -> None:
    for pin, place in WIRES[board, sensor].items():
        label = BOARDS[board].label(*place)
        name = pin.split()[-1]
        if name in ("VIN", "VCC", "VDD"):
            assert label == "3V3"
        elif name == "GND":
            assert label == "GND"
        else:
            assert label.removeprefix("GP").isdigit()


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_data_goes_to_pins_that_are_free(board: str, sensor: str) -> None:
    assert not set(gpios(board, sensor).values()) & _UNFIT[board]


@pytest.mark.parametrize("sensor", sorted(SENSORS))
def test_an_esp32_needs_no_pins_in_its_settings(sensor: str) -> None:
    options = device_module("sensors").find(sensor).OPTIONS
    assert gpios("esp32", sensor) == {
        option: options[option][2] for option in gpios("esp32", sensor)
    }


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_docs_name_the_same_pins(board: str, sensor: str) -> None:
    page = (ROOT / "docs" / "board" / PAGES[board]).read_text(encoding="utf-8")
    assert f"(wiring/{board}-{sensor}.svg)" in page
    for pin, label, number in legend(BOARDS[board], WIRES[board, sensor]):
        assert f"| {pin} | {label} | {number} |" in page
    options = ",".join(
        f"{option}={gpio}"
        for option, gpio in sorted(gpios(board, sensor).items())[::-1]
    )
    assert f"--sensor {sensor}:{options}" in page


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_each_wire_is_drawn_from_its_pin_to_its_pin(board: str, sensor: str) -> None:
    picture = drawing(board, sensor)
    labels = pads(picture)
    drawn = {(labels[wire[0]], labels[wire[-1]]) for wire in wires(picture)}
    assert drawn == {
        (BOARDS[board].label(*place), pin)
        for pin, place in WIRES[board, sensor].items()
    }


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_no_two_wires_touch(board: str, sensor: str) -> None:
    for one, other in combinations(wires(drawing(board, sensor)), 2):
        for here in pairwise(one):
            for there in pairwise(other):
                assert not _touch(here, there), (here, there)


def _touch(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Tell whether two level or upright lines have a point in common."""
    return all(
        max(min(a[axis] for a in one), min(b[axis] for b in other))
        <= min(max(a[axis] for a in one), max(b[axis] for b in other))
        for axis in (0, 1)
    )


@pytest.mark.parametrize(("board", "sensor"), _KEYS)
def test_everything_is_inside_the_picture(board: str, sensor: str) -> None:
    picture = drawing(board, sensor)
    width, height = int(picture.attrib["width"]), int(picture.attrib["height"])
    for wire in wires(picture):
        assert all(0 < x < width and 0 < y < height for x, y in wire)
    for text in picture.iter(f"{_SVG}text"):
        # Seven pixels are more than a letter of 13 pixels takes on average.
        reach = len(str(text.text)) * 7 if text.get("text-anchor") is None else 0
        if text.get("class") != "title":
            assert int(text.attrib["x"]) + reach < width, text.text
        assert int(text.attrib["y"]) < height
