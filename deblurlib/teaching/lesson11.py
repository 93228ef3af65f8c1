"""Checks of the exercises of notebook 11."""

import numpy as np

from .verdicts import numbers, require


def _check_error_factor(answer) -> str:
    for gain in (0.0, 1.0, 3.0, 10.0, -2.0):
        got = float(numbers(answer(gain), (), "the factor"))
        right = 10 ** (-gain / 10)
        require(
            not (gain and np.isclose(got, 10 ** (-gain / 20))),
            "a gain of 20 dB is a factor of 10 in the error itself and of 100 in its square: PSNR "
            "speaks of the square.",
        )
        require(
            not (gain and np.isclose(got, 10 ** (gain / 10))),
            "the wrong way round: a gain makes the error smaller.",
        )
        require(
            not (gain and np.isclose(got, 1 - gain / 10)),
            "decibels are logarithms: equal steps multiply.",
        )
        require(
            np.isclose(got, right),
            f"for {gain:g} dB the squared error is {right:.3f} of what it was, not {got:.3f}.",
        )
    return "1 dB is a fifth less squared error, 3 dB half of it, 10 dB a tenth."


def _check_best_constant(answer) -> str:
    from .. import theory
    from ..data import list_photographs, load_photograph
    from ..evaluation import psnr

    constants = np.logspace(-4, 0, 17)
    photograph = load_photograph(list_photographs("test")[0])[:128, :128].mean(-1) / 255
    gains = []
    for noise in (0.002, 0.03):
        transfer = theory.transfer_function(theory.line_kernel(9, 20), photograph.shape)
        grain = np.random.default_rng(5).standard_normal(photograph.shape)
        blurry = theory.apply_filter(photograph, transfer) + noise * grain
        got = answer(blurry.copy(), photograph.copy(), transfer.copy(), constants.copy())
        got = float(numbers(got, (), "the constant"))
        quality = [
            psnr(theory.apply_filter(blurry, theory.inverse_filter(transfer, c)), photograph)
            for c in constants
        ]
        require(
            not (got == int(got) and 1 < got < len(constants)),
            f"{got:g} is the place of a constant in the list: return the constant itself.",
        )
        require(
            not np.isclose(got, max(quality)),
            "that is the PSNR: return the constant it belongs to.",
        )
        best, worst = constants[int(np.argmax(quality))], constants[int(np.argmin(quality))]
        require(
            np.isclose(constants, got).any(),
            f"return one of the given constants, not {got:g}.",
        )
        require(not np.isclose(got, worst), "this is the worst of them: a higher PSNR is better.")
        require(
            np.isclose(got, best),
            f"{got:.1e} for noise of {noise:g}, but {best:.1e} comes closer to the truth.",
        )
        gains.append(f"{psnr(blurry, photograph):.1f} to {max(quality):.1f} dB with c = {best:.1e}")
    return (
        f"{' and '.join(gains)}: more noise, larger constant. An oracle needs the truth; lesson 1 "
        "asked for the same without it."
    )


def _check_best_strength(answer) -> str:
    rng = np.random.default_rng(11)
    sharp = rng.random((12, 14, 3))
    blurry = sharp + 0.1 * rng.standard_normal(sharp.shape)
    for overdone in (1.6, 0.5, -0.4):  # the best strengths are 0.625, above 1 and below 0
        restored = blurry + overdone * (sharp - blurry) + 0.02 * rng.standard_normal(sharp.shape)
        change, wanted = restored - blurry, sharp - blurry
        free = (change * wanted).sum() / (change**2).sum()
        right = np.clip(free, 0, 1)
        got = answer(blurry.copy(), restored.copy(), sharp.copy())
        got = float(numbers(got, (), "the strength"))
        mistakes = {
            f"{free:.2f} is the bottom of the parabola, but it lies outside of 0 to 1: take the "
            "nearer end.": free,
            "the change and what is wanted are exchanged in the denominator: divide by the squared "
            "change.": (change * wanted).sum() / (wanted**2).sum(),
            "the sign is reversed: what is wanted leads from the blurry picture to the sharp "
            "one.": -free,
            "that is the share of the blurry picture; give that of the change.": 1 - right,
            "the ratio of the mean changes: positive and negative ones cancel. Sum products, "
            "not differences.": wanted.sum() / change.sum(),
        }
        for reason, value in mistakes.items():
            require(np.isclose(got, right) or not np.isclose(got, value), reason)
        require(
            np.isclose(got, right, atol=5e-3),
            f"{got:.3f} where {right:.3f} leaves the smallest squared error.",
        )
    return (
        "a projection: how far the change points to the truth. Without the truth, only eyes help."
    )


CHECKS = {"11.1": _check_error_factor, "11.2": _check_best_constant, "11.3": _check_best_strength}
