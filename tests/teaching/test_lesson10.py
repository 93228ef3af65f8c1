"""The checks of notebook 10 accept right answers and give the reason for typical wrong ones."""

import pytest

from deblurlib.teaching import check


def macs(height, width, kernel, inputs, outputs, stride):
    return -(-height // stride) * -(-width // stride) * kernel**2 * inputs * outputs


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("10.1", macs),
        ("10.2", lambda gmac, tflops: 2 * gmac / tflops),
        ("10.3", 14_400**2 * 4 / 1e6),
    ],
)
def test_right_answers_pass(exercise, answer):
    assert check(exercise, answer).passed, check(exercise, answer).reason


WRONG = {
    "is two of them": ("10.1", lambda *size: 2 * macs(*size)),
    "these are the weights": ("10.1", lambda h, w, k, i, o, s: k * k * i * o),
    "fewer positions": ("10.1", lambda h, w, k, i, o, s: h * w * k * k * i * o),
    "rows and columns, both": ("10.1", lambda h, w, k, i, o, s: h * w * k * k * i * o // s),
    "kernel x kernel": ("10.1", lambda h, w, k, i, o, s: macs(h, w, k, i, o, s) // k),
    "rounded up": ("10.1", lambda h, w, k, i, o, s: (h // s) * (w // s) * k * k * i * o),
    "where torch counts": ("10.1", lambda *size: macs(*size) + 1),
    "two operations": ("10.2", lambda gmac, tflops: gmac / tflops),
    "seconds": ("10.2", lambda gmac, tflops: 2e-3 * gmac / tflops),
    "four bytes": ("10.3", 14_400**2 / 1e6),
    "not 2^20": ("10.3", 14_400**2 * 4 / 2**20),
    "N x N numbers": ("10.3", 14_400 * 4 / 1e6),
    "160 x 90 pixels": ("10.3", (1280 * 720) ** 2 * 4 / 1e6),
    "a quarter of the resolution": ("10.3", 57_600**2 * 4 / 1e6),
}


@pytest.mark.parametrize("reason", WRONG)
def test_wrong_answers_get_their_reason(reason):
    verdict = check(*WRONG[reason])
    assert not verdict.passed and reason in verdict.reason
