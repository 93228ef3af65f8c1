"""Checks of the exercises: each says whether an answer is right, why, and where to look next.

A check takes the student's answer and raises `Wrong` with a reason and a hint, or returns one
sentence that says what the answer shows. `check("01.1", answer)` runs it. Each lesson has a file
of checks.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from .verdicts import Verdict, Wrong, require, require_answer

_LESSONS = sorted(
    module.name for module in iter_modules(__path__) if module.name.startswith("lesson")
)
CHECKS = {
    number: check
    for name in _LESSONS
    for number, check in import_module(f".{name}", __name__).CHECKS.items()
}

__all__ = ["CHECKS", "Verdict", "Wrong", "check", "require", "require_answer"]


def check(exercise: str, answer: Any) -> Verdict:
    """Check the answer to an exercise.

    Args:
        exercise: Its number, such as "01.1".
        answer: The answer: a function, a number or a dictionary, as the exercise asks.

    Returns:
        A verdict with a reason; nothing that the answer raises escapes.

    Raises:
        ValueError: If the exercise is unknown.
    """
    if exercise not in CHECKS:
        raise ValueError(f"There is no exercise {exercise!r}: choose one of {', '.join(CHECKS)}.")
    try:
        return Verdict(exercise, True, CHECKS[exercise](answer))
    except Wrong as wrong:
        return Verdict(exercise, False, str(wrong))
    except NotImplementedError:
        return Verdict(
            exercise,
            False,
            "not answered yet: replace the `...` in the skeleton with your own lines.",
        )
    except Exception as error:  # an exception in a student's code is an answer to explain
        return Verdict(exercise, False, f"your code raised {type(error).__name__}: {error}")
