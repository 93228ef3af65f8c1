"""Inverting a causal blur by recursion: SVRNN eq. 2, its stability, and its scans."""

import numpy as np
from numpy.typing import ArrayLike


def invert_recursively(blurred: ArrayLike, kernel: ArrayLike) -> np.ndarray:
    """Invert a causal blur: x[n] = (y[n] - sum_{m=1..M} k[m] x[n-m]) / k[0] (SVRNN eq. 2).

    x is 0 before the signal. The result is exact without noise; errors stay bounded if and only if
    every zero of the kernel lies inside the unit circle (`kernel_zeros`).

    Args:
        blurred: y, (N,).
        kernel: k, (M + 1,), causal.

    Returns:
        x, (N,) float64.

    Raises:
        ValueError: If k[0] is 0.
    """
    blurred = np.asarray(blurred)
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel[0] == 0:
        raise ValueError(
            "The first tap k[0] is 0 and eq. 2 divides by it: drop the leading zeros of the kernel."
        )
    order = len(kernel) - 1
    x = np.zeros(order + len(blurred))  # `order` zeros in front are the signal before n = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(len(blurred)):
            past = x[n : n + order][::-1]  # x[n-1], …, x[n-M]
            x[order + n] = (blurred[n] - kernel[1:] @ past) / kernel[0]
    return x[order:]


def inverse_taps(kernel: ArrayLike, length: int) -> np.ndarray:
    """Compute the first taps of the causal inverse filter 1 / K(z): eq. 2 run on an impulse.

    Args:
        kernel: Causal, 1-D.
        length: Number of taps.

    Returns:
        (length,) float64.

    Raises:
        ValueError: If the first tap of the kernel is 0.
    """
    return invert_recursively(np.eye(1, length)[0], kernel)


def kernel_zeros(kernel: ArrayLike) -> np.ndarray:
    """Find the M zeros of K(z) = sum_m k[m] z^-m, the poles of the recursion that inverts it.

    Eq. 2 is stable if and only if the largest modulus is below 1; a zero on the unit circle is a
    frequency that the blur has erased.

    Args:
        kernel: Causal, 1-D.

    Returns:
        (M,) complex, largest modulus first.
    """
    zeros = np.roots(np.asarray(kernel, dtype=np.float64))
    return zeros[np.argsort(-np.abs(zeros), kind="stable")]


def noise_gain(kernel: ArrayLike, length: int = 4096) -> float:
    """Compute the noise gain of the recursion: its output deviation for white noise of 1.

    Args:
        kernel: Causal, 1-D.
        length: Number of inverse taps that are added up.

    Returns:
        sqrt(sum of squared inverse taps); inf if the recursion is unstable.
    """
    if np.abs(kernel_zeros(kernel)[:1]).max(initial=0) >= 1 - 1e-12:
        return float("inf")
    return float(np.linalg.norm(inverse_taps(kernel, length)))


def scan(x: ArrayLike, p: ArrayLike, reverse: bool = False) -> np.ndarray:
    """Run h[t] = (1 - p[t]) x[t] + p[t] h[t-1], h[-1] = 0, along the last axis.

    This is the first-order recurrence of SVRNN's spatial RNN. A constant p inverts the two-tap blur
    [1-a, a] where p = -a/(1-a) (`two_tap_pole`).

    Args:
        x: (..., T).
        p: A number, or an array that broadcasts to the shape of x.
        reverse: Run from the last sample to the first.

    Returns:
        h, (..., T) float64.
    """
    x = np.asarray(x, dtype=np.float64)
    p = np.broadcast_to(p, x.shape)
    h, state = np.empty_like(x), np.zeros(x.shape[:-1])
    for t in range(x.shape[-1])[:: -1 if reverse else 1]:
        state = h[..., t] = (1 - p[..., t]) * x[..., t] + p[..., t] * state
    return h


def two_tap_pole(a: float) -> float:
    """Compute the weight p = -a / (1 - a) with which one scan undoes the blur [1 - a, a].

    Args:
        a: Second tap of the blur, not 1.

    Returns:
        p, negative for 0 < a < 1; the scan is stable only for a < 1/2.
    """
    return -a / (1 - a)


def symmetric_pole(b: float) -> float:
    """Compute the p with which a forward and a backward scan undo the blur [b, 1 - 2b, b].

    Args:
        b: Outer tap of the blur, 0 <= b < 1/4.

    Returns:
        The root of b p² + (1-2b) p + b = 0 in (-1, 0].

    Raises:
        ValueError: If b is outside this range.
    """
    if not 0 <= b < 0.25:
        raise ValueError(
            f"b is {b}: a symmetric three-tap blur has a two-sided scan as its inverse only for "
            "0 <= b < 1/4."
        )
    return 0.0 if b == 0 else (-(1 - 2 * b) + np.sqrt(1 - 4 * b)) / (2 * b)
