"""How the exercises answer: with a reason, and never with a crash."""

import pytest

from deblurlib import teaching


@pytest.fixture
def exercise(monkeypatch):
    """An exercise whose right answer is 4."""

    def four(answer):
        teaching.require_answer(answer)
        teaching.require(answer == 4, f"two and two are not {answer}: count the fingers.")
        return "four it is."

    monkeypatch.setitem(teaching.CHECKS, "99.1", four)
    return "99.1"


def test_right_and_wrong_answers_get_their_reason(exercise):
    right, wrong = teaching.check(exercise, 4), teaching.check(exercise, 5)
    assert right.passed and repr(right) == "✓ Exercise 99.1: four it is."
    assert (
        not wrong.passed
        and repr(wrong) == "✗ Exercise 99.1: two and two are not 5: count the fingers."
    )


@pytest.mark.parametrize("skeleton", [None, ...])
def test_a_skeleton_is_not_answered_yet(exercise, skeleton):
    verdict = teaching.check(exercise, skeleton)
    assert not verdict.passed and "not answered yet" in verdict.reason


def test_code_that_raises_is_explained(monkeypatch):
    monkeypatch.setitem(teaching.CHECKS, "99.2", lambda answer: answer())
    verdict = teaching.check("99.2", lambda: 1 / 0)
    assert not verdict.passed and "ZeroDivisionError: division by zero" in verdict.reason


def test_an_unknown_exercise_names_the_known_ones(exercise):
    with pytest.raises(ValueError, match=r"There is no exercise '99.9': choose one of .*99.1"):
        teaching.check("99.9", 1)


@pytest.mark.parametrize("name", teaching.CHECKS)
@pytest.mark.parametrize(
    "skeleton",
    [None, ..., lambda *arguments, **options: None],
    ids=["None", "...", "empty function"],
)
def test_no_exercise_of_the_book_is_passed_by_a_skeleton(name, skeleton):
    verdict = teaching.check(name, skeleton)
    assert not verdict.passed and verdict.reason
