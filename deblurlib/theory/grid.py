"""Indices of kernels and filters: anchors, and distances from the centre."""

from collections.abc import Sequence

import numpy as np

Anchor = int | Sequence[int]  # index of the tap K[0]; an int holds for all axes


def anchor_of(kernel: np.ndarray, anchor: Anchor | None) -> tuple[int, ...]:
    """Resolve the anchor of a kernel.

    Args:
        kernel: An array of taps.
        anchor: Index of the tap K[0], an int for all axes; None for the centre, n // 2.

    Returns:
        The index per axis.
    """
    if anchor is None:
        return tuple(n // 2 for n in kernel.shape)
    index = np.broadcast_to(anchor, kernel.ndim)
    return tuple(int(a) for a in index)


def offsets(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Compute signed distances from the centre n // 2.

    Args:
        shape: Shape of a filter.

    Returns:
        One array of that shape per axis: (down, right) for an image.
    """
    return [axis - n // 2 for axis, n in zip(np.indices(shape), shape, strict=True)]
