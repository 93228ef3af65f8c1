"""Checks for the exercises: each says not only whether an answer is right, but why, and where to look next.

A check takes the student's answer, raises `Wrong` with a reason and a hint, or returns one sentence of praise that tells
what the answer shows. `check("01.1", answer)` runs it and never raises.
"""

from dataclasses import dataclass

import numpy as np


class Wrong(AssertionError):
    """An answer that is not right, with the reason and a hint."""


@dataclass(frozen=True)
class Verdict:
    """What a check says; a notebook shows it as one line."""

    exercise: str
    passed: bool
    reason: str

    def __repr__(self):
        return f"{'✓' if self.passed else '✗'} Exercise {self.exercise}: {self.reason}"


def check(exercise: str, answer) -> Verdict:
    """Check the answer to an exercise, e.g. check("01.1", my_function)."""
    if exercise not in CHECKS:
        raise ValueError(f"There is no exercise {exercise!r}: choose one of {', '.join(CHECKS)}.")
    try:
        return Verdict(exercise, True, CHECKS[exercise](answer))
    except Wrong as wrong:
        return Verdict(exercise, False, str(wrong))
    except NotImplementedError:
        return Verdict(exercise, False, "not answered yet: replace the `...` in the skeleton with your own lines.")
    except Exception as error:  # whatever a student's code raises is an answer to explain, not a crash
        return Verdict(exercise, False, f"your code raised {type(error).__name__}: {error}")


def require(condition: bool, reason: str) -> None:
    """Raise `Wrong` with that reason unless the condition holds."""
    if not condition:
        raise Wrong(reason)


def require_answer(answer) -> None:
    """Turn a skeleton's `...` or None into "not answered yet"."""
    if answer is None or answer is ...:
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 01


def _undo_two_tap_blur(undo) -> str:
    """01.1: undo(blurred, a) inverts y[n] = (1-a) x[n] + a x[n-1]."""
    from . import theory

    require_answer(undo)
    x, a = np.random.default_rng(7).random(60) + 0.2, 0.3
    y = theory.convolve(x, [1 - a, a], anchor=0)
    found = undo(y.copy(), a)
    require_answer(found)
    found = np.asarray(found, dtype=np.float64)
    require(found.shape == x.shape, f"a signal of {x.size} samples must come back as {x.size} samples, not as {found.shape}.")
    require(np.isfinite(found).all(), "the result holds NaN or infinity: is every x[n] filled in before it is used?")
    before = np.r_[0, y[:-1]]
    mistakes = {
        "you subtract the *blurred* neighbour y[n-1]. That is the expansion cut after one substitution: eq. 2 wants the "
        "neighbour that you have just recovered, x[n-1].": (y - a * before) / (1 - a),
        "the sign is turned: the blur has added a x[n-1], so it must be subtracted.": theory.invert_recursively(y, [1 - a, -a]),
        "the division by k[0] = 1 - a is missing: the subtraction leaves (1-a) x[n].": theory.invert_recursively(y, [1, a]),
        "the two taps are exchanged: k[0] = 1 - a multiplies x[n], k[1] = a multiplies x[n-1].": (y - (1 - a) * before) / a,
    }
    for reason, typical in mistakes.items():
        require(not np.allclose(found, typical, atol=1e-6), reason)
    wrong = np.flatnonzero(np.abs(found - x) > 1e-8)
    require(
        wrong.size == 0 or wrong[0] > 0,
        "the first sample is wrong already: before the signal everything is 0, so x[0] = y[0] / (1-a). "
        "In Python x[n-1] at n = 0 is the *last* sample.",
    )
    require(
        wrong.size == 0, f"sample {wrong[:1]} is the first wrong one: write out eq. 2 for M = 1 and compare it with your line."
    )
    error = np.abs(found - x).max()
    return f"largest error {error:.0e}. One number carried from pixel to pixel undoes the blur over a line of any length."


def _predict_the_pole(answer) -> str:
    """01.2: (p, reverse) of the scan that undoes the blur [0.3, 0.7]."""
    require_answer(answer)
    require(len(answer) == 2 and ... not in answer, "give both: (p, reverse), a number and True or False.")
    p, reverse = float(answer[0]), bool(answer[1])
    require(
        not np.isclose(p, -7 / 3, atol=0.01),
        "the algebra is right for a scan from the left, but |p| > 1: each step multiplies rounding errors by 7/3. "
        "What is the kernel when you read the line from the other end?",
    )
    require(p < 0, f"p = {p:.3f} averages neighbours, it is one more blur: undoing positive taps needs a negative p.")
    require(
        np.isclose(p, -3 / 7, atol=5e-3), f"p = {p:.3f} is not it: divide the far tap by the near one, as the scan meets them."
    )
    require(reverse, "p is right, but a scan from the left meets the tap 0.3 first, and there p would be -0.7 / 0.3.")
    return "p = -3/7 from the right. Two directions cover every two-tap blur but [1/2, 1/2], whose zero lies on the circle."


def _choose_wiener_constant(choose) -> str:
    """01.3: choose(blurred, transfer, noise) -> c, near the best PSNR without the sharp picture."""
    from . import theory
    from .data import list_photographs, load_photograph
    from .evaluation import psnr

    require_answer(choose)
    losses = []
    for path, angle, noise in zip(list_photographs("test"), (0, 30, 60, 90), (0.005, 0.01, 0.005, 0.02), strict=True):
        photograph = load_photograph(path)
        top, left = ((n - 128) // 2 for n in photograph.shape[:2])
        sharp = photograph[top : top + 128, left : left + 128] / 255
        transfer = theory.transfer_function(theory.line_kernel(11, angle), (128, 128))
        blurred = theory.apply_filter(sharp, transfer) + noise * np.random.default_rng(3).standard_normal(sharp.shape)
        c = choose(blurred, transfer, noise)
        require_answer(c)
        require(np.ndim(c) == 0 and np.isfinite(c) and c > 0, "the constant must be one positive number for all frequencies.")

        def quality(c, blurred=blurred, transfer=transfer, sharp=sharp):
            return psnr(theory.apply_filter(blurred, theory.inverse_filter(transfer, c)), sharp)

        candidates = np.logspace(-5, 0, 41)
        best = max(candidates, key=quality)
        losses.append((quality(best) - quality(c), float(c), best))
    loss, c, best = max(losses)
    side = (
        "too small: noise is amplified. The variance of the picture is mostly in its lowest frequencies, so noise² / variance "
        "promises far more signal at high frequencies than there is"
        if c < best
        else "too large: the blur is left in"
    )
    require(loss < 1.0, f"on one of four pictures c = {c:.1e} loses {loss:.1f} dB against the best {best:.1e}; it is {side}.")
    return f"at most {loss:.2f} dB below the best constant on four unseen pictures, from the blurred picture and the noise alone."


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 02

# ---------------------------------------------------------------------------------------------------------------------
# Notebook 04

CHECKS = {
    "01.1": _undo_two_tap_blur,
    "01.2": _predict_the_pole,
    "01.3": _choose_wiener_constant,
}
