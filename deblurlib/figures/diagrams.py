"""Diagrams of networks: stages by resolution, a dense module at work, the tensors of attention."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from .style import COLOURS, DIVERGING, PictureLike, as_picture


def network(stages: pd.DataFrame, width: float = 11.0) -> Figure:
    """Draw a network as boxes in the order of computation, each at the height of its resolution.

    Solid arrows lead to the next box, dashed ones past others. Parts with deformable convolutions
    have a thick edge.

    Args:
        stages: `models.list_parts`, which reads the data flow from the network itself, with the
            columns name (may break lines) and kind (its colour) added.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    restored = stages.attrs["restored"]
    stages = stages.reset_index(drop=True)
    last = len(stages)
    level = [0.0, *(np.log2(stages.scale.to_numpy(float)) * 1.9), 0.0]  # of image, stages, result
    names = ["blurry", *stages.part, "restored"]
    kinds = ("blue", "orange", "vermilion", "green", "purple")
    colours = {
        kind: COLOURS[colour] for kind, colour in zip(stages.kind.unique(), kinds, strict=False)
    }
    size = (width, width * (max(level) + 2.9) / (last + 3.4) * 0.78)
    figure, axis = plt.subplots(figsize=size)
    for place, name in ((0, "blurry\n3"), (last + 1, "restored\n3")):
        _box(axis, place, 0, name, "0.5")
    for i, stage in enumerate(stages.rename(columns={"in": "read"}).itertuples(), 1):
        text = f"{stage.name}\n{stage.read}→{stage.out}"
        _box(axis, i, level[i], text, colours[stage.kind], edge=3.2 if stage.deformable else 1.2)
        size_of = _short(stage.parameters)
        axis.text(i, level[i] + 0.62, size_of, ha="center", va="center", fontsize=7, color="0.4")
    for place, sources in enumerate([*stages.reads, restored], 1):
        for source in map(names.index, sources):
            _flow(axis, source, place, level)
    for scale in sorted(stages.scale.unique()):
        words = f"1/{scale}" if scale > 1 else "full"
        axis.text(-0.95, np.log2(scale) * 1.9, words, va="center", ha="center", color="0.3")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, alpha=0.3) for colour in colours.values()]
    labels = list(colours)
    if stages.deformable.any():
        handles.append(plt.Rectangle((0, 0), 1, 1, fill=False, linewidth=3.2))
        labels.append("with deformable convolutions")
    axis.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(labels))
    axis.set(xlim=(-1.3, last + 1.6), ylim=(max(level) + 0.9, -1.6))
    axis.axis("off")
    return figure


def _flow(axis, start, end, level):
    """An arrow from one box to a later one, past the boxes between them."""
    if end - start == 1:
        _arrow(axis, (start + 0.44, level[start]), (end - 0.44, level[end]))
        return
    rise = 0.45 / (end - start) + 0.04
    top = (start + 0.1, level[start] - 0.45), (end - 0.1, level[end] - 0.45)
    _arrow(axis, *top, connectionstyle=f"arc3,rad={-rise:.3f}", linestyle="--")


def dense_module(
    wiring: Mapping[str, int],
    offset: np.ndarray,
    picture: PictureLike,
    place: tuple[int, int],
    stride: int,
    width: float = 9.0,
) -> Figure:
    """Draw a dense deformable module: its wiring, its offsets, and the nine taps of one place.

    Args:
        wiring: Channels that each unit reads, by name, the reducing layer last.
        offset: (18, h, w), (dy, dx) per tap in feature pixels.
        picture: The image under the taps.
        place: (row, column) of a feature pixel.
        stride: Image pixels per feature pixel.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(1, 3, figsize=(width, width * 0.3), width_ratios=(1.25, 1, 0.8))
    _wiring(axes[0], wiring)
    pairs = offset.reshape(3, 3, 2, *offset.shape[1:])
    tensor = np.concatenate(
        [
            np.concatenate(
                [np.pad(p, 1, constant_values=np.nan) for p in row.reshape(6, *offset.shape[1:])], 1
            )
            for row in pairs
        ]
    )
    limit = max(np.percentile(np.abs(offset), 99.5), 1e-6)
    image = axes[1].imshow(tensor, cmap=DIVERGING, vmin=-limit, vmax=limit)
    axes[1].set_title("offset tensor: dy, dx of nine taps")
    figure.colorbar(image, ax=axes[1], label="feature pixels", shrink=0.7, extend="both")
    axes[1].axis("off")
    _taps(axes[2], offset[:, place[0], place[1]].reshape(9, 2), picture, place, stride)
    return figure


def attention_tensors(shapes: Mapping[str, tuple[int, ...]], width: float = 8.5) -> Figure:
    """Draw self-attention as tensors and products.

    Args:
        shapes: Shapes by letter: A, B, C, D and E as (C, h, w), S as (N, N), R as (C, N).
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    text = {name: f"{name}\n" + " × ".join(map(str, shape)) for name, shape in shapes.items()}
    at = {
        "A": (0, 1),
        "C": (2, 0),
        "B": (2, 1),
        "D": (2, 2),
        "S": (4.2, 0.5),
        "R": (5.9, 1.5),
        "E": (7.6, 1),
    }
    role = {
        "A": "features",
        "C": "query",
        "B": "key",
        "D": "value",
        "S": "attention map",
        "R": "gathered",
        "E": "result",
    }
    figure, axis = plt.subplots(figsize=(width, width * 0.36))
    for name, (x, y) in at.items():
        colour = COLOURS["orange" if name == "S" else "vermilion" if name == "R" else "blue"]
        _box(axis, x, y, text[name], colour, (1.2, 0.5), fontsize=8)
        axis.text(x, y - 0.35, role[name], ha="center", va="center", fontsize=8, color="0.4")
    for a, b in ("AC", "AB", "AD", "CS", "BS", "SR", "DR", "RE"):
        _arrow(axis, (at[a][0] + 0.62, at[a][1]), (at[b][0] - 0.62, at[b][1]))
    for label, x, y in (("$W_c$", 1.05, 0.26), ("$W_b$", 1.05, 0.88), ("$W_d$", 0.98, 1.68)):
        axis.text(x, y, label, ha="right", va="center", fontsize=9)
    axis.text(
        4.2,
        0.98,
        "$S=\\mathrm{softmax}(C^{\\top}B)$\neach row sums to 1",
        ha="center",
        va="center",
        fontsize=9,
    )
    axis.text(5.9, 1.9, "$R=D\\,S^{\\top}$", ha="center", va="center", fontsize=9)
    axis.plot([0, 0, 7.6], [1.27, 2.5, 2.5], color="0.35", linestyle="--", linewidth=1)
    _arrow(axis, (7.6, 2.5), (7.6, 1.27), linestyle="--")
    axis.text(7.5, 2.05, "A +", ha="right", fontsize=9)
    axis.set(xlim=(-0.7, 8.3), ylim=(2.65, -0.55))
    axis.axis("off")
    return figure


def _wiring(axis, wiring):
    names = list(wiring)
    for i, (name, channels) in enumerate(wiring.items()):
        last = i == len(names) - 1
        _box(
            axis,
            i,
            0,
            f"{name}\n{channels}",
            COLOURS["green" if last else "vermilion"],
            (0.78, 0.62),
        )
        for j in range(i):
            _arrow(
                axis,
                (j + 0.1, 0.36),
                (i - 0.1, 0.36),
                connectionstyle=f"arc3,rad={0.5 if i - j > 1 else 0.9}",
                alpha=0.55,
            )
    axis.text(
        (len(names) - 1) / 2,
        -0.75,
        "each reads the input and all before it;\nbelow a name: channels that it reads",
        ha="center",
        fontsize=8,
        color="0.3",
    )
    axis.set(xlim=(-0.7, len(names) - 0.3), ylim=(2.2, -1.6), title="a dense module")
    axis.axis("off")


def _taps(axis, pairs, picture, place, stride):
    shown = as_picture(picture)
    row, column = (stride * n + (stride - 1) / 2 for n in place)
    axis.imshow(0.5 * shown + 0.5)
    for (i, j), (down, right) in zip(np.ndindex(3, 3), pairs, strict=True):
        x, y = column + stride * (j - 1), row + stride * (i - 1)
        axis.plot(x, y, "o", color=COLOURS["black"], markersize=3)
        style = {
            "arrowstyle": "->",
            "color": COLOURS["vermilion"],
            "linewidth": 1.5,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        axis.annotate("", (x + stride * right, y + stride * down), (x, y), arrowprops=style)
    reach = stride * max(3.0, 1.5 + np.abs(pairs).max())
    axis.set(
        xlim=(column - reach, column + reach),
        ylim=(row + reach, row - reach),
        title="nine taps, moved",
    )
    axis.axis("off")


def _box(axis, x, y, text, colour, size=(0.88, 0.84), fontsize=7, edge=1.2):
    corner = x - size[0] / 2, y - size[1] / 2
    style = {
        "boxstyle": "round,pad=0,rounding_size=0.08",
        "facecolor": (*plt.matplotlib.colors.to_rgb(colour), 0.25),
    }
    axis.add_patch(FancyBboxPatch(corner, *size, edgecolor=colour, linewidth=edge, **style))
    axis.text(x, y, text, ha="center", va="center", fontsize=fontsize, linespacing=1.25)


def _arrow(axis, start, end, connectionstyle="arc3", linestyle="-", alpha=1.0):
    style = {
        "arrowstyle": "->",
        "connectionstyle": connectionstyle,
        "linestyle": linestyle,
        "color": "0.35",
        "shrinkA": 0,
    }
    axis.annotate(
        "", end, start, arrowprops={**style, "shrinkB": 0, "linewidth": 1, "alpha": alpha}
    )


def _short(count):
    return f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"
