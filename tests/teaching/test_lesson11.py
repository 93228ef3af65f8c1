"""The checks of notebook 11 accept right answers and give the reason for typical wrong ones."""

import re

import pytest

from deblurlib import theory
from deblurlib.evaluation import psnr
from deblurlib.teaching import check


def oracle(pick):
    def answer(blurry, sharp, transfer, constants):
        return pick(
            constants,
            key=lambda c: psnr(
                theory.apply_filter(blurry, theory.inverse_filter(transfer, c)), sharp
            ),
        )

    return answer


@pytest.mark.parametrize(
    ("exercise", "answer"), [("11.1", lambda g: 10 ** (-g / 10)), ("11.2", oracle(max))]
)
def test_right_answers_pass(exercise, answer):
    assert check(exercise, answer).passed, check(exercise, answer).reason


def test_the_oracle_does_not_lose_to_the_blurry_picture():
    reason = check("11.2", oracle(max)).reason
    steps = [(float(a), float(b)) for a, b in re.findall(r"([\d.]+) to ([\d.]+) dB", reason)]
    assert len(steps) == 2 and all(restored > blurry + 2 for blurry, restored in steps), reason


WRONG = {
    "100 in its square": ("11.1", lambda g: 10 ** (-g / 20)),
    "wrong way round": ("11.1", lambda g: 10 ** (g / 10)),
    "equal steps multiply": ("11.1", lambda g: 1 - g / 10),
    "the worst of them": ("11.2", oracle(min)),
    "one of the given constants": ("11.2", lambda *_: 0.123),
    "comes closer": ("11.2", lambda blurry, sharp, transfer, constants: constants[3]),
}


@pytest.mark.parametrize("reason", WRONG)
def test_wrong_answers_get_their_reason(reason):
    verdict = check(*WRONG[reason])
    assert not verdict.passed and reason in verdict.reason
