"""What a check says, and how it says no."""

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


def require(condition: bool, reason: str) -> None:
    """Raise `Wrong` with that reason unless the condition holds."""
    if not condition:
        raise Wrong(reason)


def require_answer(answer) -> None:
    """Turn a skeleton's `...` or None into "not answered yet"."""
    if answer is None or answer is ...:
        raise NotImplementedError
