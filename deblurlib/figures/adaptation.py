"""How a network adapts to an image: attention maps, restored crops, accuracy against time."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from .style import COLOURS, DIVERGING, SEQUENTIAL, PictureLike, as_picture


def maps_beside_pictures(
    pictures: Mapping[str, PictureLike],
    columns: Mapping[str, tuple[str, Sequence[np.ndarray]]],
    width: float = 8.5,
) -> Figure:
    """Draw images one below the other, each beside its maps.

    Columns of one unit share a scale and a colour bar; units with negative values are drawn around
    zero.

    Args:
        pictures: Images by title.
        columns: (unit, maps in the order of the images, of any size) by column label.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    height, length = as_picture(next(iter(pictures.values()))).shape[:2]
    side = width / (len(columns) + 1)
    size = (width, len(pictures) * side * height / length + 1.0)
    figure, axes = plt.subplots(len(pictures), len(columns) + 1, figsize=size, squeeze=False)
    for axis, (title, picture) in zip(axes[:, 0], pictures.items(), strict=True):
        axis.imshow(as_picture(picture))
        axis.set_title(title, fontsize=8)
    units = list(dict.fromkeys(unit for unit, _ in columns.values()))
    for unit in units:
        alike = [(1 + k, maps) for k, (other, maps) in enumerate(columns.values()) if other == unit]
        values = np.concatenate([np.ravel(m) for _, maps in alike for m in maps])
        highest, signed = np.abs(values).max(), values.min() < 0
        for column, maps in alike:
            for axis, shown in zip(axes[:, column], maps, strict=True):
                low = -highest if signed else 0
                cmap = plt.get_cmap(
                    DIVERGING if signed else SEQUENTIAL, 25
                )  # steps, which a small file keeps without noise
                image = axis.imshow(shown, cmap=cmap, vmin=low, vmax=highest)
        lower = [axes[-1, column] for column, _ in alike]
        figure.colorbar(
            image,
            ax=lower,
            label=unit,
            location="bottom",
            shrink=0.85 / len(alike),
            aspect=14,
            pad=0.03,
        )
    for axis, label in zip(axes[0, 1:], columns, strict=True):
        axis.set_title(label, fontsize=8)
    for axis in axes[1:, 1:].flat:
        axis.set_title(" ", fontsize=8)  # so that rows stay level
    for axis in axes.flat:
        axis.axis("off")
    return figure


def attention_rows(
    picture: PictureLike,
    rows: Mapping[tuple[int, int], np.ndarray],
    stride: int,
    width: float = 7.0,
) -> Figure:
    """Draw an image with some marked places and the row of the attention map of each.

    Args:
        picture: The image under the marks.
        rows: Weights (h, w), as multiples of the flat 1/N, by (row, column) of a feature pixel.
        stride: Image pixels per feature pixel.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(1, len(rows) + 1, figsize=(width, width / (len(rows) + 1) + 0.3))
    axes[0].imshow(as_picture(picture))
    axes[0].set_title(f"{len(rows)} places")
    highest = max(values.max() for values in rows.values())
    marks = {"marker": "o", "color": "white", "markeredgecolor": "black", "markersize": 8}
    for number, (axis, ((i, j), values)) in enumerate(zip(axes[1:], rows.items(), strict=True), 1):
        image = axis.imshow(
            values, cmap=plt.get_cmap(SEQUENTIAL, 25), norm=PowerNorm(0.5, 0, highest)
        )  # small weights stay visible
        axis.plot(j, i, **marks)
        axis.set_title(f"read by place {number}")
        x, y = (stride * n + (stride - 1) / 2 for n in (j, i))
        axes[0].plot(x, y, **{**marks, "markersize": 12})
        axes[0].text(x, y, number, ha="center", va="center_baseline", fontsize=8)
    figure.colorbar(image, ax=axes[1:], label="times 1/N", shrink=0.8, format="%g")
    for axis in axes:
        axis.axis("off")
    return figure


def overview_and_crops(rows: Sequence[tuple[Any, Any, Any]], width: float = 8.0) -> Figure:
    """Draw one line per image: the whole with a window marked, then that window of each version.

    Args:
        rows: (image, (top, left, height, width), {title: version}) per line.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns = 1 + max(len(versions) for _, _, versions in rows)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(width, len(rows) * (width / columns + 0.35)), squeeze=False
    )
    for line, (picture, (top, left, height, length), versions) in zip(axes, rows, strict=True):
        line[0].imshow(as_picture(picture))
        frame = plt.Rectangle(
            (left - 0.5, top - 0.5),
            length,
            height,
            fill=False,
            edgecolor=COLOURS["yellow"],
            linewidth=2,
        )
        line[0].add_patch(frame)
        for axis, (title, version) in zip(line[1:], versions.items(), strict=False):
            axis.imshow(as_picture(version)[top : top + height, left : left + length])
            axis.set_title(title, fontsize=8)
    for axis in axes.flat:
        axis.axis("off")
    return figure


def worst_window(output: PictureLike, target: PictureLike, side: int) -> tuple[int, int, int, int]:
    """Find the window with the largest squared error between two images.

    Args:
        output: An image.
        target: An image of the same size.
        side: Side of the window in pixels.

    Returns:
        (top, left, side, side), to the nearest 4 pixels.
    """
    error = ((as_picture(output) - as_picture(target)) ** 2).sum(-1)
    total = np.pad(
        error.cumsum(0).cumsum(1), ((1, 0), (1, 0))
    )  # sums of all rectangles at the top left
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(sums[::4, ::4].argmax(), sums[::4, ::4].shape)
    return 4 * int(top), 4 * int(left), side, side


def accuracy_against_time(
    table: pd.DataFrame, ours: str, bounds: Any, width: float = 8.0
) -> Figure:
    """Draw the printed PSNR of each model over its printed running time.

    A bar leads from a printed time to the least that arithmetic allows.

    Args:
        table: Columns model, psnr_db and runtime_ms.
        ours: Models whose names begin with this stand out.
        bounds: Least times in milliseconds by model: a mapping or a Series.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, width * 0.58))
    table = table.dropna(subset="runtime_ms").reset_index(drop=True)
    mine = table.model.str.startswith(ours)
    for chosen, colour, marker in ((~mine, "blue", "o"), (mine, "vermilion", "D")):
        axis.plot(
            table.runtime_ms[chosen],
            table.psnr_db[chosen],
            marker,
            color=COLOURS[colour],
            markersize=5,
        )
    for model, milliseconds in bounds.items():
        row = table[table.model == model].iloc[0]
        axis.plot(
            [row.runtime_ms, milliseconds],
            [row.psnr_db] * 2,
            "-|",
            color=COLOURS["vermilion"],
            markersize=9,
        )
    for chosen, factor, side in ((~mine, 1.2, "left"), (mine, 1 / 1.2, "right")):
        labelled = table[chosen].sort_values("psnr_db")
        heights = _spread(labelled.psnr_db.to_numpy(), 0.3)
        for x, y, name in zip(labelled.runtime_ms, heights, labelled.model, strict=True):
            axis.text(x * factor, y, name, ha=side, va="center", fontsize=8)
    axis.set(xscale="log", xlabel="printed running time (ms)", ylabel="printed PSNR on GoPro (dB)")
    axis.set_xlim(table.runtime_ms.min() / 6, table.runtime_ms.max() * 8)
    return figure


def _spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Move rising values apart, as little as possible, until neighbours keep a gap."""
    moved = values.astype(float).copy()
    for _ in range(200):
        lacking = gap - np.diff(moved)
        lacking[lacking < 0] = 0
        moved[:-1] -= lacking / 2
        moved[1:] += lacking / 2
    return moved
