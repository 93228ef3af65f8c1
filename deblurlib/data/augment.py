"""Augmentation that keeps pictures, motion and blur extent consistent: what is done to the pixels is done to the vectors."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from .samples import Sample

FLOWS = ("flow_previous", "flow_next")
PICTURES = ("blurry", "sharp", "previous", "following")


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """One of the 8 symmetries of the square and one of the 6 orders of the colour channels, each equally likely.

    A quarter turn swaps height and width, so rectangular samples leave in two shapes. Works on batches too: the whole batch
    is turned alike. Source: SVDN (Yuan et al., 2020), section 4.1: flips, rotation by 90 degrees, permuted RGB channels.
    """
    if rng.random() < 0.5:
        sample = flip_horizontally(sample)
    if rng.random() < 0.5:
        sample = flip_vertically(sample)
    if rng.random() < 0.5:
        sample = quarter_turn(sample)
    return permute_channels(sample, rng.permutation(3))


def flip_horizontally(sample: Sample) -> Sample:
    """Mirror left and right: (u, v) -> (-u, v)."""
    return _change(sample, lambda t: t.flip(-1), lambda u, v: (-u, v))


def flip_vertically(sample: Sample) -> Sample:
    """Mirror top and bottom: (u, v) -> (u, -v)."""
    return _change(sample, lambda t: t.flip(-2), lambda u, v: (u, -v))


def quarter_turn(sample: Sample) -> Sample:
    """Turn by 90 degrees counter-clockwise as seen: (u, v) -> (v, -u)."""
    return _change(sample, lambda t: t.rot90(1, (-2, -1)), lambda u, v: (v, -u))


def permute_channels(sample: Sample, order) -> Sample:
    """Reorder the colour channels of every picture; motion is untouched."""
    order = torch.as_tensor(np.array(order))
    return replace(
        sample,
        **{
            k: t.index_select(-3, order.to(t.device))
            for k, t in sample.tensors().items()
            if k in PICTURES
        },
    )


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """The window [top, top + height) x [left, left + width) of every field."""
    rows, columns = sample.blurry.shape[-2:]
    if not (0 <= top <= top + height <= rows and 0 <= left <= left + width <= columns):
        raise ValueError(
            f"A window of {width} x {height} at (left {left}, top {top}) does not fit into {sample.name!r}, "
            f"which is {columns} x {rows}: choose a smaller one."
        )
    return _change(sample, lambda t: t[..., top : top + height, left : left + width])


def random_crop(sample: Sample, size: int | tuple[int, int], rng: np.random.Generator) -> Sample:
    """A window of `size` (side, or height and width) at a random place."""
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = sample.blurry.shape[-2:]
    top, left = (int(rng.integers(max(room, 0) + 1)) for room in (rows - height, columns - width))
    return crop(sample, top, left, height, width)


def _change(sample: Sample, place: Callable, vector: Callable | None = None) -> Sample:
    """Move the pixels of every field by `place`, and turn the vectors of the flows by `vector`."""
    moved = {name: place(tensor) for name, tensor in sample.tensors().items()}
    for name in FLOWS if vector else ():
        if name in moved:
            moved[name] = torch.stack(vector(*moved[name].unbind(-3)), -3)
    return replace(sample, **moved)
