"""What this integration is to keep to, beside InfluxDB's and the floor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .modes import Mode

_PEER = Mode.INFLUXDB_V1

# What one is to keep to, by its peer's and the floor's figures.
type Bound = Callable[[Mapping[str, float], Mapping[str, float]], float]


@dataclass(frozen=True)
class _Bar:
    figure: str
    bound: Bound
    modes: tuple[Mode, ...] = (Mode.TOKEN, Mode.ACCOUNT, Mode.MQTT)
    shapes: tuple[str, ...] = ("burst", "paced")


_BARS = (
    _Bar("process_above_ms", lambda peer, _: peer["process_above_ms"] / 4),
    _Bar("late_p99_ms", lambda _, floor: floor["late_p99_ms"] + 1, shapes=("paced",)),
    _Bar("bytes_up", lambda peer, _: peer["bytes_up"] * 2 / 3, (Mode.ACCOUNT,)),
    # A message over MQTT holds one reading, by the server's protocol.
    _Bar("requests", lambda peer, _: peer["requests"], (Mode.TOKEN, Mode.ACCOUNT)),
)


def bars_of(
    medians: Mapping[tuple[str, Mode], Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Return each bar with what was found, as far as its peer was measured.

    Args:
        medians: figures by shape and mode.
    """
    found = []
    for (shape, mode), figures in medians.items():
        peer = medians.get((shape, _PEER))
        if not peer:
            continue
        for bar in _BARS:
            if mode in bar.modes and shape in bar.shapes:
                bound = bar.bound(peer, medians[shape, Mode.FLOOR])
                found.append(
                    {
                        "shape": shape,
                        "mode": mode,
                        "figure": bar.figure,
                        "found": figures[bar.figure],
                        "bar": round(bound, 3),
                        "is_met": figures[bar.figure] <= bound,
                    }
                )
    return found
