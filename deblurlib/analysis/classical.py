"""Deconvolution without learning, its kernel chosen by an oracle.

This is the best result that one kernel for the whole image can achieve. The oracle knows the sharp
picture: it tries straight kernels of many lengths and angles and keeps the closest result; no
method that sees only the blurry image can choose better among them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from skimage import restoration

from ..data.samples import Sample, to_array
from ..evaluation import psnr
from ..theory import apply_filter, inverse_filter, line_kernel, transfer_function

LENGTHS = (3, 5, 7, 11, 15, 21, 31)  # of the kernels in pixels
ANGLES = tuple(range(0, 180, 15))  # degrees, anticlockwise from "right"
CONSTANTS = (1e-2, 3e-2, 1e-1, 3e-1, 1.0)  # Wiener's c
ITERATIONS = (2, 5, 10, 20)  # Richardson and Lucy's
MARGIN = 32  # pixels added on each side, since Fourier filters treat an image as periodic


class Restored(NamedTuple):
    """A restored image (H, W, 3) in [0, 1], and the oracle's choice for it."""

    picture: np.ndarray
    choice: str


def wiener(sample: Sample) -> Restored:
    """Restore by Wiener's filter (`theory.inverse_filter`).

    The oracle picks the kernel and the constant with the highest PSNR.

    Args:
        sample: A blurry image with its sharp partner.

    Returns:
        The restored image and the choice.
    """
    extended = _extended(to_array(sample.blurry))
    length, angle, constant = best_kernel(sample)
    restored = _cropped(
        apply_filter(extended, _wiener_filter(length, angle, constant, extended.shape[:2]))
    )
    return Restored(
        np.clip(restored, 0, 1), f"{length} pixels at {angle} degrees, c = {constant:g}"
    )


def richardson_lucy(sample: Sample) -> Restored:
    """Restore by Richardson and Lucy's iteration with the kernel that is best for Wiener's filter.

    The oracle picks the number of iterations with the highest PSNR.

    Args:
        sample: A blurry image with its sharp partner.

    Returns:
        The restored image and the choice.
    """
    blurry, sharp = to_array(sample.blurry), to_array(_truth(sample))
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
    """Restore by Orieux's Wiener-Hunt deconvolution with the kernel that is best for Wiener's
    filter.

    The method estimates its constants itself.

    Args:
        sample: A blurry image with its sharp partner.

    Returns:
        The restored image and the choice.
    """
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
    """Find the straight kernel and the constant with which Wiener's filter comes closest to the
    truth.

    The comparison is made on the mean of the three channels.

    Args:
        sample: A blurry image with its sharp partner.

    Returns:
        (length in pixels, angle in degrees, constant).
    """
    blurry, sharp = (to_array(picture).mean(-1) for picture in (sample.blurry, _truth(sample)))
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


def _truth(sample: Sample) -> torch.Tensor:
    """The sharp image, which the oracle needs."""
    if sample.sharp is None:
        raise ValueError(f"{sample.name} has no sharp image for the oracle: add one.")
    return sample.sharp


@lru_cache(maxsize=1024)
def _wiener_filter(length: int, angle: int, constant: float, shape: tuple[int, ...]) -> np.ndarray:
    """The transfer function of the filter, (H, W) complex64."""
    found = inverse_filter(transfer_function(line_kernel(length, angle), shape), constant)
    return found.astype(np.complex64)


def _extended(picture: np.ndarray) -> np.ndarray:
    """The image continued by reflection."""
    return np.pad(picture, [(MARGIN, MARGIN)] * 2 + [(0, 0)] * (picture.ndim - 2), mode="reflect")


def _cropped(picture: np.ndarray) -> np.ndarray:
    """The inverse of `_extended`."""
    return picture[MARGIN:-MARGIN, MARGIN:-MARGIN]
