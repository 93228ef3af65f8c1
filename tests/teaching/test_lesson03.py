"""The exercises of notebook 03: typical wrong answers get their reason."""

import numpy as np
import pytest

from deblurlib import teaching


def carried(weights, grad):
    """g[k] = grad[k] + weights[k] g[k+1]"""
    g = np.zeros(len(grad) + 1)
    for k in range(len(grad) - 1, -1, -1):
        g[k] = grad[k] + weights[k] * g[k + 1]
    return g[:-1]


def gradients(
    weights=lambda p: np.r_[p[1:], 0],
    x_factor=lambda p: 1 - p,
    p_factor=lambda x, h: np.r_[0, h[:-1]] - x,
):
    def answer(x, p, h, grad):
        g = carried(weights(p), grad)
        return x_factor(p) * g, g * p_factor(x, h)

    return answer


def gradients_backwards(x, p, h, grad):
    g = np.zeros(len(x))
    for k in range(len(x)):
        g[k] = grad[k] + (p[k] * g[k - 1] if k else 0)
    return (1 - p) * g, g * (np.r_[0, h[:-1]] - x)


ANSWERS = [
    ("03.1", lambda reach: ..., False, "not answered"),
    ("03.1", lambda reach: -(0.01 ** (2 / reach)), True, "0.01"),
    ("03.1", lambda reach: 0.01 ** (2 / reach), False, "averages"),
    ("03.1", lambda reach: -(0.01 ** (1 / reach)), False, "half resolution"),
    ("03.1", lambda reach: -(0.01 ** (0.5 / reach)), False, "halve"),
    ("03.1", lambda reach: -1.05, False, "nothing is ever forgotten"),
    ("03.1", lambda reach: -(0.05 ** (2 / reach)), False, "not 0.01"),
    (
        "03.2",
        lambda first, second: (second[0] * first[0], second[0] * first[1] + second[1]),
        True,
        "6 rounds",
    ),
    (
        "03.2",
        lambda first, second: (second[0] * first[0], first[0] * second[1] + first[1]),
        False,
        "second step first",
    ),
    (
        "03.2",
        lambda first, second: (second[0] + first[0], second[0] * first[1] + second[1]),
        False,
        "factors in a row",
    ),
    (
        "03.2",
        lambda first, second: (second[0] * first[0], first[1] + second[1]),
        False,
        "including b1",
    ),
    ("03.2", lambda first, second: second, False, "the two steps lead"),
    ("03.3", gradients(), True, "opposite direction"),
    ("03.3", gradients(weights=lambda p: 0 * p), False, "upstream dL/dh as it is"),
    ("03.3", gradients(weights=lambda p: p), False, "by p[k+1]"),
    ("03.3", gradients_backwards, False, "begin at the last pixel"),
    ("03.3", gradients(x_factor=np.ones_like), False, "multiplied by 1 - p"),
    ("03.3", gradients(p_factor=lambda x, h: np.r_[0, h[:-1]]), False, "takes its share"),
    ("03.3", gradients(p_factor=lambda x, h: h - x), False, "before the step"),
    (
        "03.3",
        gradients(p_factor=lambda x, h: x - np.r_[0, h[:-1]]),
        False,
        "dL/dp is wrong at pixel",
    ),
    ("03.3", lambda x, p, h, grad: (x[1:], p), False, "shape of x"),
]


@pytest.mark.parametrize("exercise, answer, passed, words", ANSWERS)
def test_answers_get_their_reason(exercise, answer, passed, words):
    verdict = teaching.check(exercise, answer)
    assert verdict.passed is passed and words in verdict.reason, verdict
