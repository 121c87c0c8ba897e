"""Draw what a process holds as events go through it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.exporters.modes import Mode
from benchmarks.exporters.style import OURS, PEERS, STYLE, label

from .growth import Sample

_KB_PER_MB = 1024
_ROOM_ABOVE = 1.15


def draw_growth(samples: Mapping[Mode, Sequence[Sample]], path: Path) -> None:
    """Draw a line for each exporter, to an SVG file.

    Args:
        samples: what the process of each held, in order.
        path: the file.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        axes = figure.subplots()
        for mode, held in samples.items():
            axes.plot(
                [sample.events / 1000 for sample in held],
                [sample.rss_kb / _KB_PER_MB for sample in held],
                color=OURS if mode.is_ours else PEERS,
                marker=".",
            )
            axes.annotate(
                label(mode),
                (held[-1].events / 1000, held[-1].rss_kb / _KB_PER_MB),
                textcoords="offset points",
                xytext=(0, 4),
                ha="right",
                fontsize="x-small",
            )
        axes.set_xlabel("Thousands of events")
        axes.set_ylabel("Memory of Home Assistant's process, MB")
        most_kb = max(sample.rss_kb for held in samples.values() for sample in held)
        axes.set_ylim(0, _ROOM_ABOVE * most_kb / _KB_PER_MB)
        figure.savefig(path, transparent=True, metadata={"Date": None})
