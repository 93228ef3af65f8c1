"""How sharp an image is, without a reference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

from ..data.pictures import to_8_bits

LARGEST = 4_000_000  # pixels of an image that is measured whole
TILE, GRID = 512, 4  # side of the windows of larger ones in pixels, and windows per side


def sharpness(pixels: NDArray[Any]) -> float | None:
    """Score the sharpness of an image.

    One minus the blur metric of Crété et al. (SPIE 2007, `skimage.measure.blur_effect`), which
    compares neighbouring pixels before and after another blur: 1 is as sharp as possible, 0 not
    sharp at all. Noise counts as sharp, and so do ringing and false detail.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16; alpha is left out.

    Returns:
        The score in [0, 1], the mean over a grid of windows in images of more than 4 megapixels;
        None for an image without any detail or too small to be measured.
    """
    values = [_score(_grey(window)) for window in _windows(pixels)]
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None


def _windows(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    height, width = pixels.shape[:2]
    if height * width <= LARGEST:
        return [pixels]
    rows, columns = (np.linspace(0, max(n - TILE, 0), GRID).astype(int) for n in (height, width))
    return [pixels[y : y + TILE, x : x + TILE] for y in rows for x in columns]


def _grey(pixels: NDArray[Any]) -> NDArray[np.float32]:
    levels = to_8_bits(pixels)
    if levels.ndim == 2:
        return levels.astype(np.float32)
    colours = levels[..., : 3 if levels.shape[2] > 2 else 1]
    return np.asarray(colours.astype(np.float32).mean(2))


def _score(grey: NDArray[np.float32]) -> float | None:
    if min(grey.shape) < 3 or not np.ptp(grey):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # no detail along one axis: not a number
        blur = float(blur_effect(grey / 255))  # type: ignore[no-untyped-call]  # untyped there
    return 1 - blur if np.isfinite(blur) else None
