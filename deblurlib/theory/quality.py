"""The accuracy of an estimate."""

import numpy as np
from numpy.typing import ArrayLike


def signal_psnr(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Compute -10 log10(mean squared error) for signals in [0, 1], without clipping them.

    Args:
        estimate: Any shape.
        truth: The same shape.

    Returns:
        dB; overflow shows as a large negative number, equality as inf.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.asarray(estimate, dtype=np.float64) - np.asarray(truth)
        return float(-10 * np.log10(np.mean(error**2)))
