"""From measured differences to verdicts: bootstrap intervals, rank correlations, Holm, the rule."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

ALPHA = 0.05  # a p value below it is significant
LEVEL = 1 - ALPHA  # of every interval
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
    differences: ArrayLike, *, level: float = LEVEL, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """Estimate the mean of paired differences with its interval and a two-sided p value against 0.

        d_si = mean + row_s + column_i + rest_si
        replicate = mean + k_S avg_s(row_s) + k_I avg_i(column_i) + avg_si(rest_si)

    where s and i are redrawn with replacement. The interval is that of the percentiles. A redrawn
    effect of n values is widened by k_n = sqrt(n / (n-1)) t_{n-1} / z (t and z: quantiles at
    `level`), without which a few values promise too much; the widening of two seeds is ninefold.
    p is twice the share of replicates on the far side of 0.

    Source: percentile bootstrap widened as in Hesterberg (2015), crossed resampling as in
    Owen (2007).

    Args:
        differences: (images,), or (seeds, images), whose seeds and images are resampled
            independently, so that the interval also covers other seeds. A single seed says nothing
            about other seeds.
        level: Coverage of the interval.
        resamples: Number of replicates.
        seed: Seed of the resampling; equal seeds give equal results.

    Returns:
        Mean, interval and p value.

    Raises:
        ValueError: For fewer than two images, or differences that are not finite (the PSNR of equal
            images is infinite).
    """
    d = np.asarray(differences, dtype=np.float64)
    d = d[None] if d.ndim == 1 else d
    if d.ndim != 2 or d.shape[0] < 1 or d.shape[1] < 2:
        raise ValueError(
            f"The shape of the differences is {np.shape(differences)}: give (images,) or "
            "(seeds, images) with at least two images."
        )
    if not np.isfinite(d).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(differences)))[0])
        raise ValueError(
            f"Difference {bad} is {np.asarray(differences)[bad]}: leave out pairs that cannot be "
            "compared."
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
    x: ArrayLike, y: ArrayLike, *, level: float = LEVEL, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """Estimate Spearman's rank correlation, its interval, and a two-sided p value against 0.

    For n independent pairs the interval is tanh(atanh(r) ± z sqrt((1 + r²/2) / (n - 3))).

    Source: Bonett and Wright (2000).

    Args:
        x: (n,), n >= 4 independent values, such as one per image; or (groups, n) values that are
            independent only between groups, such as the pixels of each scene. The estimate is then
            the mean of the correlations within groups, and groups are resampled as in
            `paired_bootstrap`.
        y: Values of the same shape.
        level: Coverage of the interval.
        resamples: Number of replicates, for groups.
        seed: Seed of the resampling, for groups.

    Returns:
        Correlation, interval and p value.

    Raises:
        ValueError: If the shapes differ or are too small, or if x or y is constant or not finite.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim not in (1, 2) or x.shape[-1] < 4:
        raise ValueError(
            f"x has shape {x.shape} and y {y.shape}: give (n,) or (groups, n) twice, n at least 4."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y holds NaN or infinite values: leave those pairs out.")
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


def auc(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the probability that a score is larger where `positive` is true than where it is
    false.

    Ties count half; 0.5 is chance. Source: Mann and Whitney (1947).

    Args:
        score: Numbers of any shape.
        positive: Booleans of the same shape.

    Returns:
        A probability, or NaN if all of `positive` are equal.
    """
    score, positive = np.ravel(score), np.ravel(positive)
    if positive.all() or not positive.any():
        return float("nan")
    pairs = positive.sum() * (~positive).sum()
    return float(stats.mannwhitneyu(score[positive], score[~positive]).statistic / pairs)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjust p values by Holm's method.

    With p sorted upwards, adjusted p_(k) = max over j <= k of min(1, (n - j + 1) p_(j)). The chance
    that any true null hypothesis has an adjusted p below 0.05 is then 5 % at most. Source: Holm
    (1979).

    Args:
        p_values: (n,) numbers between 0 and 1.

    Returns:
        (n,) adjusted p values in the order given.

    Raises:
        ValueError: For anything else.
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
    value: float | None = None,
    interval: tuple[float, float] | None = None,
    p: float | None = None,
    holds: bool | None = None,
    direction: str = "+",
    margin: float | None = None,
    seeds: int | None = None,
) -> str:
    """Judge a claim by its measurement.

    ===============  ===============================================================================
    reproduced       exact: it holds. difference, correlation: p < 0.05 on the claimed side; and
                     where the paper prints a size, that size lies inside the interval or ours is
                     at least as large
    direction only   difference: p < 0.05 on the claimed side, but the whole interval is below the
                     printed size
    inconclusive     difference, correlation: p >= 0.05, or the interval contains 0. exact:
                     measured, but it does not decide. Any claim that compares trainings of a
                     single seed, regardless of the result
    contradicted     exact: it does not hold. difference, correlation: p < 0.05 on the other side
    needs GoPro      the claim is about GoPro's test set, and what was measured elsewhere does not
                     decide (else as exact)
    not measured     nothing was recorded
    ===============  ===============================================================================

    Args:
        rule: One of `RULES`.
        value: The measured number; None if nothing was recorded.
        interval: Its (low, high), for differences and correlations.
        p: Two-sided p value, after `holm` over the claims of one table.
        holds: Whether an exact statement is true; None if the measurement does not decide.
        direction: "+" or "-", the claimed sign of `value`.
        margin: The printed size, without a sign; None or NaN if the paper prints none.
        seeds: For claims that compare trainings, how often each training was repeated; None for
            other claims. An interval over images cannot tell two trainings that differ in what is
            claimed from two that differ by chance.

    Returns:
        One of `VERDICTS`.

    Raises:
        ValueError: For an unknown rule or direction, or if an interval or p value that the rule
            needs is missing or not finite.
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
    if interval is None or p is None or not np.isfinite([*interval, p]).all():
        raise ValueError(
            f"A {rule} has the interval {interval} and p {p}: give finite numbers to judge it by."
        )
    low, high = sorted(end if direction == "+" else -end for end in interval)
    return _judge_interval(low, high, p, margin)


def _judge_interval(low: float, high: float, p: float, margin: float | None) -> str:
    """Judge an interval whose claimed side is above 0."""
    if p >= ALPHA or low <= 0 <= high:
        return "inconclusive"
    if high < 0:
        return "contradicted"
    return (
        "reproduced" if margin is None or np.isnan(margin) or high >= margin else "direction only"
    )


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation of two arrays that vary."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError(
            "One side of a rank correlation is constant: leave out groups without variation."
        )
    return float(stats.spearmanr(x, y).statistic)


def _widening(n: int, level: float) -> float:
    """k_n; 0 for a single value, which has no deviation to widen."""
    tail = (1 + level) / 2
    return (
        float(np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail))
        if n > 1
        else 0.0
    )
