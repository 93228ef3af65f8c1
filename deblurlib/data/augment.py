"""Augmentation that keeps images, motion and blur extent consistent.

Every change to the pixels is also applied to the flow vectors.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .samples import Sample

FLOWS = ("flow_previous", "flow_next")
PICTURES = ("blurry", "sharp", "previous", "following")

Place = Callable[[torch.Tensor], torch.Tensor]
Vector = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """Apply one of the 8 symmetries of the square and one of the 6 orders of the colour channels.

    Each is equally likely. A quarter turn swaps height and width, so rectangular samples come out
    in two shapes.

    Source: SVDN (Yuan et al., 2020), section 4.1: flips, rotation by 90 degrees, permuted RGB
    channels.

    Args:
        sample: A sample, or a batch, which is changed as a whole.
        rng: Source of randomness.

    Returns:
        The changed sample.
    """
    if rng.random() < 0.5:
        sample = flip_horizontally(sample)
    if rng.random() < 0.5:
        sample = flip_vertically(sample)
    if rng.random() < 0.5:
        sample = quarter_turn(sample)
    return permute_channels(sample, rng.permutation(3))


def flip_horizontally(sample: Sample) -> Sample:
    """Mirror left and right: (u, v) -> (-u, v).

    Args:
        sample: A sample or a batch.

    Returns:
        The mirrored sample.
    """
    return _change(sample, lambda t: t.flip(-1), lambda u, v: (-u, v))


def flip_vertically(sample: Sample) -> Sample:
    """Mirror top and bottom: (u, v) -> (u, -v).

    Args:
        sample: A sample or a batch.

    Returns:
        The mirrored sample.
    """
    return _change(sample, lambda t: t.flip(-2), lambda u, v: (u, -v))


def quarter_turn(sample: Sample) -> Sample:
    """Rotate by 90 degrees counter-clockwise: (u, v) -> (v, -u).

    Args:
        sample: A sample or a batch.

    Returns:
        The rotated sample, with height and width swapped.
    """
    return _change(sample, lambda t: t.rot90(1, (-2, -1)), lambda u, v: (v, -u))


def permute_channels(sample: Sample, order: Sequence[int] | NDArray[np.integer[Any]]) -> Sample:
    """Reorder the colour channels of every image; motion is unchanged.

    Args:
        sample: A sample or a batch.
        order: For each channel of the result, its source channel.

    Returns:
        The changed sample.
    """
    index = torch.as_tensor(np.array(order))
    changed: dict[str, Any] = {
        name: tensor.index_select(-3, index.to(tensor.device))
        for name, tensor in sample.tensors().items()
        if name in PICTURES
    }
    return replace(sample, **changed)


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut the window [top, top + height) x [left, left + width) from every field.

    Args:
        sample: A sample or a batch.
        top: First row.
        left: First column.
        height: Number of rows.
        width: Number of columns.

    Returns:
        The window.

    Raises:
        ValueError: If the window does not lie inside the sample.
    """
    rows, columns = sample.blurry.shape[-2:]
    if not (0 <= top <= top + height <= rows and 0 <= left <= left + width <= columns):
        raise ValueError(
            f"A window of {width} x {height} at (left {left}, top {top}) does not fit into "
            f"{sample.name!r}, which is {columns} x {rows}: choose a smaller one."
        )
    return _change(sample, lambda t: t[..., top : top + height, left : left + width])


def random_crop(sample: Sample, size: int | tuple[int, int], rng: np.random.Generator) -> Sample:
    """Cut a window at a random place.

    Args:
        sample: A sample or a batch.
        size: Side of the window, or its height and width, in pixels.
        rng: Source of randomness.

    Returns:
        The window.

    Raises:
        ValueError: If the window is larger than the sample.
    """
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = sample.blurry.shape[-2:]
    top, left = (int(rng.integers(max(room, 0) + 1)) for room in (rows - height, columns - width))
    return crop(sample, top, left, height, width)


def _change(sample: Sample, place: Place, vector: Vector | None = None) -> Sample:
    """Move the pixels of every field with `place`, and the flow vectors with `vector`."""
    moved: dict[str, Any] = {name: place(tensor) for name, tensor in sample.tensors().items()}
    if vector is not None:
        for name in FLOWS:
            if name in moved:
                u, v = moved[name].unbind(-3)
                moved[name] = torch.stack(vector(u, v), -3)
    return replace(sample, **moved)
