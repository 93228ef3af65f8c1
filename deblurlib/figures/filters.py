"""Filters: their zeros and their taps."""

import matplotlib.pyplot as plt
import numpy as np

from ..theory import kernel_zeros
from .style import COLOURS, DIVERGING


def zero_map(kernels: dict, width: float = 9.0):
    """The zeros of each causal kernel against the unit circle: inside is invertible, on it erased, outside unstable."""
    figure, axes = plt.subplots(1, len(kernels), figsize=(width, width / len(kernels) + 0.9), sharey=True, squeeze=False)
    circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
    for axis, (name, kernel) in zip(axes[0], kernels.items(), strict=True):
        zeros = kernel_zeros(kernel)
        beyond = np.sign(np.round(np.abs(zeros) - 1, 6))
        axis.fill(circle.real, circle.imag, facecolor=COLOURS["sky"], alpha=0.2)
        axis.plot(circle.real, circle.imag, color="0.4", linewidth=1)
        for side, colour, marker in ((-1, "blue", "o"), (0, "orange", "D"), (1, "vermilion", "X")):
            axis.plot(zeros.real[beyond == side], zeros.imag[beyond == side], marker, color=COLOURS[colour], markersize=7)
        axis.set(title=f"{name}\nlargest |z| = {np.abs(zeros[0]):.2f}", xlabel="Re z", xlim=(-1.45, 1.45), ylim=(-1.45, 1.45))
        axis.set_box_aspect(1)
    axes[0, 0].set_ylabel("Im z")
    return figure


def filters(named: dict, window: int = 65, *, boxes=None, columns=None, width=9.0, labels=("pixels right", "pixels down")):
    """Taps of filters as pictures around their centre n // 2, each scaled to its own largest tap; red positive, blue negative.

    window: side in pixels that is shown of each (filters that are smaller are padded). boxes: title -> side of
    a centred square.
    """
    columns = columns or len(named)
    rows = -(-len(named) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (width / columns + 0.35)), squeeze=False)
    for axis in axes.flat[len(named) :]:
        axis.axis("off")
    half = window // 2
    for axis, (title, taps) in zip(axes.flat, named.items(), strict=False):
        taps = np.pad(taps, [(half, half)] * 2)
        top, left = (n // 2 for n in taps.shape)
        shown = taps[top - half : top + half + 1, left - half : left + half + 1] / np.abs(taps).max()
        # a cube root keeps the sign and lets small taps be seen
        axis.imshow(np.cbrt(shown), cmap=DIVERGING, vmin=-1, vmax=1, extent=(-half - 0.5, half + 0.5, half + 0.5, -half - 0.5))
        if boxes and title in boxes:
            side = boxes[title]
            axis.add_patch(plt.Rectangle((-side / 2, -side / 2), side, side, fill=False, color=COLOURS["black"], linewidth=1.2))
        axis.grid(False)
        axis.set(title=title, xlabel=labels[0])
        axis.locator_params(integer=True, nbins=5)
        axis.tick_params(labelleft=axis in axes[:, 0])
    for axis in axes[:, 0]:
        axis.set_ylabel(labels[1])
    return figure
