"""Curves, distributions and binned means."""

import matplotlib.pyplot as plt
import numpy as np

from .style import COLOURS


def curves(
    series: dict, xlabel: str, ylabel: str, *, marks: dict | None = None, size=(6.6, 2.8), **axes
):
    """Named curves in one frame: values, or (x, values). `marks`: label -> x of a dotted vertical line.

    axes: anything that Axes.set takes, such as xscale="log" or ylim=(0, 1).
    """
    figure, axis = plt.subplots(figsize=size)
    styles = [
        "-",
        "--",
        "-.",
        ":",
        (0, (5, 1, 1, 1, 1, 1)),
    ]  # so that curves differ without colour, too
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


def histograms(named: dict, xlabel: str, width: float = 7.5):
    """Distributions as shares of each group, over common bins, with their means as dotted lines."""
    figure, axis = plt.subplots(figsize=(width, 3.2))
    bins = np.histogram_bin_edges(
        np.concatenate([np.asarray(v, float) for v in named.values()]), 16
    )
    for (name, values), colour in zip(named.items(), ("blue", "orange", "green"), strict=False):
        label = f"{name}: mean {np.mean(values):.1f}"
        axis.hist(
            values,
            bins,
            weights=np.full(len(values), 1 / len(values)),
            color=COLOURS[colour],
            alpha=0.5,
            label=label,
        )
        axis.axvline(np.mean(values), color=COLOURS[colour], linestyle=":", linewidth=1.5)
    axis.set(xlabel=xlabel, ylabel="share of pictures")
    axis.legend(loc="upper right")
    return figure


def binned(table, xlabel: str, ylabel: str, width: float = 6.5):
    """Mean and standard deviation of a quantity by bin: a table with the columns bin, mean and std."""
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
