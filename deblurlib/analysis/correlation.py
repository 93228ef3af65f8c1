"""Does one map follow another? Rank correlation, and what chance gives for maps as smooth as these."""

import numpy as np
from scipy.stats import rankdata


def shifted_rank_correlations(a, b) -> np.ndarray:
    """Spearman's rho of a map with every circular shift of another: (H, W), (H, W) -> (H, W), [0, 0] for no shift.

        rho[s] = mean over p of ra[p] rb[p - s],   ra, rb = ranks of a and b at mean 0 and variance 1

    A shift breaks what two maps have to do with each other and keeps how smooth each of them is; shuffling the pixels would
    break both, and make any pair of smooth maps look related. nan where a map is constant.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(
            f"Maps of shape {a.shape} and {b.shape} cannot be compared: give two of the same height and width."
        )
    spectra = []
    for values in (a, b):
        ranks = rankdata(values).reshape(values.shape)
        spread = ranks.std()
        spectra.append(np.fft.fft2((ranks - ranks.mean()) / (spread or np.nan)))
    return np.fft.ifft2(spectra[0] * np.conj(spectra[1])).real / a.size


def shift_test(pairs, draws: int = 1000, seed: int = 0) -> dict:
    """Mean Spearman's rho over pairs of maps, against the same mean after a random circular shift within each pair.

    pairs: (map, map) of equal size, e.g. an attention map and the motion of each scene. Returns "rho", the bounds "null low"
    and "null high" that 95 % of the shifted means lie between, and "p", the share of them at least as far from zero. All are
    nan where a map is constant.
    """
    rho = [shifted_rank_correlations(a, b) for a, b in pairs]
    rng = np.random.default_rng(seed)
    null = np.mean([rng.choice(each.ravel(), draws) for each in rho], axis=0)
    mean = float(np.mean([each[0, 0] for each in rho]))
    low, high = np.quantile(null, (0.025, 0.975))
    p = (1 + np.sum(np.abs(null) >= abs(mean))) / (1 + draws) if np.isfinite(mean) else np.nan
    return {"rho": mean, "null low": float(low), "null high": float(high), "p": float(p)}


def rank_residual(a, b) -> np.ndarray:
    """What the ranks of map a keep when a straight line in the ranks of map b is taken out: (H, W), (H, W) -> (H, W).

    The correlation of two such residuals is the partial rank correlation, given b.
    """
    ra, rb = (rankdata(values).reshape(np.shape(values)) for values in (a, b))
    ra, rb = ra - ra.mean(), rb - rb.mean()
    return ra - rb * ((ra * rb).sum() / (rb * rb).sum())
