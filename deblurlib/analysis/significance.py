"""From measured differences to estimates: bootstrap intervals, rank correlations, Holm's method."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

ALPHA = 0.05  # a p value below it is significant
LEVEL = 1 - ALPHA  # of every interval


class Estimate(NamedTuple):
    """A number with its uncertainty; `lesson.claim("R2", *estimate)` records one."""

    value: float
    interval: tuple[float, float]
    p: float  # two-sided, against 0


def paired_bootstrap(
    differences: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean of paired differences with its interval and a two-sided p value against 0.

        d_si = mean + row_s + group_g(i) + within_i + rest_si
        replicate = mean + k_S avg_s(row_s) + k_G avg_i(group_g(i)) + avg_i(within_i)
                    + avg_si(rest_si)

    where the seeds s are redrawn with replacement, and so are the groups g of images, and the
    images i within each drawn group. The interval is that of the percentiles. A redrawn effect of n
    values is widened by k_n = sqrt(n / (n-1)) t_{n-1} / z (t and z: quantiles at `level`), without
    which a few values promise too much; the widening of two seeds is ninefold. p is twice the share
    of replicates on the far side of 0, and at least 2^(1-n) for n images, the smallest p that the
    signs of n differences can have.

    Source: percentile bootstrap widened as in Hesterberg (2015), crossed resampling as in
    Owen (2007), groups before their members as in Davison and Hinkley (1997, section 3.8).

    Args:
        differences: (images,), or (seeds, images), whose seeds and images are resampled
            independently, so that the interval also covers other seeds. A single seed says nothing
            about other seeds.
        groups: The group of each image, such as the photograph that a scene is made of: images of
            one group resemble each other. None if every image is its own group. A single group says
            nothing about other groups.
        level: Coverage of the interval.
        resamples: Number of replicates.
        seed: Seed of the resampling; equal seeds give equal results.

    Returns:
        Mean, interval and p value.

    Raises:
        ValueError: For fewer than two images, groups of another number, or differences that are not
            finite (the PSNR of equal images is infinite).
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
    of_image = _group_numbers(groups, d.shape[1])
    members = np.bincount(of_image)
    mean = d.mean()
    rows, columns = d.mean(1) - mean, d.mean(0) - mean
    rest = d - mean - rows[:, None] - columns
    effects = (np.bincount(of_image, columns) / members)[of_image]  # of its group, by image

    rng = np.random.default_rng(seed)
    n = len(rows)
    seeds = rng.multinomial(n, np.full(n, 1 / n), resamples) / n  # (resamples, seeds)
    drawn, images = _redraw(rng, members, resamples)  # (resamples, images), rows sum to 1
    order = np.argsort(of_image, kind="stable")  # images as `_redraw` counts them
    replicates = (
        mean
        + _widening(n, level) * seeds @ rows
        + _widening(len(members), level) * drawn @ effects[order]
        + images @ (columns - effects)[order]
        + ((seeds @ rest[:, order]) * images).sum(1)
    )

    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    beyond = min((replicates <= 0).sum(), (replicates >= 0).sum())
    p = max(2 * (beyond + 1) / (resamples + 1), 2.0 ** (1 - d.shape[1]))
    return Estimate(float(mean), (float(low), float(high)), float(min(p, 1.0)))


def weakest(estimates: Sequence[Estimate]) -> Estimate:
    """Judge "A beats each of these" by the smallest of the differences, without its bias.

    The smallest of several noisy differences is below 0 although all true ones are 0. So for a
    smallest one above 0, p is the largest of all, because each difference must be real. For one
    below 0, p is multiplied by their number: one real difference refutes the claim, and the more
    are tried, the easier one is found.

    Args:
        estimates: At least one.

    Returns:
        The smallest estimate with that p.

    Raises:
        ValueError: If there is none.
    """
    if not estimates:
        raise ValueError("There is no estimate: give at least one.")
    smallest = min(estimates, key=lambda estimate: estimate.value)
    p = max(each.p for each in estimates)
    if smallest.value <= 0:
        p = min(1.0, len(estimates) * smallest.p)
    return Estimate(smallest.value, smallest.interval, p)


def spearman_interval(
    x: ArrayLike, y: ArrayLike, *, level: float = LEVEL, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """Estimate Spearman's rank correlation, its interval, and a two-sided p value against 0.

    For n independent pairs the interval is tanh(atanh(r) ± z sqrt((1 + r²/2) / (n - 3))).

    Source: Bonett and Wright (2000).

    Args:
        x: (n,), n >= 4 independent values, such as one per image; or (groups, n) values that are
            independent only between groups, such as the pixels of each scene. The estimate is then
            the mean of the correlations within groups, and groups are resampled as the images of
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


def _group_numbers(groups: Sequence[Hashable] | None, images: int) -> np.ndarray:
    """(images,) number of each image's group, from 0."""
    if groups is None:
        return np.arange(images)
    if len(groups) != images:
        raise ValueError(f"There are {len(groups)} groups for {images} images: give one per image.")
    numbers = {group: n for n, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups])


def _redraw(
    rng: np.random.Generator, members: np.ndarray, resamples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of images, group after group: in redrawn groups, and with their members redrawn."""
    groups = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), resamples)
    total = (groups @ members)[:, None]
    drawn = np.repeat(groups, members, 1) / total
    images = [
        rng.multinomial(count * n, np.full(n, 1 / n)) if n > 1 else count[:, None]
        for count, n in zip(groups.T, members, strict=True)
    ]
    return drawn, np.concatenate(images, 1) / total
