"""Deblurring an image of any size: small ones are padded, large ones cut into overlapping tiles.

    image -> RGB in [0, 1] -> tiles with a margin of context -> network -> blended
            -> the image's own dtype and shape

A network whose output depends on a neighbourhood gives the same image with and without tiles, to
1e-4, as long as the margin covers that neighbourhood. SVRNN's recurrences and RADN's attention see
the whole image, so their result depends on the tiles: with the shipped weights, on photographs of
448 x 320 pixels in tiles of 128, by at most 0.03/255 (SVRNN) and 0.3/255 (RADN) on average (RMS),
and by up to 0.8/255 and 6/255 at single pixels. Blending leaves no seams: the difference from the
untiled result jumps no more from tile to tile than elsewhere.
"""

import contextlib
import os
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..models import load_model
from ..models.devices import choose_device
from ..pixels import check_range, strips
from ..progress import Bar, progress_bar
from .kinds import as_pictures
from .memory import is_out_of_memory, returning_memory
from .precision import Precision, choose_precision
from .tiles import Tiles
from .windows import parameter_of, predicting, run_window

Given = TypeVar("Given", np.ndarray, torch.Tensor, Image.Image)


@overload
def deblur(
    image: list[Given] | tuple[Given, ...],
    model: str | nn.Module = ...,
    device: str | torch.device = ...,
    tile: int | str | None = ...,
    *,
    margin: int | None = ...,
    precision: str = ...,
    strength: float = ...,
    progress: bool | None = ...,
) -> list[Given]: ...


@overload
def deblur(
    image: str | os.PathLike[str],
    model: str | nn.Module = ...,
    device: str | torch.device = ...,
    tile: int | str | None = ...,
    *,
    margin: int | None = ...,
    precision: str = ...,
    strength: float = ...,
    progress: bool | None = ...,
) -> np.ndarray: ...


@overload
def deblur(
    image: Given,
    model: str | nn.Module = ...,
    device: str | torch.device = ...,
    tile: int | str | None = ...,
    *,
    margin: int | None = ...,
    precision: str = ...,
    strength: float = ...,
    progress: bool | None = ...,
) -> Given: ...


def deblur(
    image: Any,
    model: str | nn.Module = "svdn",
    device: str | torch.device = "auto",
    tile: int | str | None = None,
    *,
    margin: int | None = None,
    precision: str = "auto",
    strength: float = 1.0,
    progress: bool | None = None,
) -> Any:
    """Deblur an image, or several, of any height and width, from one pixel up.

    Args:
        image: A NumPy array, (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or
            (H, W, 4) RGBA, or a batch of them, (B, H, W, C); a torch tensor on any device, the
            same with channels first, (C, H, W) or (B, C, H, W); each of uint8, uint16, or floats
            in [0, 1]. Or a PIL image, the path of an image file, or a list of any of these. It is
            not changed.
        model: A name in `list_models()` with shipped weights, or any module that maps
            (B, 3, H, W) RGB in [0, 1] to the same shape.
        device: Where to compute, such as "cpu" or "cuda"; "auto" leaves a module where it is, and
            puts a named network on the GPU if there is one.
        tile: Side of the tiles in pixels; 0 for the whole image at once; None or "auto" for the
            largest tiles that fit into the free memory.
        margin: Pixels of context that the network sees around each tile; None for what the network
            states (`models.spec.NetworkSpec.margin`).
        precision: What to compute in: "fp32", "bf16" or "auto", as `precision.choose_precision`
            resolves it.
        strength: Share of the network's change that is applied, 0 to 1: 0 gives the image back,
            0.5 its mean with the restored one.
        progress: Whether to show a progress bar; None shows it in terminals and notebooks only.

    Returns:
        What was given, restored: an array or a tensor of the same shape, dtype and device, a PIL
        image with the same metadata, a list of them; for a path, an array with the file's bit
        depth, upright. Alpha is copied; a grey image is the mean of the network's three channels.

    Raises:
        ValueError: If an argument is wrong, or the network does not keep the image's shape.
        FileNotFoundError: If no weights are shipped for the name.
        MemoryError: If memory runs out even with the smallest tiles, or with the given ones.

    Example:
        >>> import numpy as np, torch, deblurlib
        >>> deblurlib.deblur(np.full((5, 7), 9, np.uint8), torch.nn.Identity()).shape
        (5, 7)
    """
    if isinstance(image, list | tuple):
        each = progress_bar(image, desc="deblur", unit="image", delay=2, show=progress)
        options: dict[str, Any] = {"margin": margin, "precision": precision, "strength": strength}
        return [deblur(one, model, device, tile, progress=progress, **options) for one in each]
    pictures, as_given = as_pictures(image)
    for picture in pictures:
        _check(picture)
    network = resolve_network(model, device)
    chosen = choose_precision(precision, network, parameter_of(network).device)
    check_strength(strength)
    done = [_deblur(one, network, tile, margin, chosen, progress) for one in pictures]
    return as_given([_mixed(*pair, strength) for pair in zip(pictures, done, strict=True)])


def check_strength(strength: float) -> None:
    """Check the share of the change that is applied.

    Args:
        strength: The share.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: give a number from 0 to 1.")


def _mixed(image: np.ndarray, restored: np.ndarray, strength: float) -> np.ndarray:
    """The restored image, mixed with the given one in place; integers are rounded."""
    if strength == 1:
        return restored
    for before, after in zip(strips(image), strips(restored), strict=True):
        mixed: np.ndarray = before + strength * (after.astype(np.float32) - before)
        after[:] = np.rint(mixed) if image.dtype.kind == "u" else mixed
    return restored


def _deblur(
    image: np.ndarray,
    network: nn.Module,
    tile: int | str | None,
    margin: int | None,
    precision: Precision,
    progress: bool | None,
) -> np.ndarray:
    """Deblur one array that has been checked, in tiles as small as the memory requires."""
    height, width = image.shape[:2]
    tiles = Tiles(network, (height, width), tile, margin, precision)
    result = image.copy(order="C")
    while True:
        try:
            _restore(network, _colour(image), _colour(result), tiles, precision, progress)
            return result
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if not tiles.shrink():
                raise MemoryError(
                    f"Deblurring {width} x {height} pixels in tiles of "
                    f"{tiles.side or max(height, width)} pixels needs more memory than is "
                    'available: set a smaller tile, or "auto".'
                ) from None


def resolve_network(model: str | nn.Module, device: str | torch.device = "auto") -> nn.Module:
    """Return a network that deblurs single images, on its device.

    Args:
        model: A module, returned unchanged, or a name in `list_models()`, whose shipped weights are
            loaded: those of the full size if they are shipped, else of the small one.
        device: Where to compute; "auto" leaves a module where it is, and puts a named network on
            the GPU if there is one.

    Returns:
        The network. Networks loaded by name are cached.

    Raises:
        ValueError: If model is neither, takes more than one image, or the device is not available.
        FileNotFoundError: If no weights are shipped for the name.
    """
    if isinstance(model, nn.Module):
        network = model if device == "auto" else model.to(choose_device(device))
    elif isinstance(model, str):
        network = _shipped(model, choose_device(device))
    else:
        raise ValueError(
            f"model is of type {type(model).__name__}: give the name of a network or a torch "
            "module."
        )
    pictures = getattr(network, "pictures", 1)
    if pictures != 1:
        raise ValueError(
            f"{type(network).__name__} takes {pictures} images: choose a network that deblurs a "
            "single one."
        )
    return network


@lru_cache(maxsize=4)
def _shipped(name: str, device: torch.device) -> nn.Module:
    return load_model(name).to(device)


def _restore(
    network: nn.Module,
    colour: np.ndarray,
    result: np.ndarray,
    tiles: Tiles,
    precision: Precision,
    progress: bool | None,
) -> None:
    """Write the restored image into `result`, tile by tile.

    Pixels that only one tile restores are written at once. Of those on a ramp, the weighted sums so
    far are held: `above`, a few lines for the next row of tiles, and `left` for the next tile.
    """
    rows, columns = tiles.spans(0), tiles.spans(1)
    bar: Bar[None] = progress_bar(
        total=len(rows) * len(columns),
        desc="deblur",
        unit="tile",
        leave=False,
        delay=2,
        show=progress,
    )
    cut = len(rows) * len(columns) > 1
    saving = returning_memory() if cut else contextlib.nullcontext()
    with bar, saving, predicting(network, precision):
        above = np.zeros((0, colour.shape[1], 3), np.float32)
        for row, below in pairwise([*rows, None]):
            assert row is not None  # only `below` of the last pair is
            bottom = below.kept.start if below else row.kept.stop
            further = np.empty((row.kept.stop - bottom, *above.shape[1:]), np.float32)
            left = np.zeros((row.kept.stop - row.kept.start, 0, 3), np.float32)
            for column, beside in pairwise([*columns, None]):
                assert column is not None
                window = colour[row.seen, column.seen]
                tile = run_window(network, window, row.within, column.within)
                tile = tile * (row.weight[:, None, None] * column.weight[None, :, None])
                shared = left.shape[1]
                tile[:, :shared] += left
                tile[: len(above), shared:] += above[:, column.kept][:, shared:]
                right = beside.kept.start if beside else column.kept.stop
                left = tile[:, right - column.kept.start :].copy()
                here = slice(column.kept.start, right)
                tile = tile[:, : right - column.kept.start]
                done = bottom - row.kept.start
                result[row.kept.start : bottom, here] = _as_dtype(tile[:done], colour)
                further[:, here] = tile[done:]
                bar.update()
            above = further


def _check(image: np.ndarray) -> None:
    """Raise a ValueError for an argument that is not an image."""
    shape = " x ".join(map(str, image.shape)) or "a single number"
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        first = image.ndim == 3 and image.shape[0] in (1, 3, 4)
        hint = ", with the channels last (see np.moveaxis)" if first else ""
        raise ValueError(f"The image has shape {shape}: give H x W or H x W x 1, 2, 3 or 4{hint}.")
    if image.size == 0:
        raise ValueError(f"The image is empty (shape {shape}): give at least one pixel.")
    if image.dtype.kind == "f":
        check_range(image)
    elif image.dtype.kind != "u" or image.dtype.itemsize > 2:
        raise ValueError(
            f"The image has dtype {image.dtype}: convert it to uint8, uint16, or floats between "
            "0 and 1."
        )


def _colour(image: np.ndarray) -> np.ndarray:
    """A view of the channels other than alpha: (H, W, 1 or 3)."""
    image = image[..., None] if image.ndim == 2 else image
    return image[..., :-1] if image.shape[2] in (2, 4) else image


def _as_dtype(restored: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1] -> the channels and the dtype of `colour`."""
    if colour.shape[2] == 1:
        restored = restored.mean(2, keepdims=True)
    if colour.dtype.kind == "f":
        return restored.astype(colour.dtype)
    steps: np.ndarray = np.rint(restored * np.iinfo(colour.dtype).max)
    return steps.astype(colour.dtype)
