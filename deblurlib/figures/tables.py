"""Tables as charts: differences with their intervals, ours beside the printed ones."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .style import COLOURS, SEQUENTIAL


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
    """Draw rank correlations over the band of chance, and what remains under three controls.

    Args:
        table: Columns rho, low, high, "chance low", "chance high", "given edges", "sharp" and
            "untrained"; NaN where there is no value.
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


def stacked_counts(table: pd.DataFrame, xlabel: str, width: float = 8.5) -> Figure:
    """Draw one bar per row, divided into the columns, each part with its count.

    Args:
        table: Counts; the index names the bars, the columns name their parts.
        xlabel: Label of the horizontal axis.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.45 * len(table) + 1.2))
    left = np.zeros(len(table))
    shades = plt.get_cmap(SEQUENTIAL)(np.linspace(0.95, 0.05, len(table.columns)))
    for column, shade in zip(table.columns, shades, strict=True):
        values = table[column].to_numpy(float)
        bars = axis.barh(
            list(table.index), values, left=left, color=shade, label=column, edgecolor="white"
        )
        labels = [f"{value:.0f}" if value else "" for value in values]
        axis.bar_label(
            bars,
            labels,
            label_type="center",
            color="black" if np.mean(shade[:3]) > 0.5 else "white",
        )
        left += values
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(False)
    axis.set(xlabel=xlabel)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
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
    for _, row in table.iterrows():
        axis.annotate(
            row.network,
            (row[cost], row[value]),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axis.set(xlabel=cost.replace("_", " "), ylabel=value.replace("_", " "), xscale="log")
    axis.margins(x=0.15)
    return figure
