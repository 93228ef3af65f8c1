"""The accuracy of an estimate."""

import numpy as np
from numpy.typing import ArrayLike


def signal_psnr(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Compute -10 log10(mean squared error) for signals in [0, 1], without clipping them.

    Args:
        estimate: Any shape, floats.
        truth: The same shape, floats.

    Returns:
        dB; overflow shows as a large negative number, equality as inf.

    Raises:
        ValueError: If the shapes differ, or if either holds integers, whose range is not stated.
    """
    arrays = np.asarray(estimate), np.asarray(truth)
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"The signals have shapes {arrays[0].shape} and {arrays[1].shape}: give equal shapes."
        )
    if any(array.dtype.kind in "iub" and array.max(initial=0) > 1 for array in arrays):
        raise ValueError("The signals are integers beyond 1: scale them to floats in [0, 1].")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.asarray(estimate, dtype=np.float64) - np.asarray(truth)
        return float(-10 * np.log10(np.mean(error**2)))
