"""Sampling points of deformable layers, and their distance from the flow."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, DIVERGING, PictureLike, as_picture


def distance_error(
    error: np.ndarray, reach: float, end: Sequence[float] | np.ndarray, width: float = 6.4
) -> Figure:
    """Draw a signed error over a plane around the segment from the origin to `end`.

    Args:
        error: (n, n) error in pixels over [-reach, reach]².
        reach: Half the side of the plane in pixels.
        end: End of the segment, (right, down) in pixels.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axis = plt.subplots(figsize=(width, width * 0.85))
    limit = np.nanmax(np.abs(error))
    image = axis.imshow(
        error, cmap=DIVERGING, vmin=-limit, vmax=limit, extent=(-reach, reach, reach, -reach)
    )
    axis.plot(
        [0, end[0]],
        [0, end[1]],
        color=COLOURS["black"],
        linewidth=3,
        solid_capstyle="round",
        label="flow segment",
    )
    axis.grid(False)
    axis.set(
        xlabel="x: pixels right",
        ylabel="y: pixels down",
        title="printed minus true distance of a point at (x, y)",
    )
    axis.legend(loc="lower left")
    figure.colorbar(image, label="pixels")
    return figure


def point_clouds(
    clouds: Mapping[str, np.ndarray], ends: Sequence[Any], width: float = 8.0
) -> Figure:
    """Draw sampling points around a pixel over the segments from it to each end.

    Args:
        clouds: Points (2, n) by title, (right, down) in feature pixels.
        ends: Ends of the segments, (right, down) in feature pixels.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(
        1, len(clouds), figsize=(width, width / len(clouds)), sharex=True, sharey=True
    )
    for axis, (title, points) in zip(np.atleast_1d(axes), clouds.items(), strict=True):
        for end in ends:
            axis.plot(
                [0, end[0]],
                [0, end[1]],
                color=COLOURS["orange"],
                linewidth=6,
                alpha=0.5,
                solid_capstyle="round",
            )
        axis.plot(*points, "o", color=COLOURS["blue"], markersize=5)
        axis.set(title=title, xlabel="feature pixels right", aspect="equal")
    reach = 1.15 * max(np.abs(ends).max(), *(np.abs(points).max() for points in clouds.values()))
    np.atleast_1d(axes)[0].set(
        ylabel="feature pixels down", xlim=(-reach, reach), ylim=(reach, -reach)
    )
    return figure


def sampling_points(
    picture: PictureLike,
    points: np.ndarray,
    flows: Sequence[np.ndarray],
    spots: Mapping[str, tuple[int, int]],
    window: int = 28,
    width: float = 9.0,
) -> Figure:
    """Draw where a deformable layer at half resolution reads, over the image and the flow.

    Everything is drawn in image pixels: feature pixel (i, j) lies on image pixel (2i, 2j).

    Args:
        picture: The image under the points.
        points: (2, n, h, w), (right, down) in feature pixels, relative to the pixel.
        flows: Flow to the previous and to the next frame, each (h, w, 2) in feature pixels.
        spots: (row, column) of feature pixels by title, one panel each.
        window: Half the side of a panel in image pixels.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(1, len(spots), figsize=(width, width / len(spots) + 0.3))
    for axis, (title, (i, j)) in zip(np.atleast_1d(axes), spots.items(), strict=True):
        axis.imshow(as_picture(picture))
        for flow, label in zip(flows, ("flow to previous and next", None), strict=True):
            u, v = 2 * flow[i, j]
            axis.plot(
                [2 * j, 2 * j + u],
                [2 * i, 2 * i + v],
                color=COLOURS["orange"],
                linewidth=5,
                alpha=0.8,
                label=label,
            )
        x, y = 2 * j + 2 * points[0, :, i, j], 2 * i + 2 * points[1, :, i, j]
        axis.plot(
            x,
            y,
            "o",
            color=COLOURS["sky"],
            markeredgecolor="black",
            markersize=6,
            label="sampling points",
        )
        axis.plot(2 * j, 2 * i, "+", color="white", markersize=12, markeredgewidth=2)
        axis.set(
            title=title,
            xlim=(2 * j - window, 2 * j + window),
            ylim=(2 * i + window, 2 * i - window),
        )
        axis.axis("off")
    np.atleast_1d(axes)[0].legend(loc="upper left", frameon=True, fontsize=8)
    return figure
