"""Images side by side, and maps of a quantity beside them."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .style import SEQUENTIAL, PictureLike, as_picture


def pictures(
    named: Mapping[str, PictureLike],
    columns: int | None = None,
    width: float = 10.0,
    crop: tuple[int, int, int, int] | None = None,
) -> Figure:
    """Draw images in a grid, each under its title.

    Args:
        named: Images by title.
        columns: Images per row; None puts up to four in a row.
        width: Width of the figure in inches.
        crop: (top, left, height, width) in pixels: the window to show of every image; None shows
            all of it.

    Returns:
        The figure; nothing is shown.
    """
    columns = columns or min(len(named), 4)
    rows = -(-len(named) // columns)
    window = (
        np.s_[:, :]
        if crop is None
        else np.s_[crop[0] : crop[0] + crop[2], crop[1] : crop[1] + crop[3]]
    )
    shown = {title: as_picture(picture)[window] for title, picture in named.items()}
    height, length = next(iter(shown.values())).shape[:2]
    size = (width, width / columns * rows * height / length + 0.35 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, picture) in zip(axes.flat, shown.items(), strict=False):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
    return figure


def pictures_and_map(
    named: Mapping[str, PictureLike], values: np.ndarray, title: str, unit: str, width: float = 10.0
) -> Figure:
    """Draw images in a row and, to their right, a map of a non-negative quantity.

    Args:
        named: Images by title.
        values: The map, (H, W), with its own colour bar.
        title: Title of the map.
        unit: Label of the colour bar.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(1, len(named) + 1, figsize=(width, width / (len(named) + 1) + 0.2))
    for axis, (name, picture) in zip(axes, named.items(), strict=False):
        axis.imshow(as_picture(picture))
        axis.set_title(name)
    image = axes[-1].imshow(values, cmap=SEQUENTIAL, vmin=0)
    axes[-1].set_title(title)
    figure.colorbar(image, label=unit, shrink=0.85)
    for axis in axes:
        axis.axis("off")
    return figure


def before_and_after(
    before: PictureLike, after: PictureLike, share: float, width: float = 5.0
) -> Figure:
    """Draw one image that is `before` on the left and `after` on the right of a line.

    Args:
        before: The image on the left.
        after: The image on the right, of the same size.
        share: Part of the width that is taken from `before`, 0 to 1.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    before, after = as_picture(before), as_picture(after)
    height, length = after.shape[:2]
    edge = round(share * length)
    figure, axis = plt.subplots(figsize=(width, width * height / length + 0.3))
    axis.imshow(np.concatenate([before[:, :edge], after[:, edge:]], 1), cmap="gray", vmin=0, vmax=1)
    axis.axvline(edge - 0.5, color="white", linewidth=2)
    axis.set_title("before", loc="left")
    axis.set_title("after", loc="right")
    axis.axis("off")
    return figure


def magnitudes(
    named: Mapping[str, np.ndarray], label: str, columns: int | None = None, width: float = 10.0
) -> Figure:
    """Draw maps of one magnitude in a grid, on a common scale that starts at zero.

    Args:
        named: Maps (H, W) by title.
        label: Label of the colour bar: the quantity and its unit.
        columns: Maps per row; None puts all of them in one row.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    columns = columns or len(named)
    rows = -(-len(named) // columns)
    height, length = next(iter(named.values())).shape
    panel = 0.9 * width / columns * height / length + (0.2 if rows > 1 else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * panel + 0.4), squeeze=False)
    highest = max(values.max() for values in named.values())
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, values) in zip(axes.flat, named.items(), strict=False):
        image = axis.imshow(values, vmin=0, vmax=highest)
        axis.set_title(title)
    figure.colorbar(image, ax=axes, label=label, shrink=0.9 if rows == 1 else 0.6)
    return figure
