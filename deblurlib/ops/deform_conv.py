"""Deformable convolution: a convolution that samples its input at learned, fractional positions."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .backends import dispatch
from .backends.memory import empty_convolution, format_like
from .backends.registration import define, describe, differentiate_by_autograd
from .checks import ArgumentError, check_device, check_shape, check_tensor, overridable, pair
from .substitution import current

NAME = "deform_conv2d"
AXES = {
    "input": ("batch", "channels", "height", "width"),
    "offset": ("batch", "channels", "height", "width"),
    "weight": ("output channels", "channels of a group", "height", "width"),
    "bias": ("output channels",),
    "mask": ("batch", "channels", "height", "width"),
}


@overridable
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Iterable[int] = 1,
    padding: int | Iterable[int] = 0,
    dilation: int | Iterable[int] = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution, modulated when a mask is given.

        out[n, o, p] = bias[o] + sum_{c, k} weight[o, c, k] * mask[n, k, p]
                       * input[n, c, stride*p - padding + dilation*k + offset[n, k, p]]

    with bilinear interpolation between pixels and zeros outside the image. The signature and the
    results are those of torchvision's operator. Half precision is computed in float32, also under
    autocast; but in channels-last bfloat16 images on a CPU with AVX512-BF16, samples and weight are
    rounded to bfloat16 before they are multiplied, as in torch's own convolutions. Derivatives of
    any order are exact. `torch.compile`, `torch.export` and `torch.fx` are supported; TorchScript
    is not.

    Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019, eq. 1; SVDN eq. 3; RADN section 3.2;
    ASPDC eq. 1.

    Args:
        input: Images, (B, C, H, W).
        offset: (B, 2*G*Kh*Kw, Ho, Wo): for each of G offset groups, tap after tap, the pair
            (dy, dx) in pixels of the input.
        weight: (Co, C/groups, Kh, Kw).
        bias: (Co), or None for zero.
        stride: Step in pixels between output positions, one number or (vertical, horizontal).
        padding: Zeros added on each side in pixels, one number or (vertical, horizontal).
        dilation: Distance between taps in pixels, one number or (vertical, horizontal).
        mask: (B, G*Kh*Kw, Ho, Wo), a factor for each tap, or None for one.

    Returns:
        (B, Co, Ho, Wo) in the dtype and the memory format of `input`.

    Raises:
        ArgumentError: If shapes, devices or numbers do not fit; a ValueError, and a RuntimeError as
            in torchvision.
        DtypeError: If a tensor does not hold floating-point numbers; a TypeError.
    """
    stride, padding, dilation = pair(stride), pair(padding), pair(dilation)
    _check(input, offset, weight, bias, mask, stride, padding, dilation)
    return current(NAME, _deform_conv2d)(
        input, offset, weight, bias, mask, stride, padding, dilation
    )


def output_size(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, int]:
    """Height and width of the result of a convolution.

    Args:
        size: (height, width) of the input in pixels.
        kernel: (height, width) of the kernel in taps.
        stride: (vertical, horizontal) step in pixels.
        padding: (vertical, horizontal) padding in pixels.
        dilation: (vertical, horizontal) distance between taps in pixels.

    Returns:
        (height, width) in pixels.
    """
    height, width = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return height, width


def _check(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    given = {"input": input, "offset": offset, "weight": weight, "bias": bias, "mask": mask}
    for name, tensor in given.items():
        if tensor is not None:
            check_tensor(NAME, name, tensor, AXES[name])
            check_device(NAME, name, tensor, "input", input)
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise ArgumentError(
            f"{NAME}: stride is {stride}, padding {padding} and dilation {dilation}; "
            "stride and dilation must be at least 1 and padding at least 0."
        )
    _check_channels(input, offset, weight)
    kernel, outs = weight.shape[2:], weight.shape[0]
    height, width = size = output_size(input.shape[2:], kernel, stride, padding, dilation)
    if any(n < 1 for n in (*input.shape[2:], *size)):  # min would fix which is less in an export
        raise ArgumentError(
            f"{NAME}: an input of {input.shape[2]} x {input.shape[3]} pixels gives an output of "
            f"{height} x {width}; enlarge the input or the padding."
        )
    check_shape(NAME, "offset", offset, (input.shape[0], offset.shape[1], *size))
    if mask is not None:
        check_shape(NAME, "mask", mask, (input.shape[0], offset.shape[1] // 2, *size))
    if bias is not None and bias.shape[0] != outs:
        raise ArgumentError(
            f"{NAME}: bias has {bias.shape[0]} numbers; "
            f"it needs one for each of the {outs} output channels."
        )


def _check_channels(input: Tensor, offset: Tensor, weight: Tensor) -> None:
    """Reject channels that cannot be divided into weight groups and offset groups."""
    channels, (outs, group_channels, *kernel) = input.shape[1], weight.shape
    taps = math.prod(kernel)
    if min(channels, outs, group_channels, taps) < 1:
        raise ArgumentError(
            f"{NAME}: input {tuple(input.shape)} and weight {tuple(weight.shape)} "
            "need at least one channel and one tap."
        )
    if channels % group_channels or outs % (channels // group_channels):
        raise ArgumentError(
            f"{NAME}: weight {tuple(weight.shape)} does not divide input {tuple(input.shape)} into "
            "groups; its second size must divide the number of input channels, "
            "and the number of groups must divide its first size."
        )
    groups = offset.shape[1] // (2 * taps)
    if groups < 1 or offset.shape[1] % (2 * taps) or channels % groups:
        raise ArgumentError(
            f"{NAME}: the shape of the offset is {tuple(offset.shape)}; "
            f"it needs 2 * {taps} channels for each offset group, "
            f"and the number of groups must divide the {channels} input channels."
        )


# --------------------------------------------------------------------------------------- operators


@define
def _deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> Tensor:
    if 0 in (input.shape[0], *weight.shape):
        return empty_convolution(input, offset, weight)
    tensors = (input, offset, weight, bias, mask)
    chosen = dispatch.implementation("deform_conv", *tensors)
    out = chosen.forward(*chosen.prepared(*tensors), stride, padding, dilation)
    return out.to(input.dtype).contiguous(memory_format=format_like(input))


@define
def _deform_conv2d_backward(  # noqa: PLR0913  # the schema of an operator has no groups
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of input, offset, weight, bias and mask; empty for an absent one."""
    given, window = (input, offset, weight, bias, mask), (stride, padding, dilation)
    if grad.numel() == 0:
        empty = _empty_gradients(grad, *given, *window)
        a, b, c, d, e = (tensor.zero_() for tensor in empty)
        return a, b, c, d, e
    return _backward(dispatch.implementation("deform_conv", grad, *given), grad, *given, *window)


def _backward(
    chosen: dispatch.Implementation, grad: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients by one of the implementations, in the dtypes and formats of the inputs."""
    input, offset, weight, _, mask, *window = arguments
    grads = chosen.backward(*chosen.prepared(grad, input, offset, weight, mask), *window)
    a, b, c, d, e = (
        weight.new_empty(0)
        if tensor is None or value is None
        else value.to(tensor.dtype).contiguous(memory_format=_format(name, tensor))
        for name, value, tensor in zip(AXES, grads, arguments[:5], strict=True)
    )
    return a, b, c, d, e


def _format(name: str, tensor: Tensor) -> torch.memory_format:
    """The memory format of the gradient of an argument."""
    images = ("input", "offset", "mask")
    return format_like(tensor) if name in images else torch.contiguous_format


def _empty(input: Tensor, offset: Tensor, weight: Tensor, *_: object) -> Tensor:
    return empty_convolution(input, offset, weight)


def _empty_gradients(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    *_: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    def like(name: str, tensor: Tensor | None) -> Tensor:
        if tensor is None:
            return weight.new_empty(0)
        return torch.empty_like(tensor, memory_format=_format(name, tensor))

    given = (input, offset, weight, bias, mask)
    a, b, c, d, e = (like(name, tensor) for name, tensor in zip(AXES, given, strict=True))
    return a, b, c, d, e


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.stride, ctx.padding, ctx.dilation = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    grads = _deform_conv2d_backward(grad, *tensors, ctx.stride, ctx.padding, ctx.dilation)
    found = [
        None if tensor is None else value for tensor, value in zip(tensors, grads, strict=True)
    ]
    return *found, None, None, None


def _reference_backward(
    grad: Tensor, *arguments: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _backward(dispatch.reference("deform_conv"), grad, *arguments)


describe("deform_conv2d", _empty)
describe("deform_conv2d_backward", _empty_gradients)
torch.library.register_autograd("deblurlib::deform_conv2d", _gradients, setup_context=_save)
differentiate_by_autograd("deform_conv2d_backward", _reference_backward)


@register_flop_formula(torch.ops.deblurlib.deform_conv2d)
def _deform_conv2d_flops(
    input_shape: Sequence[int],
    offset_shape: Sequence[int],
    weight_shape: Sequence[int],
    *_: object,
    **__: object,
) -> int:
    """Two operations for each product with the weight; the interpolation is not counted."""
    return 2 * input_shape[0] * math.prod(offset_shape[-2:]) * math.prod(weight_shape)


@register_flop_formula(torch.ops.deblurlib.deform_conv2d_backward)
def _deform_conv2d_backward_flops(
    grad_shape: Sequence[int],
    input_shape: Sequence[int],
    offset_shape: Sequence[int],
    weight_shape: Sequence[int],
    *_: object,
    **__: object,
) -> int:
    """Two products of the forward size: for input, offset and mask, and for the weight."""
    return 2 * _deform_conv2d_flops(input_shape, offset_shape, weight_shape)
