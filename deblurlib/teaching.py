"""Checks for the exercises: each says not only whether an answer is right, but why, and where to look next.

A check takes the student's answer, raises `Wrong` with a reason and a hint, or returns one sentence of praise that tells
what the answer shows. `check("01.1", answer)` runs it and never raises.
"""

from dataclasses import dataclass


class Wrong(AssertionError):
    """An answer that is not right, with the reason and a hint."""


@dataclass(frozen=True)
class Verdict:
    """What a check says; a notebook shows it as one line."""

    exercise: str
    passed: bool
    reason: str

    def __repr__(self):
        return f"{'✓' if self.passed else '✗'} Exercise {self.exercise}: {self.reason}"


def check(exercise: str, answer) -> Verdict:
    """Check the answer to an exercise, e.g. check("01.1", my_function)."""
    if exercise not in CHECKS:
        raise ValueError(f"There is no exercise {exercise!r}: choose one of {', '.join(CHECKS)}.")
    try:
        return Verdict(exercise, True, CHECKS[exercise](answer))
    except Wrong as wrong:
        return Verdict(exercise, False, str(wrong))
    except NotImplementedError:
        return Verdict(exercise, False, "not answered yet: replace the `...` in the skeleton with your own lines.")
    except Exception as error:  # whatever a student's code raises is an answer to explain, not a crash
        return Verdict(exercise, False, f"your code raised {type(error).__name__}: {error}")


def require(condition: bool, reason: str) -> None:
    """Raise `Wrong` with that reason unless the condition holds."""
    if not condition:
        raise Wrong(reason)


def require_answer(answer) -> None:
    """Turn a skeleton's `...` or None into "not answered yet"."""
    if answer is None or answer is ...:
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 01

# ---------------------------------------------------------------------------------------------------------------------
# Notebook 02

# ---------------------------------------------------------------------------------------------------------------------
# Notebook 04

CHECKS = {}
