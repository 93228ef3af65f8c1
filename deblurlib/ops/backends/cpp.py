"""The backend cpp: calls of the C kernels, which are compiled on first use."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from . import compiler, dispatch
from .memory import (
    empty_convolution,
    empty_scans,
    format_like,
    gapless,
    is_by_pixels,
    ordered,
)
from .reference import DIRECTIONS


class DeformConvShape(ctypes.Structure):
    """`Shape` in csrc/deform_conv.c."""

    _fields_ = compiler.integers(
        "batch channels height width out_channels out_height out_width kernel_height kernel_width "
        "stride_y stride_x pad_y pad_x dilation_y dilation_x groups offset_groups "
        "in_pixel out_pixel offset_pixel mask_pixel "
        "in_narrow out_narrow offset_narrow mask_narrow threads"
    )


class SpatialRnnShape(ctypes.Structure):
    """`Shape` in csrc/spatial_rnn.c."""

    _fields_ = compiler.integers("batch channels height width direction threads x_pixel p_pixel")


class DynamicFilterShape(ctypes.Structure):
    """`Shape` in csrc/dynamic_filter.c."""

    _fields_ = compiler.integers("batch channels height width kernel threads")


class PReLUShape(ctypes.Structure):
    """`Shape` in csrc/prelu.c."""

    _fields_ = compiler.integers("count narrow threads")


def _wide(tensor: Tensor) -> torch.dtype:
    """The dtype of what is never bfloat16 in a kernel that takes a tensor."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _pixel(tensor: Tensor | None) -> int:
    """Numbers from one pixel to the next in channels-last memory; 0 in contiguous memory."""
    by_pixels = tensor is not None and format_like(tensor) == torch.channels_last
    return tensor.stride(3) if tensor is not None and by_pixels else 0


def _is_narrow(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.dtype == torch.bfloat16


def _image(tensor: Tensor) -> Tensor:
    """An image as the kernel reads it: bfloat16 only in channels-last memory."""
    tensor = ordered(tensor)
    return tensor if _pixel(tensor) else tensor.to(_wide(tensor))


def _deform_conv_shape(
    input: Tensor,
    out: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> DeformConvShape:
    batch, channels, height, width = input.shape
    _, group_channels, kernel_height, kernel_width = weight.shape
    return DeformConvShape(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        out_channels=out.shape[1],
        out_height=out.shape[2],
        out_width=out.shape[3],
        kernel_height=kernel_height,
        kernel_width=kernel_width,
        stride_y=stride[0],
        stride_x=stride[1],
        pad_y=padding[0],
        pad_x=padding[1],
        dilation_y=dilation[0],
        dilation_x=dilation[1],
        groups=channels // group_channels,
        offset_groups=offset.shape[1] // (2 * kernel_height * kernel_width),
        in_pixel=_pixel(input),
        out_pixel=_pixel(out),
        offset_pixel=_pixel(offset),
        mask_pixel=_pixel(mask),
        in_narrow=_is_narrow(input),
        out_narrow=_is_narrow(out),
        offset_narrow=_is_narrow(offset),
        mask_narrow=_is_narrow(mask),
        threads=torch.get_num_threads(),
    )


def _deform_conv_forward(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """The convolution, in the memory format of the input."""
    input, offset, weight = _image(input), ordered(offset), weight.to(_wide(input)).contiguous()
    bias = None if bias is None else bias.to(weight.dtype).contiguous()
    mask = None if mask is None else ordered(mask)
    out = empty_convolution(input, offset, weight)
    if not _pixel(out):  # such as a single channel, whose memory is both
        out = out.to(weight.dtype)
    shape = _deform_conv_shape(input, out, offset, weight, mask, stride, padding, dilation)
    library = compiler.load("deform_conv", input.dtype)
    compiler.call(library, "deform_conv_forward", shape, input, offset, mask, weight, bias, out)
    return out


def _deform_conv_backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of input, offset, weight, bias and mask (None without one), from the output's."""
    grad, input, offset = _image(grad), _image(input), ordered(offset)
    weight, mask = weight.to(_wide(input)).contiguous(), None if mask is None else ordered(mask)
    grad_input, grad_offset = (
        torch.empty_like(tensor, memory_format=format_like(tensor)) for tensor in (input, offset)
    )
    grad_weight, grad_bias = torch.empty_like(weight), weight.new_empty(weight.shape[0])
    grad_mask = None if mask is None else torch.empty_like(mask, memory_format=format_like(mask))
    shape = _deform_conv_shape(input, grad, offset, weight, mask, stride, padding, dilation)
    results = (grad_input, grad_offset, grad_mask, grad_weight, grad_bias)
    library = compiler.load("deform_conv", input.dtype)
    compiler.call(
        library, "deform_conv_backward", shape, input, offset, mask, weight, grad, *results
    )
    return grad_input, grad_offset, grad_weight, grad_bias, grad_mask


dispatch.register(
    "deform_conv",
    "cpp",
    forward=_deform_conv_forward,
    backward=_deform_conv_backward,
    takes_bfloat16=True,
)


def _spatial_rnn_shape(x: Tensor, p: Tensor, direction: str) -> SpatialRnnShape:
    batch, channels, height, width = x.shape
    return SpatialRnnShape(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        direction=(*DIRECTIONS, "all").index(direction),
        threads=torch.get_num_threads(),
        x_pixel=x.stride(3),
        p_pixel=p.stride(3),
    )


def _spatial_rnn_forward(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """One scan or all four, in channels-last memory where both tensors are."""
    function = "spatial_rnn_forward_last"
    if not (is_by_pixels(x) and is_by_pixels(p)):
        x, p, function = x.contiguous(), p.contiguous(), "spatial_rnn_forward"
    h, shape = empty_scans(x, p), _spatial_rnn_shape(x, p, direction)
    compiler.call(compiler.load("spatial_rnn", x.dtype), function, shape, x, p, h)
    return h


def _spatial_rnn_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    """Gradients of x and p, from the result h and its gradient."""
    grad, x, p, h = grad.contiguous(), x.contiguous(), p.contiguous(), h.contiguous()
    grads, shape = (torch.empty_like(x), torch.empty_like(p)), _spatial_rnn_shape(x, p, direction)
    library = compiler.load("spatial_rnn", x.dtype)
    compiler.call(library, "spatial_rnn_backward", shape, grad, x, p, h, *grads)
    return grads


dispatch.register(
    "spatial_rnn", "cpp", forward=_spatial_rnn_forward, backward=_spatial_rnn_backward
)


def _dynamic_filter_shape(x: Tensor, kernel_size: int) -> DynamicFilterShape:
    batch, channels, height, width = x.shape
    return DynamicFilterShape(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        kernel=kernel_size,
        threads=torch.get_num_threads(),
    )


def _dynamic_filter_forward(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    """The filtered image."""
    x, logits = x.contiguous(), logits.contiguous()
    out, shape = torch.empty_like(x), _dynamic_filter_shape(x, kernel_size)
    library = compiler.load("dynamic_filter", x.dtype)
    compiler.call(library, "dynamic_filter_forward", shape, x, logits, out)
    return out


def _dynamic_filter_backward(
    grad: Tensor, x: Tensor, logits: Tensor, kernel_size: int
) -> tuple[Tensor, Tensor]:
    """Gradients of x and logits, from that of the output."""
    grad, x, logits = grad.contiguous(), x.contiguous(), logits.contiguous()
    grads, shape = (
        (torch.empty_like(x), torch.empty_like(logits)),
        _dynamic_filter_shape(x, kernel_size),
    )
    library = compiler.load("dynamic_filter", x.dtype)
    compiler.call(library, "dynamic_filter_backward", shape, grad, x, logits, *grads)
    return grads


dispatch.register(
    "dynamic_filter", "cpp", forward=_dynamic_filter_forward, backward=_dynamic_filter_backward
)


def _prelu_shape(x: Tensor) -> PReLUShape:
    return PReLUShape(count=x.numel(), narrow=_is_narrow(x), threads=torch.get_num_threads())


def _prelu_forward(x: Tensor, slope: Tensor) -> Tensor:
    """The activation, in the dtype and the memory order of x."""
    x, slope = gapless(x), slope.to(_wide(x))
    out = torch.empty_like(x)
    library = compiler.load("prelu", x.dtype)
    compiler.call(library, "prelu_forward", _prelu_shape(x), x, slope, out)
    return out


def _prelu_backward(grad: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and the slope, from that of the result."""
    x, slope = gapless(x), slope.to(_wide(x))
    grad = gapless(grad.to(x.dtype), like=x)
    grad_x, grad_slope = torch.empty_like(x), torch.empty_like(slope)
    library = compiler.load("prelu", x.dtype)
    compiler.call(library, "prelu_backward", _prelu_shape(x), grad, x, slope, grad_x, grad_slope)
    return grad_x, grad_slope


dispatch.register(
    "prelu", "cpp", forward=_prelu_forward, backward=_prelu_backward, takes_bfloat16=True
)
