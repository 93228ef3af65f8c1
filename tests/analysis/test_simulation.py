"""The rule of verdicts on tables whose truth is known."""

import numpy as np
import pytest

from deblurlib.analysis import simulation
from deblurlib.analysis.simulation import EFFECTS, PRINTED, simulate, synthetic_table

FAST = {"tables": 60, "resamples": 400}


def wrong(**options):
    table = simulate(**FAST, **options)
    return table.set_index(["seeds", "true effect"]).wrong


def test_at_most_5_percent_of_verdicts_are_wrong():
    found = wrong(seeds=(3, 5, 7))
    assert found.mean() <= 0.02 and found.max() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


def test_the_earlier_rule_called_half_an_effect_reproduced():
    now, earlier = (wrong(seeds=(3,), earlier=each)[3, "half"] for each in (False, True))
    assert earlier > 0.08 and now <= 0.05


def test_more_seeds_find_more_of_what_is_there():
    table = simulate((3, 7), **FAST).set_index(["seeds", "true effect"])
    assert table.reproduced[7, "equal"] > table.reproduced[3, "equal"]
    shares = table.drop(columns="wrong")
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1)


def test_a_synthetic_table_has_the_effects_and_spreads_that_it_is_given():
    rng = np.random.default_rng(0)
    sizes = [PRINTED * share for share in EFFECTS.values()]
    made = np.stack([synthetic_table(rng, sizes, 3) for _ in range(400)])  # (400, 3, seeds, 48)
    assert made.mean((0, 2, 3)) == pytest.approx(sizes, abs=0.02)
    seed, photograph = (simulation.SPREADS[name] for name in ("seed", "photograph"))
    by_seed = made.mean(3).std(2, ddof=1)
    assert np.sqrt((by_seed**2).mean()) == pytest.approx(np.sqrt(2) * seed, rel=0.1)
    by_photograph = made.mean(2).reshape(400, 3, 12, 4).mean(3)
    assert by_photograph.std(2, ddof=1).mean() > np.sqrt(2) * photograph


def test_equal_seeds_give_equal_tables():
    first, again = (simulate((3,), tables=5, resamples=100, seed=4) for _ in range(2))
    assert first.equals(again)
