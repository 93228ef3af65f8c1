"""The one visual style of the book: colour-blind-safe colours, quiet axes, small PNGs."""

import io
from typing import TYPE_CHECKING, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import torch

PictureLike: TypeAlias = "np.ndarray | torch.Tensor"

# Okabe and Ito's colours, told apart by readers with any form of colour vision
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
SEQUENTIAL = "cividis"  # for magnitudes
DIVERGING = "RdBu_r"  # for signed values around zero


def use_style() -> None:
    """Set matplotlib's defaults for the book."""
    plt.rcParams.update(
        {
            "figure.dpi": 80,
            "savefig.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "axes.prop_cycle": plt.cycler(color=[c for n, c in COLOURS.items() if n != "yellow"]),
            "image.interpolation": "nearest",
            "image.cmap": SEQUENTIAL,
        }
    )


def as_png(figure: Figure) -> bytes:
    """Encode a figure as a PNG at the resolution of the notebooks and close it.

    Args:
        figure: The figure to encode.

    Returns:
        The bytes of the PNG file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=plt.rcParams["figure.dpi"])
    plt.close(figure)
    return buffer.getvalue()


def show(figure: Figure) -> None:
    """Display a figure once in a notebook and close it.

    The PNG is reduced to 128 colours, which makes it a quarter of its full size.

    Args:
        figure: The figure to display.
    """
    from IPython.display import Image, display
    from PIL import Image as Picture

    full = Picture.open(io.BytesIO(as_png(figure))).convert("RGB")
    palette = full.quantize(
        128, method=Picture.Quantize.MAXCOVERAGE, kmeans=4
    )  # k-means: 8 dB nearer to the full figure
    few = full.quantize(palette=palette, dither=Picture.Dither.NONE)
    colours = np.array(few.getpalette()).reshape(-1, 3)
    colours[np.asarray(few)[0, 0]] = 255  # the paper stays white
    few.putpalette(colours.ravel().tolist())
    few.save(buffer := io.BytesIO(), "PNG", optimize=True)
    display(Image(buffer.getvalue()))


def as_picture(picture: PictureLike) -> np.ndarray:
    """Convert a tensor or an array to an array that matplotlib can draw.

    Args:
        picture: (H, W, 3), (H, W), (3, H, W), (1, H, W) or (1, 3, H, W), of any number type.

    Returns:
        (H, W, 3) or (H, W) float32, clipped to [0, 1].
    """
    array = (
        picture.detach().cpu().float().numpy()
        if hasattr(picture, "detach")
        else np.asarray(picture, dtype=np.float32)
    )
    if array.ndim == 4:
        array = array[0]
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    return np.clip(array.squeeze(), 0, 1)
