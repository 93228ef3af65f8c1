"""The rule that turns the measurement of a claim into a verdict."""

from typing import NamedTuple

import numpy as np

from .significance import ALPHA

KINDS = ("theorem", "count", "consistency", "experiment")
RULES = ("exact", "difference", "correlation", "equivalence", "needs GoPro")
VERDICTS = (
    "reproduced",
    "direction only",
    "no effect at this scale",
    "inconclusive",
    "not learned enough",
    "contradicted",
    "needs GoPro",
    "not measured",
)
NEGLIGIBLE = 0.2  # of a printed difference: less than that is no effect
TRAININGS = 2  # of each network: one tells nothing about the next
HALF = 0.5  # of a printed difference: ours must exceed it beyond chance


class Gate(NamedTuple):
    """A condition without which a measurement does not speak about a trained part."""

    name: str
    measured: str
    least: float
    unit: str


GATES = {
    gate.name: gate
    for gate in (
        Gate(
            "gain",
            "PSNR of the network minus that of the blurry picture, on the pictures of the claim; "
            "for reblurring, PSNR against the blurry picture minus that of the sharp one",
            0.5,
            "dB",
        ),
        Gate("offsets", "mean distance of the sampling points from their start", 0.1, "px"),
        Gate(
            "attention",
            "mean share of attention that has moved since the start (half the sum of absolute "
            "differences)",
            0.05,
            "share",
        ),
        Gate("p", "mean absolute difference of the recurrent weights from their start", 0.05, "1"),
    )
}


def has_learned(gates: str, found: dict[str, float]) -> bool | None:
    """Tell whether a measurement passes the gates of its claim.

    Args:
        gates: Names of gates, separated by spaces; "" for none.
        found: Measured values by gate.

    Returns:
        None without gates; False if one is below its bound; True if none is.

    Raises:
        ValueError: If a gate is unknown, or was not measured although no other one fails.
    """
    names = gates.split()
    unknown = [name for name in (*names, *found) if name not in GATES]
    if unknown:
        raise ValueError(f"There is no gate {unknown[0]!r}: choose from {', '.join(GATES)}.")
    if any(name in found and not found[name] >= GATES[name].least for name in names):
        return False
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"The gate {missing[0]!r} was not measured: {GATES[missing[0]].measured}.")
    return True if names else None


def verdict(  # noqa: PLR0913 - one argument per fact that decides
    rule: str,
    *,
    value: float | None = None,
    interval: tuple[float, float] | None = None,
    p: float | None = None,
    holds: bool | None = None,
    direction: str = "+",
    margin: float | None = None,
    negligible: float | None = None,
    learned: bool | None = None,
    seeds: int | None = None,
) -> str:
    """Judge a claim by its measurement.

    =======================  =======================================================================
    reproduced               exact: it holds. difference, correlation: p < 0.05 on the claimed side;
                             and where the paper prints a size, the whole interval is above half of
                             it and does not end below it. equivalence: the whole interval is within
                             ± negligible
    direction only           difference: p < 0.05 on the claimed side, but the interval does not
                             reach the printed size, or does not exclude half of it
    no effect at this scale  difference, correlation: the whole interval is within ± negligible,
                             which is two one-sided tests at 2.5 % each
    inconclusive             difference, correlation: p >= 0.05, or the interval contains 0. exact:
                             measured, but it does not decide. equivalence: neither. Any claim that
                             compares trainings of a single seed, regardless of the result
    not learned enough       the network, or the part of it that the claim is about, has not left
                             its start far enough to be judged, see `GATES`
    contradicted             exact: it does not hold. difference, correlation: p < 0.05 on the other
                             side. equivalence: the whole interval is beyond ± negligible
    needs GoPro              the claim is about GoPro's test set, and what was measured elsewhere
                             does not decide (else as exact)
    not measured             nothing was recorded
    =======================  =======================================================================

    Args:
        rule: One of `RULES`.
        value: The measured number; None if nothing was recorded.
        interval: Its (low, high), for all rules but exact ones.
        p: Two-sided p value, after Holm's method, for differences and correlations.
        holds: Whether an exact statement is true; None if the measurement does not decide.
        direction: "+" or "-", the claimed sign of `value`.
        margin: The printed size, without a sign; None or NaN if the paper prints none.
        negligible: The largest size that counts as no effect; None or NaN for `NEGLIGIBLE` times
            the printed size, and if there is none either, nothing does.
        learned: What `has_learned` returns.
        seeds: For claims that compare trainings, how often each training was repeated; None for
            other claims. An interval over images cannot tell two trainings that differ in what is
            claimed from two that differ by chance.

    Returns:
        One of `VERDICTS`.

    Raises:
        ValueError: For an unknown rule or direction, or if a value, an interval or p value that the
            rule needs is missing or not finite.
    """
    if rule not in RULES:
        raise ValueError(f"There is no rule {rule!r}: choose one of {', '.join(RULES)}.")
    if value is not None and not np.isfinite(value):
        raise ValueError(f"The value is {value}: only finite numbers can be judged.")
    settled = _settled(rule, value, holds, learned, seeds)
    if settled is not None:
        return settled
    if direction not in ("+", "-"):
        raise ValueError(
            f"The direction is {direction!r}: give '+' or '-', the sign that the paper claims."
        )
    p = 0.0 if rule == "equivalence" else p
    if interval is None or p is None or not np.isfinite([*interval, p]).all():
        raise ValueError(
            f"A {rule} has the interval {interval} and p {p}: give finite numbers to judge it by."
        )
    low, high = sorted(end if direction == "+" else -end for end in interval)
    size = 0.0 if margin is None or np.isnan(margin) else margin
    if negligible is None or np.isnan(negligible):
        negligible = NEGLIGIBLE * size
    if rule == "equivalence":
        return _judge_equivalence(low, high, negligible)
    return _judge_interval(low, high, p, size, negligible)


def _settled(
    rule: str,
    value: float | None,
    holds: bool | None,
    learned: bool | None,
    seeds: int | None,
) -> str | None:
    """The verdict where no interval is needed, or None."""
    if rule == "needs GoPro" and (value is None or holds is None):
        return "needs GoPro"
    if value is None:
        return "not measured"
    if learned is False:
        return "not learned enough"
    undecided = holds is None if rule in ("exact", "needs GoPro") else False
    if undecided or (seeds is not None and seeds < TRAININGS):
        return "inconclusive"
    if rule in ("exact", "needs GoPro"):
        return "reproduced" if holds else "contradicted"
    return None


def _judge_equivalence(low: float, high: float, negligible: float) -> str:
    """Judge a claim that there is no difference."""
    if -negligible < low and high < negligible:
        return "reproduced"
    return "contradicted" if low > negligible or high < -negligible else "inconclusive"


def _judge_interval(low: float, high: float, p: float, size: float, negligible: float) -> str:
    """Judge an interval whose claimed side is above 0."""
    if -negligible < low and high < negligible:
        return "no effect at this scale"
    if p >= ALPHA or low <= 0 <= high:
        return "inconclusive"
    if high < 0:
        return "contradicted"
    return "reproduced" if low > HALF * size and high >= size else "direction only"
