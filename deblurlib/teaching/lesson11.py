"""Checks of the exercises of notebook 11."""

import numpy as np

from .verdicts import require, require_answer


def _check_error_factor(answer) -> str:
    for gain in (0.0, 1.0, 3.0, 10.0, -2.0):
        got = answer(gain)
        require_answer(got)
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
            f"for {gain:g} dB the squared error is {right:.3f} of what it was, not "
            f"{float(got):.3f}.",
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
        require_answer(got)
        quality = [
            psnr(theory.apply_filter(blurry, theory.inverse_filter(transfer, c)), photograph)
            for c in constants
        ]
        best, worst = constants[int(np.argmax(quality))], constants[int(np.argmin(quality))]
        require(
            np.ndim(got) == 0 and np.isclose(constants, got).any(),
            f"return one of the given constants, not {got!r}.",
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


CHECKS = {"11.1": _check_error_factor, "11.2": _check_best_constant}
