"""Checks of the exercises of notebook 05."""

import numpy as np

from .verdicts import numbers, require, require_answer


def _fold_five_taps(fold) -> str:
    """05.1: fold(kernel) -> (taps, left).

    taps (2, 3) are those of the even and of the odd samples; left is the number of zeros that each
    needs on its left.
    """
    require_answer(fold)
    rng = np.random.default_rng(5)
    kernel, signal = rng.standard_normal(5), rng.standard_normal(24)
    answer = fold(kernel.copy())
    require_answer(answer)
    require(
        isinstance(answer, tuple) and len(answer) == 2,
        "give both: (taps, left), an array (2, 3) and a number of zeros.",
    )
    for part in answer:
        require_answer(part)
    taps, left = numbers(answer[0], None, "taps"), int(numbers(answer[1], (), "left"))
    require(
        taps.shape == (2, 3),
        f"the taps have shape {taps.shape}: five taps and one zero are two phases, rows, of three "
        "taps each.",
    )
    require(
        0 <= left <= 2,
        f"{left} zeros on the left are impossible: three taps cross the border by at most two.",
    )
    wanted = np.array([kernel @ np.pad(signal, 2)[2 * n : 2 * n + 5] for n in range(12)])
    found = _convolve_phases(signal, taps, left)
    mended = np.append(kernel, 0).reshape(3, 2).T
    mistakes = {
        "you put the zero in front, as for seven taps. There the first tap reads 2n - 3, an odd "
        "place, and the zero fills the "
        "even one before it; here it reads 2n - 2, which is even already, so the zero is needed "
        "behind.": np.insert(kernel, 0, 0).reshape(3, 2).T,
        "the phases are swapped: row 0 meets the samples 0, 2, 4, …": mended[::-1],
        "the first three taps are not the even ones: neighbouring taps meet neighbouring samples, "
        "which are of different phase.": np.append(kernel, 0).reshape(2, 3),
    }
    for reason, wrong in mistakes.items():
        require(not np.allclose(taps, wrong), reason)
    require(
        not np.allclose(taps, mended) or left == 1,
        f"the taps are right, but with {left} zeros on the left the result is shifted by one: the "
        "first tap reads sample 2n - 2, "
        "which is number n - 1 of its phase.",
    )
    worst = np.abs(found - wanted).max()
    require(
        worst < 1e-9,
        f"the result is off by up to {worst:.2f}: write down which sample each of the five taps "
        "reads for n = 1.",
    )
    return (
        "padding decides where the zero goes: in front if it is odd, behind if it is even. Nothing "
        "was lost, nothing was added."
    )


def _convolve_phases(signal, taps, left):
    padded = np.pad(
        signal.reshape(-1, 2).T, ((0, 0), (left, 2 - left))
    )  # (2, 12 + 2): even and odd samples
    return np.array([(taps * padded[:, n : n + 3]).sum() for n in range(12)])


def _attend_in_pieces(attend) -> str:
    """05.2: attend(query, pieces) -> sum_i s_i D_i of one query.

    Keys and values are seen once, piece by piece.
    """
    require_answer(attend)
    rng = np.random.default_rng(7)
    query, keys, values = (
        rng.standard_normal(6),
        rng.standard_normal((40, 6)),
        rng.standard_normal((40, 3)),
    )
    cuts = (7, 12, 30)  # pieces of different length
    found = numbers(attend(query.copy(), _pieces(keys, values, cuts)))
    require(
        found.shape == (3,),
        f"the result is one value of three channels, not an array {found.shape}.",
    )
    each = [_softmax(k @ query) @ v for k, v in _pieces(keys, values, cuts)]
    lengths = np.diff((0, *cuts, 40))
    scores = keys @ query
    mistakes = {
        "this is the mean of the pieces' own results, but a piece whose keys fit better must weigh "
        "more: keep the sums of "
        "exponentials, and divide once, at the end.": np.mean(each, 0),
        "you weigh the pieces by their length: they weigh as much as the sum of their "
        "exponentials.": np.average(each, axis=0, weights=lengths),
        "this is the last piece alone: what came before must be kept.": each[-1],
        "the division by the sum of all exponentials is missing.": np.exp(scores) @ values,
        "this is the plain mean of all values: weigh them by the exponentials of their "
        "scores.": values.mean(0),
    }
    for reason, wrong in mistakes.items():
        require(not np.allclose(found, wrong), reason)
    right = _softmax(scores) @ values
    require(
        np.allclose(found, right),
        "not it. If you subtract a running maximum, then whenever it grows from m to M, multiply "
        "both sums so far by exp(m - M).",
    )
    order = np.argsort(scores)
    for way, sorted_keys in (
        ("ever larger", order),
        ("ever smaller", order[::-1]),
    ):  # scores of hundreds, as eq. 5 may have them
        with np.errstate(all="ignore"):
            large = np.asarray(
                attend(300 * query, _pieces(keys[sorted_keys], values[sorted_keys], cuts)), float
            )
        require(
            np.isfinite(large).all(),
            f"right for small scores, but {large} for scores in the hundreds: exp(710) is "
            "infinite. Subtract the largest "
            "score so far; the ratio does not change.",
        )
        require(
            np.allclose(large, _softmax(300 * scores) @ values),
            f"right for small scores, but wrong where they are large and come {way}: subtract a "
            "running maximum, and multiply "
            "both sums so far by exp(m - M) whenever it grows from m to M; then nothing is cut "
            "off.",
        )
    return (
        "one pass, three things to remember, the exact result. This is how fused attention works "
        "without the N x N map."
    )


def _pieces(keys, values, cuts):
    """Pieces of keys and values, which can be run through once."""
    return ((k, v) for k, v in zip(np.split(keys, cuts), np.split(values, cuts), strict=True))


def _softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def _stretch_sideways(stretch) -> str:
    """05.3: stretch(offset) -> additional distance of the third from the first column of taps.

    It is measured against the plain grid.
    """
    require_answer(stretch)
    offset = np.random.default_rng(6).standard_normal((18, 4, 5))
    found = numbers(stretch(offset.copy()), None, "the stretch")
    require(
        found.shape == (4, 5),
        f"return one number for each of 4 x 5 places, not an array {found.shape}.",
    )
    pairs = offset.reshape(3, 3, 2, 4, 5)  # row, column, (dy, dx)
    mistakes = {
        "you took the first of each pair, which is dy: pairs are (down, right), so dx are the "
        "channels 1, 3, 5, …": (pairs[:, 2, 0] - pairs[:, 0, 0]).mean(0),
        "you compared the third *row* with the first: taps are numbered row by row, so a column "
        "is every third tap.": (pairs[2, :, 1] - pairs[0, :, 1]).mean(0),
        "the sign is reversed: a filter that is stretched sideways has its third column moved to "
        "the right of where it was.": (pairs[:, 0, 1] - pairs[:, 2, 1]).mean(0),
        "this is the sum over the three rows: take their mean, so that a column moved by one "
        "pixel counts as one.": (pairs[:, 2, 1] - pairs[:, 0, 1]).sum(0),
        "this treats the first nine channels as dy and the last nine as dx: they alternate, a "
        "pair for each tap.": (
            offset[9:].reshape(3, 3, 4, 5)[:, 2] - offset[9:].reshape(3, 3, 4, 5)[:, 0]
        ).mean(0),
        "these are the distances of the columns, which are 2 on the plain grid: leave the grid "
        "out.": 2 + (pairs[:, 2, 1] - pairs[:, 0, 1]).mean(0),
    }
    for reason, wrong in mistakes.items():
        require(not np.allclose(found, wrong), reason)
    right = (pairs[:, 2, 1] - pairs[:, 0, 1]).mean(0)
    require(
        not np.allclose(found, np.abs(right)),
        "you took the absolute value: then a filter that shrinks looks like one that grows.",
    )
    require(
        np.allclose(found, right),
        "dx of tap t is channel 2t + 1; the third column is taps 2, 5, 8, the first 0, 3, 6.",
    )
    return (
        "a filter that moves as a whole scores 0, one that spreads scores more: the figure shows "
        "width, not displacement."
    )


CHECKS = {
    "05.1": _fold_five_taps,
    "05.2": _attend_in_pieces,
    "05.3": _stretch_sideways,
}
