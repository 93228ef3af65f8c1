"""The checks of notebook 08 accept right answers and give the reason for typical wrong ones."""

import numpy as np
import pytest

from deblurlib.teaching import check


def error(a, b):
    return np.std(a - b, ddof=1) / np.sqrt(len(a))


def passes(p):
    order, passed = np.argsort(p), np.zeros(len(p), bool)
    for k, i in enumerate(order):
        if p[i] >= 0.05 / (len(p) - k):
            break
        passed[i] = True
    return passed


@pytest.mark.parametrize(("exercise", "answer"), [("08.1", error), ("08.2", passes), ("08.3", 4)])
def test_right_answers_pass(exercise, answer):
    assert check(exercise, answer).passed, check(exercise, answer).reason


WRONG = {
    "different pictures": ("08.1", lambda a, b: np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))),
    "spread of single differences": ("08.1", lambda a, b: np.std(a - b, ddof=1)),
    "square root of the number": ("08.1", lambda a, b: np.std(a - b, ddof=1) / len(a)),
    "ddof=1": ("08.1", lambda a, b: np.std(a - b) / np.sqrt(len(a))),
    "not its error": ("08.1", lambda a, b: np.mean(a - b)),
    "return one number": ("08.1", lambda a, b: a - b),
    "plain 5 %": ("08.2", lambda p: p < 0.05),
    "Bonferroni": ("08.2", lambda p: p < 0.05 / len(p)),
    "all larger ones": ("08.2", lambda p: p < 0.05 / (len(p) - np.argsort(np.argsort(p)))),
    "in the order of the p values": ("08.2", lambda p: True),
    "close, not enough": ("08.3", 3),
    "twice the error": ("08.3", 2),
    "whole number": ("08.3", 4.5),
    "smallest": ("08.3", 16),
}


@pytest.mark.parametrize("reason", WRONG)
def test_wrong_answers_get_their_reason(reason):
    verdict = check(*WRONG[reason])
    assert not verdict.passed and reason in verdict.reason
