"""Curves, distributions and binned means."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .style import COLOURS

LEAST_RANGE = 0.4  # dB that the axis of a training curve spans, so that noise does not look large


def curves(
    series: Mapping[str, Any],
    xlabel: str,
    ylabel: str,
    *,
    marks: Mapping[str, float] | None = None,
    size: tuple[float, float] = (6.6, 2.8),
    **axes: Any,
) -> Figure:
    """Draw named curves in one frame.

    Args:
        series: Curves by name: values over their index, or a tuple (x, values).
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        marks: Positions on the horizontal axis to mark with a dotted line, by label.
        size: (width, height) of the figure in inches.
        **axes: Properties for `Axes.set`, such as xscale="log" or ylim=(0, 1).

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=size)
    styles = [
        "-",
        "--",
        "-.",
        ":",
        (0, (5, 1, 1, 1, 1, 1)),
    ]  # so that curves also differ without colour
    for (name, values), style in zip(series.items(), styles * 3, strict=False):
        x, y = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        axis.plot(
            x, y, linestyle=style, label=name, marker="o" if len(x) <= 24 else None, markersize=4
        )
    axis.set(xlabel=xlabel, ylabel=ylabel, **axes)
    for label, x in (marks or {}).items():
        axis.axvline(x, color="0.4", linestyle=":", linewidth=1)
        axis.text(x, 0.02, f" {label}", transform=axis.get_xaxis_transform(), color="0.3")
    if len(series) > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def histograms(named: Mapping[str, ArrayLike], xlabel: str, width: float = 7.5) -> Figure:
    """Draw distributions over common bins, as shares of each group.

    A dotted line marks the mean of each group.

    Args:
        named: Values by group, three groups at most.
        xlabel: Label of the horizontal axis.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 3.2))
    groups = {name: np.asarray(values, float) for name, values in named.items()}
    bins = np.histogram_bin_edges(np.concatenate(list(groups.values())), 16)
    for (name, values), colour in zip(groups.items(), ("blue", "orange", "green"), strict=False):
        label = f"{name}: mean {np.mean(values):.1f}"
        axis.hist(
            values,
            list(bins),
            weights=np.full(len(values), 1 / len(values)),
            color=COLOURS[colour],
            alpha=0.5,
            label=label,
        )
        axis.axvline(float(np.mean(values)), color=COLOURS[colour], linestyle=":", linewidth=1.5)
    axis.set(xlabel=xlabel, ylabel="share of pictures")
    axis.legend(loc="upper right")
    return figure


def binned(table: pd.DataFrame, xlabel: str, ylabel: str, width: float = 6.5) -> Figure:
    """Draw the mean and the standard deviation of a quantity per bin.

    Args:
        table: Columns bin, mean and std.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 3.2))
    axis.errorbar(
        table["bin"],
        table["mean"],
        table["std"],
        fmt="o",
        color=COLOURS["blue"],
        capsize=4,
        markersize=7,
    )
    axis.set(xlabel=xlabel, ylabel=ylabel, title="mean and standard deviation over pixels")
    return figure


def training_curve(record: Mapping[str, Any], width: float = 6.6) -> Figure:
    """Draw the validation PSNR of shipped weights over all their training steps.

    Stages whose curve the record does not hold are shaded, so that the axis counts every step.

    Args:
        record: The record of the weights, as `models.provenance` returns it.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.

    Raises:
        ValueError: If the record holds no validation curve.
    """
    curve = record.get("validation_psnr_db")
    if not curve:
        raise ValueError(
            f"The record of {record.get('variant', 'these weights')} has no validation_psnr_db: "
            "ship the weights with a version that writes it."
        )
    ends = np.cumsum([stage["steps"] for stage in record["stages"]])
    before = int(ends[-1] - record["stages"][-1]["steps"])
    steps = before + np.array([int(step) for step in curve])
    values = np.array(list(curve.values()))
    figure, axis = plt.subplots(figsize=(width, 2.8))
    axis.axvspan(0, before, color="0.93")
    for number, (end, stage) in enumerate(zip(ends, record["stages"], strict=True), 1):
        if end < ends[-1]:
            axis.axvline(end, color="0.4", linestyle=":", linewidth=1)
        label = f"stage {number}: {stage['batch']} × {stage['patch']}²"
        axis.text(end - stage["steps"] / 2, 1.0, label, ha="center", va="bottom", fontsize=8,
                  transform=axis.get_xaxis_transform())  # fmt: skip
    axis.plot(steps, values, "o-", color=COLOURS["blue"], markersize=4)
    middle, half = (values.min() + values.max()) / 2, max(0.6 * np.ptp(values), LEAST_RANGE / 2)
    axis.set(xlim=(0, ends[-1] * 1.02), ylim=(middle - half, middle + half))
    axis.set_xlabel("training steps, all stages")
    axis.set_ylabel("validation PSNR (dB)")
    axis.set_title(f"last stage: {values[0]:.2f} to {values[-1]:.2f} dB", loc="left", pad=18)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    return figure
