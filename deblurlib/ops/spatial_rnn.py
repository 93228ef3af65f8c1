"""Spatially variant recurrence: a first-order linear filter along the lines of an image."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from .backends import dispatch
from .backends.memory import empty_scans, scans_format
from .backends.reference import DIRECTIONS, RESULT_ORDER, line_up
from .backends.registration import define, describe, differentiate_by_autograd
from .checks import ArgumentError, check_device, check_shape, check_tensor, overridable
from .substitution import current

__all__ = [
    "DIRECTIONS",
    "RESULT_ORDER",
    "spatial_rnn",
    "spatial_rnn_4way",
    "spatial_rnn_associative",
]
AXES = ("batch", "channels", "height", "width")


@overridable
def spatial_rnn(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """Scan every line of an image with the recurrence of the spatially variant RNN.

        h[k] = (1 - p[k]) * x[k] + p[k] * h[k-1],    h[-1] = 0

    p >= 0 gives a low-pass filter; p < 0 is needed to sharpen. The recurrence is stable while
    |p| < 1, which the caller ensures (the network uses tanh); p is not checked.

    The gradients are those of the reverse scan g[k] = dL/dh[k] + p[k+1] * g[k+1]:
    dL/dx[k] = (1 - p[k]) * g[k] and dL/dp[k] = g[k] * (h[k-1] - x[k]). Derivatives of any order are
    exact. Half precision is computed in float32, also under autocast. TorchScript is not supported.

    Source: SVRNN section 3.2, eq. 2 at order 1; the exact form is that of the authors' code.

    Args:
        x: Images, (B, C, H, W).
        p: Weight of the recurrence at every pixel, (B, C, H, W).
        direction: The way in which the scan moves: "right", "left", "down" or "up".

    Returns:
        h, (B, C, H, W) in the dtype of x.

    Raises:
        ArgumentError: If shapes, devices or the direction do not fit; a ValueError and a
            RuntimeError.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    _check("spatial_rnn", x, p, 1)
    _check_direction("spatial_rnn", direction)
    return current("spatial_rnn", _spatial_rnn)(x, p, direction)


@overridable
def spatial_rnn_4way(x: Tensor, p: Tensor) -> Tensor:
    """The four scans of `spatial_rnn` over one input, which is read from memory only once.

    Source: SVRNN, both orders as in the authors' released network.

    Args:
        x: Images, (B, C, H, W).
        p: Weights of the scans right, down, left and up, in this order, (B, 4C, H, W).

    Returns:
        The results right, left, down and up, in this order (which is not that of p), (B, 4C, H, W).

    Raises:
        ArgumentError: If shapes or devices do not fit; a ValueError and a RuntimeError.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    _check("spatial_rnn_4way", x, p, 4)
    return current("spatial_rnn", _spatial_rnn)(x, p, "all")


@overridable
def spatial_rnn_associative(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """`spatial_rnn` by an associative scan in log2(length) steps, in plain torch, for teaching.

    A step h -> a*h + b is an affine map. Two steps compose to one, (a2, b2) after (a1, b1) =
    (a2*a1, a2*b1 + b2). Composition is associative, so steps can be joined over distances 1, 2,
    4, ... in turn.

    Source: Hillis and Steele, "Data parallel algorithms", CACM 1986.

    Args:
        x: Images, (B, C, H, W).
        p: Weight of the recurrence at every pixel, (B, C, H, W).
        direction: The way in which the scan moves: "right", "left", "down" or "up".

    Returns:
        h, (B, C, H, W).

    Raises:
        ArgumentError: If shapes, devices or the direction do not fit; a ValueError and a
            RuntimeError.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    _check("spatial_rnn_associative", x, p, 1)
    _check_direction("spatial_rnn_associative", direction)
    a, b = line_up(p, direction), line_up((1 - p) * x, direction)
    distance = 1
    while distance < a.shape[-1]:  # the identity, (1, 0), precedes the line
        earlier_a = nn.functional.pad(a[..., :-distance], (distance, 0), value=1.0)
        earlier_b = nn.functional.pad(b[..., :-distance], (distance, 0))
        a, b = a * earlier_a, a * earlier_b + b
        distance *= 2
    return line_up(b, direction)


def _check(operator: str, x: Tensor, p: Tensor, scans: int) -> None:
    check_tensor(operator, "x", x, AXES)
    check_tensor(operator, "p", p, AXES)
    check_shape(operator, "p", p, (x.shape[0], scans * x.shape[1], *x.shape[2:]))
    check_device(operator, "p", p, "x", x)


def _check_direction(operator: str, direction: str) -> None:
    if direction not in DIRECTIONS:
        raise ArgumentError(
            f"{operator}: direction is {direction!r}; choose one of {', '.join(DIRECTIONS)}."
        )


# --------------------------------------------------------------------------------------- operators


@define
def _spatial_rnn(x: Tensor, p: Tensor, direction: str) -> Tensor:
    if p.numel() == 0:
        return empty_scans(x, p)
    tensors = dispatch.widen(x, p)
    h: Tensor = dispatch.implementation("spatial_rnn", *tensors).forward(*tensors, direction)
    return h.to(x.dtype).contiguous(memory_format=scans_format(x, p))


@define
def _spatial_rnn_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    if p.numel() == 0:
        return x.new_empty(x.shape), p.new_empty(p.shape)
    implementation = dispatch.implementation("spatial_rnn", grad, x, p, h)
    return _backward(implementation, grad, x, p, h, direction)


def _backward(
    implementation: dispatch.Implementation,
    grad: Tensor,
    x: Tensor,
    p: Tensor,
    h: Tensor,
    direction: str,
) -> tuple[Tensor, Tensor]:
    grad_x: Tensor
    grad_p: Tensor
    grad_x, grad_p = implementation.backward(*dispatch.widen(grad, x, p, h), direction)
    return grad_x.to(x.dtype).contiguous(), grad_p.to(p.dtype).contiguous()


def _empty(x: Tensor, p: Tensor, direction: str) -> Tensor:
    return empty_scans(x, p)


def _empty_gradients(grad: Tensor, x: Tensor, p: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), p.new_empty(p.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, p, ctx.direction = inputs
    ctx.save_for_backward(x, p, output)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_spatial_rnn_backward(grad, *ctx.saved_tensors, ctx.direction), None


def _reference_backward(*arguments: Any) -> tuple[Tensor, Tensor]:
    return _backward(dispatch.reference("spatial_rnn"), *arguments)


describe("spatial_rnn", _empty)
describe("spatial_rnn_backward", _empty_gradients)
torch.library.register_autograd("deblurlib::spatial_rnn", _gradients, setup_context=_save)
differentiate_by_autograd("spatial_rnn_backward", _reference_backward)


@register_flop_formula(torch.ops.deblurlib.spatial_rnn)
def _spatial_rnn_flops(
    x_shape: Sequence[int], p_shape: Sequence[int], *_: object, **__: object
) -> int:
    """A subtraction, a product and a sum for each number of the result."""
    return 3 * math.prod(p_shape)


@register_flop_formula(torch.ops.deblurlib.spatial_rnn_backward)
def _spatial_rnn_backward_flops(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    p_shape: Sequence[int],
    *_: object,
    **__: object,
) -> int:
    """Six operations for each number of the result.

    They are a sum for g, a product to carry it, a subtraction for the gradient of x, a subtraction
    and a product for that of p, and the sum over the scans.
    """
    return 6 * math.prod(p_shape)
