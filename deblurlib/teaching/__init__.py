"""Checks of the exercises: each says whether an answer is right, why, and where to look next.

A check takes the student's answer and raises `Wrong` with a reason and a hint, or returns one
sentence that says what the answer shows. `check("01.1", answer)` runs it. Each lesson has a file
of checks.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from .verdicts import Verdict, Wrong, is_skeleton, require, require_answer

_LESSONS = sorted(
    module.name for module in iter_modules(__path__) if module.name.startswith("lesson")
)
CHECKS = {
    number: check
    for name in _LESSONS
    for number, check in import_module(f".{name}", __name__).CHECKS.items()
}

NOT_ANSWERED = "not answered yet: replace the `...` in the skeleton with your own lines."
RETURNS_NOTHING = (
    "your function returns nothing on at least one way through it: end it with `return`."
)
NO_FUNCTION = "give the function itself, by its name and without brackets; this is of type {}."
NO_VALUE = "give the value that is asked for, not a function: call it first."

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
    except NotImplementedError as missing:
        unfinished = missing.args and callable(answer) and not is_skeleton(answer)
        return Verdict(exercise, False, RETURNS_NOTHING if unfinished else NOT_ANSWERED)
    except Exception as error:  # an exception in a student's code is an answer to explain
        if not callable(answer) and str(error).endswith("object is not callable"):
            return Verdict(exercise, False, NO_FUNCTION.format(type(answer).__name__))
        if isinstance(error, TypeError) and callable(answer) and "'function'" in str(error):
            return Verdict(exercise, False, NO_VALUE)
        return Verdict(exercise, False, f"your code raised {type(error).__name__}: {error}")
