"""A verdict for every case of the rule."""

import inspect

import numpy as np
import pytest

from deblurlib.analysis import verdicts
from deblurlib.analysis.verdicts import GATES, has_learned, verdict

RNG = np.random.default_rng


@pytest.mark.parametrize(
    "wanted, given",
    [
        ("reproduced", {"rule": "exact", "holds": True}),
        ("contradicted", {"rule": "exact", "holds": False}),
        ("inconclusive", {"rule": "exact", "holds": None}),
        ("reproduced", {"interval": (0.1, 0.5), "p": 0.01}),
        ("reproduced", {"interval": (0.1, 0.5), "p": 0.01, "margin": np.nan}),
        ("direction only", {"interval": (0.1, 0.5), "p": 0.01, "margin": 0.4}),  # half is possible
        ("reproduced", {"interval": (0.25, 0.5), "p": 0.01, "margin": 0.4}),
        ("direction only", {"interval": (0.2, 0.5), "p": 0.01, "margin": 0.4}),
        ("reproduced", {"interval": (0.1, 0.5), "p": 0.01, "margin": 0.05}),  # ours is larger
        ("reproduced", {"interval": (0.3, 0.5), "p": 0.01, "margin": 0.5}),
        ("direction only", {"interval": (0.4, 0.5), "p": 0.01, "margin": 0.6}),
        ("no effect at this scale", {"interval": (-0.012, 0.013), "p": 0.9, "margin": 0.67}),
        ("no effect at this scale", {"interval": (0.01, 0.1), "p": 0.01, "margin": 0.67}),
        ("no effect at this scale", {"interval": (-0.1, -0.01), "p": 0.01, "margin": 0.67}),
        ("inconclusive", {"interval": (-0.2, 0.013), "p": 0.9, "margin": 0.67}),
        ("inconclusive", {"interval": (-0.012, 0.013), "p": 0.9}),  # nothing counts as none
        ("no effect at this scale", {"interval": (-0.01, 0.01), "p": 0.9, "negligible": 0.05}),
        ("inconclusive", {"interval": (-0.1, 0.1), "p": 0.9, "margin": 0.67, "negligible": 0.05}),
        ("not learned enough", {"interval": (0.1, 0.5), "p": 0.01, "learned": False}),
        ("not learned enough", {"interval": (-0.01, 0.01), "p": 0.9, "learned": False, "seeds": 1}),
        ("not learned enough", {"rule": "exact", "holds": True, "learned": False}),
        ("reproduced", {"interval": (0.1, 0.5), "p": 0.01, "learned": True}),
        ("reproduced", {"rule": "equivalence", "interval": (-0.04, 0.05), "negligible": 0.1}),
        ("inconclusive", {"rule": "equivalence", "interval": (-0.04, 0.1), "negligible": 0.1}),
        ("contradicted", {"rule": "equivalence", "interval": (0.11, 0.5), "negligible": 0.1}),
        ("contradicted", {"rule": "equivalence", "interval": (-0.5, -0.11), "negligible": 0.1}),
        ("inconclusive", {"rule": "equivalence", "interval": (-0.04, 0.05)}),
        ("needs GoPro", {"rule": "needs GoPro", "holds": None, "learned": False}),
        ("inconclusive", {"interval": (-0.1, 0.5), "p": 0.2}),
        ("inconclusive", {"interval": (0.01, 0.5), "p": 0.06}),  # after Holm
        ("inconclusive", {"interval": (0.0, 0.5), "p": 0.04}),
        ("contradicted", {"interval": (-0.5, -0.1), "p": 0.01, "margin": 0.2}),
        ("inconclusive", {"interval": (-0.5, -0.1), "p": 0.09}),
        ("reproduced", {"interval": (-0.5, -0.1), "p": 0.01, "direction": "-"}),
        ("reproduced", {"interval": (-0.5, -0.3), "p": 0.01, "direction": "-", "margin": 0.45}),
        ("direction only", {"interval": (-0.5, -0.1), "p": 0.01, "direction": "-", "margin": 0.6}),
        ("contradicted", {"interval": (0.1, 0.5), "p": 0.01, "direction": "-"}),
        ("reproduced", {"rule": "correlation", "interval": (0.1, 0.5), "p": 0.01}),
        ("contradicted", {"rule": "correlation", "interval": (-0.4, -0.2), "p": 0.01}),
        ("inconclusive", {"interval": (0.1, 0.5), "p": 0.01, "seeds": 1}),
        ("inconclusive", {"interval": (-0.5, -0.1), "p": 0.01, "seeds": 1}),
        ("reproduced", {"interval": (0.1, 0.5), "p": 0.01, "seeds": 2}),
        ("inconclusive", {"rule": "exact", "holds": True, "seeds": 1}),
        ("contradicted", {"rule": "exact", "holds": False, "seeds": 3}),
        ("not measured", {"value": None, "seeds": 1}),
        ("not measured", {"value": None}),
        ("not measured", {"rule": "exact", "value": None}),
        ("needs GoPro", {"rule": "needs GoPro", "value": None}),
        ("needs GoPro", {"rule": "needs GoPro", "holds": None}),
        ("reproduced", {"rule": "needs GoPro", "holds": True}),
        ("contradicted", {"rule": "needs GoPro", "holds": False}),
    ],
)
def test_the_rule(wanted, given):
    assert verdict(**{"rule": "difference", "value": 0.3, **given}) == wanted
    assert wanted in verdicts.VERDICTS


@pytest.mark.parametrize("seed", range(40))
def test_mirroring_data_and_claim_leaves_the_verdict(seed):
    rng = RNG(seed)
    low, high = sorted(rng.normal(0.2, 0.3, 2))
    given = {
        "rule": "difference",
        "value": (low + high) / 2,
        "p": rng.random() / 10,
        "margin": rng.choice([np.nan, 0.3]),
    }
    there = verdict(interval=(low, high), direction="+", **given)
    back = verdict(interval=(-high, -low), direction="-", **given)
    assert there == back
    opposite = verdict(interval=(low, high), direction="-", **given)
    assert (there == "inconclusive") == (opposite == "inconclusive") and (
        there != opposite or there == "inconclusive"
    )


def test_unknown_rules_and_directions_are_named():
    with pytest.raises(ValueError, match="no rule 'guess': choose one of exact, difference"):
        verdict("guess", value=1)
    with pytest.raises(ValueError, match="direction is ''"):
        verdict("difference", value=1, interval=(0, 1), p=0.1, direction="")


def test_the_verdicts_of_the_docstring_are_all_there_are():
    named = [line[:23].strip() for line in inspect.getdoc(verdict).splitlines()]
    assert [name for name in named if name in verdicts.VERDICTS] == list(verdicts.VERDICTS)


@pytest.mark.parametrize(
    "p, interval, wanted",
    [
        (0.05, (0.1, 0.3), "inconclusive"),
        (0.01, (-0.3, 0.0), "inconclusive"),
        (0.01, (0.0, 0.3), "inconclusive"),
        (0.049, (0.1, 0.3), "reproduced"),
        (0.01, (-0.3, -0.1), "contradicted"),
    ],
)
def test_the_bounds_of_a_verdict_belong_to_doubt(p, interval, wanted):
    assert verdict("difference", value=0.1, interval=interval, p=p) == wanted


@pytest.mark.parametrize(
    ("interval", "p"),
    [
        ((np.nan, np.nan), np.nan),
        ((0.1, np.inf), 0.01),
        ((0.1, 0.2), np.nan),
        (None, 0.01),
        ((0.1, 0.2), None),
    ],
)
def test_what_is_not_finite_reproduces_nothing(interval, p):
    with pytest.raises(ValueError, match="give finite numbers to judge it by"):
        verdict("correlation", value=0.5, interval=interval, p=p, direction="+")


@pytest.mark.parametrize("rule", ["exact", "difference", "needs GoPro"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_never_judged(rule, value):
    with pytest.raises(ValueError, match="only finite numbers can be judged"):
        verdict(rule, value=value, interval=(0.1, 0.2), p=0.01, holds=True)


def test_gates_ask_for_what_they_name():
    assert has_learned("", {}) is None
    assert (
        has_learned("gain", {"gain": 0.5}) is True and has_learned("gain", {"gain": 0.49}) is False
    )
    assert has_learned("gain p", {"gain": 2.0, "p": 0.01}) is False
    assert has_learned("gain p", {"gain": 0.1}) is False  # whatever p is
    assert has_learned("offsets", {"offsets": float("nan")}) is False
    with pytest.raises(ValueError, match="The gate 'offsets' was not measured: mean distance"):
        has_learned("gain offsets", {"gain": 2.0})
    with pytest.raises(ValueError, match="no gate 'luck': choose from gain, offsets"):
        has_learned("luck", {})
    assert all(gate.least > 0 and gate.name == name for name, gate in GATES.items())
