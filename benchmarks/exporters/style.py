"""How charts look: good to read on a dark page and on a light one."""

from typing import Any

from .modes import Mode

INK = "#7d8590"
OURS = "#2f81f7"
PEERS = "#d29922"

STYLE: dict[Any, Any] = {
    # The same figures give the same file.
    "svg.hashsalt": "sensorvision",
    "svg.fonttype": "none",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def label(mode: Mode) -> str:
    """Return what a chart calls an exporter."""
    return f"SensorVision, {mode}" if mode.is_ours else mode.value
