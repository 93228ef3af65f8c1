"""PReLU with one slope: the identity for positive numbers, a learned multiple for others."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backends import dispatch
from .backends.registration import define, describe, differentiate_by_autograd
from .checks import ArgumentError, DtypeError, check_device, overridable
from .substitution import current

NAME = "prelu"


@overridable
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply the numbers that are not positive by one slope.

        out = x where x > 0, weight * x elsewhere

    Forward, the numbers are those of `torch.nn.functional.prelu`; backward, torch 2.15 takes ten
    times as long on a CPU. Half precision is computed in float32, and under autocast the result has
    the dtype of x. Derivatives of any order are exact. On other devices than CPUs, and in graphs of
    `torch.compile`, `torch.export` and `torch.jit.trace`, it is torch's own function.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, eq. 1.

    Args:
        x: Any shape.
        weight: The slope, one number, (1).

    Returns:
        The shape, dtype and memory format of x.

    Raises:
        ArgumentError: If the weight is not one number on the device of x; a ValueError and a
            RuntimeError.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    for name, tensor in (("x", x), ("weight", weight)):
        if not tensor.is_floating_point():
            raise DtypeError(
                f"{NAME}: {name} is {tensor.dtype}; convert it to a floating-point dtype."
            )
    if tuple(weight.shape) != (1,):
        raise ArgumentError(
            f"{NAME}: weight has shape {tuple(weight.shape)}; it must be (1,), "
            "or use torch.nn.functional.prelu for one slope per channel."
        )
    check_device(NAME, "weight", weight, "x", x)
    return current(NAME, _choose(x))(x, weight)


class PReLU(nn.PReLU):
    """Layer of `prelu`, in the place of `torch.nn.PReLU` with one slope.

    Args:
        init: Initial slope.
    """

    def __init__(self, init: float = 0.25) -> None:
        super().__init__(init=init)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            input: Any shape.

        Returns:
            The shape, dtype and memory format of the input.
        """
        return prelu(input, self.weight)


def _choose(x: Tensor) -> Any:
    """The operator, or torch's own function where that is faster or understood by others."""
    traced = torch.compiler.is_compiling() or torch._C._is_tracing()
    return _by_torch if traced or x.device.type != "cpu" else _prelu


def _by_torch(x: Tensor, weight: Tensor) -> Tensor:
    same = weight.dtype == x.dtype
    return F.prelu(x, weight if same else weight.to(x.dtype))


# --------------------------------------------------------------------------------------- operators


@define
def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    if x.numel() == 0:
        return torch.empty_like(x)
    chosen = dispatch.implementation(NAME, x, weight)
    return _as_described(chosen.forward(*chosen.prepared(x, weight)), x)


@define
def _prelu_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    if x.numel() == 0:
        return torch.empty_like(x), torch.zeros_like(weight)
    return _backward(dispatch.implementation(NAME, grad, x, weight), grad, x, weight)


def _backward(
    chosen: dispatch.Implementation, grad: Tensor, x: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    grad_x, grad_weight = chosen.backward(*chosen.prepared(grad, x, weight))
    return _as_described(grad_x, x), grad_weight.to(weight.dtype)


def _as_described(result: Tensor, x: Tensor) -> Tensor:
    """A result in the dtype and the memory format that `_empty` promises."""
    promised = torch.empty_like(x, device="meta")
    if result.dtype == promised.dtype and result.stride() == promised.stride():
        return result
    return torch.empty_like(x).copy_(result)


def _empty(x: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(x)


def _empty_gradients(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _prelu_backward(grad, *ctx.saved_tensors)
    return found


def _reference_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return _backward(dispatch.reference(NAME), grad, x, weight)


describe("prelu", _empty)
describe("prelu_backward", _empty_gradients)
torch.library.register_autograd("deblurlib::prelu", _gradients, setup_context=_save)
differentiate_by_autograd("prelu_backward", _reference_backward)
