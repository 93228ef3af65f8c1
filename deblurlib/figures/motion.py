"""Motion: optical flow as colours, camera paths, local kernels."""

import matplotlib.pyplot as plt
import numpy as np

from .pictures import pictures
from .style import COLOURS, as_picture


def flow_picture(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """(H, W, 2) flow as colours: hue = direction, saturation = length relative to `longest` (default: the 99th percentile)."""
    from matplotlib.colors import hsv_to_rgb

    u, v = flow[..., 0], flow[..., 1]
    length = np.hypot(u, v)
    longest = longest or max(np.percentile(length, 99), 1e-6)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    return hsv_to_rgb(np.stack([hue, np.clip(length / longest, 0, 1), np.full_like(hue, 0.95)], -1))


def flow_fields(
    named: dict, longest: float | None = None, columns: int | None = None, width: float = 10.0
):
    """Flows (H, W, 2) as colours at one scale, with the wheel that explains them: hue = direction, saturation = length."""
    longest = longest or max(
        np.percentile(np.hypot(f[..., 0], f[..., 1]), 99) for f in named.values()
    )
    side = min(next(iter(named.values())).shape[:2])
    down, right = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j] * longest
    wheel = flow_picture(np.stack([right, down], -1), longest)
    wheel[np.hypot(right, down) > longest] = 1
    shown = {title: flow_picture(flow, longest) for title, flow in named.items()}
    return pictures({**shown, f"rim = {longest:.0f} px": wheel}, columns=columns, width=width)


def camera_paths(named: dict, exposure: float = 1.0, width: float = 10.0):
    """Paths t -> (x, y) of one pixel over two frame periods, the part that the exposure sees, and the two flow segments."""
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
    picture, flow_previous, flow_next, scale: float = 0.5, stride: int = 16, width: float = 6.0
):
    """The two segments that stand for the blur kernel, drawn at every `stride`-th pixel of a picture."""
    shown = as_picture(picture)
    height, length = shown.shape[:2]
    figure, axis = plt.subplots(figsize=(width, width * height / length))
    axis.imshow(0.4 * shown + 0.6)
    for y in range(stride // 2, height, stride):
        for x in range(stride // 2, length, stride):
            for flow, colour in ((flow_previous, "blue"), (flow_next, "vermilion")):
                u, v = scale * flow[y, x]
                axis.plot([x, x + u], [y, y + v], color=COLOURS[colour], linewidth=1.5)
    axis.set(xlim=(-0.5, length - 0.5), ylim=(height - 0.5, -0.5))
    axis.axis("off")
    return figure
