"""Deblurring a picture of any size: padding where it is small, overlapping tiles where it is large.

    picture -> RGB in [0, 1] -> tiles with a margin of context -> network -> blended -> the picture's own dtype and shape

A network whose output depends on a neighbourhood gives the same picture with and without tiles, to 1e-4, as long as the
margin covers that neighbourhood (`NetworkSpec.margin`). SVRNN's recurrences and RADN's attention see the whole picture, so their result
depends on the tiles: with the shipped weights on photographs, SVRNN's by less than 1/255, RADN's by a third of that in the mean
(RMS) and up to 12/255 at single pixels. Blending leaves no seams: the difference to the whole picture jumps no more from tile
to tile than elsewhere.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from ..models import load_model
from ..models.devices import choose_device
from .tiles import Tiles
from .windows import predicting, run_window


def deblur(
    image: np.ndarray,
    model: str | nn.Module = "svdn",
    device: str | torch.device = "auto",
    tile: int | str | None = None,
    *,
    margin: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """A sharper picture of the same shape and dtype, for any height and width from one pixel on.

    image: (H, W), (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floats in
    [0, 1]. Alpha is kept as it is; a grey picture is the mean of the network's three channels.
    model: a name in `list_models()` with shipped weights, or any module (B, 3, H, W) in [0, 1] -> the same.
    device: "auto" is a module's own, and for a name the GPU where there is one.
    tile: side of the square pieces in pixels; 0 = the whole picture at once; None or "auto" = as large as fits into the free
    memory. margin: pixels around each piece that the network sees as well; None = what the network states (`NetworkSpec.margin`).
    Raises ValueError (an argument), FileNotFoundError (no such weights) or MemoryError, each in one sentence.

    >>> import numpy as np, torch, deblurlib
    >>> deblurlib.deblur(np.full((5, 7), 9, np.uint8), torch.nn.Identity()).shape
    (5, 7)
    """
    _check(image)
    network = resolve_network(model, device)
    tiles = Tiles(network, image.shape[:2], tile, margin)
    result = image.copy(order="C")
    while True:
        try:
            _restore(network, _colour(image), _colour(result), tiles, progress)
            return result
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if not tiles.shrink():
                height, width = image.shape[:2]
                raise MemoryError(
                    f"Deblurring {width} x {height} pixels in pieces of {tiles.side or max(height, width)} takes more memory "
                    'than there is: set a smaller tile, or "auto".'
                ) from None


def resolve_network(model: str | nn.Module, device: str | torch.device = "auto") -> nn.Module:
    """A network that takes one picture, on its device: a module as it is, or the shipped weights of a name.

    The full width is taken where it is shipped, else the small one.
    """
    if isinstance(model, nn.Module):
        network = model if device == "auto" else model.to(choose_device(device))
    elif isinstance(model, str):
        network = _shipped(model, choose_device(device))
    else:
        raise ValueError(
            f"model is a {type(model).__name__}: give the name of a network or a torch module."
        )
    if getattr(network, "pictures", 1) != 1:
        raise ValueError(
            f"{type(network).__name__} takes {network.pictures} pictures: it cannot deblur a single one."
        )
    return network


@lru_cache(maxsize=4)
def _shipped(name, device):
    try:
        network = load_model(name)
    except FileNotFoundError as error:
        try:
            network = load_model(name, size="small")
        except FileNotFoundError:
            raise error from None
    return network.to(device)


def _check(image) -> None:
    """ValueError, one sentence, for what is no picture."""
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f"The picture is a {type(image).__name__}: give a NumPy array, height by width by channels."
        )
    shape = " x ".join(map(str, image.shape)) or "a single number"
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        hint = (
            ": channels come last, see np.moveaxis"
            if image.ndim == 3 and image.shape[0] in (1, 3, 4)
            else ""
        )
        raise ValueError(
            f"The picture has shape {shape}: it must be H x W or H x W x 1, 2, 3 or 4{hint}."
        )
    if image.size == 0:
        raise ValueError(f"The picture is empty (shape {shape}): it needs at least one pixel.")
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise ValueError(
                "The picture holds NaN or infinite values: replace them first, for instance by np.nan_to_num."
            )
        lowest, highest = image.min(), image.max()
        if lowest < -1e-3 or highest > 1 + 1e-3:
            raise ValueError(
                f"The picture's values reach from {lowest:g} to {highest:g}: floats must lie between 0 and 1."
            )
    elif image.dtype.kind != "u" or image.dtype.itemsize > 2:
        raise ValueError(
            f"The picture has dtype {image.dtype}: convert it to uint8, uint16, or floats between 0 and 1."
        )


def _colour(image) -> np.ndarray:
    """A view of the channels other than alpha: (H, W, 1 or 3)."""
    image = image[..., None] if image.ndim == 2 else image
    return image[..., :-1] if image.shape[2] in (2, 4) else image


def _restore(network, colour, result, tiles: "Tiles", progress) -> None:
    """Row of tiles by row of tiles: a band of blended float32 pixels, of which finished lines move on to the result."""
    rows, columns = tiles.spans(0), tiles.spans(1)
    hidden = None if progress is None else not progress
    bar = tqdm(
        total=len(rows) * len(columns),
        desc="deblur",
        unit="tile",
        leave=False,
        delay=2,
        disable=hidden,
    )
    with bar, predicting(network):
        band = np.zeros((rows[0].stop, colour.shape[1], 3), np.float32)
        for row, below in pairwise([*rows, None]):
            top = row.start
            for column in columns:
                window = colour[row.start : row.stop, column.start : column.stop]
                weight = row.weight[:, None, None] * column.weight[None, :, None]
                band[: row.stop - top, column.start : column.stop] += weight * run_window(
                    network, window
                )
                bar.update()
            done = (below.start if below else row.stop) - top
            result[top : top + done] = _as_dtype(band[:done], colour)
            if below:
                rest = np.zeros((below.stop - below.start, *band.shape[1:]), np.float32)
                rest[: row.stop - below.start] = band[done : row.stop - top]
                band = rest


def _as_dtype(restored, colour) -> np.ndarray:
    """(h, w, 3) float32 -> the channels and the dtype of the picture."""
    if colour.shape[2] == 1:
        restored = restored.mean(2, keepdims=True)
    if colour.dtype.kind == "f":
        return restored.astype(colour.dtype)
    return np.rint(restored * np.iinfo(colour.dtype).max).astype(colour.dtype)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(
        error, (MemoryError, torch.OutOfMemoryError)
    ) or "can't allocate memory" in str(error)
