"""The verdict of a check, and how a check rejects an answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np


class Wrong(AssertionError):
    """Raised for a wrong answer, with the reason and a hint."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check; a notebook shows it as one line.

    Attributes:
        exercise: Number of the exercise.
        passed: Whether the answer is right.
        reason: One sentence that says why.
    """

    exercise: str
    passed: bool
    reason: str

    def __repr__(self) -> str:
        return f"{'✓' if self.passed else '✗'} Exercise {self.exercise}: {self.reason}"


def require(condition: bool | np.bool, reason: str) -> None:
    """Reject an answer unless a condition holds.

    Args:
        condition: Condition that a right answer meets.
        reason: Why an answer that does not meet it is wrong, and where to look next.

    Raises:
        Wrong: With that reason, if the condition does not hold.
    """
    if not condition:
        raise Wrong(reason)


def require_answer(answer: Any) -> None:
    """Reject a skeleton that was not filled in.

    Args:
        answer: The value from the student's code.

    Raises:
        NotImplementedError: If it is `...` or None.
    """
    if answer is None or answer is ...:
        raise NotImplementedError
