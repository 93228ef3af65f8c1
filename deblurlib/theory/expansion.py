"""Inverting a blur by substituting its recursion into itself: SVRNN eq. 3, RADN eq. 2-3."""

import numpy as np
from numpy.typing import ArrayLike

from .grid import Anchor, anchor_of
from .linear import convolve


def expansion_terms(
    blurred: ArrayLike, kernel: ArrayLike, terms: int, anchor: Anchor | None = None
) -> np.ndarray:
    """Compute the contributions of the blurred signal after t = 0 … terms - 1 substitutions.

    K = k0 δ + K' gives I = sum_t (-1)^t K'^{*t} * B / k0^{t+1}: SVRNN eq. 3 and RADN eq. 2-3. Term
    0 is B / k0, term t + 1 is -K' * term t / k0. The sum is finite and exact for causal kernels (on
    N samples the terms t >= N vanish), otherwise it converges if and only if K'/k0 is a contraction
    (`expansion_ratio`). Differs from the paper: RADN's printed sums do not exclude the tap k0 from
    K'.

    Args:
        blurred: B, 1-D or 2-D.
        kernel: K, of as many dimensions.
        terms: Number of terms, at least 1.
        anchor: Index of the tap k0, an int for all axes; None for the centre.

    Returns:
        (terms, *shape of B) float64.

    Raises:
        ValueError: If the tap at the anchor is 0.
    """
    k0, rest = split_kernel(kernel, anchor)
    term = np.asarray(blurred, dtype=np.float64) / k0
    found = [term]
    for _ in range(terms - 1):
        term = -convolve(term, rest, anchor) / k0
        found.append(term)
    return np.stack(found)


def expansion_remainder(
    sharp: ArrayLike, kernel: ArrayLike, substitutions: int, anchor: Anchor | None = None
) -> np.ndarray:
    """Compute the remainder that still contains the sharp signal after J substitutions.

    It is (-1)^{J+1} K'^{*(J+1)} * I / k0^{J+1} (SVRNN eq. 3, RADN eq. 2).

    Args:
        sharp: I, 1-D or 2-D.
        kernel: K, of as many dimensions.
        substitutions: J, 0 or more.
        anchor: Index of the tap k0, an int for all axes; None for the centre.

    Returns:
        The remainder, of the shape of I, float64.

    Raises:
        ValueError: If the tap at the anchor is 0.
    """
    k0, rest = split_kernel(kernel, anchor)
    remainder = np.asarray(sharp)
    for _ in range(substitutions + 1):
        remainder = -convolve(remainder, rest, anchor) / k0
    return remainder


def split_kernel(kernel: ArrayLike, anchor: Anchor | None = None) -> tuple[float, np.ndarray]:
    """Split K = k0 δ + K'.

    Args:
        kernel: K, 1-D or 2-D.
        anchor: Index of the tap k0, an int for all axes; None for the centre.

    Returns:
        (k0, K'): the tap at the anchor, and the kernel without it.

    Raises:
        ValueError: If the tap at the anchor is 0.
    """
    rest = np.array(kernel, dtype=np.float64)
    index = anchor_of(rest, anchor)
    k0, rest[index] = rest[index], 0.0
    if k0 == 0:
        raise ValueError(
            f"The tap at the anchor {index} is 0 and the expansion divides by it: move the anchor "
            "onto the kernel."
        )
    return float(k0), rest


def expansion_ratio(kernel: ArrayLike, anchor: Anchor | None = None) -> float:
    """Compute the largest |F[K']| / |k0| over all frequencies.

    Args:
        kernel: K, 1-D or 2-D.
        anchor: Index of the tap k0, an int for all axes; None for the centre.

    Returns:
        The ratio; below 1 the expansion converges for every image of any size.

    Raises:
        ValueError: If the tap at the anchor is 0.
    """
    k0, rest = split_kernel(kernel, anchor)
    spectrum = np.fft.fftn(rest, [512] * rest.ndim, axes=range(rest.ndim))
    return float(np.abs(spectrum).max() / abs(k0))
