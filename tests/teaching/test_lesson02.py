"""Exercise 02.4 names the mistake behind a wrong number of electrons."""

import numpy as np
import pytest

from deblurlib import teaching


def line(exposures, spread=np.var):
    """The slope of the spread over the exposures against the mean, pixel by pixel."""
    return np.polyfit(exposures.mean(0).ravel(), spread(exposures, axis=0).ravel(), 1)[0]


def test_the_slope_of_the_photon_transfer_curve_passes():
    verdict = teaching.check("02.4", lambda exposures: 1 / line(exposures))
    assert verdict.passed and "for 10000" in verdict.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (line, "turn it over"),
        (lambda x: x.mean() / x.var(0).mean(), "read noise, which is there in the dark"),
        (lambda x: 1 / line(x, np.std), "deviations do not"),
        (lambda x: x.mean() / x.var(), "contrast of the scene"),
        (lambda x: 1234.0, "plot the variance of every pixel"),
    ],
)
def test_each_mistake_gets_its_own_reason(answer, reason):
    verdict = teaching.check("02.4", answer)
    assert not verdict.passed and reason in verdict.reason
