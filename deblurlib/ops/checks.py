"""Checks shared by the operators, and the dispatch of tensor-like arguments."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

P = ParamSpec("P")
R = TypeVar("R")


class ArgumentError(ValueError, RuntimeError):
    """Raised if the value or shape of an operator's argument does not fit.

    It is a ValueError, and also a RuntimeError, which torchvision's operators raise.
    """


class DtypeError(TypeError, RuntimeError):
    """Raised if a tensor is not floating-point; a TypeError that is also a RuntimeError."""


def overridable(function: Callable[P, R]) -> Callable[P, R]:
    """Let tensor-like arguments take over a call through `__torch_function__`, as in torch itself.

    A `torch.fx` trace, for example, records the call of `function` as one node.

    Args:
        function: A function of tensors.

    Returns:
        The function with the same signature.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        if has_torch_function(given):
            result: R = handle_torch_function(call, given, *args, **kwargs)
            return result
        return function(*args, **kwargs)

    return call


def pair(value: int | Iterable[int]) -> tuple[int, int]:
    """Return a (vertical, horizontal) pair from one number for both, or from two.

    Args:
        value: One integer, or two.

    Returns:
        The pair.
    """
    if isinstance(value, Iterable):
        vertical, horizontal = value
        return vertical, horizontal
    return value, value


def check_tensor(operator: str, name: str, tensor: Tensor, axes: Sequence[str]) -> None:
    """Reject a tensor that is not floating-point or has the wrong number of axes.

    Args:
        operator: Name of the operator, with which the message begins.
        name: Name of the argument.
        tensor: Its value.
        axes: Names of the axes that it must have.

    Raises:
        DtypeError: If the dtype is not a floating-point dtype.
        ArgumentError: If the number of axes is not `len(axes)`.
    """
    if not tensor.is_floating_point():
        raise DtypeError(
            f"{operator}: {name} is {tensor.dtype}; convert it to a floating-point dtype."
        )
    if tensor.dim() != len(axes):
        raise ArgumentError(
            f"{operator}: {name} has shape {tuple(tensor.shape)}; "
            f"it needs {len(axes)} dimensions ({', '.join(axes)})."
        )


def check_shape(operator: str, name: str, tensor: Tensor, expected: Sequence[int]) -> None:
    """Reject a tensor of an unexpected shape.

    Args:
        operator: Name of the operator, with which the message begins.
        name: Name of the argument.
        tensor: Its value.
        expected: The only shape that fits the other arguments.

    Raises:
        ArgumentError: If the shape differs.
    """
    if tuple(tensor.shape) != tuple(expected):
        raise ArgumentError(
            f"{operator}: {name} has shape {tuple(tensor.shape)}; it must be {tuple(expected)}."
        )


def check_device(operator: str, name: str, tensor: Tensor, first_name: str, first: Tensor) -> None:
    """Reject a tensor on a device other than that of the first argument.

    Args:
        operator: Name of the operator, with which the message begins.
        name: Name of the argument.
        tensor: Its value.
        first_name: Name of the first argument.
        first: Its value.

    Raises:
        ArgumentError: If the devices differ.
    """
    if tensor.device != first.device:
        raise ArgumentError(
            f"{operator}: {name} is on {tensor.device} but {first_name} is on {first.device}; "
            "move one of them."
        )
