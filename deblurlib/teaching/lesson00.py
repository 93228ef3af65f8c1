"""Checks of the exercise of notebook 00."""

import numpy as np

from .verdicts import numbers, require, require_answer


def _check_psnr(psnr) -> str:
    """00.1: psnr(a, b) -> PSNR in dB of two uint8 images (H, W, 3)."""
    require_answer(psnr)
    rng = np.random.default_rng(0)
    for spread in (8, 40):
        levels = rng.integers(60, 190, (12, 16, 3))
        change = rng.normal(0, spread, levels.shape) * np.array([0.5, 1, 1.5])  # channels differ
        a, b = (np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (levels, levels + change))
        found = psnr(a.copy(), b.copy())
        found, squared = float(numbers(found, (), "the PSNR")), (a / 255 - b / 255) ** 2
        right = -10 * np.log10(squared.mean())
        wrapped = np.mean((a - b) ** 2 / 255**2)  # in uint8
        channels = -10 * np.log10(squared.mean((0, 1)))
        mistakes = {
            "uint8 wraps round: 3 - 5 is 254, and a square keeps only its last 8 bits. Convert to "
            "float before you subtract.": -10 * np.log10(wrapped),
            "this wraps round as well: only the difference was taken in uint8, where 3 - 5 is 254. "
            "Convert to float first.": -10 * np.log10(np.mean(((a - b).astype(float) / 255) ** 2)),
            "the values run from 0 to 255, but the 1 of the formula stands for a range of 0 to 1: "
            "divide by 255 first.": right - 20 * np.log10(255),
            "the sign is reversed: a smaller error is a larger PSNR.": -right,
            "a squared error is a power: the factor is 10, not 20.": 2 * right,
            "you took the root first: with the factor 10 the logarithm needs the *mean squared* "
            "error.": right / 2,
            "this is the natural logarithm: decibels need log10.": right * np.log(10),
            "this is the mean of three PSNRs, one for each channel: average the squared errors, "
            "then take the logarithm once.": channels.mean(),
            "these are absolute errors: square them before you average.": -20
            * np.log10(np.sqrt(squared).mean()),
            "the range is 255 levels, from 0 to 255, not 256.": right + 20 * np.log10(256 / 255),
            "this is the mean squared error itself: take its logarithm.": squared.mean(),
        }
        for reason, value in mistakes.items():
            require(not np.isclose(found, value, rtol=1e-6, atol=1e-6), reason)
        require(
            np.isclose(found, right, atol=1e-4),
            f"{found:.4g} dB where {right:.2f} dB is right: convert to float, divide by 255, "
            "average the squares over all pixels and channels, then -10 log10.",
        )
    return (
        "right for small and large errors. Four lines, and eleven ways to get them wrong: this is "
        "why a table must say how its numbers were computed."
    )


CHECKS = {"00.1": _check_psnr}
