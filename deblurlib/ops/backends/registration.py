"""Registration of functions as torch operators with first and second derivatives."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def full_precision(device: str) -> contextlib.AbstractContextManager[object]:
    """A context in which autocast does not change the dtype of what is computed.

    Args:
        device: Type of the device, such as "cpu".

    Returns:
        The context manager.
    """
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()


def define(function: Callable[..., Any]) -> Callable[..., Any]:
    """Define an operator `torch.ops.deblurlib.name` from a function called `_name`.

    `torch.library.custom_op` would do the same, but imports torch's compiler at the first call,
    which takes seconds.

    Args:
        function: The implementation on all devices, with type hints from which the schema follows
            and a tensor as its first argument. It is not affected by autocast.

    Returns:
        The operator.
    """
    name = function.__name__.removeprefix("_")

    @functools.wraps(function)
    def implementation(*args: Any) -> Any:
        with full_precision(args[0].device.type):
            return function(*args)

    schema = torch.library.infer_schema(function, mutates_args=())
    torch.library.define(f"deblurlib::{name}", schema, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(f"deblurlib::{name}", "default", implementation)
    operator: Callable[..., Any] = getattr(torch.ops.deblurlib, name)
    return operator


def describe(name: str, function: Callable[..., Any]) -> None:
    """Tell torch the shapes, dtypes and memory formats of an operator's results.

    Args:
        name: Name of the operator.
        function: Takes its arguments and returns uninitialised results.
    """
    torch.library.register_fake(f"deblurlib::{name}", function)


def differentiate_by_autograd(name: str, function: Callable[..., tuple[Tensor, ...]]) -> None:
    """Let autograd differentiate an operator by differentiating an equal function of plain torch.

    Args:
        name: Name of the operator, whose results are a tuple of tensors.
        function: Takes the arguments of the operator, returns its results, and consists of
            operations that autograd can differentiate.
    """

    def save(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        ctx.is_tensor = [isinstance(value, Tensor) for value in inputs]
        ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]
        ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)))

    def gradients(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        higher = torch.is_grad_enabled()
        with torch.enable_grad(), full_precision(grads[0].device.type):
            # each tensor under a separate name: one may have been computed from another
            own = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
            own = [tensor if tensor.requires_grad else tensor.requires_grad_() for tensor in own]
            left = iter(own)
            arguments = [
                next(left) if is_tensor else value
                for is_tensor, value in zip(ctx.is_tensor, ctx.others, strict=True)
            ]
            found = iter(_pull_back(function(*arguments), own, grads, higher))
        return tuple(next(found) if is_tensor else None for is_tensor in ctx.is_tensor)

    torch.library.register_autograd(f"deblurlib::{name}", gradients, setup_context=save)


def _pull_back(
    results: Sequence[Tensor], inputs: list[Tensor], grads: Sequence[Tensor], higher: bool
) -> Sequence[Tensor]:
    """The gradients of the inputs from those of the results, zeros where none depends on one."""
    pairs = [(a, b) for a, b in zip(results, grads, strict=True) if a.requires_grad]
    if not pairs:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return torch.autograd.grad(
        [result for result, _ in pairs],
        inputs,
        [grad for _, grad in pairs],
        create_graph=higher,
        materialize_grads=True,
    )
