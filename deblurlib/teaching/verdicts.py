"""The verdict of a check, and how a check rejects an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


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
    if answer is ...:
        raise NotImplementedError
    if answer is None:
        raise NotImplementedError("nothing")


def numbers(
    found: Any,
    shape: tuple[int, ...] | None = None,
    what: str = "the result",
    *,
    finite: bool = True,
) -> np.ndarray:
    """Take what the student's code returned as real, finite numbers, or say what else it is.

    Args:
        found: The value.
        shape: The shape that it must have; None for any.
        what: What the value is, in words.
        finite: Whether NaN and infinity are refused.

    Returns:
        The numbers, float64.

    Raises:
        NotImplementedError: If it is `...` or None.
        Wrong: If it is text or another object, complex, of another shape, or not finite.
    """
    require_answer(found)
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    require(not isinstance(found, str | bytes), f"{what} is the text {found!r}: give numbers.")
    require(not callable(found), f"{what} is a function: give what it returns.")
    try:
        given = np.asarray(found)
        require(
            not np.iscomplexobj(given),
            f"{what} is complex: behind a Fourier transform take the real part.",
        )
        values = given.astype(np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"{what} is of type {type(found).__name__}: give numbers.") from None
    require(
        shape is None or values.shape == shape,
        f"{what} has shape {values.shape} instead of {shape}.",
    )
    require(not finite or bool(np.isfinite(values).all()), f"{what} holds NaN or infinity.")
    return values


def pair(found: Any, reason: str) -> tuple[Any, Any]:
    """Take what the student's code returned as two values.

    Args:
        found: The value.
        reason: What to return instead.

    Returns:
        Both values.

    Raises:
        NotImplementedError: If it is `...` or None.
        Wrong: With that reason, if it is not a tuple, a list or an array of two.
    """
    require_answer(found)
    require(isinstance(found, tuple | list | np.ndarray) and len(found) == 2, reason)
    return found[0], found[1]


def truth(found: Any, what: str = "") -> bool:
    """Take a value as True or False, or say what else it is.

    Args:
        found: The value; a tensor or an array may hold one.
        what: What the value is, in words; empty for the answer itself.

    Returns:
        Whether it is true.

    Raises:
        NotImplementedError: If it is `...` or None.
        Wrong: If it is anything else.
    """
    require_answer(found)
    kind = str(getattr(found, "dtype", type(found).__name__))
    require(
        kind.removeprefix("torch.") == "bool" and np.prod(np.shape(found)) == 1,
        f"{f'{what} must be' if what else 'answer'} True or False, not {found!r}.",
    )
    return bool(found)


def name_mistake(found: ArrayLike, right: ArrayLike, mistakes: Mapping[str, ArrayLike]) -> None:
    """Reject a wrong result with the mistake that leads to just this result, if one is known.

    Args:
        found: The result, numbers.
        right: The right result; nothing is rejected if it is found.
        mistakes: What typical mistakes lead to, by reason.

    Raises:
        Wrong: With the first reason whose result was found.
    """
    if np.allclose(found, right, atol=1e-6):
        return
    for reason, typical in mistakes.items():
        same = np.shape(found) == np.shape(typical) and np.allclose(
            found, typical, atol=1e-6, equal_nan=True
        )
        require(not same, reason)


def is_skeleton(answer: Any) -> bool:
    """Tell whether an answer is the skeleton as it was given.

    Args:
        answer: The answer to an exercise.

    Returns:
        Whether it is `...`, None, or a function whose body is `...`.
    """
    return answer is None or answer is ... or _body(answer) == _body(_skeleton)


def _skeleton() -> Any: ...


def _body(function: Any) -> bytes | None:
    code = getattr(function, "__code__", None)
    return code.co_code if code is not None and code.co_consts in ((None,), (None, ...)) else None
