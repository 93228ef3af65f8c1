"""Transfer functions, the exact inverse and regularised ones, with a periodic boundary."""

import numpy as np
from numpy.typing import ArrayLike

from .grid import Anchor, anchor_of


def transfer_function(
    kernel: ArrayLike, shape: tuple[int, ...], anchor: Anchor | None = None
) -> np.ndarray:
    """Compute F[K], with the anchor at index 0 so that the blur does not shift the image.

    Args:
        kernel: K, of as many dimensions as `shape`.
        shape: Shape of the grid.
        anchor: Index of the tap K[0], an int for all axes; None for the centre.

    Returns:
        F[K] on the grid, complex.

    Raises:
        ValueError: If the kernel is larger than the grid.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if any(k > n for k, n in zip(kernel.shape, shape, strict=True)):
        raise ValueError(
            f"A kernel of {kernel.shape} does not fit into {tuple(shape)}: use a larger grid or a "
            "smaller kernel."
        )
    padded = np.zeros(shape)
    padded[tuple(slice(n) for n in kernel.shape)] = kernel
    shift = [-a for a in anchor_of(kernel, anchor)]
    return np.fft.fftn(np.roll(padded, shift, range(kernel.ndim)))


def inverse_filter(transfer: np.ndarray, constant: float | np.ndarray = 0.0) -> np.ndarray:
    """Compute the Wiener filter conj(F[K]) / (|F[K]|² + c), which lets the mean pass.

    For c = 0 it is the exact inverse 1 / F[K] of SVDN eq. 2. The best mean squared error needs
    c = noise power / signal power at each frequency (`wiener_constant`), and then the formula is
    used as it stands. One number for all frequencies makes no exception for the mean, which has
    far more power than any noise: the formula alone would dim the image by 1 / (1 + c). So for one
    number it is scaled to the gain 1 / F[K] at frequency zero. With a kernel that sums to one, that
    is the factor 1 + c, and the peak gain is (1 + c) / (2 sqrt(c)), where |F[K]| = sqrt(c).

    Args:
        transfer: F[K], frequency zero first.
        constant: c, a number, or one per frequency.

    Returns:
        The inverse filter, of the shape of `transfer`.
    """
    if np.all(constant == 0):
        with np.errstate(divide="ignore", invalid="ignore"):
            exact: np.ndarray = 1 / transfer
            return exact
    careful: np.ndarray = np.conj(transfer) * _inverse_power(transfer, constant)
    return careful


def _inverse_power(transfer: np.ndarray, constant: float | np.ndarray) -> np.ndarray:
    """1 / (|F[K]|² + c), scaled to 1 / |F[K]|² at frequency zero if c is one number there."""
    power = np.abs(transfer) ** 2
    mean = power.flat[0]  # 0 for a kernel that removes the mean: then there is none to restore
    factor = 1 + constant / mean if np.ndim(constant) == 0 and mean > 0 else 1.0
    found: np.ndarray = factor / (power + constant)
    return found


def split_inverse(
    transfer: np.ndarray, constant: float = 0.0, form: str = "matched"
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the two factors of SVDN eq. 3, 1 / F[K] = F[K] * (1 / F[K]²).

    The blur is applied once more, and then the double blur is inverted. Without c and for symmetric
    kernels both forms are the same.

    Args:
        transfer: F[K].
        constant: c of `inverse_filter`.
        form: How to regularise: "squared" for F[K] and inverse_filter², the printed split;
            "matched" for conj(F[K]) and 1 / (|F[K]|² + c), scaled as in inverse_filter, which is
            exactly their product.

    Returns:
        The two factors, of the shape of `transfer`.

    Raises:
        ValueError: If the form is unknown.
    """
    if form == "squared":
        return transfer, inverse_filter(transfer, constant) ** 2
    if form == "matched":
        return np.conj(transfer), _inverse_power(transfer, constant)
    raise ValueError(f'There is no form {form!r} of the split: choose "squared" or "matched".')


def wiener_constant(sharp_spectrum: np.ndarray, noise: float) -> np.ndarray:
    """Compute c = noise power / signal power at each frequency, for white noise.

    Args:
        sharp_spectrum: |F[S]|² of a sharp image, or of a model of one, scaled as by NumPy's fftn.
        noise: Standard deviation.

    Returns:
        c for `inverse_filter`, of the same shape.
    """
    constant: np.ndarray = noise**2 * sharp_spectrum.size / np.maximum(sharp_spectrum, 1e-12)
    return constant


def natural_spectrum(
    shape: tuple[int, ...], variance: float = 1.0, corner: float = 1 / 64
) -> np.ndarray:
    """Model the power spectrum of photographs, |F|² ~ 1 / (frequency + corner)².

    Args:
        shape: Shape of the grid.
        variance: Variance of the pixels, without their mean.
        corner: Cycles per pixel; contrast stops growing beyond 1 / corner pixels.

    Returns:
        |F|² on the grid, scaled to the variance as by NumPy's fftn.
    """
    axes = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    frequency = np.sqrt(np.add.reduce([axis**2 for axis in axes]))
    power = 1 / (frequency + corner) ** 2
    scaled: np.ndarray = power * (variance * power.size**2 / power.sum())
    return scaled


def apply_filter(image: ArrayLike, transfer: np.ndarray) -> np.ndarray:
    """Filter in the Fourier domain: F^-1[transfer * F[image]].

    Args:
        image: (N,), (H, W), or (H, W, C) with a 2-D transfer function.
        transfer: Transfer function, of the shape of the image's first axes.

    Returns:
        The real part, of the image's shape.
    """
    axes = tuple(range(transfer.ndim))
    spread = transfer.reshape(transfer.shape + (1,) * (np.ndim(image) - transfer.ndim))
    return np.fft.ifftn(np.fft.fftn(image, axes=axes) * spread, axes=axes).real


def impulse_response(transfer: np.ndarray) -> np.ndarray:
    """Compute a filter's taps in space.

    Args:
        transfer: The filter's transfer function.

    Returns:
        The taps, of the same shape, with the origin at the index (n // 2, …).
    """
    return np.fft.fftshift(np.fft.ifftn(transfer).real)
