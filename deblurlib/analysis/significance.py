"""From measured differences to verdicts: bootstrap intervals over images and seeds, rank correlations, Holm, the rule."""

from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95  # of every interval; a p value is significant below 1 - LEVEL
RULES = ("exact", "difference", "correlation", "needs GoPro")
VERDICTS = (
    "reproduced",
    "direction only",
    "inconclusive",
    "contradicted",
    "needs GoPro",
    "not measured",
)


class Estimate(NamedTuple):
    """A number with its uncertainty; `lesson.claim("R2", *estimate)` records one."""

    value: float
    interval: tuple[float, float]
    p: float  # two-sided, against 0


def paired_bootstrap(
    differences, *, level: float = LEVEL, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """Mean of paired differences, its interval, and a two-sided p value against 0.

        d_si = mean + row_s + column_i + rest_si
        replicate = mean + k_S avg_s(row_s) + k_I avg_i(column_i) + avg_si(rest_si),   s and i redrawn with replacement

    differences: (images,), or (seeds, images) with seeds and images resampled independently, so that the interval speaks of
    other seeds, too; a single seed says nothing of them. Percentile interval; a redrawn effect of n values is widened by
    k_n = sqrt(n / (n-1)) t_{n-1} / z, without which a few values promise too much (t and z: quantiles at `level`). Two seeds
    widen theirs 9 times. p is twice the share of replicates on the far side of 0. Deterministic in `seed`.

    Raises ValueError for fewer than two images or numbers that are not finite (the PSNR of equal pictures is infinite).
    Source: percentile bootstrap widened as in Hesterberg (2015), crossed resampling as in Owen (2007).
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[None] if d.ndim == 1 else d
    if d.ndim != 2 or d.shape[0] < 1 or d.shape[1] < 2:
        raise ValueError(
            f"Differences of shape {np.shape(differences)}: give (images,) or (seeds, images), at least two images."
        )
    if not np.isfinite(d).all():
        bad = tuple(
            int(i) for i in np.argwhere(~np.isfinite(np.asarray(differences, dtype=np.float64)))[0]
        )
        raise ValueError(
            f"Difference {bad} is {np.asarray(differences)[bad]}: leave out pairs that cannot be compared."
        )
    mean = d.mean()
    rows, columns = d.mean(1) - mean, d.mean(0) - mean
    rest = d - mean - rows[:, None] - columns

    rng = np.random.default_rng(seed)
    seeds, images = (
        rng.multinomial(n, np.full(n, 1 / n), resamples) / n for n in d.shape
    )  # (resamples, n), rows sum to 1
    replicates = (
        mean
        + _widening(len(rows), level) * seeds @ rows
        + _widening(len(columns), level) * images @ columns
    )
    replicates += ((seeds @ rest) * images).sum(1)

    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    beyond = min((replicates <= 0).sum(), (replicates >= 0).sum())
    return Estimate(
        float(mean), (float(low), float(high)), float(min(2 * (beyond + 1) / (resamples + 1), 1.0))
    )


def spearman_interval(
    x, y, *, level: float = LEVEL, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """Spearman's rank correlation, its interval, and a two-sided p value against 0.

    x, y: (n,), n >= 4 independent pairs, one a picture, say: interval tanh(atanh(r) ± z sqrt((1 + r²/2) / (n - 3))).
    x, y: (groups, n), such as the pixels of each scene, which are not independent of each other: the mean of the
    correlations within the groups, with groups resampled as in `paired_bootstrap`. Raises ValueError where x or y is constant.
    Source: Bonett and Wright (2000).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim not in (1, 2) or x.shape[-1] < 4:
        raise ValueError(
            f"x has shape {x.shape} and y {y.shape}: give both as (n,) or (groups, n), n at least 4."
        )
    if x.ndim == 2:
        within = [_spearman(*pair) for pair in zip(x, y, strict=True)]
        return paired_bootstrap(within, level=level, resamples=resamples, seed=seed)
    r, n = _spearman(x, y), len(x)
    most = 1 - 6 / (n * (n**2 - 1))  # half-way between the two largest values that r can take
    z = np.arctanh(np.clip(r, -most, most))
    error = np.sqrt((1 + r**2 / 2) / (n - 3))
    low, high = np.tanh(z + np.array([-1, 1]) * stats.norm.ppf((1 + level) / 2) * error)
    return Estimate(
        r, (float(min(low, r)), float(max(high, r))), float(2 * stats.norm.sf(abs(z) / error))
    )


def auc(score, positive) -> float:
    """The probability that a score is larger where `positive` is true than where it is false, ties counting half; 0.5 = chance.

    score, positive: arrays of one shape, numbers and booleans. NaN if all of `positive` are alike.
    Source: Mann and Whitney (1947).
    """
    score, positive = np.ravel(score), np.ravel(positive)
    if positive.all() or not positive.any():
        return float("nan")
    pairs = positive.sum() * (~positive).sum()
    return float(stats.mannwhitneyu(score[positive], score[~positive]).statistic / pairs)


def holm(p_values) -> np.ndarray:
    """Holm's adjusted p values, in the order given: of all of them together, 5 % at most are wrongly below 0.05.

    With p sorted upwards: adjusted p_(k) = max over j <= k of min(1, (n - j + 1) p_(j)). Source: Holm (1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values {p.tolist()}: give a list of numbers between 0 and 1.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(p), 0, -1), 1))
    return adjusted


def verdict(
    rule: str,
    *,
    value=None,
    interval=None,
    p=None,
    holds=None,
    direction="+",
    margin=None,
    seeds=None,
) -> str:
    """What a measurement says about a claim.

    ===============  =========================================================================================
    reproduced       exact: it holds. difference, correlation: p < 0.05 on the claimed side; and where the paper prints
                     a size, that size lies inside the interval or ours is at least as large
    direction only   difference: p < 0.05 on the claimed side, but the whole interval is below the printed size
    inconclusive     difference, correlation: p >= 0.05, or the interval contains 0. exact: measured, but it does not decide.
                     Any claim that compares trainings from a single seed, whatever was measured
    contradicted     exact: it does not hold. difference, correlation: p < 0.05 on the other side
    needs GoPro      the claim speaks of GoPro's test set, and what was measured elsewhere does not decide (else as exact)
    not measured     nothing was recorded
    ===============  =========================================================================================

    direction: "+" or "-", the claimed sign of `value`. margin: the printed size, without a sign. p: two-sided, after `holm`
    over the claims of one table. holds: for exact statements, None where the measurement does not decide. seeds: of claims
    that compare trainings, how often each training was repeated; None for the others. An interval over pictures cannot tell
    two trainings that differ in what is claimed from two that differ by luck.
    """
    if rule not in RULES:
        raise ValueError(f"There is no rule {rule!r}: choose one of {', '.join(RULES)}.")
    if rule == "needs GoPro" and (value is None or holds is None):
        return "needs GoPro"
    if value is None:
        return "not measured"
    if seeds is not None and seeds < 2:
        return "inconclusive"
    if rule in ("exact", "needs GoPro"):
        return "inconclusive" if holds is None else "reproduced" if holds else "contradicted"
    if direction not in ("+", "-"):
        raise ValueError(
            f"The direction is {direction!r}: give '+' or '-', the sign that the paper claims."
        )
    sign = 1 if direction == "+" else -1
    low, high = sorted(sign * end for end in interval)
    if p >= 1 - LEVEL or low <= 0 <= high:
        return "inconclusive"
    if high < 0:
        return "contradicted"
    return (
        "reproduced" if margin is None or np.isnan(margin) or high >= margin else "direction only"
    )


def _spearman(x, y) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(
            "One side of a rank correlation is constant: leave out groups without any variation."
        )
    return float(stats.spearmanr(x, y).statistic)


def _widening(n, level) -> float:
    """k_n; 0 for a single value, which has no deviation to widen."""
    tail = (1 + level) / 2
    return (
        float(np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail))
        if n > 1
        else 0.0
    )
