"""Checks of the exercises of notebook 08."""

import numpy as np

from .verdicts import numbers, require, require_answer


def _array(found: object) -> np.ndarray:
    """What was returned as an array; of objects, if it has no regular shape."""
    try:
        return np.asarray(found)
    except ValueError:
        return np.asarray(found, dtype=object)


def _check_error_of_difference(answer) -> str:
    rng = np.random.default_rng(3)
    hard, gain = rng.normal(27, 3, 40), rng.normal(0.1, 0.2, 40)
    a, b = hard + gain, hard
    got = answer(a.copy(), b.copy())
    require_answer(got)
    require(
        _array(got).shape != a.shape,
        "shape (40,): return one number for all pictures, not an array with one for each.",
    )
    got = float(numbers(got, (), "the error"))
    n, right = len(a), gain.std(ddof=1) / np.sqrt(len(a))
    mistakes = {
        "this treats the two rows as if they had restored different pictures: take the "
        "difference on each picture first.": np.sqrt(a.var(ddof=1) / n + b.var(ddof=1) / n),
        "this is the spread of single differences; the mean over n pictures is known "
        "sqrt(n) times better.": gain.std(ddof=1),
        "divide by the square root of the number of pictures, not by the number itself.": gain.std(
            ddof=1
        )
        / n,
        "a spread estimated from n values needs n - 1 in its denominator: ddof=1.": gain.std()
        / np.sqrt(n),
        "this is the mean difference itself, not its error.": gain.mean(),
    }
    for reason, number in mistakes.items():
        require(not np.isclose(got, number, rtol=1e-6), reason)
    require(
        np.isclose(got, right, rtol=1e-6),
        f"{float(got):.4f} for data whose answer is {right:.4f}: std(a - b) / sqrt(n).",
    )
    unpaired = np.sqrt(a.var(ddof=1) / n + b.var(ddof=1) / n)
    return (
        f"{right:.3f} dB, where forgetting the pairing would have said {unpaired:.2f} dB for the "
        "same pictures."
    )


def _check_passes(answer) -> str:
    mistakes = {
        "the plain 5 % for each row: the more rows, the more pass by luck.": lambda p: p < 0.05,
        "Bonferroni's bound, n for every row: Holm asks less of the later ones.": lambda p: (
            p < 0.05 / len(p)
        ),
        "each compared with its own bound, but after the first that fails all larger ones fail, "
        "too.": lambda p: p < 0.05 / (len(p) - np.argsort(np.argsort(p))),
    }
    for values in ([0.04, 0.03, 0.02], [0.001, 0.02, 0.04], [0.03, 0.001, 0.04]):
        p = np.array(values)
        order, right = np.argsort(p), np.zeros(len(p), bool)
        for k, i in enumerate(order):
            if p[i] >= 0.05 / (len(p) - k):
                break
            right[i] = True
        got = answer(p.copy())
        require_answer(got)
        got = _array(got)
        require(
            got.dtype == bool or got.shape != p.shape,
            "give True or False for each value.",
        )
        require(got.dtype.kind not in "USOc", "give True or False for each value.")
        require(
            got.shape == p.shape,
            f"return {len(p)} answers in the order of the p values, not {got.shape}.",
        )
        for reason, wrong in mistakes.items():
            require(
                np.array_equal(got, right) or not np.array_equal(got, wrong(p)),
                f"for {values} this is {reason}",
            )
        require(
            np.array_equal(got, right),
            f"for {values} you return {got.tolist()}, but it is {right.tolist()}.",
        )
    return "where nothing is true, at least one row passes in no more than 5 % of such tables."


def _check_seeds_needed(answer) -> str:
    answer = float(numbers(answer, (), "the number of seeds"))
    require(answer == int(answer) and answer > 0, "the answer is a whole number of seeds.")
    require(
        answer != 2,
        "twice the error, not the error times the square root of two: 0.1 = 2 x 0.1 / sqrt(n).",
    )
    require(
        answer != 1,
        "with one seed the standard error is the whole spread, 0.1 dB, and twice that is more "
        "than the effect.",
    )
    require(
        answer != 3,
        "three leave the error at 0.058 dB, and twice that is above 0.1 dB: close, not enough.",
    )
    require(
        answer == 4,
        f"with {answer:g} seeds twice the error is {0.2 / np.sqrt(answer):.3f} dB: find the "
        "smallest that will do.",
    )
    return (
        "four, and that only on average: to see such an effect in four studies of five takes about "
        "ten."
    )


CHECKS = {
    "08.1": _check_error_of_difference,
    "08.2": _check_passes,
    "08.3": _check_seeds_needed,
}
