"""Filters: their zeros and their taps."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..theory import kernel_zeros
from .style import COLOURS, DIVERGING, SEQUENTIAL


def zero_map(kernels: Mapping[str, np.ndarray], width: float = 9.0) -> Figure:
    """Draw the zeros of causal kernels against the unit circle.

    A zero inside the circle can be inverted; one on it erases a frequency; one outside makes the
    recursive inverse unstable.

    Args:
        kernels: Taps (n,) by name, the first at delay 0.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(
        1, len(kernels), figsize=(width, width / len(kernels) + 0.9), sharey=True, squeeze=False
    )
    for axis, (name, kernel) in zip(axes[0], kernels.items(), strict=True):
        _zeros(axis, kernel, f"{name}\n")
    axes[0, 0].set_ylabel("Im z")
    return figure


def zeros_and_ringing(
    kernel: np.ndarray, signals: Mapping[str, np.ndarray], width: float = 9.0
) -> Figure:
    """Draw the zeros of a causal kernel beside signals, the last of which its inverse recovered.

    Args:
        kernel: Taps (n,), the first at delay 0.
        signals: Signals (n,) by name, three at most.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(width, 0.33 * width), width_ratios=(1, 2.4))
    _zeros(left, kernel)
    left.set_ylabel("Im z")
    for (name, values), style in zip(signals.items(), (":", "--", "-"), strict=False):
        right.plot(np.clip(values, -1, 2), style, label=name)
    right.set(xlabel="position (samples)", ylabel="light", ylim=(-0.55, 1.55))
    right.legend(loc="upper left", ncols=len(signals), frameon=True)
    return figure


def _zeros(axis, kernel, title=""):
    circle, zeros = np.exp(2j * np.pi * np.linspace(0, 1, 200)), kernel_zeros(kernel)
    beyond = np.sign(np.round(np.abs(zeros) - 1, 6))
    axis.fill(circle.real, circle.imag, facecolor=COLOURS["sky"], alpha=0.2)
    axis.plot(circle.real, circle.imag, color="0.4", linewidth=1)
    for side, colour, marker in ((-1, "blue", "o"), (0, "orange", "D"), (1, "vermilion", "X")):
        axis.plot(
            zeros.real[beyond == side],
            zeros.imag[beyond == side],
            marker,
            color=COLOURS[colour],
            markersize=7,
        )
    axis.set(
        title=f"{title}largest |z| = {np.abs(zeros[0]):.2f}",
        xlabel="Re z",
        xlim=(-1.45, 1.45),
        ylim=(-1.45, 1.45),
    )
    axis.set_box_aspect(1)


def kernel_and_inverse(
    kernel: np.ndarray,
    spectrum: np.ndarray,
    inverse: np.ndarray,
    window: int = 65,
    width: float = 9.0,
) -> Figure:
    """Draw a kernel, the magnitude of its spectrum and the taps of its inverse.

    Args:
        kernel: Taps (h, w).
        spectrum: Its transfer function (H, W), frequency zero first.
        inverse: Taps of the inverse filter.
        window: Side in pixels that is shown of the taps.
        width: Width of the figure in inches.

    Returns:
        The figure; nothing is shown.
    """
    figure, axes = plt.subplots(1, 3, figsize=(width, width / 3 + 0.3))
    for axis, name, taps in ((axes[0], "kernel", kernel), (axes[2], "Wiener inverse", inverse)):
        _taps(axis, name, taps, window // 2)
        axis.set(xlabel="pixels right")
    axes[0].set_ylabel("pixels down")
    axes[1].imshow(
        np.fft.fftshift(np.abs(spectrum)),
        cmap=SEQUENTIAL,
        vmin=0,
        vmax=1,
        extent=(-0.5, 0.5, 0.5, -0.5),
    )
    axes[1].set(title="|spectrum|, from 0 to 1", xlabel="cycles per pixel")
    axes[1].grid(False)
    return figure


def filters(
    named: Mapping[str, np.ndarray],
    window: int = 65,
    *,
    boxes: Mapping[str, float] | None = None,
    columns: int | None = None,
    width: float = 9.0,
    labels: tuple[str, str] = ("pixels right", "pixels down"),
) -> Figure:
    """Draw the taps of filters around their centre n // 2, each scaled to its own largest tap.

    Red taps are positive, blue ones negative.

    Args:
        named: Taps (h, w) by title.
        window: Side in pixels that is shown of each; smaller filters are padded.
        boxes: Sides in pixels of centred squares to draw, by title.
        columns: Filters per row; None puts all in one row.
        width: Width of the figure in inches.
        labels: Labels of the horizontal and the vertical axis.

    Returns:
        The figure; nothing is shown.
    """
    columns = columns or len(named)
    rows = -(-len(named) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, rows * (width / columns + 0.35)), squeeze=False
    )
    for axis in axes.flat[len(named) :]:
        axis.axis("off")
    half = window // 2
    for axis, (title, taps) in zip(axes.flat, named.items(), strict=False):
        _taps(axis, title, taps, half)
        if boxes and title in boxes:
            side = boxes[title]
            axis.add_patch(
                plt.Rectangle(
                    (-side / 2, -side / 2),
                    side,
                    side,
                    fill=False,
                    color=COLOURS["black"],
                    linewidth=1.2,
                )
            )
        axis.set(xlabel=labels[0])
        axis.tick_params(labelleft=axis in axes[:, 0])
    for axis in axes[:, 0]:
        axis.set_ylabel(labels[1])
    return figure


def _taps(axis, title, taps, half):
    taps = np.pad(taps, [(half, half)] * 2)
    top, left = (n // 2 for n in taps.shape)
    shown = taps[top - half : top + half + 1, left - half : left + half + 1] / np.abs(taps).max()
    # a cube root keeps the sign and lets small taps be seen
    axis.imshow(
        np.cbrt(shown),
        cmap=DIVERGING,
        vmin=-1,
        vmax=1,
        extent=(-half - 0.5, half + 0.5, half + 0.5, -half - 0.5),
    )
    axis.grid(False)
    axis.set(title=title)
    axis.locator_params(integer=True, nbins=5)
