"""Figures with sliders for JupyterLab; each can also stand still, for readers without a kernel.

Each function returns an `Explorer`. As the last line of a cell, `lesson.explore(explorer, name)` shows its figure as it stands,
and in JupyterLab the sliders below. Notebooks are stored with the figure alone.
"""

import threading
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatLogSlider, FloatSlider, Image, IntSlider, Layout, VBox

from .. import figures, theory
from ..analysis import probes
from ..evaluation import psnr

DRAWING = threading.RLock()


class Explorer(VBox):
    """Sliders above the figure that `draw(**values)` makes of their values; it is drawn anew when one of them moves."""

    def __init__(self, draw: Callable, **sliders):
        self.draw, self.sliders = draw, sliders
        self.picture = Image(format="png", layout=Layout(max_width="100%", align_self="flex-start"))
        for slider in sliders.values():
            slider.layout.width, slider.style.description_width = "32rem", "12rem"
            slider.observe(self.redraw, "value")
        self.redraw()
        super().__init__([*sliders.values(), self.picture])

    def figure(self):
        """The figure at the present values."""
        return self.draw(**{name: slider.value for name, slider in self.sliders.items()})

    def redraw(self, change=None) -> None:
        """Draw the figure into the picture below the sliders."""
        # JupyterLab moves sliders from two threads of the kernel: one at a time, and hidden from the inline backend, which
        # would show and close the half-drawn figure of the other thread
        with DRAWING, plt.ioff():
            self.picture.value = figures.as_png(self.figure())


def camera_path(
    length: int = 15, angle: int = 30, turn: int = 90, constant: float = 1e-2
) -> Explorer:
    """A camera path, its blur kernel, the spectrum of that, and its Wiener inverse."""

    def draw(length, angle, turn, constant):
        kernel = theory.arc_kernel(length, angle, turn)
        transfer = theory.transfer_function(kernel, (129, 129))
        inverse = theory.impulse_response(theory.inverse_filter(transfer, constant))
        return figures.kernel_and_inverse(kernel, transfer, inverse)

    return Explorer(
        draw,
        length=_slider(IntSlider, length, 1, 31, "length (pixels)"),
        angle=_slider(IntSlider, angle, 0, 180, "angle (degrees)"),
        turn=_slider(IntSlider, turn, -360, 360, "turn on the way (degrees)"),
        constant=_logarithmic(constant, -5, 0, "Wiener constant c"),
    )


def ringing(signal: np.ndarray, radius: float = 1.0, taps: int = 9) -> Explorer:
    """The recursive inverse of the kernel r^m, whose zeros all have the radius r, run on a signal that was stored in 8 bits."""

    def draw(radius):
        kernel = radius ** np.arange(taps) / np.sum(radius ** np.arange(taps))
        stored = np.round(theory.convolve(signal, kernel, anchor=0) * 255) / 255
        with np.errstate(all="ignore"):  # beyond the circle it grows without limit
            recovered = np.nan_to_num(
                theory.invert_recursively(stored, kernel), posinf=2, neginf=-1
            )
        return figures.zeros_and_ringing(
            kernel, {"sharp": signal, "blurred, in 8 bits": stored, "recovered": recovered}
        )

    return Explorer(
        draw, radius=_slider(FloatSlider, radius, 0.5, 1.2, "radius of the zeros", step=0.01)
    )


def noise_and_constant(
    sharp: np.ndarray, kernel: np.ndarray, noise: float = 0.01, constant: float = 1e-2
) -> Explorer:
    """A grey picture, blurred (Fourier) and with noise of that standard deviation, and what the Wiener filter makes of it."""
    transfer = theory.transfer_function(kernel, sharp.shape)
    blurred, grain = (
        theory.apply_filter(sharp, transfer),
        np.random.default_rng(0).standard_normal(sharp.shape),
    )

    def draw(noise, constant):
        observed = blurred + noise * grain
        restored = theory.apply_filter(observed, theory.inverse_filter(transfer, constant))
        titled = {
            f"observed, {psnr(observed, sharp):.1f} dB": observed,
            f"restored, {psnr(restored, sharp):.1f} dB": restored,
        }
        return figures.pictures({**titled, "sharp": sharp}, width=6)

    return Explorer(
        draw,
        noise=_logarithmic(noise, -4, -1, "noise"),
        constant=_logarithmic(constant, -5, 0, "Wiener constant c"),
    )


def sampling_points(picture, points: np.ndarray, flows, row: int, column: int) -> Explorer:
    """Where a deformable layer reads for one pixel of a picture; arguments as in `figures.sampling_points`."""
    height, width = points.shape[-2:]

    def draw(row, column):
        place = min(row // 2, height - 1), min(column // 2, width - 1)
        return figures.sampling_points(
            picture, points, flows, {f"row {row}, column {column}": place}, window=32, width=5
        )

    return Explorer(
        draw,
        row=_slider(IntSlider, row, 0, 2 * height - 1, "row (pixels)"),
        column=_slider(IntSlider, column, 0, 2 * width - 1, "column (pixels)"),
    )


def reach(picture, networks: dict, row: int, column: int) -> Explorer:
    """Which pixels of the input (3, H, W) matter to one pixel of the output, for each of the networks."""

    def draw(row, column):
        fields = {
            name: probes.reach(network, picture, row, column) for name, network in networks.items()
        }
        return figures.reach(picture, (row, column), fields)

    height, width = picture.shape[-2:]
    return Explorer(
        draw,
        row=_slider(IntSlider, row, 0, height - 1, "row (pixels)"),
        column=_slider(IntSlider, column, 0, width - 1, "column (pixels)"),
    )


def before_after(before, after, share: float = 0.5) -> Explorer:
    """Two pictures of one scene in one frame, with a line between them to drag."""
    sliders = {"share": _slider(FloatSlider, share, 0, 1, "before the line", step=0.01)}
    return Explorer(lambda share: figures.before_and_after(before, after, share), **sliders)


def _slider(kind, value, low, high, description, **options):
    return kind(
        value=value, min=low, max=high, description=description, continuous_update=False, **options
    )


def _logarithmic(value, low, high, description):
    """A slider over the powers of ten from `low` to `high`."""
    return FloatLogSlider(
        value=value,
        min=low,
        max=high,
        step=0.25,
        description=description,
        continuous_update=False,
        readout_format=".1e",
    )
