"""What the numbers of an image mean: the one rule of all functions that take images.

Integers run from 0 to the greatest value of their type, uint8 or uint16; floats run from 0 to 1.
Anything else is refused, since a wrong scale gives plausible, wrong results.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-3  # of the range of floats, for rounding
STRIP = 2**20  # pixels


def check_range(values: NDArray[Any], what: str = "The image") -> None:
    """Check that floats are finite and in [0, 1].

    Args:
        values: Any shape, not empty.
        what: What they are, as the subject of the message.

    Raises:
        ValueError: If they are not.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} contains NaN or infinite values: replace them first, for example with "
            "np.nan_to_num."
        )
    lowest, highest = values.min(), values.max()
    if lowest < -TOLERANCE or highest > 1 + TOLERANCE:
        raise ValueError(
            f"{what} has values from {lowest:g} to {highest:g}: scale floats to between 0 and 1."
        )


def as_unit(
    values: NDArray[Any], what: str = "The image", *, overshoot: bool = False
) -> NDArray[np.float32]:
    """Scale an image to [0, 1].

    Args:
        values: Any shape; uint8, uint16 or floats in [0, 1].
        what: What it is, as the subject of the message.
        overshoot: Whether floats may leave [0, 1], as those of a network's output do, and are
            clipped; a mean above 1 is refused even then, since it means another scale.

    Returns:
        The same shape.

    Raises:
        ValueError: If the type or the range is another one.
    """
    if values.dtype in (np.uint8, np.uint16):
        return np.divide(values, np.iinfo(values.dtype).max, dtype=np.float32)
    if values.dtype.kind != "f":
        raise ValueError(
            f"{what} has dtype {values.dtype}: convert it to uint8, uint16, or floats between 0 "
            "and 1."
        )
    if values.size and not (overshoot and not values.mean(dtype=np.float64) > 1 + TOLERANCE):
        check_range(values, what)
    return np.clip(values.astype(np.float32, copy=False), 0, 1)


def strips(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Cut an image into strips, so that what is computed of it takes little memory at a time.

    Args:
        pixels: (H, W) or (H, W, C).

    Yields:
        Views of its lines, about `STRIP` pixels each.
    """
    height, width = pixels.shape[:2]
    lines = max(1, STRIP // max(width, 1))
    for top in range(0, height, lines):
        yield pixels[top : top + lines]


def numbers(values: Any) -> NDArray[Any]:
    """The numbers of an array or of a tensor on any device, in their order and type.

    Args:
        values: An array, a tensor, or anything that NumPy converts.

    Returns:
        An array; bfloat16, which NumPy lacks, becomes float32.
    """
    if not hasattr(values, "detach"):  # not a tensor; torch need not be imported to know
        return np.asarray(values)
    tensor = values.detach().cpu()
    narrow = str(tensor.dtype) == "torch.bfloat16"
    array: NDArray[Any] = (tensor.float() if narrow else tensor).numpy()
    return array
