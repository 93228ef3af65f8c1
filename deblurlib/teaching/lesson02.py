"""Checks of the exercises of notebook 02."""

import numpy as np

from .verdicts import numbers, require, require_answer


def _count_subframes(subframes) -> str:
    """02.1: subframes(flow_previous, flow_next, exposure) -> the smallest odd number of sub-frames.

    No step between sub-frames may exceed one pixel.
    """
    require_answer(subframes)
    rng = np.random.default_rng(2)
    for exposure in (1.0, 0.5, 0.8):
        before, after = (rng.uniform(-1, 1, (6, 5, 2)) * length for length in (21, 9))
        side = exposure * np.hypot(
            *np.moveaxis(before, -1, 0)
        )  # twice the path of one side: that side lasts exposure / 2
        longest, mean = side.max(), np.hypot(*np.moveaxis(np.stack([before, after]), -1, 0)).mean()
        found, right = subframes(before, after, exposure), 2 * int(np.ceil(longest / 2)) + 1
        found = float(numbers(found, (), "the number of sub-frames"))
        require(found == int(found), f"{found:g} is not a whole number: round up.")
        found = int(found)
        mistakes = {
            "the whole flow takes a whole frame period, but the shutter is open for exposure / "
            "2 of it on either side.": 2 * int(np.ceil(longest / exposure)) + 1,
            "you count for the average motion, but the fastest point is what leaves ghosts, "
            "so take the largest length.": 2 * int(np.ceil(exposure * mean / 2)) + 1,
            "these are the sub-frames of one side only: there are as many before the sharp "
            "frame as after it.": int(np.ceil(longest / 2)) + 1,
            "n steps have n + 1 ends: the sharp frame in the middle counts as well.": right - 1,
            "you look at the motion to the next frame only: here the motion before the sharp "
            "frame is the longer one.": 2
            * int(np.ceil(exposure * np.hypot(*np.moveaxis(after, -1, 0)).max() / 2))
            + 1,
        }
        for reason, number in mistakes.items():
            require(
                found == right or found != number,
                f"{found} for an exposure of {exposure}: {reason}",
            )
        require(
            found % 2 == 1,
            f"{found} is even: then no sub-frame lies in the middle of the exposure, where the "
            "sharp one is.",
        )
        step = longest / max(found - 1, 1)
        require(
            found >= right,
            f"{found} leaves steps of {step:.2f} pixels, and a thin line would show as separate "
            "copies.",
        )
        require(
            found == right,
            f"{found} is more than needed: {right} already make steps of at most one pixel.",
        )
    return (
        "one sub-frame per pixel of the longest path. A film of fixed rate cannot promise that: "
        "GoPro averages 7 to 13 frames."
    )


def _tell_the_variant(tell) -> str:
    """02.2: tell(blurry, sharp) -> "blur" or "blur_gamma", right on at least nine of ten pairs."""
    from ..data import SceneDataset

    require_answer(tell)
    right, said = {}, set()
    for variant in ("blur", "blur_gamma"):
        scenes = [
            SceneDataset("train", 12, 128, seed=77, variant=variant, severity=0.7).scene(i)
            for i in range(12)
        ]
        answers = [tell(s.blurry.copy(), s.sharp.copy()) for s in scenes]
        require_answer(answers[0])
        answers = [str(a) for a in answers]
        said |= set(answers)
        right[variant] = np.mean([a == variant for a in answers])
    require(
        said <= {"blur", "blur_gamma"},
        f"the answer must be 'blur' or 'blur_gamma', not {sorted(map(str, said))[0]!r}.",
    )
    require(
        len(said) == 2,
        f"you answer {said.pop()!r} for every pair: what is equal in one variant and not in the "
        "other?",
    )
    share = (right["blur"] + right["blur_gamma"]) / 2
    require(
        share > 0.15,
        "nearly every answer is the wrong way round: the gap that is *smaller* names the values "
        "that were averaged.",
    )
    require(
        share >= 0.9,
        f"{share:.0%} are right. An average keeps the mean of what was averaged: compare "
        "|mean(blurry) - mean(sharp)| with the "
        "same gap after raising both to the power 2.2, and leave differences of single pixels "
        "alone.",
    )
    return (
        f"{share:.0%} of 24 pairs are right. Run it on any download before you train on it: it "
        "takes a minute and saves a table."
    )


def _estimate_the_exposure(estimate) -> str:
    """02.3: estimate(blurry, sharp, flow_previous, flow_next) -> exposure.

    The exposure is the share of the frame period during which the shutter was open.
    """
    from ..data import render_scene
    from ..data.photographs import list_photographs, load_photograph

    require_answer(estimate)
    photograph, answers = load_photograph(list_photographs("test")[0]), []
    shutters = (0.4, 0.6, 0.8, 1.0)
    for truth in shutters:
        scene = render_scene(
            photograph,
            21,
            128,
            variant="blur",
            exposure=truth,
            severity=1 / truth,
            noise=0,
            objects=1,
        )
        said = estimate(scene.blurry, scene.sharp, scene.flow_previous, scene.flow_next)
        answers.append(float(numbers(said, (), "the exposure")))
    found, truths = np.array(answers, dtype=float), np.array(shutters)
    said = ", ".join(f"{f:.2f} for {t}" for f, t in zip(found, truths, strict=True))
    require(
        not np.allclose(found, truths / 2, atol=0.06) or np.allclose(found, truths, atol=0.1),
        f"you give {said}: that is the scale, and the shutter is open on both sides of the sharp "
        "frame, so exposure = 2 scale.",
    )
    require(np.ptp(found) > 0.1, f"you give {said}: the answer must depend on the blurry picture.")
    require(
        np.allclose(found, truths, atol=0.1),
        f"you give {said}: try scales between 0.1 and 0.6, and keep the one whose reblurred "
        "picture has the highest PSNR.",
    )
    return f"{said}. You have measured a shutter from one blurry picture and two flows."


def _count_the_electrons(electrons) -> str:
    """02.4: electrons(exposures) -> electrons at white.

    The exposures are the light of a still scene, (T, H, W, 3).
    """
    from ..data.camera import expose

    require_answer(electrons)
    rng, answers = np.random.default_rng(4), []
    for truth in (800, 3000, 10_000):
        light = (rng.uniform(20, 90, (32, 32, 3)) / truth).astype(np.float32)
        exposures = np.stack([expose(light, 2.2, truth, rng) for _ in range(200)])
        found = float(numbers(electrons(exposures.copy()), (), "the number of electrons"))
        mean, variance = (np.ravel(f(exposures, axis=0)) for f in (np.mean, np.var))
        slope, deviation = (np.polyfit(mean, y, 1)[0] for y in (variance, np.sqrt(variance)))
        mistakes = {
            "that is the slope of variance over mean, which is 1 / N: turn it over.": slope,
            "the variance is the mean divided by N only without read noise, which is there in the "
            "dark as well: fit a line, and ignore where it starts.": mean.mean() / variance.mean(),
            "variances add up, deviations do not: fit the line to the variance.": 1 / deviation,
            "the variance over all pixels is the contrast of the scene: compare the exposures "
            "with each other, pixel by pixel.": exposures.mean() / exposures.var(),
        }
        for reason, number in mistakes.items():
            require(not np.isclose(found, number, rtol=0.05), f"{found:.3g} for {truth}: {reason}")
        require(
            np.isclose(found, truth, rtol=0.1),
            f"{found:.3g} for {truth}: plot the variance of every pixel over its mean, and read "
            "the slope of the line.",
        )
        answers.append(f"{found:.0f} for {truth}")
    return (
        f"{', '.join(answers)}. The line is called the photon transfer curve, and it needs nothing "
        "but a tripod."
    )


CHECKS = {
    "02.1": _count_subframes,
    "02.2": _tell_the_variant,
    "02.3": _estimate_the_exposure,
    "02.4": _count_the_electrons,
}
