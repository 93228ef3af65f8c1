"""The best filter of a given length."""

import numpy as np
from scipy import linalg


def least_squares_fir(
    transfer: np.ndarray, radius: int, spectrum: np.ndarray, noise: float
) -> tuple[np.ndarray, float]:
    """Find the FIR filter with taps -radius … radius that restores best on average.

    It minimises E (x - g * y)² for y = K x + noise and stationary x with |F[x]|² = spectrum, by the
    normal equations sum_m g[m] r_yy[n - m] = r_xy[n] for |n| <= radius.

    Args:
        transfer: F[K], 1-D.
        radius: Number of taps on each side of the centre.
        spectrum: |F[x]|², as `natural_spectrum` returns it.
        noise: Standard deviation of white noise.

    Returns:
        (taps, relative error to expect): (2 radius + 1,), and sqrt(MSE / variance of x).
    """
    return _fir(transfer, np.ones_like(transfer), radius, spectrum, noise)


def split_fir(
    transfer: np.ndarray, radius: int, spectrum: np.ndarray, noise: float, matched: bool = False
) -> tuple[np.ndarray, float]:
    """Find the best FIR filter after a fixed first stage.

    Args:
        transfer: F[K], 1-D.
        radius: Number of taps on each side of the centre.
        spectrum: |F[x]|², as `natural_spectrum` returns it.
        noise: Standard deviation of white noise.
        matched: Whether the first stage is conj(K) instead of K itself (SVDN eq. 3 as printed).

    Returns:
        (taps, relative error to expect), as `least_squares_fir`.
    """
    return _fir(transfer, np.conj(transfer) if matched else transfer, radius, spectrum, noise)


def _fir(
    transfer: np.ndarray, first: np.ndarray, radius: int, spectrum: np.ndarray, noise: float
) -> tuple[np.ndarray, float]:
    scale = spectrum.size**2  # from |F|² to a mean over samples
    power = np.abs(transfer) ** 2 * spectrum + noise**2 * spectrum.size
    auto = np.fft.fft(np.abs(first) ** 2 * power / scale).real
    cross = np.fft.fft(first * transfer * spectrum / scale)  # r_xy[n] = E x[t] y[t - n], real
    lags = np.arange(-radius, radius + 1)
    target = cross.real[lags % spectrum.size]
    taps = linalg.solve(linalg.toeplitz(auto[: 2 * radius + 1]), target, assume_a="pos")
    variance = spectrum.sum() / scale
    return taps, float(np.sqrt(max(variance - taps @ target, 0.0) / variance))
