"""Motion: optical flow as colours, camera paths, local kernels."""

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .pictures import pictures
from .style import COLOURS, PictureLike, as_picture


def flow_picture(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """Paint an optical flow: hue is its direction, saturation its length.

    Args:
        flow: (H, W, 2), (right, down) in pixels.
        longest: Length in pixels that is fully saturated; None takes the 99th percentile.

    Returns:
        (H, W, 3) RGB in [0, 1].
    """
    from matplotlib.colors import hsv_to_rgb

    u, v = flow[..., 0], flow[..., 1]
    length = np.hypot(u, v)
    longest = longest or max(np.percentile(length, 99), 1e-6)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    return hsv_to_rgb(np.stack([hue, np.clip(length / longest, 0, 1), np.full_like(hue, 0.95)], -1))


def flow_fields(
    named: Mapping[str, np.ndarray],
    longest: float | None = None,
    columns: int | None = None,
    width: float = 10.0,
) -> Figure:
    """Draw flows as colours on one scale, beside the wheel that explains them.

    Args:
        named: Flows (H, W, 2), (right, down) in pixels, by title.
        longest: Length in pixels that is fully saturated; None takes the largest 99th percentile.
        columns: Images per row, the wheel included; None puts up to four in a row.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    longest = longest or max(
        np.percentile(np.hypot(f[..., 0], f[..., 1]), 99) for f in named.values()
    )
    side = min(next(iter(named.values())).shape[:2])
    down, right = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j] * longest
    wheel = flow_picture(np.stack([right, down], -1), longest)
    wheel[np.hypot(right, down) > longest] = 1
    shown = {title: flow_picture(flow, longest) for title, flow in named.items()}
    return pictures({**shown, f"rim = {longest:.0f} px": wheel}, columns=columns, width=width)


def camera_paths(
    named: Mapping[str, Callable[..., Any]], exposure: float = 1.0, width: float = 10.0
) -> Figure:
    """Draw the path of one pixel over two frame periods and the two flow segments for it.

    The part of the path that the exposure sees is drawn thick.

    Args:
        named: Paths by title: functions of the time t in [-1, 1] that return (x, y) in pixels.
        exposure: Part of a frame period for which the shutter is open.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(
        1, len(named), figsize=(width, 0.6 * width / len(named) + 0.7), sharex=True, sharey=True
    )
    whole, seen = np.linspace(-1, 1, 401), np.linspace(-exposure / 2, exposure / 2, 201)
    for axis, (title, path) in zip(axes, named.items(), strict=True):
        axis.plot(*path(whole), color="0.7", linewidth=1.5, label="path, previous to next frame")
        axis.plot(*path(seen), color=COLOURS["blue"], linewidth=5, label="path during the exposure")
        ends = np.stack([path(t) for t in (-1.0, 0.0, 1.0)], -1)
        half = ends[:, 1:2] + exposure / 2 * (ends - ends[:, 1:2])
        axis.plot(
            *ends,
            "o--",
            color=COLOURS["orange"],
            linewidth=1.2,
            markersize=5,
            label="the two flow segments",
        )
        axis.plot(
            *half, color=COLOURS["vermilion"], linewidth=2, label=f"their first {exposure / 2:.0%}"
        )
        axis.set(title=title, xlabel="pixels right", aspect="equal")
    axes[0].set_ylabel("pixels down")
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def local_kernels(
    picture: PictureLike,
    flow_previous: np.ndarray,
    flow_next: np.ndarray,
    scale: float = 0.5,
    stride: int = 16,
    width: float = 6.0,
) -> Figure:
    """Draw the two flow segments that stand for the blur kernel on a grid of pixels.

    Args:
        picture: The image under the segments.
        flow_previous: (H, W, 2) flow to the previous frame, (right, down) in pixels.
        flow_next: (H, W, 2) flow to the next frame.
        scale: Part of the flow that the exposure covers.
        stride: Distance between the pixels of the grid.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    shown = as_picture(picture)
    height, length = shown.shape[:2]
    figure, axis = plt.subplots(figsize=(width, width * height / length))
    axis.imshow(0.4 * shown + 0.6)
    halves = {
        "first half of the exposure": (flow_previous, COLOURS["blue"]),
        "second half": (flow_next, COLOURS["vermilion"]),
    }
    for label, (flow, colour) in halves.items():
        axis.plot([], [], color=colour, label=label)
        for y in range(stride // 2, height, stride):
            for x in range(stride // 2, length, stride):
                u, v = scale * flow[y, x]
                axis.plot([x, x + u], [y, y + v], color=colour, linewidth=1.5)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False)
    axis.set(xlim=(-0.5, length - 0.5), ylim=(height - 0.5, -0.5))
    axis.axis("off")
    return figure
