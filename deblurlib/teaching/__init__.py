"""Checks for the exercises: each says not only whether an answer is right, but why, and where to look next.

A check takes the student's answer, raises `Wrong` with a reason and a hint, or returns one sentence of praise that tells
what the answer shows. `check("01.1", answer)` runs it and never raises. The checks of a lesson are one file here.
"""

from importlib import import_module
from pkgutil import iter_modules

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


def check(exercise: str, answer) -> Verdict:
    """Check the answer to an exercise, e.g. check("01.1", my_function)."""
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
    except (
        Exception
    ) as error:  # whatever a student's code raises is an answer to explain, not a crash
        return Verdict(exercise, False, f"your code raised {type(error).__name__}: {error}")
