"""Checks of the exercises of notebook 12."""

from typing import Any

import numpy as np

from ..analysis.verdicts import HALF, NEGLIGIBLE, verdict
from .verdicts import Wrong, numbers, require, require_answer

WORDS = (
    "reproduced",
    "direction only",
    "no effect at this scale",
    "inconclusive",
    "contradicted",
)
# intervals in dB, and what is printed: one at least for every word and every usual mistake
CASES = (
    (0.35, 0.80, 0.6),
    (0.20, 0.90, 0.6),
    (0.35, 0.50, 0.6),
    (-0.05, 0.08, 0.6),
    (0.02, 0.10, 0.6),
    (-0.10, 0.70, 0.6),
    (-0.40, -0.20, 0.6),
    (-0.30, 0.05, 0.6),
)


def _judge(answer: Any) -> str:
    """12.1: function(low, high, printed) -> the verdict on "A beats B"."""
    for low, high, printed in CASES:
        found = answer(low, high, printed)
        require_answer(found)
        require(
            isinstance(found, str) and found in WORDS,
            f"return one of the five verdicts as text, not {found!r}.",
        )
        right = verdict(
            "difference", value=low, interval=(low, high), p=_p(low, high), margin=printed
        )
        if found == right:
            continue
        where = f"[{low:g}, {high:g}] dB where {printed:g} dB are printed: "
        none = NEGLIGIBLE * printed
        mistakes = {
            ("reproduced", low <= HALF * printed): "that the interval reaches the printed size is "
            "not enough, for the wider it is, the more easily it does. It must also lie above half "
            "of it.",
            ("reproduced", high < printed): "it ends below the printed size, so only the direction "
            "is shown.",
            ("inconclusive", max(-low, high) < none): "an interval within a fifth of the printed "
            "size, on both sides, is a finding: no effect at this scale.",
            ("direction only", max(-low, high) < none): "above zero, but all of it within a fifth "
            "of the printed size: ask for “no effect” first.",
            ("no effect at this scale", low <= 0 <= high): "that it holds zero is not evidence of "
            "no effect: it also holds effects that count.",
            ("contradicted", low <= 0 <= high): "it holds zero, so it contradicts nothing.",
            ("inconclusive", high < 0): "all of it lies on the other side of zero.",
        }
        for (said, applies), reason in mistakes.items():
            require(not (found == said and applies), where + reason)
        raise Wrong(f"{where}you say {found!r}, the rule says {right!r}.")
    return "five verdicts from two numbers and a printed one; nobody's wishes enter."


def _p(low: float, high: float) -> float:
    """A p value that agrees with a 95 % interval."""
    return 0.5 if low <= 0 <= high else 0.01


def _referee(answer: Any) -> str:
    """12.2: the verdicts on the claims A to E of the table."""
    require_answer(answer)
    require(
        isinstance(answer, dict) and set(answer) == set("ABCDE"),
        "give a dictionary with the keys A, B, C, D and E.",
    )
    for value in answer.values():
        require_answer(value)
    words = (*WORDS, "not learned enough")
    reasons = {
        "A": (
            "not learned enough",
            "A gains 0.2 dB over the blurry picture, and the gate asks for 0.5: however narrow the "
            "interval is, such a network cannot show what a part is worth.",
        ),
        "B": (
            "inconclusive",
            "B was trained once. Its interval is over pictures and knows nothing of the next seed.",
        ),
        "C": (
            "reproduced",
            "C passes the gate, has three seeds, lies above half of what is printed and does not "
            "end below it.",
        ),
        "D": (
            "no effect at this scale",
            "All of D lies within a fifth of 0.5 dB, on both sides: that is evidence of no effect, "
            "not a lack of evidence.",
        ),
        "E": (
            "contradicted",
            "All of E lies below zero, behind an open gate and with enough seeds: for these "
            "networks the sign is the other one.",
        ),
    }
    for name, (right, reason) in reasons.items():
        require(
            isinstance(answer[name], str) and answer[name] in words,
            f"{name} is {answer[name]!r}: choose one of {', '.join(words)}.",
        )
        require(answer[name] == right, reason)
    return "gate first, then seeds, then the interval: in that order no verdict needs a discussion."


def _luck(answer: Any) -> str:
    """12.3: (expected number, probability of at least one) of 20 false positives at 5 %."""
    require_answer(answer)
    require(
        isinstance(answer, tuple | list) and len(answer) == 2,
        "give both, (expected, at_least_one).",
    )
    for value in answer:
        require_answer(value)
    expected, once = (
        float(numbers(value, (), what))
        for value, what in zip(answer, ("expected", "at_least_one"), strict=True)
    )
    chance = 1 - 0.95**20
    require(
        not np.isclose([expected, once], [chance, 1], rtol=0.02).all(),
        "the order is (expected, at_least_one).",
    )
    require(np.isclose(expected, 1), f"{expected:g}: of n claims a share of 5 % passes by luck.")
    mistakes = {
        "chances of several events do not add up to certainty: ask for the chance that none "
        "passes.": 1,
        "that is the chance that none passes; take it from one.": 0.95**20,
        "that all of them pass is another question.": 0.05**20,
        "that is a single claim's chance, and there are 20 of them.": 0.05,
    }
    for reason, value in mistakes.items():
        require(not np.isclose(once, value, atol=1e-9), reason)
    require(
        np.isclose(once, chance, atol=5e-3),
        f"{once:g} is not it: none of 20 passes with a probability of 0.95^20.",
    )
    return (
        f"one of twenty, and with a probability of {chance:.0%} at least one: hence Holm's method, "
        "family by family."
    )


CHECKS = {"12.1": _judge, "12.2": _referee, "12.3": _luck}
