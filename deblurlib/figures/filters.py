"""Filters: their zeros and their taps."""

import matplotlib.pyplot as plt
import numpy as np

from ..theory import kernel_zeros
from .style import COLOURS, DIVERGING, SEQUENTIAL


def zero_map(kernels: dict, width: float = 9.0):
    """The zeros of each causal kernel against the unit circle: inside is invertible, on it erased, outside unstable."""
    figure, axes = plt.subplots(
        1, len(kernels), figsize=(width, width / len(kernels) + 0.9), sharey=True, squeeze=False
    )
    for axis, (name, kernel) in zip(axes[0], kernels.items(), strict=True):
        _zeros(axis, kernel, f"{name}\n")
    axes[0, 0].set_ylabel("Im z")
    return figure


def zeros_and_ringing(kernel: np.ndarray, signals: dict, width: float = 9.0):
    """The zeros of a causal kernel, and signals over their position, the last of which its inverse has recovered."""
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
):
    """A kernel, the magnitude of its spectrum with frequency zero in the middle, and the taps of its inverse."""
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
    named: dict,
    window: int = 65,
    *,
    boxes=None,
    columns=None,
    width=9.0,
    labels=("pixels right", "pixels down"),
):
    """Taps of filters as pictures around their centre n // 2, each scaled to its own largest tap; red positive, blue negative.

    window: side in pixels that is shown of each (filters that are smaller are padded). boxes: title -> side of
    a centred square.
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
