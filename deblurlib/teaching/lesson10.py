"""Checks of the exercises of notebook 10."""

import numpy as np

from .verdicts import numbers, require


def _check_macs(answer) -> str:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    for size in ((16, 24, 3, 4, 8, 1), (16, 24, 5, 3, 8, 2), (15, 23, 3, 4, 6, 2)):
        height, width, kernel, inputs, outputs, stride = size
        layer = torch.nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, device="meta")
        with FlopCounterMode(display=False) as counter:
            layer(torch.empty(1, inputs, height, width, device="meta"))
        right = counter.get_total_flops() // 2
        got = float(numbers(answer(*size), (), "the count"))
        weights = kernel**2 * inputs * outputs
        mistakes = {
            "these are the weights; each is used once at every position of the output.": weights,
            "with a stride the output has fewer positions than the input.": weights
            * height
            * width,
            "a stride of 2 thins out rows and columns, both.": weights * height * width // stride,
            "the kernel has kernel x kernel taps.": right // kernel,
            "with odd sizes the output is rounded up: the first pixel always counts.": weights
            * (height // stride)
            * (width // stride),
            "the kernel is left out: every output value reads kernel x kernel taps.": height
            * width
            * inputs
            * outputs,
            "these are operations, and a multiply-accumulate is two of them.": 2 * right,
        }
        for reason, number in mistakes.items():
            require(got == right or got != number, f"{got:g} for {size}: {reason}")
        require(got == right, f"{got:g} for {size}, where torch counts {right}.")
    return "as torch counts. A layer at half the resolution costs a quarter, whatever its weights."


def _check_least_milliseconds(answer) -> str:
    for gmac, tflops in ((201, 11.3), (891, 11.0)):
        got = float(numbers(answer(gmac, tflops), (), "the time"))
        right = 2 * gmac / tflops
        require(
            not np.isclose(got, right / 2),
            "a multiply-accumulate is two operations, and peaks count operations.",
        )
        require(not np.isclose(got, right / 1000), "these are seconds.")
        require(not np.isclose(got, 1 / right), "upside down: work divided by speed is a time.")
        require(
            np.isclose(got, right),
            f"{float(got):.4g} ms for {gmac} GMAC at {tflops} TFLOP/s, but it is {right:.4g} ms.",
        )
    return "a printed time below this bound is not the time of that computation on that card."


def _check_megabytes(answer) -> str:
    n, got = 160 * 90, float(numbers(answer, (), "the number of megabytes"))
    require(not np.isclose(got, n**2 * 4), "that is in bytes: a megabyte is 10^6 of them.")
    require(not np.isclose(got, n**2 * 8 / 1e6), "eight bytes are double precision; use four.")
    require(not np.isclose(got, n**2 / 1e6), "a number in single precision has four bytes.")
    require(
        not np.isclose(got, n**2 * 4 / 2**20, rtol=1e-3), "a megabyte is 10^6 bytes here, not 2^20."
    )
    require(
        not np.isclose(got, n * 4 / 1e6),
        "every pixel is compared with every other one: N x N numbers.",
    )
    require(
        not np.isclose(got, (1280 * 720) ** 2 * 4 / 1e6),
        "at an eighth of the resolution, 160 x 90 pixels.",
    )
    require(
        not np.isclose(got, (320 * 180) ** 2 * 4 / 1e6),
        "this is a quarter of the resolution, but the question is about an eighth.",
    )
    require(
        np.isclose(got, n**2 * 4 / 1e6, rtol=1e-3),
        f"{got:.4g} is not it: N = 160 x 90, N x N numbers of four bytes.",
    )
    return (
        "829 MB for one picture: hence the exact form in chunks, which never holds more than some "
        "rows of it."
    )


CHECKS = {"10.1": _check_macs, "10.2": _check_least_milliseconds, "10.3": _check_megabytes}
