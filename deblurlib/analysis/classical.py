"""Deconvolution without learning, its kernel chosen by an oracle: what one kernel for the whole picture could reach at best.

The oracle knows the sharp picture. It tries straight kernels of many lengths and angles, and keeps what comes closest; no
method that sees the blurry picture alone can choose better among them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from skimage import restoration

from ..data.samples import Sample, to_array
from ..evaluation import psnr
from ..theory import apply_filter, inverse_filter, line_kernel, transfer_function

LENGTHS = (3, 5, 7, 11, 15, 21, 31)  # of the kernels in pixels
ANGLES = tuple(np.arange(0, 180, 15))  # degrees, anticlockwise from "right"
CONSTANTS = (1e-2, 3e-2, 1e-1, 3e-1, 1.0)  # Wiener's c
ITERATIONS = (2, 5, 10, 20)  # Richardson and Lucy's
MARGIN = (
    32  # pixels that the picture is extended by on each side: Fourier filters think it periodic
)


class Restored(NamedTuple):
    """A picture (H, W, 3) in [0, 1], and what the oracle chose for it."""

    picture: np.ndarray
    choice: str


def wiener(sample: Sample) -> Restored:
    """conj(F[K]) / (|F[K]|² + c), DC gain 1, for the kernel and the constant of the highest PSNR."""
    extended = _extended(to_array(sample.blurry))
    length, angle, constant = best_kernel(sample)
    restored = _cropped(
        apply_filter(extended, _wiener_filter(length, angle, constant, extended.shape[:2]))
    )
    return Restored(
        np.clip(restored, 0, 1), f"{length} pixels at {angle} degrees, c = {constant:g}"
    )


def richardson_lucy(sample: Sample) -> Restored:
    """Richardson and Lucy's iteration with Wiener's kernel, for the number of iterations of the highest PSNR."""
    blurry, sharp = to_array(sample.blurry), to_array(sample.sharp)
    length, angle, _ = best_kernel(sample)
    kernel, extended = line_kernel(length, angle), _extended(blurry)
    found = {
        n: _cropped(
            np.dstack(
                [
                    restoration.richardson_lucy(extended[..., c], kernel, num_iter=n)
                    for c in range(3)
                ]
            )
        )
        for n in ITERATIONS
    }
    best = max(found, key=lambda n: psnr(found[n], sharp))
    return Restored(
        np.clip(found[best], 0, 1), f"{length} pixels at {angle} degrees, {best} iterations"
    )


def unsupervised_wiener(sample: Sample) -> Restored:
    """Orieux's Wiener-Hunt deconvolution, which estimates its constants itself, with Wiener's kernel."""
    blurry = to_array(sample.blurry)
    height, width = blurry.shape[:2]
    length, angle, _ = best_kernel(sample)
    mirrored = np.pad(
        blurry, [(0, height), (0, width), (0, 0)], mode="symmetric"
    )  # without a jump when repeated
    channels = [
        restoration.unsupervised_wiener(
            mirrored[..., c], line_kernel(length, angle), clip=False, rng=0
        )[0]
        for c in range(3)
    ]
    restored = np.dstack(channels)[:height, :width]
    return Restored(np.clip(restored, 0, 1), f"{length} pixels at {angle} degrees")


ORACLES = {
    "Wiener": wiener,
    "Richardson-Lucy": richardson_lucy,
    "unsupervised Wiener": unsupervised_wiener,
}


def best_kernel(sample: Sample) -> tuple[int, int, float]:
    """(length, angle, constant) with which Wiener's filter comes closest to the sharp picture, on its luminance."""
    blurry, sharp = (to_array(picture).mean(-1) for picture in (sample.blurry, sample.sharp))
    shape = _extended(blurry).shape
    spectrum = np.fft.fft2(_extended(blurry))
    choices = [
        (length, angle, constant)
        for length in LENGTHS
        for angle in ANGLES
        for constant in CONSTANTS
    ]
    return max(
        choices,
        key=lambda choice: psnr(
            _cropped(np.fft.ifft2(spectrum * _wiener_filter(*choice, shape)).real), sharp
        ),
    )


@lru_cache(maxsize=1024)
def _wiener_filter(length, angle, constant, shape):
    found = inverse_filter(transfer_function(line_kernel(length, angle), shape), constant)
    return (found / found[0, 0].real).astype(np.complex64)


def _extended(picture):
    return np.pad(picture, [(MARGIN, MARGIN)] * 2 + [(0, 0)] * (picture.ndim - 2), mode="reflect")


def _cropped(picture):
    return picture[MARGIN:-MARGIN, MARGIN:-MARGIN]
