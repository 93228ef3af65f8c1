"""Wrong but plausible answers to lessons 8 to 12 are told what is wrong with them."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from deblurlib.teaching import CHECKS, check

REFEREE = {"A": "motion", "B": "edges", "C": "chance", "D": "things"}
VERDICTS = {
    "A": "not learned enough",
    "B": "inconclusive",
    "C": "reproduced",
    "D": "no effect at this scale",
    "E": "contradicted",
}


def judge(low, high, printed):
    if max(-low, high) < 0.2 * printed:
        return "no effect at this scale"
    if low <= 0 <= high:
        return "inconclusive"
    if high < 0:
        return "contradicted"
    return "reproduced" if low > 0.5 * printed and high >= printed else "direction only"


def reaches(low, high, printed):
    """The rule of the previous edition: the printed size need only be reached."""
    right = judge(low, high, printed)
    return "reproduced" if right == "direction only" and high >= printed else right


def sized_by_half(low, high, printed):
    right = judge(low, high, printed)
    return "reproduced" if low > 0.5 * printed else right


def never_nothing(low, high, printed):
    right = judge(low, high, printed)
    return right if right != "no effect at this scale" else judge(low, high, 0)


def holds_zero(low, high, printed):
    return "no effect at this scale" if low <= 0 <= high else judge(low, high, printed)


def not_positive(low, high, printed):
    right = judge(low, high, printed)
    return "contradicted" if low < 0 and right == "inconclusive" else right


def open_below(low, high, printed):
    right = judge(low, high, printed)
    return "inconclusive" if right == "contradicted" else right


def strength(blurry, restored, sharp):
    change, wanted = restored - blurry, sharp - blurry
    return (change * wanted).sum() / (change**2).sum()


def clipped(blurry, restored, sharp):
    return np.clip(strength(blurry, restored, sharp), 0, 1)


def ranks(a, b):
    return spearmanr(np.ravel(a), np.ravel(b)).statistic if np.ptp(b) else np.nan


def plain(a, b, edges):
    return spearmanr(a.ravel(), b.ravel()).statistic


WRONG = [
    ("08.1", lambda a, b: "0.03", "the text '0.03'"),
    ("08.1", lambda a, b: a - b, "shape (40,)"),
    ("08.1", lambda a, b: np.nan, "NaN"),
    ("08.1", 0.03, "function itself"),
    ("08.2", lambda p: p < 0.05, "the plain 5 %"),
    ("08.2", lambda p: "yes", "give True or False for each value"),
    ("08.2", lambda p: np.flatnonzero(p < 0.05), "give True or False"),
    ("08.3", "4", "the text '4'"),
    ("08.3", 4.5, "whole number"),
    ("08.3", -4, "whole number"),
    ("08.3", 3, "close, not enough"),
    ("09.1", lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1], "Pearson"),
    ("09.1", lambda a, b: "0.3", "the text '0.3'"),
    ("09.1", lambda a, b: np.corrcoef(rankdata(a), rankdata(b)), "shape (2, 2)"),
    ("09.1", lambda a, b: -ranks(a, b), "the sign is reversed"),
    ("09.2", plain, "the edges are still in it"),
    ("09.2", lambda a, b, edges: [0.1, 0.2], "shape (2,)"),
    ("09.3", "motion", "give a dictionary"),
    ("09.3", REFEREE | {"A": "blur"}, "choose one of the four words"),
    ("09.3", REFEREE | {"A": ["motion"]}, "choose one of the four words"),
    ("09.3", REFEREE | {"D": "motion"}, "D keeps its correlation without the edges"),
    ("10.1", lambda *size: "many", "the text 'many'"),
    ("10.1", lambda h, w, k, i, o, s: h * w * i * o, "the kernel is left out"),
    ("10.1", lambda *size: list(size), "shape (6,)"),
    ("10.2", lambda gmac, tflops: tflops / (2 * gmac), "upside down"),
    ("10.2", lambda gmac, tflops: "35.6 ms", "the text '35.6 ms'"),
    ("10.3", "829", "the text '829'"),
    ("10.3", (160 * 90) ** 2 * 4, "in bytes"),
    ("10.3", (160 * 90) ** 2 * 8 / 1e6, "double precision"),
    ("11.1", lambda g: "a fifth", "the text 'a fifth'"),
    ("11.1", lambda g: 10 ** (g / 10), "the wrong way round"),
    ("11.2", lambda b, s, t, c: 5, "the place of a constant"),
    ("11.2", lambda b, s, t, c: c, "shape (17,)"),
    ("11.2", lambda b, s, t, c: c[0] / 3, "one of the given constants"),
    ("11.3", strength, "bottom of the parabola"),
    ("11.3", lambda b, r, s: 1 - clipped(b, r, s), "the share of the blurry picture"),
    ("11.3", lambda b, r, s: strength(b, r, s) - 2 * strength(b, r, s), "the sign is reversed"),
    ("11.3", lambda b, r, s: r, "has shape (12, 14, 3)"),
    ("12.1", lambda low, high, printed: True, "one of the five verdicts as text"),
    ("12.1", reaches, "reaches the printed size is not enough"),
    ("12.1", sized_by_half, "only the direction is shown"),
    ("12.1", never_nothing, "within a fifth"),
    ("12.1", holds_zero, "that it holds zero is not evidence of no effect"),
    ("12.1", not_positive, "it contradicts nothing"),
    ("12.1", open_below, "on the other side of zero"),
    ("12.2", list(VERDICTS.values()), "give a dictionary"),
    ("12.2", VERDICTS | {"A": "no effect at this scale"}, "the gate asks for 0.5"),
    ("12.2", VERDICTS | {"B": "reproduced"}, "B was trained once"),
    ("12.2", VERDICTS | {"D": "inconclusive"}, "evidence of no effect"),
    ("12.2", VERDICTS | {"E": 3}, "E is 3: choose one of"),
    ("12.3", (0.6415, 1), "the order is"),
    ("12.3", 1, "give both"),
    ("12.3", ("1", "0.64"), "the text '1'"),
    ("12.3", (1, 1), "do not add up to certainty"),
    ("12.3", (1, 0.95**20), "the chance that none passes"),
    ("12.3", (0.05, 0.64), "a share of 5 % passes by luck"),
]


@pytest.mark.parametrize(("exercise", "answer", "mistake"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(exercise, answer, mistake):
    verdict = check(exercise, answer)
    assert not verdict.passed and mistake in verdict.reason, verdict


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("08.2", lambda p: [bool(x) for x in _holm(p)]),
        ("08.3", np.int64(4)),
        ("09.1", ranks),
        ("09.3", REFEREE),
        ("10.3", 829.44),
        ("11.3", clipped),
        ("12.1", judge),
        ("12.2", VERDICTS),
        ("12.3", [1, 0.64]),
    ],
)
def test_a_right_answer_passes_in_any_form(exercise, answer):
    assert check(exercise, answer).passed, check(exercise, answer)


def _holm(p):
    order, passed = np.argsort(p), np.zeros(len(p), bool)
    for k, i in enumerate(order):
        if p[i] >= 0.05 / (len(p) - k):
            break
        passed[i] = True
    return passed


ODD = ["text", 3 + 4j, [[1, 2], [3]], {"a": 1}, object(), np.zeros((2, 3, 4))]


@pytest.mark.parametrize("exercise", [n for n in CHECKS if "08" <= n[:2] <= "12"])
@pytest.mark.parametrize("odd", ODD, ids=["text", "complex", "ragged", "dict", "object", "cube"])
def test_an_odd_answer_gets_a_reason_and_not_an_exception(exercise, odd):
    for answer in (odd, lambda *arguments: odd):
        verdict = check(exercise, answer)
        assert not verdict.passed and "your code raised" not in verdict.reason, verdict
