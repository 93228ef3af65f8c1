"""Rank correlation of maps, against what circular shifts give."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from deblurlib.analysis.correlation import rank_residual, shift_test, shifted_rank_correlations


def smooth(seed, shape=(12, 15), sigma=2.5):
    return gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma, mode="wrap")


def test_each_entry_is_spearman_of_a_shifted_map():
    a, b = smooth(0), np.exp(9 * smooth(1))
    rho = shifted_rank_correlations(a, b)
    for shift in ((0, 0), (3, 0), (0, 7), (11, 14)):
        assert rho[shift] == pytest.approx(
            spearmanr(a.ravel(), np.roll(b, shift, (0, 1)).ravel()).statistic, abs=1e-12
        )


def test_ties_and_constant_maps():
    a, b = np.round(4 * smooth(2)), np.round(4 * smooth(3))
    assert shifted_rank_correlations(a, b)[0, 0] == pytest.approx(
        spearmanr(a.ravel(), b.ravel()).statistic
    )
    assert np.isnan(shifted_rank_correlations(np.ones_like(a), b)).all()
    assert all(np.isnan(value) for value in shift_test([(np.ones_like(a), b)]).values())


def test_maps_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"\(12, 15\) and \(12, 14\) cannot be compared"):
        shifted_rank_correlations(smooth(0), smooth(0)[:, 1:])


def test_a_map_that_follows_is_told_from_one_that_does_not():
    others = [smooth(s) for s in range(10, 18)]
    follows = shift_test([(smooth(s) + 0.7 * other, -other) for s, other in enumerate(others)])
    assert follows["rho"] < follows["null low"] < 0 < follows["null high"] and follows["p"] < 0.01
    alone = shift_test([(smooth(s), other) for s, other in enumerate(others)])
    assert alone["null low"] < alone["rho"] < alone["null high"] and alone["p"] > 0.05


def test_chance_is_found_about_as_often_as_it_should_be():
    """Unrelated smooth maps: p below 0.1 in about a tenth of the cases. Shuffled pixels would find
    most of them significant.
    """
    p = [shift_test([(smooth(2 * s), smooth(2 * s + 1))], draws=200)["p"] for s in range(200)]
    assert 0.04 < np.mean(np.less(p, 0.1)) < 0.18


def test_draws_depend_on_the_seed_alone():
    pairs = [(smooth(0), smooth(1)), (smooth(2), smooth(3))]
    assert shift_test(pairs, seed=1) == shift_test(pairs, seed=1) != shift_test(pairs, seed=2)


def test_a_map_that_follows_a_third_one_follows_nothing_without_it():
    cause = smooth(0)
    a, b = cause + 0.3 * smooth(1), -cause + 0.3 * smooth(2)
    assert shifted_rank_correlations(a, b)[0, 0] < -0.7
    left_a, left_b = (rank_residual(each, cause) for each in (a, b))
    assert abs(np.corrcoef(left_a.ravel(), rankdata(cause))[0, 1]) < 1e-12
    r_ab, r_ac, r_bc = (
        spearmanr(x.ravel(), y.ravel()).statistic for x, y in ((a, b), (a, cause), (b, cause))
    )
    partial = (r_ab - r_ac * r_bc) / np.sqrt((1 - r_ac**2) * (1 - r_bc**2))
    assert (
        np.corrcoef(left_a.ravel(), left_b.ravel())[0, 1] == pytest.approx(partial)
        and abs(partial) < 0.4
    )
