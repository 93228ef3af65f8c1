"""SVRNN: receptive fields, a diagram of the network, maps of its weights."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .style import COLOURS, DIVERGING, SEQUENTIAL, PictureLike, as_picture


def receptive_fields(
    named: Mapping[str, np.ndarray], decades: int = 8, width: float = 10.0
) -> Figure:
    """Draw |d output centre / d input| of several networks, each relative to its largest value.

    Grey pixels are exactly zero; titles count the others.

    Args:
        named: Fields (H, W) by title.
        decades: Powers of ten that the logarithmic scale covers.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(
        1, len(named), figsize=(width, width / len(named) + 0.4), squeeze=False
    )
    colours = plt.get_cmap(SEQUENTIAL).with_extremes(bad="0.82")
    for axis, (title, field) in zip(axes[0], named.items(), strict=True):
        seen = np.ma.masked_equal(field, 0)
        image = axis.imshow(np.ma.log10(seen / seen.max()), cmap=colours, vmin=-decades, vmax=0)
        axis.set_title(f"{title}\n{np.count_nonzero(field)} of {field.size}")
        axis.axis("off")
    figure.colorbar(image, ax=axes[0], label="log10 of the gradient", shrink=0.7)
    return figure


def reach(
    picture: PictureLike,
    place: tuple[int, int],
    fields: Mapping[str, np.ndarray],
    decades: int = 6,
    width: float = 9.0,
) -> Figure:
    """Draw an image with a marked pixel beside |d output there / d input| of some networks.

    Titles say how many pixels hold nine tenths of the sum; grey pixels are exactly zero.

    Args:
        picture: The input of the networks.
        place: (row, column) of the marked pixel.
        fields: Fields (H, W) by name of the network, drawn on one logarithmic scale.
        decades: Powers of ten that the scale covers.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(
        1, len(fields) + 1, figsize=(width, width / (len(fields) + 1) + 0.3)
    )
    axes[0].imshow(as_picture(picture))
    axes[0].set_title("input\n")
    colours, highest = (
        plt.get_cmap(SEQUENTIAL).with_extremes(bad="0.82"),
        max(field.max() for field in fields.values()),
    )
    for axis, (title, field) in zip(axes[1:], fields.items(), strict=True):
        image = axis.imshow(
            np.ma.log10(np.ma.masked_equal(field, 0) / highest), cmap=colours, vmin=-decades, vmax=0
        )
        largest_first = np.sort(field, axis=None)[::-1].cumsum()
        axis.set_title(
            f"{title}\n90 % in {1 + np.searchsorted(largest_first, 0.9 * field.sum())} pixels"
        )
    for axis in axes:
        axis.plot(
            place[1], place[0], "+", color=COLOURS["vermilion"], markersize=12, markeredgewidth=2
        )
        axis.axis("off")
    figure.colorbar(image, ax=axes[1:], label="log10 of the gradient", shrink=0.7)
    return figure


def signed_maps(
    named: Mapping[str, np.ndarray],
    beside: Mapping[str, PictureLike] | None = None,
    limit: float = 1.0,
    label: str = "",
    columns: int | None = None,
    width: float = 10.0,
) -> Figure:
    """Draw maps of a signed quantity on one scale around zero, after the images beside them.

    Args:
        named: Maps (H, W) by title.
        beside: Images by title that are drawn first; None draws none.
        limit: The scale reaches from -limit to limit.
        label: Label of the colour bar.
        columns: Panels per row; None puts all in one row.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    beside = beside or {}
    columns = columns or len(beside) + len(named)
    rows = -(-(len(beside) + len(named)) // columns)
    height, length = next(iter(named.values())).shape
    size = (width, width / columns * rows * 0.92 * height / length + 0.35 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, picture) in zip(axes.flat, beside.items(), strict=False):
        axis.imshow(as_picture(picture), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
    for axis, (title, values) in zip(axes.flat[len(beside) :], named.items(), strict=False):
        image = axis.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit)
        axis.set_title(title)
    figure.colorbar(image, ax=axes, label=label, shrink=0.8)
    return figure


def svrnn(table: pd.DataFrame, width: float = 10.0) -> Figure:
    """Draw SVRNN as in the paper's Figure 4.

    Height stands for resolution, numbers for channels, arcs for skip connections.

    Args:
        table: The layers, as the paper's Table 1 lists them.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, 0.46 * width))
    rows, ends = table.to_dict("records"), {}
    first_weight = next(i for i, row in enumerate(rows) if row["layer"] == "conv3")
    last = len(rows) - first_weight - 1
    for path, base, above in ((rows[:first_weight], 3.4, 1), (rows[first_weight:], 0.0, -1)):
        step = last / (len(path) - 1)
        for i, row in enumerate(path):
            name, x, height = row["layer"], i * step, 0.7 + 0.35 * np.log2(8 * row["output"])
            ends[name] = x, base + height / 2, base - height / 2
            is_conv = name.startswith("conv")
            colour = "sky" if is_conv else "orange" if name.startswith("rnn") else "yellow"
            wide = 0.66 if is_conv or name.startswith("rnn") else 0.3
            axis.add_patch(
                plt.Rectangle(
                    (x - wide / 2, base - height / 2),
                    wide,
                    height,
                    color=COLOURS[colour],
                    alpha=0.75,
                )
            )
            axis.text(
                x,
                base,
                f"{row['channel']:.0f}" if row["channel"] == row["channel"] else "",
                ha="center",
                va="center",
            )
            axis.text(
                x,
                base - height / 2 - 0.08,
                name,
                ha="center",
                va="top",
                fontsize=7,
                rotation=0 if above > 0 else 30,
            )
        for i, row in enumerate(path):
            if isinstance(row["concatenate"], str):
                start, end = ends[row["concatenate"]], ends[path[i + 1]["layer"]]
                arc = {
                    "arrowstyle": "->",
                    "color": COLOURS["vermilion"],
                    "connectionstyle": "arc3,rad=-0.15",
                    "linewidth": 1.4,
                }
                axis.annotate("", (end[0], end[1]), (start[0], start[1]), arrowprops=arc)
    x, top, _ = ends["conv16"]
    bus = 1.95
    places = [ends[f"rnn{k}"] for k in (1, 2, 3, 4)]
    axis.plot([x, x, places[0][0]], [top, bus, bus], color="0.3", linewidth=1.2)
    for place, _, bottom in places:
        axis.annotate(
            "",
            (place, bottom - 0.32),
            (place, bus),
            arrowprops={"arrowstyle": "->", "color": "0.3"},
        )
    axis.text((places[0][0] + places[1][0]) / 2, bus + 0.1, "weights p", ha="center", color="0.3")
    for name in ("conv1", "conv3"):
        middle = (ends[name][1] + ends[name][2]) / 2
        axis.annotate(
            "", (-0.35, middle), (-1.1, 1.75), arrowprops={"arrowstyle": "->", "color": "0.3"}
        )
    axis.text(-1.3, 1.75, "blurry", ha="center", va="center", rotation=90, color="0.3")
    axis.text(last + 0.5, 3.4, "restored", va="center", rotation=90, color="0.3")
    axis.set(xlim=(-1.6, last + 1.1), ylim=(-1.6, 5.6))
    axis.axis("off")
    return figure
