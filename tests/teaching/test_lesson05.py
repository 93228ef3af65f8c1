"""The checks of lesson 5: right answers pass, typical wrong ones get their reason."""

import numpy as np
import pytest

from deblurlib import teaching


def fold(kernel):
    return np.append(kernel, 0).reshape(3, 2).T, 1


def columns(offset):
    return offset.reshape(3, 3, 2, *offset.shape[1:])


def stretch(offset):
    pairs = columns(offset)
    return (pairs[:, 2, 1] - pairs[:, 0, 1]).mean(0)


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def attend(query, pieces):
    keys, values = map(np.concatenate, zip(*pieces, strict=True))
    return softmax(keys @ query) @ values


def without_maximum(query, pieces):
    total, gathered = 0.0, 0.0
    for keys, values in pieces:
        weights = np.exp(keys @ query)
        total, gathered = total + weights.sum(), gathered + weights @ values
    return gathered / total


def first_maximum_only(query, pieces):
    total, gathered, largest = 0.0, 0.0, None
    for keys, values in pieces:
        scores = keys @ query
        largest = scores.max() if largest is None else largest
        weights = np.exp(scores - largest)
        total, gathered = total + weights.sum(), gathered + weights @ values
    return gathered / total


def clipped(query, pieces):
    total, gathered = 0.0, 0.0
    for keys, values in pieces:
        weights = np.exp(np.minimum(keys @ query, 700))
        total, gathered = total + weights.sum(), gathered + weights @ values
    return gathered / total


def without_rescaling(query, pieces):
    total, gathered, largest = 0.0, 0.0, -np.inf
    for keys, values in pieces:
        scores = keys @ query
        largest = max(largest, scores.max())
        weights = np.exp(scores - largest)
        total, gathered = total + weights.sum(), gathered + weights @ values
    return gathered / total


def mean_of_pieces(query, pieces):
    return np.mean([softmax(k @ query) @ v for k, v in pieces], 0)


def by_length(query, pieces):
    pieces = list(pieces)
    return np.average(
        [softmax(k @ query) @ v for k, v in pieces], axis=0, weights=[len(k) for k, _ in pieces]
    )


def last_piece(query, pieces):
    return [softmax(k @ query) @ v for k, v in pieces][-1]


def not_divided(query, pieces):
    return sum(np.exp(k @ query) @ v for k, v in pieces)


@pytest.mark.parametrize(
    ("exercise", "answer", "passes", "reason"),
    [
        ("05.1", fold, True, "in front if it is odd"),
        ("05.1", lambda k: ..., False, "not answered"),
        ("05.1", lambda k: (..., 1), False, "not answered"),
        ("05.1", lambda k: fold(k)[0], False, "give both"),
        ("05.1", lambda k: (fold(k)[0].T, 1), False, "two phases, rows"),
        ("05.1", lambda k: (fold(k)[0], 3), False, "are impossible"),
        (
            "05.1",
            lambda k: (np.insert(k, 0, 0).reshape(3, 2).T, 2),
            False,
            "you put the zero in front",
        ),
        ("05.1", lambda k: (fold(k)[0][::-1], 1), False, "swapped"),
        ("05.1", lambda k: (np.append(k, 0).reshape(2, 3), 1), False, "not the even ones"),
        ("05.1", lambda k: (fold(k)[0], 2), False, "shifted by one"),
        ("05.1", lambda k: (fold(k)[0] * 2, 1), False, "off by up to"),
        ("05.3", stretch, True, "width, not displacement"),
        ("05.3", lambda o: stretch(o)[None], False, "4 x 5"),
        ("05.3", lambda o: (columns(o)[:, 2, 0] - columns(o)[:, 0, 0]).mean(0), False, "dy"),
        ("05.3", lambda o: (columns(o)[2, :, 1] - columns(o)[0, :, 1]).mean(0), False, "*row*"),
        ("05.3", lambda o: -stretch(o), False, "sign"),
        ("05.3", lambda o: 3 * stretch(o), False, "sum over"),
        (
            "05.3",
            lambda o: (o[9:].reshape(3, 3, 4, 5)[:, 2] - o[9:].reshape(3, 3, 4, 5)[:, 0]).mean(0),
            False,
            "alternate",
        ),
        ("05.3", lambda o: 2 + stretch(o), False, "leave the grid out"),
        ("05.3", lambda o: np.abs(stretch(o)), False, "absolute"),
        ("05.3", lambda o: o[0], False, "2t + 1"),
        ("05.2", attend, True, "one pass"),
        ("05.2", mean_of_pieces, False, "mean of the pieces"),
        ("05.2", by_length, False, "by their length"),
        ("05.2", last_piece, False, "last piece"),
        ("05.2", not_divided, False, "division"),
        (
            "05.2",
            lambda q, pieces: np.concatenate([v for _, v in pieces]).mean(0),
            False,
            "plain mean",
        ),
        ("05.2", lambda q, pieces: attend(q, pieces)[:2], False, "three channels"),
        ("05.2", lambda q, pieces: attend(-q, pieces), False, "not it"),
        ("05.2", without_rescaling, False, "exp(m - M)"),
        ("05.2", without_maximum, False, "infinite"),
        ("05.2", first_maximum_only, False, "infinite"),
        ("05.2", clipped, False, "then nothing is cut off"),
    ],
)
def test_checks_give_the_reason(exercise, answer, passes, reason):
    verdict = teaching.check(exercise, answer)
    assert verdict.passed == passes and reason in verdict.reason, verdict
