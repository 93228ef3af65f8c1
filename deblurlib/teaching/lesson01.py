"""Checks of the exercises of notebook 01."""

import numpy as np

from .verdicts import name_mistake, numbers, require, require_answer, truth


def _undo_two_tap_blur(undo) -> str:
    """01.1: undo(blurred, a) inverts y[n] = (1-a) x[n] + a x[n-1]."""
    from .. import theory

    require_answer(undo)
    x, a = np.random.default_rng(7).random(60) + 0.2, 0.3
    y = theory.convolve(x, np.array([1 - a, a]), anchor=0)
    found = undo(y.copy(), a)
    require(
        isinstance(found, str) or np.shape(found) == x.shape or found is None,
        f"a signal of {x.size} samples must come back as {x.size} samples, not as "
        f"{np.shape(found)}.",
    )
    with np.errstate(all="ignore"):
        found = numbers(found, x.shape, "the signal")
    before = np.r_[0, y[:-1]]
    mistakes = {
        "you subtract the *blurred* neighbour y[n-1]. That is the expansion cut after one "
        "substitution: eq. 2 wants the "
        "neighbour that you have just recovered, x[n-1].": (y - a * before) / (1 - a),
        "the sign is reversed: the blur has added a x[n-1], so it must be "
        "subtracted.": theory.invert_recursively(y, np.array([1 - a, -a])),
        "the division by k[0] = 1 - a is missing: the subtraction leaves "
        "(1-a) x[n].": theory.invert_recursively(y, np.array([1, a])),
        "the two taps are swapped: k[0] = 1 - a multiplies x[n], k[1] = a multiplies x[n-1].": (
            y - (1 - a) * before
        )
        / a,
        "the sign of a is reversed throughout: the blur is (1 - a) x[n] + a x[n-1], so a is "
        "subtracted both times.": theory.invert_recursively(y, np.array([1 + a, -a])),
        "this is the blurred signal as it came in: store what you compute in a new array and "
        "return that.": y,
        "this blurs once more: you have written the blur, and want x[n] from it.": (1 - a) * y
        + a * before,
        "the recursion runs from the last sample to the first: the blur looks back, so start at "
        "n = 0.": theory.invert_recursively(y[::-1], np.array([1 - a, a]))[::-1],
        "the result is late by one sample: x[n] belongs to y[n].": np.r_[0, x[:-1]],
        "the result is early by one sample: x[n] belongs to y[n].": np.r_[x[1:], 0],
    }
    name_mistake(found, x, mistakes)
    wrong = np.flatnonzero(np.abs(found - x) > 1e-8)
    require(
        wrong.size == 0 or wrong[0] > 0,
        "the first sample is wrong already: before the signal everything is 0, so x[0] = y[0] / "
        "(1-a). "
        "In Python x[n-1] at n = 0 is the *last* sample.",
    )
    require(
        wrong.size == 0,
        f"sample {wrong[:1]} is the first wrong one: write out eq. 2 for M = 1 and compare it "
        "with your line.",
    )
    error = np.abs(found - x).max()
    return (
        f"largest error {error:.0e}. One number carried from pixel to pixel undoes the blur over a "
        "line of any length."
    )


def _predict_the_pole(answer) -> str:
    """01.2: (p, reverse) of the scan that undoes the blur [0.3, 0.7]."""
    require_answer(answer)
    require(
        not callable(answer), "give the value that is asked for, not a function: call it first."
    )
    require(
        isinstance(answer, tuple | list | np.ndarray) and len(answer) == 2,
        f"give both, (p, reverse): a number and True or False, not {answer!r}.",
    )
    require(
        not isinstance(answer[0], bool | np.bool),
        "the order is (p, reverse): first the number, then True or False.",
    )
    p = float(numbers(answer[0], (), "p"))
    reverse = truth(answer[1], "reverse")
    require(
        not np.isclose(p, -7 / 3, atol=0.01),
        "the algebra is right for a scan from the left, but |p| > 1: each step multiplies rounding "
        "errors by 7/3. "
        "What is the kernel when you read the line from the other end?",
    )
    require(
        p < 0,
        f"p = {p:.3f} averages neighbours, which blurs once more: undoing positive taps needs a "
        "negative p.",
    )
    require(
        np.isclose(p, -3 / 7, atol=5e-3),
        f"p = {p:.3f} is not right: divide the far tap by the near one, as the scan meets them.",
    )
    require(
        reverse,
        "p is right, but a scan from the left meets the tap 0.3 first, and there p would be -0.7 "
        "/ 0.3.",
    )
    return (
        "p = -3/7 from the right. Two directions cover every two-tap blur but [1/2, 1/2], whose "
        "zero lies on the circle."
    )


def _choose_wiener_constant(choose) -> str:
    """01.3: choose(blurred, transfer, noise) -> c, near the best PSNR without the sharp picture."""
    from .. import theory
    from ..data import list_photographs, load_photograph
    from ..evaluation import psnr

    require_answer(choose)
    losses = []
    unseen = list_photographs("validation") + list_photographs("test")[:1]
    for path, angle, noise in zip(unseen, (0, 30, 60, 90), (0.005, 0.01, 0.005, 0.02), strict=True):
        photograph = load_photograph(path)
        top, left = ((n - 128) // 2 for n in photograph.shape[:2])
        sharp = photograph[top : top + 128, left : left + 128] / 255
        transfer = theory.transfer_function(theory.line_kernel(11, angle), (128, 128))
        blurred = theory.apply_filter(sharp, transfer) + noise * np.random.default_rng(
            3
        ).standard_normal(sharp.shape)
        c = choose(blurred, transfer, noise)
        require(
            isinstance(c, str) or np.ndim(c) == 0,
            "the constant must be one positive number for all frequencies, not an array.",
        )
        c = float(numbers(c, (), "the constant"))
        require(
            c > 0, f"the constant must be one positive number for all frequencies, not {c:.3g}."
        )
        require(
            c <= 1 or not float(c).is_integer(),
            f"{c:.0f} looks like the place of the constant in a list: return the constant.",
        )

        def quality(c, blurred=blurred, transfer=transfer, sharp=sharp):
            return psnr(theory.apply_filter(blurred, theory.inverse_filter(transfer, c)), sharp)

        best = max(np.logspace(-4, 0, 21), key=quality)
        losses.append((quality(best) - quality(c), float(c), best))
    loss, c, best = max(losses)
    side = (
        "too small: noise is amplified. (noise² / variance errs this way: most of the variance "
        "lies in the lowest frequencies)"
        if c < best
        else "too large: much of the blur remains"
    )
    require(
        loss < 1.0,
        f"on one of four pictures c = {c:.1e} loses {loss:.1f} dB against the best {best:.1e}; it "
        f"is {side}.",
    )
    return (
        f"at most {loss:.2f} dB below the best constant on four unseen pictures, from the blurred "
        "picture and the noise alone."
    )


CHECKS = {
    "01.1": _undo_two_tap_blur,
    "01.2": _predict_the_pole,
    "01.3": _choose_wiener_constant,
}
