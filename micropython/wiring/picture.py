"""Lay a board, a sensor and the wires between them out as SVG."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from micropython.wiring.boards import Board
from micropython.wiring.sensors import Place, Sensor

_PITCH = 24
_TOP = 100
_BOARD_X = 90
_BOARD_WIDTH = 190
_BOARD_MARGIN = 34
_CHANNEL_STEP = 16
_LAST_CHANNEL_X = 390
_RESISTOR_X = 455
_SENSOR_X = 530
_SENSOR_WIDTH = 190
_SENSOR_PITCH = 48
_SENSOR_TITLE = 46
_WIDTH = 760
_LEGEND_PITCH = 24

_RED = "#cf222e"
_BLACK = "#1b1f23"
_BLUE = "#0969da"
_AMBER = "#bf7d00"
_GREEN = "#1a7f37"

# Readable where the page around it is dark, too: the picture has a ground of its own.
_STYLE = """\
  .ground { fill: #ffffff }
  .halo { stroke: #ffffff }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #d0d7de }
    .halo { stroke: #d0d7de }
  }
  text { font-family: system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; font-size: 13px; fill: #1b1f23 }
  .title { font-size: 19px; font-weight: 600 }
  .note { fill: #3d444d }
  .board { fill: #12493a }
  .chip { fill: #b9c1c9 }
  .on-board { fill: #ffffff }
  .idle { fill: #a9c4ba }
  .used { fill: #ffffff; font-weight: 700 }
  .sensor { fill: #32325d }
  .pad { fill: #e3b341 }
  .wire, .halo { fill: none; stroke-linejoin: round; stroke-linecap: round }
  .wire { stroke-width: 4 }
  .halo { stroke-width: 9 }
  .resistor { fill: #e7d3ae; stroke: #6b4f1d; stroke-width: 1.5 }"""


@dataclass(frozen=True)
class _Wire:
    name: str
    side: str
    start_y: int
    end_y: int
    colour: str


def colour(pin: str) -> str:
    """Return the colour of the wire to a sensor's pin."""
    name = pin.rsplit(maxsplit=1)[-1]
    return {
        "VIN": _RED,
        "VCC": _RED,
        "VDD": _RED,
        "GND": _BLACK,
        "SCL": _AMBER,
        "SDA": _BLUE,
    }.get(name, _GREEN)


def legend(board: Board, wires: dict[str, Place]) -> list[tuple[str, str, str]]:
    """Return for each wire the sensor's pin, the board's label, and the pin's number."""
    lines = []
    for pin, (side, place) in wires.items():
        label = board.label(side, place)
        if label.isdigit():
            label = f"GPIO {label}"
        lines.append((pin, label, board.pin(side, place)))
    return lines


def draw(board: Board, sensor: Sensor, places: dict[str, Place]) -> str:
    """Return the picture of a sensor that is wired to a board.

    Args:
        board: on the left.
        sensor: on the right.
        places: the pin of the board for each pin of the sensor that is wired.
    """
    rows = max(len(board.row("left")), len(board.row("right")))
    board_height = (rows - 1) * _PITCH + 2 * _BOARD_MARGIN
    sensor_height = _SENSOR_TITLE + len(sensor.pins) * _SENSOR_PITCH
    sensor_y = _sensor_y(sensor, places, board_height - sensor_height)
    wires = [
        _Wire(
            pin,
            side,
            _row_y(place),
            _pin_y(sensor_y, sensor.pins.index(pin)),
            colour(pin),
        )
        for pin, (side, place) in places.items()
    ]
    bottom = max(_TOP + board_height, sensor_y + sensor_height)
    legend_y = bottom + 60
    height = legend_y + len(wires) * _LEGEND_PITCH + 30
    title = f"{sensor.title} on {board.title}"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
            f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title desc">'
        ),
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(_in_words(board, places))}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}" rx="12"/>',
        f'<text class="title" x="32" y="44">{escape(title)}</text>',
        *_all_wires(wires, _TOP + board_height),
        *_board(board, board_height, places),
        *_sensor(sensor, sensor_y, sensor_height),
    ]
    if sensor.pull_up:
        parts += _resistor(sensor.pull_up, wires)
    parts += _legend(board, places, sensor.notes, legend_y)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _row_y(place: int) -> int:
    return _TOP + _BOARD_MARGIN + (place - 1) * _PITCH


def _pin_y(sensor_y: int, index: int) -> int:
    return sensor_y + _SENSOR_TITLE + index * _SENSOR_PITCH + _SENSOR_PITCH // 2


def _sensor_y(sensor: Sensor, places: dict[str, Place], lowest: int) -> int:
    """Return where the sensor lies: its last data wire is straight, if the board is so long."""
    data = [pin for pin in places if pin in sensor.options][-1]
    straight = _row_y(places[data][1]) - _pin_y(0, sensor.pins.index(data))
    return max(_TOP, min(straight, _TOP + lowest))


def _in_words(board: Board, places: dict[str, Place]) -> str:
    return ", ".join(
        f"{pin} to {label} ({number})" for pin, label, number in legend(board, places)
    )


def _board(board: Board, height: int, places: dict[str, Place]) -> list[str]:
    right_x = _BOARD_X + _BOARD_WIDTH
    middle_x = _BOARD_X + _BOARD_WIDTH // 2
    plug_y = _TOP - 10 if board.has_plug_at_top else _TOP + height - 16
    chip_y = _TOP + (height // 2 if board.has_plug_at_top else 14)
    parts = [
        (
            f'<rect class="board" x="{_BOARD_X}" y="{_TOP}" width="{_BOARD_WIDTH}" '
            f'height="{height}" rx="8"/>'
        ),
        f'<rect class="chip" x="{middle_x - 24}" y="{plug_y}" width="48" height="26" rx="4"/>',
        f'<text x="{middle_x}" y="{plug_y + 17}" text-anchor="middle">USB</text>',
        f'<rect class="chip" x="{middle_x - 42}" y="{chip_y}" width="84" height="76" rx="4"/>',
        f'<text x="{middle_x}" y="{chip_y + 42}" text-anchor="middle">{_chip(board)}</text>',
    ]
    for side, x, inwards, anchor in (
        ("left", _BOARD_X, 1, "start"),
        ("right", right_x, -1, "end"),
    ):
        if board.rows:
            name = board.rows[side == "right"]
            parts.append(
                f'<text class="on-board" x="{x + inwards * 12}" y="{_TOP + 17}" '
                f'text-anchor="{anchor}">{name}</text>'
            )
        for place, label in enumerate(board.row(side), 1):
            y = _row_y(place)
            kind = "used" if (side, place) in places.values() else "idle"
            parts += [
                f'<rect class="pad" x="{x - 5}" y="{y - 5}" width="10" height="10" rx="2"/>',
                (
                    f'<text class="{kind}" x="{x + inwards * 12}" y="{y + 5}" '
                    f'text-anchor="{anchor}">{label}</text>'
                ),
            ]
    return parts


def _chip(board: Board) -> str:
    return "Pico" if board.has_plug_at_top else board.key.upper()


def _sensor(sensor: Sensor, y: int, height: int) -> list[str]:
    parts = [
        (
            f'<rect class="sensor" x="{_SENSOR_X}" y="{y}" width="{_SENSOR_WIDTH}" '
            f'height="{height}" rx="8"/>'
        ),
        (
            f'<text class="used" x="{_SENSOR_X + _SENSOR_WIDTH // 2}" y="{y + 29}" '
            f'text-anchor="middle">{escape(sensor.title)}</text>'
        ),
    ]
    for index, pin in enumerate(sensor.pins):
        pin_y = _pin_y(y, index)
        words = pin if " " in pin or pin.isalpha() else f"{pin} (free)"
        parts += [
            f'<rect class="pad" x="{_SENSOR_X - 5}" y="{pin_y - 5}" width="10" height="10" rx="2"/>',
            f'<text class="on-board" x="{_SENSOR_X + 14}" y="{pin_y + 5}">{words}</text>',
        ]
    return parts


def _all_wires(wires: list[_Wire], board_bottom: int) -> list[str]:
    parts = []
    channels = _channels(wires)
    for wire in wires:
        points = _points(wire, channels[wire.name], board_bottom)
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        parts += [
            f'<path class="halo" d="{path}"/>',
            f'<path class="wire" stroke="{wire.colour}" d="{path}"/>',
        ]
    return parts


def _is_over_the_top(wire: _Wire) -> bool:
    return wire.side == "left" and wire.colour == _RED


def _channels(wires: list[_Wire]) -> dict[str, int]:
    """Return where each wire turns, so that none crosses another.

    Of those that turn down, the upper ones turn later; of those that turn up, the lower.
    """
    down = [
        wire
        for wire in wires
        if _is_over_the_top(wire)
        or (wire.side == "right" and wire.end_y >= wire.start_y)
    ]
    up = [wire for wire in reversed(wires) if wire not in down]
    return {
        wire.name: _LAST_CHANNEL_X - _CHANNEL_STEP * turn
        for group in (down, up)
        for turn, wire in enumerate(group)
    }


def _points(wire: _Wire, channel_x: int, board_bottom: int) -> list[tuple[int, int]]:
    if wire.side == "right":
        start = [(_BOARD_X + _BOARD_WIDTH, wire.start_y), (channel_x, wire.start_y)]
    else:
        around_y = _TOP - 26 if _is_over_the_top(wire) else board_bottom + 22
        outside_x = _BOARD_X - 34
        start = [
            (_BOARD_X, wire.start_y),
            (outside_x, wire.start_y),
            (outside_x, around_y),
            (channel_x, around_y),
        ]
    return [*start, (channel_x, wire.end_y), (_SENSOR_X, wire.end_y)]


def _resistor(value: str, wires: list[_Wire]) -> list[str]:
    """Draw the pull-up from the first wire, which is 3V3, to the second, the data."""
    power, data = wires[:2]
    middle = (power.end_y + data.end_y) // 2
    x = _RESISTOR_X
    return [
        f'<path class="wire" stroke="{_BLACK}" style="stroke-width:2" d="M{x} {power.end_y} L{x} {data.end_y}"/>',
        f'<circle cx="{x}" cy="{power.end_y}" r="5" fill="{power.colour}"/>',
        f'<circle cx="{x}" cy="{data.end_y}" r="5" fill="{data.colour}"/>',
        f'<rect class="resistor" x="{x - 7}" y="{middle - 14}" width="14" height="28" rx="3"/>',
        f'<text x="{x + 14}" y="{middle + 5}">{value}</text>',
    ]


def _legend(
    board: Board, places: dict[str, Place], notes: tuple[str, ...], top: int
) -> list[str]:
    parts = []
    for number, (pin, label, place) in enumerate(legend(board, places)):
        y = top + number * _LEGEND_PITCH
        parts += [
            f'<path class="wire" stroke="{colour(pin)}" d="M34 {y - 5} L66 {y - 5}"/>',
            f'<text x="80" y="{y}">{escape(pin)} to {label}, {place}</text>',
        ]
    parts += [
        f'<text class="note" x="300" y="{top + number * _LEGEND_PITCH}">{escape(note)}</text>'
        for number, note in enumerate(notes)
    ]
    return parts
