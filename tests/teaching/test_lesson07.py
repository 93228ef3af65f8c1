"""The exercises of notebook 07: typical answers, and the reasons that they get."""

import json

import numpy as np
import pytest

from deblurlib import teaching
from deblurlib.analysis.reblurring import mean_psnr
from deblurlib.training import SHIPPED_RUNS, Experiment, fit


def logits(kernel):
    return np.log(kernel[::-1, ::-1].ravel())


def half_and_half(scores):
    gains = scores[:, 1:] - scores[:, :1]
    return gains[1::2, gains[::2].mean(0).argmax()].mean()


def swapped(network, blurry, sharp):
    other = sharp.roll(1, 0)
    output = network(blurry, other)
    return mean_psnr(output, blurry) > 15 and mean_psnr(output, blurry) > mean_psnr(output, other)


@pytest.mark.parametrize(
    ("exercise", "answer", "passes", "reason"),
    [
        ("07.1", logits, True, "read backwards"),
        ("07.1", lambda kernel: logits(kernel) + 5, True, "Adding a constant"),
        ("07.1", lambda kernel: np.log(kernel[::-1, ::-1].ravel() + 1e-9), True, "read backwards"),
        (
            "07.1",
            lambda kernel: kernel[::-1, ::-1].ravel(),
            False,
            "the weights themselves. The softmax",
        ),
        ("07.1", lambda kernel: kernel.ravel(), False, "not mirrored: take logarithms"),
        ("07.1", lambda kernel: np.log(kernel.ravel()), False, "the kernel is not mirrored"),
        ("07.1", lambda kernel: np.log(kernel[::-1, ::-1].T.ravel()), False, "rows and columns"),
        ("07.1", lambda kernel: np.log(kernel[::-1, ::-1]), False, "shape (3, 3)"),
        ("07.1", lambda kernel: np.full(9, np.nan), False, "NaN"),
        ("07.1", lambda kernel: np.log(kernel[::-1, ::-1].ravel() + 0.1), False, "should be"),
        ("07.2", swapped, True, "two copiers caught"),
        (
            "07.2",
            lambda network, b, s: mean_psnr(network(b, s), b) > 30,
            False,
            "Give it the sharp picture of another",
        ),
        (
            "07.2",
            lambda network, b, s: mean_psnr(network(b, s.roll(1, 0)), network(b, s)) > 25,
            False,
            "look at the output",
        ),
        (
            "07.2",
            lambda network, b, s: bool((network(b, s) == b).all()),
            False,
            "do not ask for equality",
        ),
        ("07.2", lambda network, b, s: True, False, "of every network"),
        ("07.2", lambda network, b, s: 1.5, False, "answer True or False"),
        ("07.3", half_and_half, True, "no longer rewards"),
        (
            "07.3",
            lambda scores: (scores[:, 1:] - scores[:, :1]).mean(0).max(),
            False,
            "choose the best one and measure it",
        ),
        ("07.3", lambda scores: scores[:, 1:].mean(0).max(), False, "that is a PSNR"),
        ("07.3", lambda scores: -half_and_half(scores), False, "reverse the difference"),
        (
            "07.3",
            lambda scores: (scores[:, 1:] - scores[:, :1]).mean(),
            False,
            "the one that you would choose",
        ),
        ("07.3", lambda scores: (scores[:, 2] - scores[:, 0]).mean(), False, "or of a fixed one"),
        ("07.3", lambda scores: (scores[:, 1:] - scores[:, :1]).mean(0), False, "one number"),
    ],
)
def test_checks_give_the_reason(exercise, answer, passes, reason):
    verdict = teaching.check(exercise, answer)
    assert verdict.passed == passes and reason in verdict.reason, verdict


def test_a_longer_training_of_both_reblurring_networks_ships_and_is_found():
    found = {}
    for file in SHIPPED_RUNS.glob("*/experiment.json"):
        fields = {
            name: tuple(v) if isinstance(v, list) else v
            for name, v in json.loads(file.read_text())["experiment"].items()
        }
        if fields["model"] == "reblur" and fields["steps"] >= 4000:
            assert Experiment(**fields).hash == file.parent.name
            found[fields["variant"]] = fit(Experiment(**fields))
    assert set(found) == {"paper", "naive"} and all(run.cached for run in found.values())
