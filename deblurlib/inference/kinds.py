"""What `deblur` takes and gives back: arrays, tensors, PIL images, files, and several of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..data.errors import Unsupported
from ..data.opening import KEPT_MODES, plain
from ..data.pictures import read
from ..pixels import numbers

Array = NDArray[Any]
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
CHANNELS = (1, 2, 3, 4)


@runtime_checkable
class HasArray(Protocol):
    """Any object that NumPy can read as an array."""

    def __array__(self) -> Array: ...


def as_pictures(image: object) -> tuple[list[Array], Callable[[list[Array]], Any]]:
    """Split what a user gives into arrays.

    Args:
        image: As for `deblur`, other than a list or tuple.

    Returns:
        The images, each (H, W) or (H, W, C), and the function that turns arrays of these shapes
        and types back into what was given.

    Raises:
        ValueError: If it is of another type or shape.
    """
    if isinstance(image, Image.Image):
        return [_from_pil(image)], lambda done: _to_pil(done[0], image)
    if isinstance(image, torch.Tensor):
        return _from_tensor(image), lambda done: _to_tensor(done, image)
    if isinstance(image, str | os.PathLike):
        return [read(Path(image)).pixels], lambda done: done[0]
    if not isinstance(image, HasArray):
        raise ValueError(
            f"The image is of type {type(image).__name__}: give a NumPy array, a torch tensor, a "
            "PIL image, the path of a file, or a list of them."
        )
    array = np.asarray(image)
    if array.ndim == 4 and array.shape[3] in CHANNELS and len(array):
        return list(array), lambda done: np.stack(done).astype(array.dtype, copy=False)
    return [array], lambda done: done[0]


def _from_pil(image: Image.Image) -> Array:
    if image.mode in DEEP_MODES:
        return np.asarray(image).astype(np.uint16)
    try:
        return np.asarray(plain(image))
    except Unsupported as error:
        raise ValueError(f"The image {error}") from None


def _to_pil(pixels: Array, image: Image.Image) -> Image.Image:
    """An image with the metadata of the one given; other modes, such as P, become grey or RGB."""
    result = Image.fromarray(pixels)
    gone = () if image.mode in (*KEPT_MODES, *DEEP_MODES) else ("icc_profile",)
    void = (*gone, "transparency")
    result.info = {key: value for key, value in image.info.items() if key not in void}
    return result


def _from_tensor(image: torch.Tensor) -> list[Array]:
    shape = " x ".join(map(str, image.shape)) or "a single number"
    if image.ndim not in (2, 3, 4) or (image.ndim > 2 and image.shape[-3] not in CHANNELS):
        last = image.ndim > 2 and image.shape[-1] in CHANNELS
        hint = ", with the channels first (see Tensor.movedim)" if last else ""
        raise ValueError(
            f"The tensor has shape {shape}: give H x W, C x H x W or B x C x H x W with 1, 2, 3 or "
            f"4 channels{hint}."
        )
    array = numbers(image)
    if image.ndim == 2:
        return [array]
    return [np.moveaxis(one, 0, -1) for one in (array if image.ndim == 4 else array[None])]


def _to_tensor(done: list[Array], image: torch.Tensor) -> torch.Tensor:
    if image.ndim == 2:
        return torch.from_numpy(done[0]).to(image)
    pictures = [torch.from_numpy(one).movedim(-1, 0) for one in done]
    if image.ndim == 3:
        return pictures[0].to(image).contiguous()
    return torch.stack(pictures).to(image) if pictures else image.clone()
