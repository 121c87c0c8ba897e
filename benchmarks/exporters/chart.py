"""Draw what exporting costs."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .modes import Mode
from .style import OURS, PEERS, STYLE, label

_PANELS = (
    ("process_above_ms", "Processor time above the floor, ms for 1,000 states"),
    ("bytes_up", "Bytes sent for one state"),
)
_BAR_HEIGHT = 0.38


def draw(medians: Mapping[tuple[str, Mode], Mapping[str, float]], path: Path) -> None:
    """Draw bars of what exports, to an SVG file.

    Args:
        medians: figures by shape and mode.
        path: the file.
    """
    shapes = list(dict.fromkeys(shape for shape, _ in medians))
    modes = list(dict.fromkeys(mode for _, mode in medians if mode.exports))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (key, title) in zip(
            figure.subplots(1, len(_PANELS), sharey=True), _PANELS, strict=True
        ):
            for nth, shape in enumerate(shapes):
                bars = axes.barh(
                    [place + nth * _BAR_HEIGHT for place in range(len(modes))],
                    [medians[shape, mode][key] for mode in modes],
                    _BAR_HEIGHT,
                    color=[OURS if mode.is_ours else PEERS for mode in modes],
                    alpha=1 - 0.4 * nth,
                )
                axes.bar_label(
                    bars,
                    [f"{medians[shape, mode][key]:.0f} {shape}" for mode in modes],
                    padding=2,
                    fontsize="x-small",
                )
            axes.set_title(title, fontsize="small")
            axes.margins(x=0.25)
        axes.set_yticks(
            [
                place + (len(shapes) - 1) * _BAR_HEIGHT / 2
                for place in range(len(modes))
            ],
            [label(mode) for mode in modes],
        )
        axes.invert_yaxis()
        figure.savefig(path, transparent=True, metadata={"Date": None})
