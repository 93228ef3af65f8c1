"""Reblurring: the path to copying, filters of single pixels, differences from the blurry image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, PictureLike, as_picture


def descent(
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray],
    path: np.ndarray,
    marks: Sequence[int] = (),
    width: float = 6.4,
) -> Figure:
    """Draw the path of two weights over the level lines of a loss.

    Args:
        loss: loss(alpha, beta) on arrays, for weights in [0, 1].
        path: (n, 2) weights per step.
        marks: Steps to mark.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.8 * width))
    alpha, beta = np.meshgrid(np.linspace(-0.1, 1.1, 121), np.linspace(-0.1, 1.1, 121))
    levels = np.geomspace(1e-4, 1, 9)
    lines = axis.contourf(
        alpha, beta, np.maximum(loss(alpha, beta), levels[0]), levels, norm="log", alpha=0.75
    )
    axis.plot(*path.T, color="white", linewidth=2)
    axis.plot(
        *path[list(marks)].T,
        "o",
        color="white",
        markeredgecolor="black",
        markersize=7,
        linestyle="none",
    )
    for step in marks:
        axis.annotate(f"step {step}", path[step], (8, 4), textcoords="offset points", color="white")
    axis.plot(
        1,
        0,
        "*",
        label="the copy: loss 0",
        color=COLOURS["vermilion"],
        markeredgecolor="white",
        markersize=18,
        linestyle="none",
    )
    axis.grid(False)
    axis.set(xlabel="weight of the blurry picture, α", ylabel="weight of the sharp picture, β")
    axis.legend(loc="upper right", handletextpad=0.2)
    figure.colorbar(lines, label="reblurring loss", format="%.0e")
    return figure


def difference_maps(
    named: Mapping[str, PictureLike],
    maps: Mapping[str, np.ndarray],
    label: str,
    width: float = 10.0,
) -> Figure:
    """Draw images in a row, then maps of a magnitude on the scale of one colour bar.

    Args:
        named: Images by title.
        maps: Maps (H, W) by title.
        label: Label of the colour bar.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns = len(named) + len(maps)
    figure, axes = plt.subplots(1, columns, figsize=(width, width / columns + 0.2))
    for axis, (title, picture) in zip(axes, named.items(), strict=False):
        axis.imshow(as_picture(picture))
        axis.set_title(title)
    highest = max(values.max() for values in maps.values())
    for axis, (title, values) in zip(axes[len(named) :], maps.items(), strict=True):
        image = axis.imshow(values, vmin=0, vmax=highest)
        axis.set_title(title)
    for axis in axes:
        axis.axis("off")
    figure.colorbar(image, ax=axes[-1], label=label, shrink=0.75)
    return figure


def local_filters(
    filters: Sequence[Any], spots: Mapping[str, tuple[int, int]], width: float = 9.0
) -> Figure:
    """Draw the 3x3 filters of some pixels at every stage, one row per spot, on one scale.

    Args:
        filters: Maps (9, h, w), one per stage, at any resolution.
        spots: (row, column) of pixels of the first map, by title.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    size = (width, 0.95 * len(spots) * width / len(filters) + 0.3)
    figure, axes = plt.subplots(len(spots), len(filters), figsize=size, squeeze=False)
    height, highest = filters[0].shape[-2], max(float(taps.max()) for taps in filters)
    for axis, taps in zip(axes[0], filters, strict=True):
        axis.set_title(f"1 tap = {height // taps.shape[-2]} px", fontsize=9)
    for row, (title, (i, j)) in zip(axes, spots.items(), strict=True):
        row[0].set_ylabel(title, fontsize=9)
        for axis, taps in zip(row, filters, strict=True):
            scale = height // taps.shape[-2]
            image = axis.imshow(
                np.asarray(taps[:, i // scale, j // scale]).reshape(3, 3), vmin=0, vmax=highest
            )
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="weight of the tap", shrink=0.9, pad=0.01)
    return figure
