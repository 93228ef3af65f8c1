"""Rank correlation of maps, and the values that chance gives for equally smooth maps."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def shifted_rank_correlations(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return Spearman's rho of a map with every circular shift of another.

        rho[s] = mean over p of ra[p] rb[p - s],   ra, rb = ranks of a and b, standardised

    A shift breaks the relation of two maps and keeps the smoothness of each. Shuffling the pixels
    would break both, and make any pair of smooth maps look related.

    Args:
        a: (H, W).
        b: (H, W).

    Returns:
        (H, W), whose [0, 0] belongs to no shift; NaN where a map is constant.

    Raises:
        ValueError: If the shapes differ.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(
            f"Maps of shape {a.shape} and {b.shape} cannot be compared: give two of the same "
            "height and width."
        )
    spectra = []
    for values in (a, b):
        ranks = rankdata(values).reshape(values.shape)
        spread = ranks.std()
        spectra.append(np.fft.fft2((ranks - ranks.mean()) / (spread or np.nan)))
    return np.fft.ifft2(spectra[0] * np.conj(spectra[1])).real / a.size


def shift_test(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]], draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Compare the mean rank correlation of pairs of maps with its value after random shifts.

    Args:
        pairs: (map, map) of equal size, such as an attention map and the motion of each scene.
        draws: Number of random circular shifts of each pair.
        seed: Seed of the shifts.

    Returns:
        "rho", the mean over pairs; "null low" and "null high", between which 95 % of the shifted
        means lie; "p", the share of them at least as far from zero. All are NaN if a map is
        constant.
    """
    rho = [shifted_rank_correlations(a, b) for a, b in pairs]
    rng = np.random.default_rng(seed)
    null = np.mean([rng.choice(each.ravel(), draws) for each in rho], axis=0)
    mean = float(np.mean([each[0, 0] for each in rho]))
    low, high = np.quantile(null, (0.025, 0.975))
    p = (1 + np.sum(np.abs(null) >= abs(mean))) / (1 + draws) if np.isfinite(mean) else np.nan
    return {"rho": mean, "null low": float(low), "null high": float(high), "p": float(p)}


def rank_residual(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return the residuals of a linear fit of the ranks of map a to the ranks of map b.

    The correlation of two such residuals is the partial rank correlation, given b.

    Args:
        a: (H, W).
        b: (H, W).

    Returns:
        (H, W) residuals of the ranks, with mean 0.
    """
    ra, rb = (rankdata(values).reshape(np.shape(values)) for values in (a, b))
    ra, rb = ra - ra.mean(), rb - rb.mean()
    return ra - rb * ((ra * rb).sum() / (rb * rb).sum())
