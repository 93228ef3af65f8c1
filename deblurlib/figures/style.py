"""The one visual style of the book: colour-blind-safe colours, quiet axes, sharp small files."""

import io
from typing import TYPE_CHECKING, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Picture

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
# one fixed colour per verdict, in figures and in the report; grey where a claim stays open
VERDICT_COLOURS = {
    "reproduced": COLOURS["green"],
    "direction only": COLOURS["sky"],
    "no effect at this scale": COLOURS["orange"],
    "inconclusive": "#999999",
    "not learned enough": "#DDDDDD",
    "contradicted": COLOURS["vermilion"],
    "needs GoPro": COLOURS["purple"],
    "not measured": "#FFFFFF",
}
SCALE = 2  # stored pixels per displayed pixel, for screens with dense pixels
UNSEEN = 8  # levels: errors of a palette that nobody sees
QUALITY, LOWER = 76, 60  # of JPEGs at that scale, with colour at half of it
LARGE = 70_000  # bytes: a JPEG above has the lower quality, so that notebooks stay small
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


def as_png(figure: Figure, scale: float = 1) -> bytes:
    """Encode a figure as a PNG at the resolution of the notebooks and close it.

    Args:
        figure: The figure to encode.
        scale: Stored pixels per displayed pixel.

    Returns:
        The bytes of the PNG file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=scale * plt.rcParams["figure.dpi"])
    plt.close(figure)
    return buffer.getvalue()


def show(figure: Figure) -> None:
    """Display a figure once in a notebook, with twice the pixels that it takes, and close it.

    Args:
        figure: The figure to display; its titles and labels become the alternative text.
    """
    from IPython.display import Image, display

    words = described(figure)
    data, kind = encoded(as_png(figure, SCALE))
    width = Picture.open(io.BytesIO(data)).width // SCALE
    display(Image(data, format=kind, width=width, alt=words))


def described(figure: Figure) -> str:
    """Describe a figure in words, for readers who do not see it.

    Args:
        figure: The figure.

    Returns:
        Its title, and the title, labels and legend of each of its axes; for axes without any, such
        as those of a diagram, the texts in them.
    """
    title = figure.get_suptitle()
    parts = [title] if title else []
    for axes in figure.axes:
        titles = (axes.get_title(side) for side in ("left", "center", "right"))
        names = [*titles, axes.get_ylabel(), axes.get_xlabel()]
        if legend := axes.get_legend():
            names += [text.get_text() for text in legend.get_texts()]
        found = list(filter(None, names)) or [text.get_text() for text in axes.texts]
        parts.append(", ".join(found))
    words = "; ".join(dict.fromkeys(part for part in parts if part))
    return " ".join(words.split()) or "figure without text"


def encoded(png: bytes) -> tuple[bytes, str]:
    """Make a figure's file small without a visible change.

    Drawings need few colours and become a PNG with a palette; a palette would turn the gradients of
    photographs and colour maps into steps, so those become a JPEG, unless the PNG is smaller. So
    does a large drawing whose JPEG is smaller.

    Args:
        png: A PNG.

    Returns:
        The file, and its kind: "png" or "jpeg".
    """
    full = Picture.open(io.BytesIO(png)).convert("RGB")
    palette = full.quantize(256, method=Picture.Quantize.MAXCOVERAGE, kmeans=2)
    few = full.quantize(palette=palette, dither=Picture.Dither.NONE)
    colours = np.array(few.getpalette()).reshape(-1, 3)
    colours[np.asarray(few)[0, 0]] = 255  # the paper stays white
    few.putpalette(colours.ravel().tolist())
    error = np.abs(np.asarray(few.convert("RGB"), np.int16) - np.asarray(full, np.int16)).max(-1)
    drawing = np.percentile(error, 99.9) <= UNSEEN
    if drawing and len(png := _saved(few, "PNG", optimize=True)) <= LARGE:
        return png, "png"
    jpegs = (
        _saved(full, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
        for quality in (QUALITY, LOWER)
    )
    jpeg = next(jpegs)
    files = {
        "png": png if drawing else _saved(full, "PNG", optimize=True),
        "jpeg": jpeg if len(jpeg) <= LARGE else next(jpegs),
    }
    kind = min(files, key=lambda each: len(files[each]))
    return files[kind], kind


def _saved(picture: Picture.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


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
