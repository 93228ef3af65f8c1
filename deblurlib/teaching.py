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
    for part in answer:
        require_answer(part)
    require(len(answer) == 2, "give both: (p, reverse), a number and True or False.")
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
    unseen = list_photographs("validation") + list_photographs("test")[:1]
    for path, angle, noise in zip(unseen, (0, 30, 60, 90), (0.005, 0.01, 0.005, 0.02), strict=True):
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

        best = max(np.logspace(-4, 0, 21), key=quality)
        losses.append((quality(best) - quality(c), float(c), best))
    loss, c, best = max(losses)
    side = (
        "too small: noise is amplified. (noise² / variance errs this way: most of the variance lies in the lowest frequencies)"
        if c < best
        else "too large: the blur is left in"
    )
    require(loss < 1.0, f"on one of four pictures c = {c:.1e} loses {loss:.1f} dB against the best {best:.1e}; it is {side}.")
    return f"at most {loss:.2f} dB below the best constant on four unseen pictures, from the blurred picture and the noise alone."


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 02


def _count_subframes(subframes) -> str:
    """02.1: subframes(flow_previous, flow_next, exposure) -> the least odd number without a step over one pixel."""
    require_answer(subframes)
    rng = np.random.default_rng(2)
    for exposure in (1.0, 0.5, 0.8):
        before, after = (rng.uniform(-1, 1, (6, 5, 2)) * length for length in (21, 9))
        side = exposure * np.hypot(*np.moveaxis(before, -1, 0))  # twice the path of one side: that side lasts exposure / 2
        longest, mean = side.max(), np.hypot(*np.moveaxis(np.stack([before, after]), -1, 0)).mean()
        found, right = subframes(before, after, exposure), 2 * int(np.ceil(longest / 2)) + 1
        require_answer(found)
        mistakes = {
            "the whole flow takes a whole frame period, but the shutter is open for exposure / 2 of it on either side.":
                2 * int(np.ceil(longest / exposure)) + 1,
            "you count for the average motion: the fastest point is the one that leaves ghosts, so take the largest length.":
                2 * int(np.ceil(exposure * mean / 2)) + 1,
            "these are the sub-frames of one side only: there are as many before the sharp frame as after it.":
                int(np.ceil(longest / 2)) + 1,
            "n steps have n + 1 ends: the sharp frame in the middle counts as well.": right - 1,
            "you look at the motion to the next frame only: here the motion before the sharp frame is the longer one.":
                2 * int(np.ceil(exposure * np.hypot(*np.moveaxis(after, -1, 0)).max() / 2)) + 1,
        }  # fmt: skip
        for reason, number in mistakes.items():
            require(found == right or found != number, f"{found} for an exposure of {exposure}: {reason}")
        require(
            found % 2 == 1, f"{found} is even: then no sub-frame stands in the middle of the exposure, where the sharp one is."
        )
        step = longest / max(found - 1, 1)
        require(found >= right, f"{found} leaves steps of {step:.2f} pixels, and a thin line would show as separate copies.")
        require(found == right, f"{found} is more than needed: {right} already make steps of at most one pixel.")
    return "one sub-frame a pixel of the longest path. A film of fixed rate cannot promise that: GoPro averages 7 to 13 frames."


def _tell_the_variant(tell) -> str:
    """02.2: tell(blurry, sharp) -> "blur" or "blur_gamma", right on at least nine of ten pairs."""
    from .data import SceneDataset

    require_answer(tell)
    right, said = {}, set()
    for variant in ("blur", "blur_gamma"):
        scenes = [SceneDataset("train", 12, 128, seed=77, variant=variant, severity=0.7).scene(i) for i in range(12)]
        answers = [tell(s.blurry.copy(), s.sharp.copy()) for s in scenes]
        require_answer(answers[0])
        said |= set(answers)
        right[variant] = np.mean([a == variant for a in answers])
    require(said <= {"blur", "blur_gamma"}, f"the answer must be 'blur' or 'blur_gamma', not {sorted(map(str, said))[0]!r}.")
    require(len(said) == 2, f"you answer {said.pop()!r} for every pair: what is equal in one variant and not in the other?")
    share = (right["blur"] + right["blur_gamma"]) / 2
    require(
        share > 0.15, "nearly every answer is the wrong way round: the gap that is *smaller* names the values that were averaged."
    )
    require(
        share >= 0.9,
        f"{share:.0%} are right. An average keeps the mean of what was averaged: compare |mean(blurry) - mean(sharp)| with the "
        "same gap after raising both to the power 2.2, and leave differences of single pixels alone.",
    )
    return (
        f"{share:.0%} of 24 pairs are right. Run it on any download before you train on it: it takes a minute and saves a table."
    )


def _estimate_the_exposure(estimate) -> str:
    """02.3: estimate(blurry, sharp, flow_previous, flow_next) -> share of the frame period that the shutter was open."""
    from .data import render_scene
    from .data.photographs import list_photographs, load_photograph

    require_answer(estimate)
    photograph, found = load_photograph(list_photographs("test")[0]), []
    truths = (0.4, 0.6, 0.8, 1.0)
    for truth in truths:
        scene = render_scene(photograph, 21, 128, variant="blur", exposure=truth, severity=1 / truth, noise=0, objects=1)
        found.append(estimate(scene.blurry, scene.sharp, scene.flow_previous, scene.flow_next))
        require_answer(found[-1])
    found, truths = np.array(found, dtype=float), np.array(truths)
    said = ", ".join(f"{f:.2f} for {t}" for f, t in zip(found, truths, strict=True))
    require(
        not np.allclose(found, truths / 2, atol=0.06) or np.allclose(found, truths, atol=0.1),
        f"you give {said}: that is the scale, and the shutter is open on both sides of the sharp frame, so exposure = 2 scale.",
    )
    require(np.ptp(found) > 0.1, f"you give {said}: the answer must depend on the blurry picture.")
    require(
        np.allclose(found, truths, atol=0.1),
        f"you give {said}: try scales between 0.1 and 0.6, and keep the one whose reblurred picture has the highest PSNR.",
    )
    return f"{said}. You have measured a shutter from one blurry picture and two flows."


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 04


def _check_distance(answer) -> str:
    cases = {  # points, end, distance, what it tests
        "a point beside the middle of a horizontal segment": ([[2.0, 1.0]], [4.0, 0.0], [1.0]),
        "a point on the segment": ([[1.0, 0.0]], [4.0, 0.0], [0.0]),
        "a point beyond the far end; clamp t at 1": ([[5.0, 0.0]], [4.0, 0.0], [1.0]),
        "a point behind the origin; clamp t at 0": ([[-3.0, 4.0]], [4.0, 0.0], [5.0]),
        "a vertical flow": ([[0.0, 5.0], [2.0, 1.0]], [0.0, 3.0], [2.0, 2.0]),
        "a slanted flow": ([[2.0, 1.0]], [4.0, 3.0], [0.4]),
        "a zero flow, where P.D / D.D divides by zero": ([[3.0, 4.0]], [0.0, 0.0], [5.0]),
    }
    for what, (points, end, expected) in cases.items():
        with np.errstate(all="ignore"):
            got = answer(np.array(points), np.array(end))
        require_answer(got)
        got = np.asarray(got, float)
        require(
            got.shape == (len(points),),
            f"for points of shape {np.shape(points)} it should return {len(points)} distances, not {got.shape}.",
        )
        require(
            np.allclose(got, expected, atol=1e-4),
            f"{what}: P = {points[0]}, D = {end} gives {got[0]:.3g}, not {expected[0]:.3g}.",
        )
    return "right for every flow, vertical and zero ones too: clamping t covers both ends, so no case needs a rule of its own."


def _check_feature_flow(answer) -> str:
    flow = np.dstack(np.meshgrid(np.arange(8.0), 10 * np.arange(6.0)))  # (6, 8, 2)
    got = answer(flow)
    require_answer(got)
    got = np.asarray(got)
    require(got.shape == (3, 4, 2), f"a (6, 8, 2) flow should become (3, 4, 2), not {got.shape}: every second row and column.")
    require(
        not np.allclose(got, flow[::2, ::2]),
        "the places are right, but the vectors still count image pixels: one feature pixel is two.",
    )
    require(not np.allclose(got, 2 * flow[::2, ::2]), "the vectors grew: fewer, larger pixels mean smaller numbers.")
    require(
        np.allclose(got, flow[::2, ::2] / 2), "take the vectors at even rows and columns, where the features sit, and halve them."
    )
    return "fewer pixels, each twice as large: the same motion is half as many of them."


def _check_offsets(answer) -> str:
    for D in ([6.0, 0.0], [0.0, 4.0], [3.0, -5.0]):
        got = answer(np.array(D))
        require_answer(got)
        got = np.asarray(got, float)
        require(
            got.shape == (50,), f"the operator wants 50 numbers, (down, right) for each of 25 taps; yours has shape {got.shape}."
        )
        grid = np.stack(np.divmod(np.arange(25), 5), -1) - 2
        points, wanted = got.reshape(25, 2) + grid, np.linspace(-1, 1, 25)[:, None] * np.array(D[::-1])
        require(
            not np.allclose(got.reshape(25, 2), wanted),
            "these are the points themselves: an offset is the point minus the grid point the tap starts from.",
        )
        require(
            not np.allclose(points[:, ::-1], wanted),
            "the points are mirrored at the diagonal: each pair is (down, right), D is (right, down).",
        )
        require(
            np.allclose(points[::-1], wanted) or np.allclose(points, wanted),
            f"for D = {D} tap 0 reads at (down, right) = {points[0].round(2)}, not at {wanted[0]}.",
        )
        require(np.allclose(points, wanted), "the points are right but run backwards: the first should be -D, the last D.")
    return "25 taps in a row: with weights of 1/25 this is a box blur along D, made by an operator that knows no blur."


CHECKS = {
    "04.1": _check_distance,
    "04.2": _check_feature_flow,
    "04.3": _check_offsets,
    "01.1": _undo_two_tap_blur,
    "01.2": _predict_the_pole,
    "01.3": _choose_wiener_constant,
    "02.1": _count_subframes,
    "02.2": _tell_the_variant,
    "02.3": _estimate_the_exposure,
}
