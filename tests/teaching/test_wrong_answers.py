"""Wrong but plausible answers are told what is wrong with them.

Those of lessons 2, 3, 5 and 6 that depend on their content stand in the files of those lessons.
"""

import numpy as np
import pytest
import torch

from deblurlib import theory
from deblurlib.teaching import check


def undo(y, a):
    x, previous = np.zeros_like(y), 0.0
    for n in range(len(y)):
        previous = x[n] = (y[n] - a * previous) / (1 - a)
    return x


def distance(points, end):
    along = (points * end).sum(-1, keepdims=True) / max((end * end).sum(), 1e-12)
    return np.linalg.norm(points - np.clip(along, 0, 1) * end, axis=-1)


def unclamped(points, end):
    along = (points * end).sum(-1, keepdims=True) / max((end * end).sum(), 1e-12)
    return np.linalg.norm(points - along * end, axis=-1)


def without_an_axis(points, end):  # which two points and the two numbers of `end` hide
    along = (points * end).sum(-1) / max((end * end).sum(), 1e-12)
    return np.linalg.norm(points - np.clip(along, 0, 1) * end, axis=-1)


def without_guard(points, end):
    along = (points * end).sum(-1, keepdims=True) / (end * end).sum()
    return np.linalg.norm(points - np.clip(along, 0, 1) * end, axis=-1)


GRID = np.stack(np.divmod(np.arange(25), 5), -1) - 2


def offsets(D, places=None):
    places = np.linspace(-1, 1, 25) if places is None else places
    return (places[:, None] * D[::-1] - GRID).ravel()


def logits(kernel):
    return np.log(np.maximum(kernel[::-1, ::-1].ravel(), 1e-30))


def copies(network, blurry, sharp):
    """Whether the output shows this blurry picture whatever the sharp one is."""
    others = sharp.roll(1, 0)
    far = (others - blurry).square().mean()
    return (network(blurry, others) - blurry).square().mean() < 0.1 * far


def halves(scores):
    chosen = scores[::2, 1:].mean(0).argmax() + 1
    return (scores[1::2, chosen] - scores[1::2, 0]).mean()


def same_images(scores):
    return (scores[:, 1:] - scores[:, :1]).mean(0).max()


def psnr(a, b, scale=255.0, factor=-10, logarithm=np.log10):
    return factor * logarithm(((a / scale - b / scale) ** 2).mean())


def psnr_of_channels(a, b):
    return np.mean([psnr(a[..., c], b[..., c]) for c in range(3)])


def compose(first, second):
    return second[0] * first[0], second[0] * first[1] + second[1]


def returning(value):
    return lambda *given: value


WRONG = [
    ("00.1", psnr(np.eye(2), 0 * np.eye(2)), "function itself"),
    ("00.1", returning("30 dB"), "the PSNR is the text '30 dB'"),
    ("00.1", lambda a, b: (a - b) ** 2, "the PSNR has shape (12, 16, 3) instead of ()"),
    ("00.1", lambda a, b: psnr(a, b).astype(complex), "complex"),
    ("00.1", lambda a, b: -10 * np.log10(((a - b) ** 2 / 255**2).mean()), "keeps only its last 8"),
    ("00.1", lambda a, b: psnr((a - b).astype(float), 0), "only the difference was taken in uint8"),
    ("00.1", lambda a, b: psnr(a.astype(float), b, 1), "divide by 255 first"),
    ("00.1", lambda a, b: -psnr(a, b), "the sign is reversed"),
    ("00.1", lambda a, b: psnr(a, b, factor=-20), "the factor is 10, not 20"),
    ("00.1", lambda a, b: psnr(a, b) / 2, "you took the root first"),
    ("00.1", lambda a, b: psnr(a, b, logarithm=np.log), "decibels need log10"),
    ("00.1", psnr_of_channels, "three PSNRs"),
    ("00.1", lambda a, b: -20 * np.log10(np.abs(a / 255 - b / 255).mean()), "absolute errors"),
    ("00.1", lambda a, b: psnr(a, b, 256.0), "not 256"),
    ("00.1", lambda a, b: ((a / 255 - b / 255) ** 2).mean(), "take its logarithm"),
    ("02.1", returning("25"), "the number of sub-frames is the text '25'"),
    ("02.1", returning(12.5), "12.5 is not a whole number"),
    ("02.1", returning(np.ones(3)), "has shape (3,) instead of ()"),
    ("02.2", returning(np.zeros(2)), "must be 'blur' or 'blur_gamma', not '[0. 0.]'"),
    ("02.3", returning("half"), "the exposure is the text 'half'"),
    ("02.3", returning(float("nan")), "the exposure holds NaN"),
    ("02.4", returning("many"), "the number of electrons is the text 'many'"),
    ("02.4", lambda exposures: exposures.mean(0), "instead of ()"),
    ("03.1", returning("-0.4"), "the weight p is the text '-0.4'"),
    ("03.1", returning([-0.4]), "the weight p has shape (1,) instead of ()"),
    ("03.2", lambda first, second: second[0] * first[0], "return both numbers"),
    ("03.2", returning(("a", "b")), "a of the step is the text 'a'"),
    ("03.3", lambda x, p, h, grad: (1 - p) * grad, "return both gradients"),
    ("03.3", lambda x, p, h, grad: (1 - p) * grad[0], "return both gradients"),
    ("03.3", lambda x, p, h, grad: (x, p * np.nan), "dL/dp holds NaN"),
    ("05.1", returning((np.zeros((2, 3)), "one")), "left is the text 'one'"),
    ("05.1", returning((np.zeros((2, 3)) * 1j, 1)), "taps is complex"),
    ("05.2", returning("attend"), "the result is the text 'attend'"),
    ("05.2", lambda query, pieces: float("nan"), "NaN"),
    ("05.3", returning("wide"), "the stretch is the text 'wide'"),
    ("06.1", returning("f"), "the result is the text 'f'"),
    ("06.2", returning((1, 2)), "has shape (2,) instead of (3,)"),
    ("06.2", returning("past the end"), "is the text 'past the end'"),
    ("06.3", returning("p < 0.05"), "the share is the text 'p < 0.05'"),
    ("06.3", lambda a, b: np.ones(a.shape), "the share has shape (12, 14) instead of ()"),
    ("01.1", "x = y", "function itself"),
    ("01.1", 3.0, "function itself, by its name"),
    ("01.1", lambda y, a: print(end=""), "returns nothing"),
    ("01.1", lambda y, a: "done", "the text 'done'"),
    ("01.1", lambda y, a: y, "as it came in"),
    ("01.1", lambda y, a: y[0], "must come back as 60 samples"),
    ("01.1", lambda y, a: undo(y, a)[None], "must come back as 60 samples, not as (1, 60)"),
    ("01.1", lambda y, a: np.fft.fft(undo(y, a)), "complex"),
    ("01.1", lambda y, a: undo(y, a) * np.nan, "NaN"),
    ("01.1", lambda y, a: np.r_[0, undo(y, a)[:-1]], "late by one"),
    ("01.1", lambda y, a: np.r_[undo(y, a)[1:], 0], "early by one"),
    ("01.1", lambda y, a: undo(y[::-1], a)[::-1], "from the last sample to the first"),
    ("01.1", lambda y, a: (1 - a) * y + a * np.r_[0, y[:-1]], "blurs once more"),
    ("01.1", lambda y, a: undo(y, -a), "the sign of a is reversed"),
    ("01.2", "(-3/7, True)", "give both, (p, reverse)"),
    ("01.2", -3 / 7, "give both, (p, reverse)"),
    ("01.2", (True, -3 / 7), "the order is (p, reverse)"),
    ("01.2", (-3 / 7, "no"), "reverse must be True or False, not 'no'"),
    ("01.2", (-3 / 7, "reverse"), "reverse must be True or False"),
    ("01.2", (float("nan"), True), "p holds NaN"),
    ("01.2", ("-3/7", True), "p is the text"),
    ("01.2", undo, "give the value that is asked for, not a function"),
    ("01.2", (0.3 / 0.7, True), "averages neighbours"),
    ("01.3", lambda b, t, n: "0.01", "the text '0.01'"),
    ("01.3", lambda b, t, n: theory.inverse_filter(t, n**2), "not an array"),
    ("01.3", lambda b, t, n: -(n**2), "positive number"),
    ("01.3", lambda b, t, n: 12, "the place of the constant"),
    ("01.3", lambda b, t, n: n, "dB against the best"),
    ("04.1", lambda p, e: None if e[0] else 1, "returns nothing"),
    ("04.1", lambda p, e: distance(p, e) ** 2, "take the root"),
    ("04.1", lambda p, e: distance(p, e)[:, None], "has shape (1, 1) instead of (1,)"),
    ("04.1", lambda p, e: p - e, "has shape (1, 2) instead of (1,)"),
    ("04.1", unclamped, "the segment has two ends"),
    ("04.1", without_guard, "divides by zero"),
    ("04.1", lambda p, e: np.linalg.norm(p - e, axis=-1), "distance to D, the far end"),
    ("04.1", lambda p, e: np.linalg.norm(p, axis=-1), "distance to the origin"),
    ("04.1", lambda p, e: distance(p, -e), "the sign of D is reversed"),
    ("04.1", lambda p, e: distance(p[:, ::-1], e), "exchanged"),
    ("04.1", without_an_axis, "a last axis"),
    ("04.2", lambda flow: flow[::2, ::2] // 2, "cuts the halves off"),
    ("04.2", lambda flow: flow[1::2, 1::2] / 2, "keeps the odd rows"),
    ("04.2", lambda flow: -flow[::2, ::2] / 2, "the sign is reversed"),
    ("04.2", lambda flow: flow[::2, ::2, ::-1] / 2, "exchanged"),
    ("04.2", lambda flow: flow[:3, :4] / 2, "a corner of the flow"),
    ("04.2", lambda flow: flow.transpose(1, 0, 2)[::2, ::2] / 2, "not (4, 3, 2)"),
    ("04.2", lambda flow: flow.reshape(3, 2, 4, 2, 2).mean((1, 3)) / 2, "you average"),
    ("04.2", np.zeros((3, 4, 2)), "function itself"),
    ("04.3", lambda D: offsets(D).reshape(25, 2), "`.ravel()` puts them in a row"),
    ("04.3", lambda D: offsets(D).reshape(25, 2)[:, ::-1].ravel(), "each pair is (right, down)"),
    ("04.3", lambda D: offsets(D) + 2 * GRID.ravel(), "the grid point is added"),
    ("04.3", lambda D: (offsets(D) + GRID.ravel()).reshape(25, 2)[:, ::-1].ravel(), "are points"),
    ("04.3", lambda D: -offsets(D), "the wrong way round"),
    ("04.3", lambda D: offsets(D).reshape(25, 2).T.ravel(), "in pairs"),
    ("04.3", lambda D: offsets(D, np.linspace(0, 1, 25)), "the half from the pixel to D"),
    ("04.3", lambda D: offsets(D, np.linspace(-0.5, 0.5, 25)), "only half of D"),
    ("04.3", lambda D: offsets(D, np.arange(25) / 12.5 - 1), "one step before D"),
    ("04.3", lambda D: offsets(D[::-1]), "mirrored in the diagonal"),
    ("04.3", lambda D: offsets(-D), "run backwards"),
    ("07.1", lambda kernel: "log", "the text 'log'"),
    ("07.1", lambda kernel: logits(kernel).reshape(3, 3), "yours has shape (3, 3)"),
    ("07.1", lambda kernel: logits(kernel) / np.log(10), "log10"),
    ("07.1", lambda kernel: logits(kernel) / np.log(2), "log2"),
    ("07.1", lambda kernel: -logits(kernel), "the sign is reversed"),
    ("07.1", lambda kernel: logits(kernel[:, ::-1]), "only the rows are mirrored"),
    ("07.1", lambda kernel: logits(kernel[::-1]), "only the columns are mirrored"),
    ("07.1", lambda kernel: logits(kernel.T), "rows and columns are swapped"),
    ("07.1", lambda kernel: kernel[::-1, ::-1].ravel(), "the weights themselves"),
    ("07.2", lambda network, b, s: "yes", "True or False, not 'yes'"),
    ("07.2", lambda network, b, s: 0.3, "True or False, not 0.3"),
    ("07.2", lambda network, b, s: network(b, s) == b, "True or False"),
    ("07.2", lambda network, b, s: not copies(network, b, s), "the answer is reversed"),
    ("07.2", lambda network, b, s: torch.equal(network(b, s), b), "A tenth of the sharp"),
    ("07.3", lambda scores: scores[:, 1:].mean(0), "not an array"),
    ("07.3", lambda scores: scores.mean(0)[1:].argmax(), "the place of a lambda"),
    ("07.3", lambda scores: scores[:, 1:].mean(0).max(), "that is a PSNR"),
    ("07.3", lambda scores: float("nan"), "NaN"),
    ("07.3", lambda scores: -halves(scores), "reverse the difference"),
    ("07.3", same_images, "the same images choose"),
]


@pytest.mark.parametrize(("exercise", "answer", "mistake"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(exercise, answer, mistake):
    verdict = check(exercise, answer)
    assert not verdict.passed and mistake in verdict.reason, verdict


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("00.1", psnr),
        ("01.1", undo),
        ("01.1", lambda y, a: list(undo(y, a))),
        ("03.2", lambda first, second: np.array(compose(first, second))),
        ("01.2", [np.float32(-3 / 7), np.True_]),
        ("04.1", distance),
        ("04.2", lambda flow: flow[::2, ::2] / 2),
        ("04.2", lambda flow: torch.from_numpy(flow[::2, ::2] / 2).requires_grad_()),
        ("04.3", offsets),
        ("07.1", logits),
        ("07.2", lambda network, b, s: copies(network, b, s)),  # a tensor of one truth
        ("07.3", halves),
    ],
)
def test_a_right_answer_passes_in_any_form(exercise, answer):
    assert check(exercise, answer).passed, check(exercise, answer)
