"""The atrous pyramid of ASPDC: its structure, what each branch sees and reads, its attention."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .style import COLOURS, PictureLike, as_picture

BRANCHES = ("black", "blue", "orange", "vermilion")  # colours of branch 1 to 4


def diagram(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Iterable[tuple[Any, ...]],
    width: float = 10.0,
    height: float = 2.6,
    **axes: Any,
) -> Figure:
    """Draw boxes with arrows between them.

    Args:
        boxes: (x, y, text) by name.
        arrows: (from, to) or (from, to, bend) by name; a positive bend turns left, then right.
        width: Width of the figure in inches.
        height: Height of the figure in inches.
        **axes: Properties for `Axes.set`, such as ylim=(-2, 3) where bent arrows need room.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, height))
    frame = {"boxstyle": "round,pad=0.45", "facecolor": "#eef4fa", "edgecolor": COLOURS["blue"]}
    drawn = {
        name: axis.text(*box, ha="center", va="center", fontsize=9, bbox=frame)
        for name, box in boxes.items()
    }
    for start, end, *bend in arrows:
        style = {
            "arrowstyle": "-|>",
            "color": "0.35",
            "connectionstyle": f"arc3,rad={bend[0] if bend else 0}",
        }
        patches = {
            "patchA": drawn[start].get_bbox_patch(),
            "patchB": drawn[end].get_bbox_patch(),
            "shrinkA": 1,
            "shrinkB": 1,
        }
        axis.annotate("", boxes[end][:2], boxes[start][:2], arrowprops={**style, **patches})
    xs, ys = np.transpose([box[:2] for box in boxes.values()])
    axis.set(
        **{
            "xlim": (xs.min() - 0.6, xs.max() + 0.6),
            "ylim": (ys.min() - 0.6, ys.max() + 0.6),
            **axes,
        }
    )
    axis.axis("off")
    return figure


def reach_grids(rows: Mapping[str, Mapping[str, ArrayLike]], width: float = 8.0) -> Figure:
    """Draw fields around a pixel as grids of cells; cells that are not zero are filled.

    Args:
        rows: Fields (n, n), n odd, by row title and column title.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns = list(next(iter(rows.values())))
    figure, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(width, width * len(rows) / len(columns) + 0.3),
        squeeze=False,
    )
    for line, (title, fields), colour in zip(
        axes, rows.items(), ("orange", "blue", "purple"), strict=False
    ):
        for axis, column in zip(line, columns, strict=True):
            field = np.asarray(fields[column])
            edge = np.arange(len(field) + 1) - len(field) / 2
            axis.hlines(edge, edge[0], edge[-1], color="0.88", linewidth=0.5)
            axis.vlines(edge, edge[0], edge[-1], color="0.88", linewidth=0.5)
            for i, j in np.argwhere(field != 0):
                axis.add_patch(
                    plt.Rectangle((edge[j], edge[i]), 1, 1, color=COLOURS[colour], linewidth=0)
                )
            axis.plot(0, 0, "o", color="white", markeredgecolor="black", markersize=4)
            axis.set(aspect="equal", xlim=edge[[0, -1]], ylim=edge[[-1, 0]], xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(title)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column)
    return figure


def branch_points(
    picture: PictureLike,
    points: np.ndarray,
    masks: np.ndarray,
    spots: Mapping[str, tuple[int, int]],
    titles: Sequence[str],
    scale: int = 4,
    window: int = 26,
    width: float = 9.0,
) -> Figure:
    """Draw where the branches of one module read: one row per spot, one column per branch.

    The area of a circle stands for its mask. Feature pixel (i, j) lies on image pixel
    (scale i, scale j).

    Args:
        picture: The image under the points.
        points: (N, 2, 9, h, w), (right, down) in feature pixels, relative to the pixel.
        masks: (N, 9, h, w) in [0, 1].
        spots: (row, column) of feature pixels by title.
        titles: Titles of the N branches.
        scale: Image pixels per feature pixel.
        window: Half the side of a panel in image pixels.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    grey = as_picture(picture)
    grey = 0.7 + 0.3 * (grey.mean(-1) if grey.ndim == 3 else grey)
    figure, axes = plt.subplots(
        len(spots),
        len(points),
        figsize=(width, width * len(spots) / len(points) + 0.4),
        squeeze=False,
    )
    for line, (spot, (i, j)) in zip(axes, spots.items(), strict=True):
        for axis, xy, mask, colour in zip(line, points, masks, BRANCHES, strict=False):
            axis.imshow(grey, cmap="gray", vmin=0, vmax=1)
            x, y = scale * j + scale * xy[0, :, i, j], scale * i + scale * xy[1, :, i, j]
            axis.scatter(
                x,
                y,
                90 * mask[:, i, j] + 1,
                color=COLOURS[colour],
                edgecolor="white",
                linewidth=0.6,
            )
            axis.set(
                xlim=(scale * j - window, scale * j + window),
                ylim=(scale * i + window, scale * i - window),
            )
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(spot)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    return figure


def attention_maps(
    rows: Sequence[tuple[Any, Any, Any]],
    titles: Sequence[str],
    highest: float = 1.0,
    width: float = 10.0,
) -> Figure:
    """Draw one line per scene: the image, its blur path and its attention maps.

    Args:
        rows: (image, blur path (H, W) in pixels, maps (N, h, w)) per scene.
        titles: Titles of the N maps.
        highest: The scale of all maps reaches from 0 to this value.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns = 2 + len(rows[0][2])
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(width, width * len(rows) / columns + 0.5), squeeze=False
    )
    longest = max(extent.max() for _, extent, _ in rows)
    for line, (picture, extent, maps) in zip(axes, rows, strict=True):
        line[0].imshow(as_picture(picture))
        path = line[1].imshow(extent, cmap="magma", vmin=0, vmax=longest)
        for axis, values in zip(line[2:], maps, strict=True):
            attention = axis.imshow(values, vmin=0, vmax=highest)
    for axis, title in zip(axes[0], ("blurry", "blur path", *titles), strict=True):
        axis.set_title(title)
    for axis in axes.flat:
        axis.axis("off")
    figure.colorbar(
        path, ax=axes[-1, :2], location="bottom", label="pixels", shrink=0.8, aspect=25, pad=0.03
    )
    figure.colorbar(
        attention,
        ax=axes[-1, 2:],
        location="bottom",
        label="attention",
        shrink=0.8,
        aspect=50,
        pad=0.03,
    )
    return figure


def size_and_quality(
    table: pd.DataFrame, x: str, y: str, label: str, group: str, width: float = 6.5
) -> Figure:
    """Draw the rows of a table as labelled points, one colour and marker per group.

    Args:
        table: The rows, in four groups at most.
        x: Column of the horizontal axis.
        y: Column of the vertical axis.
        label: Column of the labels.
        group: Column of the groups.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 3.4))
    for (name, rows), colour, marker in zip(table.groupby(group), BRANCHES, "^osD", strict=False):
        axis.plot(rows[x], rows[y], marker, color=COLOURS[colour], markersize=7, label=name)
        for place, text in zip(zip(rows[x], rows[y], strict=True), rows[label], strict=True):
            axis.annotate(text, place, xytext=(6, 2), textcoords="offset points", fontsize=9)
    axis.set(xlabel=x, ylabel=y)
    axis.margins(0.08)
    axis.legend(loc="upper left", title=group)
    return figure
