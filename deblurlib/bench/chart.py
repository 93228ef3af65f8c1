"""The figure of the operators' benchmark."""

from itertools import cycle
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..figures.style import COLOURS

MARKERS = "osD^vP"


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw how much longer the peers take than we do, on all threads.

    Args:
        table: The table of `operators.run`.
        path: PNG file that is written: one panel per operator, one line per shape and pass, one
            marker per peer.
    """
    table = table[
        (table.threads == table.threads.max()) & ~table.contestant.str.startswith("deblurlib")
    ]
    table = table.assign(line=table["shape"] + ", " + table["pass"])
    operators = dict(list(table.groupby("operator", sort=False)))
    heights = [rows.line.nunique() + 1 for rows in operators.values()]
    figure = Figure(
        figsize=(8, 1.2 + 0.3 * sum(heights) + 0.2 * len(operators)), layout="constrained"
    )
    panels = figure.subplots(len(operators), 1, height_ratios=heights, squeeze=False, sharex=True)
    for axis, (operator, rows) in zip(panels[:, 0], operators.items(), strict=True):
        _panel(axis, str(operator), rows)
    panels[-1, 0].xaxis.set_major_formatter("{x:g} x")
    panels[-1, 0].set_xlabel(
        "time of the peer / time of deblurlib (right of the line: deblurlib is faster)"
    )
    figure.savefig(path, dpi=100)


def _panel(axis: Axes, operator: str, rows: pd.DataFrame) -> None:
    lines = list(dict.fromkeys(rows.line))
    colours = [colour for name, colour in COLOURS.items() if name != "yellow"]
    looks = zip(cycle(MARKERS), cycle(colours), strict=False)
    for (marker, colour), (peer, times) in zip(
        looks, rows.groupby("contestant", sort=False), strict=False
    ):
        heights = [lines.index(line) for line in times.line]
        axis.plot(times.ratio, heights, marker, color=colour, label=peer)
    axis.set(yticks=range(len(lines)), xscale="log", ylim=(len(lines) - 0.4, -0.6))
    axis.set_yticklabels(lines, fontsize=8)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(operator, fontsize=10, loc="left")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
