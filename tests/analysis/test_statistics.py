"""Intervals that cover, also over photographs, and Holm by hand and by brute force."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from deblurlib.analysis.significance import (
    Estimate,
    auc,
    holm,
    paired_bootstrap,
    spearman_interval,
    weakest,
)

RNG = np.random.default_rng
FAST = {"resamples": 1000}


def coverage(draw, truth, trials=300):
    """Share of trials in which the interval of `draw(rng)` holds the truth."""
    intervals = np.array([draw(RNG(trial)).interval for trial in range(trials)])
    return ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean()


# ------------------------------------------------------------------------------------------------
# Paired bootstrap


@pytest.mark.parametrize("images", [6, 24])
def test_the_interval_over_images_covers_95_percent(images):
    assert (
        0.915
        <= coverage(lambda rng: paired_bootstrap(rng.normal(0.3, 1, images), **FAST), 0.3)
        <= 0.98
    )


@pytest.mark.parametrize("seeds, spread", [(2, 0.5), (3, 0.5), (3, 0.0)])
def test_the_interval_over_seeds_and_images_covers_at_least_95_percent(seeds, spread):
    def draw(rng):
        d = (
            0.3
            + spread * rng.normal(size=(seeds, 1))
            + 0.5 * rng.normal(size=(1, 20))
            + 0.3 * rng.normal(size=(seeds, 20))
        )
        return paired_bootstrap(d, **FAST)

    assert coverage(draw, 0.3) >= 0.92


def test_seeds_that_disagree_widen_the_interval():
    rng = RNG(0)
    images = rng.normal(0.5, 0.3, (1, 30))
    agree = paired_bootstrap(images + np.zeros((3, 1)))
    disagree = paired_bootstrap(images + np.array([[-0.4], [0.0], [0.4]]))
    assert agree.value == pytest.approx(disagree.value) and agree.p < 0.05 < disagree.p
    assert np.ptp(disagree.interval) > 3 * np.ptp(agree.interval)
    alone = paired_bootstrap(images[0])
    assert agree.interval == pytest.approx(alone.interval, abs=0.02)  # equal seeds add nothing


def test_it_redraws_whole_seeds_and_whole_images():
    d = RNG(4).normal(
        size=(40, 50)
    )  # many, so that nothing is widened much; neither seeds nor images have an effect of their own
    rng = RNG(0)
    picks = [np.ix_(rng.integers(0, 40, 40), rng.integers(0, 50, 50)) for _ in range(4000)]
    by_hand = np.quantile([d[pick].mean() for pick in picks], [0.025, 0.975])
    assert np.ptp(paired_bootstrap(d).interval) == pytest.approx(np.ptp(by_hand), rel=0.08)


def test_pooling_seeds_as_images_would_promise_too_much():
    d = RNG(1).normal(0, 0.1, (3, 40)) + np.array([[0.0], [0.2], [0.4]])
    assert np.ptp(paired_bootstrap(d).interval) > 2 * np.ptp(paired_bootstrap(d.ravel()).interval)


@pytest.mark.parametrize("shape", [(12,), (3, 12)])
def test_it_is_deterministic_and_its_seed_matters_little(shape):
    d = RNG(2).normal(0.2, 1, shape)
    assert paired_bootstrap(d) == paired_bootstrap(d.tolist())
    first, second = (paired_bootstrap(d, seed=seed) for seed in (0, 1))
    assert first != second and first.interval == pytest.approx(
        second.interval, abs=0.15 * np.ptp(first.interval)
    )
    assert first.value == second.value == pytest.approx(d.mean())


@pytest.mark.parametrize("shape", [(9,), (3, 9)])
@pytest.mark.parametrize("seed", range(5))
def test_it_mirrors_scales_and_shifts_with_its_data(shape, seed):
    d = RNG(seed).normal(0.4, 1, shape)
    value, (low, high), p = paired_bootstrap(d, **FAST)
    mirrored = paired_bootstrap(-d, **FAST)
    assert (
        mirrored.value == -value
        and mirrored.interval == pytest.approx((-high, -low))
        and mirrored.p == p
    )
    scaled = paired_bootstrap(3 * d + 1, **FAST)
    assert scaled.value == pytest.approx(3 * value + 1) and scaled.interval == pytest.approx(
        (3 * low + 1, 3 * high + 1)
    )
    assert low < value < high and 0 < p <= 1


@pytest.mark.parametrize("shape", [(10,), (4, 10)])
def test_p_is_below_5_percent_just_where_the_interval_leaves_out_0(shape):
    for trial in range(60):
        estimate = paired_bootstrap(RNG(trial).normal(0.5, 1, shape), **FAST)
        if abs(estimate.p - 0.05) > 0.005:  # resolution of the resamples
            assert (estimate.p < 0.05) == (estimate.interval[0] > 0 or estimate.interval[1] < 0)


def test_p_agrees_with_the_t_test_and_is_uniform_without_an_effect():
    d = RNG(3).normal(0.35, 1, 60)
    assert paired_bootstrap(d).p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    below = np.mean(
        [paired_bootstrap(RNG(trial).normal(0, 1, 12), **FAST).p < 0.05 for trial in range(300)]
    )
    assert 0.02 <= below <= 0.08


def test_equal_differences_are_as_certain_as_their_signs():
    for n in (2, 6, 10):  # 0.5 for two differences, 0.03 for six
        assert paired_bootstrap([0.5] * n) == Estimate(0.5, (0.5, 0.5), 2.0 ** (1 - n))
    assert paired_bootstrap(np.full((3, 6), 0.5)).p == 2.0**-5
    assert paired_bootstrap(np.zeros((3, 6))) == Estimate(0, (0, 0), 1)


@pytest.mark.parametrize(
    "differences, sentence",
    [
        ([0.1], r"is \(1,\): give \(images,\) or \(seeds, images\)"),
        ([[0.1], [0.2]], "at least two images"),
        (np.zeros((0, 4)), r"is \(0, 4\)"),
        (np.zeros((2, 2, 2)), r"is \(2, 2, 2\)"),
        ([0.1, np.nan, 0.2], r"Difference \(1,\) is nan"),
        ([[0.1, 0.2], [np.inf, 0.2]], r"Difference \(1, 0\) is inf"),
    ],
)
def test_what_cannot_be_resampled_is_named(differences, sentence):
    with pytest.raises(ValueError, match=sentence):
        paired_bootstrap(differences)


def test_a_test_set_of_1111_pictures_takes_moderate_memory_and_time():
    assert paired_bootstrap(
        RNG(0).normal(0.1, 1, (3, 1111)), resamples=1000
    ).value == pytest.approx(0.1, abs=0.1)


# ------------------------------------------------------------------------------------------------
# Rank correlation


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_the_interval_of_a_rank_correlation_covers_95_percent(rho):
    true = 6 / np.pi * np.arcsin(rho / 2)  # Spearman's correlation of a bivariate Gaussian

    def draw(rng):
        x, e = rng.normal(size=(2, 30))
        return spearman_interval(x, rho * x + np.sqrt(1 - rho**2) * e)

    assert 0.92 <= coverage(draw, true, 600) <= 0.98


@pytest.mark.parametrize("n", [4, 8, 50])
def test_it_agrees_with_scipy_and_turns_with_its_data(n):
    rng = RNG(n)
    x, y = rng.normal(size=(2, n))
    y = y + 0.5 * x
    found, peer = spearman_interval(x, y), stats.spearmanr(x, y)
    assert found.value == pytest.approx(peer.statistic)
    if n == 50:
        assert found.p == pytest.approx(peer.pvalue, abs=0.001)
    low, high = found.interval
    assert -1 <= low < found.value < high <= 1
    turned = spearman_interval(x, -y)
    assert (turned.value, *turned.interval, turned.p) == pytest.approx(
        (-found.value, -high, -low, found.p)
    )
    monotone = spearman_interval(np.exp(x), y**3)
    assert monotone == found


def test_the_interval_of_a_rank_correlation_by_hand():
    # ranks 1 2 3 4 5 6 7 against 2 1 4 3 6 5 7: sum of squared differences 6, r = 1 - 36 / 336
    r = 1 - 36 / 336
    half = 1.959964 * np.sqrt((1 + r**2 / 2) / 4)
    found = spearman_interval([1, 2, 3, 4, 5, 6, 7], [2, 1, 4, 3, 6, 5, 7])
    assert found.value == pytest.approx(r)
    assert found.interval == pytest.approx(
        (np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half))
    )


@pytest.mark.parametrize("n", [5, 12])
def test_a_perfect_order_is_certain_only_as_far_as_n_allows(n):
    value, (low, high), p = spearman_interval(range(n), range(n))
    assert value == pytest.approx(1) and value == high and low < 1 and 0 < p < 0.05
    assert low > spearman_interval(range(4), range(4)).interval[0]


def test_p_of_a_correlation_is_consistent_with_its_interval():
    for trial in range(100):
        x, y = RNG(trial).normal(size=(2, 15))
        _value, (low, high), p = spearman_interval(x, y + 0.5 * x)
        assert (p < 0.05) == (low > 0 or high < 0)


def test_pixels_are_counted_by_their_scenes():
    rng = RNG(0)
    extent = rng.random((6, 500))
    spread = (
        extent + rng.normal(size=(6, 500)) + 5 * rng.normal(size=(6, 1))
    )  # scenes of different level
    value, (low, high), p = spearman_interval(extent, spread)
    within = [stats.spearmanr(*pair).statistic for pair in zip(extent, spread, strict=True)]
    assert value == pytest.approx(np.mean(within)) and low < value < high and p < 0.05
    assert (value, (low, high), p) == paired_bootstrap(within)
    assert (
        abs(stats.spearmanr(extent.ravel(), spread.ravel()).statistic) < value / 2
    )  # pooled, the level hides it


@pytest.mark.parametrize(
    "x, y, sentence",
    [
        ([1, 2, 3], [1, 2, 3], "n at least 4"),
        ([1, 2, 3, 4], [1, 2, 3], r"x has shape \(4,\) and y \(3,\)"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "is constant"),
        ([[1, 2, 3, 4], [1, 2, 3, 4]], [[1, 2, 3, 4], [5, 5, 5, 5]], "is constant"),
    ],
)
def test_what_cannot_be_correlated_is_named(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        spearman_interval(x, y)


# ------------------------------------------------------------------------------------------------
# Holm


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 = 0.02, 0.03, 0.06, 0.04; never falling =
    # 0.02, 0.03, 0.06, 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02]).tolist() == [0.02] and holm([]).tolist() == []
    assert holm([0.9, 0.6]).tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(20))
def test_holm_equals_the_closed_test_by_brute_force(seed):
    """Holm = Bonferroni in every subset that contains the hypothesis."""
    rng = RNG(seed)
    p = rng.random(rng.integers(1, 7)) ** 3
    p[0] = p[-1]  # a tie
    subsets = [c for n in range(1, len(p) + 1) for c in combinations(range(len(p)), n)]
    closed = [
        max(min(1, len(c) * min(p[list(c)])) for c in subsets if i in c) for i in range(len(p))
    ]
    assert holm(p) == pytest.approx(closed)


@pytest.mark.parametrize("seed", range(5))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(seed):
    rng = RNG(seed)
    p = rng.random(9) ** 2
    adjusted = holm(p)
    assert (adjusted >= p).all() and (adjusted <= np.minimum(9 * p, 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    shuffled = rng.permutation(9)
    assert holm(p[shuffled]) == pytest.approx(adjusted[shuffled])


def test_holm_keeps_false_alarms_of_a_family_at_5_percent():
    alarms = np.mean([holm(RNG(trial).random(5)).min() < 0.05 for trial in range(2000)])
    assert 0.035 <= alarms <= 0.065


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [np.nan, 0.1], [[0.1]]])
def test_holm_takes_probabilities(p):
    with pytest.raises(ValueError, match="numbers between 0 and 1"):
        holm(p)


def test_auc_counts_pairs():
    score, positive = np.array([[0.1, 0.4], [0.4, 0.9]]), np.array([[False, False], [True, True]])
    assert auc(score, positive) == pytest.approx(
        3.5 / 4
    )  # of four pairs three are in order, one is a tie
    assert auc(-score, positive) == pytest.approx(0.5 / 4)
    assert np.isnan(auc(score, np.ones((2, 2), bool))) and np.isnan(
        auc(score, np.zeros((2, 2), bool))
    )


def by_hand(d, level, resamples, seed):
    """The crossed bootstrap of `paired_bootstrap`, replicate by replicate."""
    d = np.asarray(d, float)
    rng, mean = np.random.default_rng(seed), d.mean()
    tail = (1 + level) / 2
    k_s, k_i = (
        np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail) for n in d.shape
    )
    seeds, images = (rng.multinomial(n, np.full(n, 1 / n), resamples) for n in d.shape)
    found = []
    for s, i in zip(seeds, images, strict=True):
        picked = np.ix_(np.repeat(range(d.shape[0]), s), np.repeat(range(d.shape[1]), i))
        row = (d.mean(1) - mean)[picked[0].ravel()].mean()
        column = (d.mean(0) - mean)[picked[1].ravel()].mean()
        rest = (d - d.mean(1, keepdims=True) - d.mean(0) + mean)[picked].mean()
        found.append(mean + k_s * row + k_i * column + rest)
    return np.array(found)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_the_bootstrap_is_the_one_that_its_docstring_writes_down(level):
    d = np.random.default_rng(1).normal(0.3, 1, (3, 5)) + np.array([[-1.0], [0.1], [1.5]])
    replicates = by_hand(d, level, 400, seed=7)
    estimate = paired_bootstrap(d, level=level, resamples=400, seed=7)
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    assert estimate.interval == pytest.approx((low, high), abs=1e-12)
    beyond = min((replicates <= 0).sum(), (replicates >= 0).sum())
    assert beyond > 10 and estimate.p == pytest.approx(2 * (beyond + 1) / 401)


def test_no_replicate_beyond_zero_counts_as_one():
    assert paired_bootstrap(np.linspace(0.5, 0.7, 12), resamples=99).p == 2 / 100


# ------------------------------------------------------------------------------------------------
# Photographs


@pytest.mark.parametrize("photographs, scenes", [(4, 6), (12, 8)])
def test_scenes_of_few_photographs_are_not_independent(photographs, scenes):
    names = np.repeat(np.arange(photographs), scenes)

    def draw(rng, groups):
        d = 0.3 + 0.2 * rng.normal(size=photographs)[names] + 0.1 * rng.normal(size=len(names))
        return paired_bootstrap(d, groups, **FAST)

    assert coverage(lambda rng: draw(rng, names), 0.3) >= 0.93
    assert coverage(lambda rng: draw(rng, None), 0.3) < 0.75


def test_photographs_scenes_and_seeds_by_hand():
    d = RNG(5).normal(0.2, 1, (3, 7))
    names = ["a", "b", "a", "c", "c", "a", "b"]
    found = paired_bootstrap(d, names, resamples=4000)
    mean, rng = d.mean(), RNG(9)
    effect = {g: d[:, [i for i in range(7) if names[i] == g]].mean() - mean for g in "abc"}
    column, row = d.mean(0) - mean, d.mean(1) - mean
    k = np.sqrt(3 / 2) * stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975)
    replicates = []
    for _ in range(4000):
        seeds, groups = rng.integers(0, 3, 3), rng.choice(list("abc"), 3)
        images = [
            i
            for g in groups
            for i in rng.choice([j for j in range(7) if names[j] == g], names.count(g))
        ]
        between = np.mean([effect[names[i]] for i in images])
        inside = np.mean([column[i] - effect[names[i]] for i in images])
        rest = (d - mean - row[:, None] - column)[np.ix_(seeds, images)].mean()
        replicates.append(mean + k * row[seeds].mean() + k * between + inside + rest)
    assert found.interval == pytest.approx(np.quantile(replicates, [0.025, 0.975]), abs=0.25)
    assert found.value == pytest.approx(mean)


def test_every_image_its_own_photograph_is_the_plain_bootstrap():
    d = RNG(1).normal(size=(3, 9))
    assert paired_bootstrap(d, list("abcdefghi")) == paired_bootstrap(d)


def test_the_order_of_images_does_not_matter():
    d, names = RNG(1).normal(size=(2, 8)), list("abababcc")
    order = np.argsort(names, kind="stable")
    moved = paired_bootstrap(d[:, order], [names[i] for i in order])
    found = paired_bootstrap(d, names)
    assert found.interval == pytest.approx(moved.interval) and found.p == moved.p


def test_groups_are_one_per_image():
    with pytest.raises(ValueError, match="There are 2 groups for 3 images: give one per image"):
        paired_bootstrap([0.1, 0.2, 0.4], ["a", "b"])


def test_the_weakest_of_equal_differences_rarely_contradicts():
    def judged(rng):
        estimate = weakest([paired_bootstrap(rng.normal(0, 1, 20), **FAST) for _ in range(4)])
        return estimate.p < 0.05

    assert np.mean([judged(RNG(trial)) for trial in range(300)]) <= 0.06


def test_the_weakest_above_0_needs_all_and_below_0_one():
    strong, weak = Estimate(0.5, (0.4, 0.6), 0.01), Estimate(0.3, (-0.1, 0.7), 0.2)
    assert weakest([strong, weak]) == weak and weakest([weak, weak._replace(p=0.001)]).p == 0.2
    against = Estimate(-0.2, (-0.3, -0.1), 0.01)
    assert weakest([strong, against, weak]) == against._replace(p=0.03)
    with pytest.raises(ValueError, match="give at least one"):
        weakest([])


def test_the_correlation_within_groups_passes_its_options_on():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 6, 9))
    within = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    options = {"level": 0.7, "resamples": 50, "seed": 3}
    assert spearman_interval(x, y, **options) == paired_bootstrap(within, **options)


def test_a_perfect_correlation_is_taken_half_a_step_back():
    r = 1 - 6 / (5 * 24)  # five pairs: the largest correlation but one is 0.9
    error = np.sqrt((1 + 1 / 2) / 2)
    for sign in (1, -1):
        estimate = spearman_interval([1, 2, 3, 4, 5], sign * np.array([1, 2, 3, 4, 5.0]))
        ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959964 * error)
        inner, outer = sign * ends[0], sign * max(ends[1], 1)
        assert sorted(estimate.interval) == pytest.approx(sorted((inner, outer)), abs=1e-6)


def test_the_area_under_the_curve_counts_pairs():
    assert auc([3, 1, 2, 0, 5], [True, False, False, False, True]) == 1
    assert auc([1, 2, 3, 4], [False, True, False, False]) == pytest.approx(1 / 3)
    assert np.isnan(auc([1, 2], [True, True])) and np.isnan(auc([1, 2], [False, False]))


def test_p_values_of_zero_and_one_are_adjusted_like_others():
    assert holm([1.0, 0.0, 0.02]).tolist() == [1.0, 0.0, 0.04]


def test_a_rank_correlation_of_nan_is_refused():
    ranks = [1.0, 2.0, 3.0, 4.0, 5.0]
    for x, y in (([*ranks[:4], np.nan], ranks), (ranks, [*ranks[:4], np.inf])):
        with pytest.raises(ValueError, match="leave those pairs out"):
            spearman_interval(x, y)
