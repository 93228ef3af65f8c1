"""Figures with sliders for JupyterLab, which appear as still images without a kernel.

Each function returns an `Explorer`. As the last line of a cell, `lesson.explore(explorer, name)`
shows its current figure and, in JupyterLab, its sliders. Notebooks store the figure alone.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from .. import figures, theory
from ..analysis import probes
from ..evaluation import psnr
from ..figures.style import PictureLike
from .extra import notebook_packages

with notebook_packages():
    from ipywidgets import FloatLogSlider, FloatSlider, Image, IntSlider, Layout, VBox

Slider: TypeAlias = IntSlider | FloatSlider | FloatLogSlider
AnySlider = TypeVar("AnySlider", IntSlider, FloatSlider)
DRAWING = threading.RLock()


class Explorer(VBox):
    """Sliders above a figure that is redrawn whenever one of them moves.

    Attributes:
        draw: The function that draws the figure for the values of the sliders, by name.
        sliders: The sliders by the name of their value.
        picture: The widget that shows the figure.
    """

    def __init__(self, draw: Callable[..., Figure], **sliders: Slider) -> None:
        """Draw the figure for the first time.

        Args:
            draw: A function of the sliders' values, by name, that returns a figure.
            sliders: The sliders by the name of their value.
        """
        self.draw, self.sliders = draw, sliders
        self.picture = Image(format="png", layout=Layout(max_width="100%", align_self="flex-start"))
        for slider in sliders.values():
            slider.layout.width, slider.style.description_width = "32rem", "12rem"
            slider.observe(self.redraw, "value")
        self.redraw()
        super().__init__([*sliders.values(), self.picture])

    def figure(self) -> Figure:
        """Draw the figure for the current values.

        Returns:
            The figure.
        """
        return self.draw(**{name: slider.value for name, slider in self.sliders.items()})

    def redraw(self, change: object = None) -> None:
        """Draw the figure into the image below the sliders.

        Args:
            change: The event of ipywidgets; unused.
        """
        # JupyterLab moves sliders from two threads of the kernel: one draws at a time, hidden from
        # the inline backend, which would show and close the unfinished figure of the other thread
        with DRAWING, plt.ioff():
            self.picture.value = figures.as_png(self.figure())


def camera_path(
    length: int = 15, angle: int = 30, turn: int = 90, constant: float = 1e-2
) -> Explorer:
    """Show a camera path, its blur kernel, the spectrum of the kernel, and its Wiener inverse.

    Args:
        length: Length of the path in pixels.
        angle: Its direction in degrees.
        turn: Degrees by which it turns on the way.
        constant: The constant of the Wiener filter.

    Returns:
        The explorer.
    """

    def draw(length: int, angle: int, turn: int, constant: float) -> Figure:
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
    """Show the recursive inverse of a blur kernel at work on a signal that was stored in 8 bits.

    Args:
        signal: (n,) the sharp signal in [0, 1].
        radius: r of the kernel r^m, m = 0, 1, …: all of its zeros have this radius.
        taps: Number of the kernel's taps.

    Returns:
        The explorer.
    """

    def draw(radius: float) -> Figure:
        kernel = radius ** np.arange(taps) / np.sum(radius ** np.arange(taps))
        stored = np.round(theory.convolve(signal, kernel, anchor=0) * 255) / 255
        with np.errstate(all="ignore"):  # outside the unit circle it grows without limit
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
    """Show what the Wiener filter recovers from a blurred and noisy grey image.

    Args:
        sharp: (H, W) the image in [0, 1]; it is blurred by a product of Fourier transforms.
        kernel: (h, w) the blur kernel.
        noise: Standard deviation of the noise.
        constant: The constant of the Wiener filter.

    Returns:
        The explorer.
    """
    transfer = theory.transfer_function(kernel, sharp.shape)
    blurred = theory.apply_filter(sharp, transfer)
    grain = np.random.default_rng(0).standard_normal(sharp.shape)

    def draw(noise: float, constant: float) -> Figure:
        observed = blurred + noise * grain
        restored = theory.apply_filter(observed, theory.inverse_filter(transfer, constant))
        titled = {
            f"observed, {psnr(observed, sharp):.1f} dB": observed,
            f"restored, {psnr(restored, sharp):.1f} dB": restored,
        }
        return figures.pictures({**titled, "sharp": sharp}, width=6.4)

    return Explorer(
        draw,
        noise=_logarithmic(noise, -4, -1, "noise"),
        constant=_logarithmic(constant, -5, 0, "Wiener constant c"),
    )


def sampling_points(
    picture: PictureLike, points: np.ndarray, flows: Any, row: int, column: int
) -> Explorer:
    """Show where a deformable layer reads for one pixel of an image.

    Args:
        picture: The image, as `figures.sampling_points` takes it.
        points: Its points, likewise: the last two axes are those of the features, at half the
            resolution of the image.
        flows: The motion, likewise.
        row: Row of the pixel.
        column: Column of the pixel.

    Returns:
        The explorer.
    """
    height, width = points.shape[-2:]

    def draw(row: int, column: int) -> Figure:
        place = min(row // 2, height - 1), min(column // 2, width - 1)
        return figures.sampling_points(
            picture, points, flows, {f"row {row}, column {column}": place}, window=32, width=6.4
        )

    return Explorer(
        draw,
        row=_slider(IntSlider, row, 0, 2 * height - 1, "row (pixels)"),
        column=_slider(IntSlider, column, 0, 2 * width - 1, "column (pixels)"),
    )


def reach(
    picture: torch.Tensor, networks: Mapping[str, torch.nn.Module], row: int, column: int
) -> Explorer:
    """Show which pixels of the input matter to one pixel of the output, for each network.

    Args:
        picture: (3, H, W) the input in [0, 1].
        networks: The networks by name.
        row: Row of the output pixel.
        column: Column of the output pixel.

    Returns:
        The explorer.
    """

    def draw(row: int, column: int) -> Figure:
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


def before_after(
    before: PictureLike, after: PictureLike, share: float = 0.5, width: float = 5.0
) -> Explorer:
    """Show two images of one scene in one frame, with a movable line between them.

    Args:
        before: The image on the left.
        after: The image on the right, of the same size.
        share: Position of the line as a share of the width.
        width: Width of the figure in inches.

    Returns:
        The explorer.
    """

    def draw(share: float) -> Figure:
        return figures.before_and_after(before, after, share, width)

    return Explorer(draw, share=_slider(FloatSlider, share, 0, 1, "before the line", step=0.01))


def _slider(
    kind: type[AnySlider], value: float, low: float, high: float, description: str, **options: float
) -> AnySlider:
    return kind(
        value=value, min=low, max=high, description=description, continuous_update=False, **options
    )


def _logarithmic(value: float, low: float, high: float, description: str) -> FloatLogSlider:
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
