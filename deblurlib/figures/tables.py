"""Tables as charts: differences with their intervals, ours beside the printed ones."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from .style import COLOURS, VERDICT_COLOURS

# where a name may stand: (right, up) of its point in typographic points, and how it is aligned
SIDES = [
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (6, 6, "left", "bottom"),
    (-6, -6, "right", "top"),
    (6, -6, "left", "top"),
    (-6, 6, "right", "bottom"),
]


def differences(
    rows: Sequence[str],
    estimates: ArrayLike,
    intervals: ArrayLike,
    printed: ArrayLike,
    against: str,
    width: float = 8.5,
) -> Figure:
    """Draw how each row differs from the row `against`, beside the printed difference.

    Measured differences are dots with intervals, printed ones hollow diamonds.

    Args:
        rows: Names from top to bottom.
        estimates: (n,) differences in dB; NaN where there is none.
        intervals: (n, 2), low and high end in dB per row.
        printed: (n,) printed differences in dB; NaN where there is none.
        against: Name of the row that the others are compared with.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    estimates, printed, places = (
        np.asarray(estimates, float),
        np.asarray(printed, float),
        np.arange(len(rows)),
    )
    low, high = np.asarray(intervals, float).T
    figure, axis = plt.subplots(figsize=(width, 0.36 * len(rows) + 1.3))
    axis.axvline(0, color="0.4", linewidth=1)
    error = np.abs([estimates - low, high - estimates])
    axis.errorbar(
        estimates,
        places,
        xerr=error,
        fmt="o",
        color=COLOURS["blue"],
        capsize=3,
        label="measured here, 95 % interval",
    )
    if np.isfinite(printed).any():
        axis.plot(
            printed,
            places,
            "D",
            color=COLOURS["vermilion"],
            markerfacecolor="none",
            markersize=7,
            label="printed, on GoPro",
        )
    axis.set_yticks(places, rows)
    axis.set(xlabel=f"PSNR minus that of {against}, in dB", ylim=(len(rows) - 0.5, -0.5))
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def correlations_with_controls(
    table: pd.DataFrame, names: Sequence[str], width: float = 8.5
) -> Figure:
    """Draw rank correlations over the band of chance, and what remains under four controls.

    Args:
        table: Columns rho, low, high, "chance low", "chance high", "given edges", "sharp",
            "dimmed" and "untrained"; NaN where there is no value.
        names: Names of the rows from top to bottom.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    places = np.arange(len(table))
    figure, axis = plt.subplots(figsize=(width, 0.42 * len(table) + 1.3))
    axis.axvline(0, color="0.4", linewidth=1)
    axis.barh(
        places,
        table["chance high"] - table["chance low"],
        left=table["chance low"],
        height=0.7,
        color="0.88",
        label="chance",
    )
    error = np.abs([table.rho - table.low, table.high - table.rho])
    axis.errorbar(
        table.rho,
        places,
        xerr=error,
        fmt="o",
        color=COLOURS["blue"],
        capsize=3,
        label="trained, blurry picture",
    )
    for column, marker, label in (
        ("given edges", "s", "given edges"),
        ("sharp", "o", "on the sharp picture"),
        ("dimmed", "^", "sharp picture, dimmed"),
        ("untrained", "x", "untrained network"),
    ):
        axis.plot(
            table[column],
            places,
            marker,
            color=COLOURS["vermilion"],
            markersize=7,
            label=label,
            markerfacecolor="none",
        )
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set(xlabel="rank correlation with the exact blur path, within scenes")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def verdict_counts(table: pd.DataFrame, xlabel: str, width: float = 8.5) -> Figure:
    """Draw one bar per row, divided into verdicts, each part with its count.

    Every verdict has its own colour, the same in all figures and in the report.

    Args:
        table: Counts; the index names the bars, the columns are verdicts.
        xlabel: Label of the horizontal axis.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.45 * len(table) + 1.2))
    left, least = np.zeros(len(table)), 0.015 * table.sum(axis=1).max()  # narrower: no number
    for column in table.columns:
        values, colour = table[column].to_numpy(float), VERDICT_COLOURS[column]
        bars = axis.barh(
            list(table.index), values, left=left, color=colour, label=column, edgecolor="0.4"
        )
        labels = [f"{value:.0f}" if value >= least else "" for value in values]
        axis.bar_label(bars, labels, label_type="center")
        left += values
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(False)
    axis.set(xlabel=xlabel)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def claims_at_a_glance(claims: pd.DataFrame, width: float = 9) -> Figure:
    """Draw every claim as a box in the colour of its verdict, one block of rows per paper.

    Args:
        claims: Columns paper, id and verdict.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns, places, named = 11, [], []
    top = 0.0
    for paper, rows in claims.groupby("paper", sort=False):
        named.append((top, str(paper).upper()))
        for k, row in enumerate(rows.itertuples()):
            places.append((k % columns, top + k // columns, row.id, row.verdict))
        top += -(-len(rows) // columns) + 0.4
    figure, axis = plt.subplots(figsize=(width, 0.42 * top + 0.2))
    for x, y, id, verdict in places:
        axis.add_patch(
            Rectangle((x + 0.04, y + 0.06), 0.92, 0.88, fc=VERDICT_COLOURS[verdict], ec="0.4")
        )
        axis.text(x + 0.5, y + 0.52, id, ha="center", va="center", fontsize=9)
    for y, name in named:
        axis.text(-0.15, y + 0.52, name, ha="right", va="center", fontweight="bold")
    occurring = [name for name in VERDICT_COLOURS if (claims.verdict == name).any()]
    keys = [
        Patch(fc=VERDICT_COLOURS[name], ec="0.4", label=f"{name}: {(claims.verdict == name).sum()}")
        for name in occurring
    ]
    axis.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axis.set(
        xlim=(-1.3, columns), ylim=(top - 0.3, 0), title=f"{len(claims)} claims and their verdicts"
    )
    axis.set_axis_off()
    return figure


def printed_against_bound(bounds: pd.DataFrame, width: float = 7.5) -> Figure:
    """Draw the least time that a card needs (bar) and the printed time (diamond) per network.

    Args:
        bounds: Columns network, card, "bound ms" and "printed ms".
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(bounds) + 1.2))
    names = bounds.network + "\n" + bounds.card
    axis.barh(
        names, bounds["bound ms"], color=COLOURS["sky"], label="least time at the card's peak"
    )
    axis.plot(
        bounds["printed ms"], names, "D", color=COLOURS["vermilion"], markersize=8, label="printed"
    )
    axis.invert_yaxis()
    axis.set(xlabel="milliseconds for 1280x720", xscale="log")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def against_cost(table: pd.DataFrame, cost: str, value: str, width: float = 7.0) -> Figure:
    """Draw one named point per network: its cost on a logarithmic axis against what it achieves.

    Args:
        table: Column network, and the two columns below.
        cost: Column of the horizontal axis.
        value: Column of the vertical axis.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 3.6))
    axis.plot(table[cost], table[value], "o", color=COLOURS["blue"])
    axis.set(xlabel=cost.replace("_", " "), ylabel=value.replace("_", " "), xscale="log")
    axis.margins(x=0.25, y=0.15)
    _name_points(axis, table[cost], table[value], table.network)
    return figure


def _name_points(
    axis: Axes, x: Iterable[float], y: Iterable[float], names: Iterable[str], size: float = 9
) -> None:
    """Write a name beside each point, on the side where it covers no other name and no point."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # settles the layout
    measure = figure.canvas.get_renderer()  # type: ignore[attr-defined]  # Agg and others have it
    points = axis.transData.transform(np.column_stack([list(x), list(y)]))
    taken = [Bbox.from_bounds(px - 4, py - 4, 8, 8) for px, py in points]
    for place, name in zip(zip(x, y, strict=True), names, strict=True):
        best, least = None, np.inf
        for dx, dy, ha, va in SIDES:
            text = axis.annotate(
                name, place, (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=size
            )
            box = text.get_window_extent(measure)
            covered = sum(_overlap(box, other) for other in taken)
            if covered < least:
                if best is not None:
                    best.remove()
                best, least, kept = text, covered, box
            else:
                text.remove()
        taken.append(kept)


def _overlap(a: Bbox, b: Bbox) -> float:
    """The area that two boxes share."""
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height


def dots_beside_printed(
    ours: Mapping[str, ArrayLike], printed: Mapping[str, ArrayLike], width: float = 8.5
) -> Figure:
    """Draw all differences of several tables in one frame: ours as dots, printed ones as diamonds.

    Args:
        ours: Differences in dB by table, one for each row and training.
        printed: Printed differences in dB by table; NaN is left out.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(ours) + 1.3))
    axis.axvline(0, color="0.4", linewidth=1)
    for up, values, colour, marker, size, label in (
        (0.15, ours, "blue", "o", 4, "one training here"),
        (-0.15, printed, "vermilion", "D", 6, "printed, on GoPro"),
    ):
        for place, name in enumerate(ours):
            x = np.asarray(values[name], float)
            axis.plot(
                x,
                np.full(x.shape, place + up),
                marker,
                color=COLOURS[colour],
                markersize=size,
                markerfacecolor=COLOURS[colour] if marker == "o" else "none",
                alpha=0.6 if marker == "o" else 1,
                label=None if place else label,
            )
    axis.set_yticks(range(len(ours)), list(ours))
    axis.invert_yaxis()
    axis.set(xlabel="PSNR minus that of the table's reference row, in dB")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
