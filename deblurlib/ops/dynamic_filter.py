"""Dynamic filter: every pixel is filtered with its own small kernel."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .backends import dispatch
from .backends.registration import define, describe, differentiate_by_autograd
from .checks import ArgumentError, check_device, check_shape, check_tensor, overridable
from .substitution import current

NAME = "dynamic_filter"
AXES = ("batch", "channels", "height", "width")


@overridable
def dynamic_filter(x: Tensor, logits: Tensor, kernel_size: int = 3) -> Tensor:
    """Filter each pixel with its own K x K kernel, the softmax of its logits.

        out[n, c, y, x] = sum_k softmax(logits[n, :, y, x])[k]
                          * x[n, c, y + k // K - K // 2, x + k % K - K // 2]

    All channels of a pixel share its kernel, and the image is reflected at its borders. Half
    precision is computed in float32, also under autocast. Derivatives of any order are exact.
    TorchScript is not supported.

    Source: Jia et al., "Dynamic filter networks", NIPS 2016, section 3; RADN, the dynamic filtering
    of its decoder.

    Args:
        x: Images, (B, C, H, W); H and W must be larger than K // 2.
        logits: (B, K*K, H, W), tap after tap, row by row.
        kernel_size: K, an odd number of taps.

    Returns:
        (B, C, H, W) in the dtype of x.

    Raises:
        ArgumentError: If shapes, devices or the kernel size do not fit; a ValueError and a
            RuntimeError.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    check_tensor(NAME, "x", x, AXES)
    check_tensor(NAME, "logits", logits, AXES)
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ArgumentError(f"{NAME}: kernel_size is {kernel_size}; it must be odd and positive.")
    check_shape(NAME, "logits", logits, (x.shape[0], kernel_size**2, *x.shape[2:]))
    if min(x.shape[2:]) <= kernel_size // 2:
        raise ArgumentError(
            f"{NAME}: {x.shape[2]} x {x.shape[3]} pixels cannot be reflected by "
            f"{kernel_size // 2}; enlarge the image or use a smaller kernel_size."
        )
    check_device(NAME, "logits", logits, "x", x)
    return current(NAME, _dynamic_filter)(x, logits, kernel_size)


# --------------------------------------------------------------------------------------- operators


@define
def _dynamic_filter(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    if x.numel() == 0:
        return x.new_empty(x.shape)
    tensors = dispatch.widen(x, logits)
    out = dispatch.implementation(NAME, *tensors).forward(*tensors, kernel_size)
    return out.to(x.dtype).contiguous()


@define
def _dynamic_filter_backward(
    grad: Tensor, x: Tensor, logits: Tensor, kernel_size: int
) -> tuple[Tensor, Tensor]:
    if x.numel() == 0:
        return x.new_empty(x.shape), logits.new_zeros(logits.shape)
    return _backward(dispatch.implementation(NAME, grad, x, logits), grad, x, logits, kernel_size)


def _backward(
    implementation: dispatch.Implementation,
    grad: Tensor,
    x: Tensor,
    logits: Tensor,
    kernel_size: int,
) -> tuple[Tensor, Tensor]:
    grad_x: Tensor
    grad_logits: Tensor
    grad_x, grad_logits = implementation.backward(*dispatch.widen(grad, x, logits), kernel_size)
    return grad_x.to(x.dtype).contiguous(), grad_logits.to(logits.dtype).contiguous()


def _empty(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    return x.new_empty(x.shape)


def _empty_gradients(grad: Tensor, x: Tensor, logits: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), logits.new_empty(logits.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, logits, ctx.kernel_size = inputs
    ctx.save_for_backward(x, logits)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_dynamic_filter_backward(grad, *ctx.saved_tensors, ctx.kernel_size), None


def _reference_backward(*arguments: Any) -> tuple[Tensor, Tensor]:
    return _backward(dispatch.reference(NAME), *arguments)


describe("dynamic_filter", _empty)
describe("dynamic_filter_backward", _empty_gradients)
torch.library.register_autograd("deblurlib::dynamic_filter", _gradients, setup_context=_save)
differentiate_by_autograd("dynamic_filter_backward", _reference_backward)


@register_flop_formula(torch.ops.deblurlib.dynamic_filter)
def _dynamic_filter_flops(
    x_shape: Sequence[int], logits_shape: Sequence[int], kernel_size: int, *_: object, **__: object
) -> int:
    """A product and a sum for each tap and number of the result, without the softmax."""
    return 2 * kernel_size**2 * math.prod(x_shape)


@register_flop_formula(torch.ops.deblurlib.dynamic_filter_backward)
def _dynamic_filter_backward_flops(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    logits_shape: Sequence[int],
    kernel_size: int,
    *_: object,
    **__: object,
) -> int:
    """The operations of the forward pass twice: once for x, once for the logits."""
    return 2 * _dynamic_filter_flops(x_shape, logits_shape, kernel_size)
