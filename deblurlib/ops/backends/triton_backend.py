"""The backend triton: launches of the kernels for CUDA.

All compute in float32. The gradient of the input of a deformable convolution is summed with atomic
additions and is therefore not bit-identical between runs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from . import dispatch
from .reference import fold_reflection
from .triton_kernels import filter_pixels, filter_transposed, sample_points, scan_lines

# -------------------------------------------------------------------------------------- spatial RNN


class _Way(NamedTuple):
    """One of the scans of an operator."""

    direction: str
    source: int  # the group of p that it reads
    target: int  # the group of the result that it writes


FOUR_WAYS = (
    _Way("right", source=0, target=0),
    _Way("down", source=1, target=2),
    _Way("left", source=2, target=1),
    _Way("up", source=3, target=3),
)


def _ways(direction: str) -> Sequence[_Way]:
    return FOUR_WAYS if direction == "all" else (_Way(direction, source=0, target=0),)


def _scan_planes(tensors: Sequence[Tensor], direction: str, forward: bool) -> None:
    """Scan every plane of x, p, h, grad, grad_x and grad_p, the tensors of a scan."""
    batch, channels, height, width = tensors[0].shape
    sideways = direction in ("right", "left")
    lines, length = (height, width) if sideways else (width, height)
    line_step, step = (width, 1) if sideways else (1, width)
    reverse = direction in ("left", "up")
    block = 32
    scan_lines[triton.cdiv(lines, block), batch * channels](
        *tensors, lines, length, line_step, step, forward, reverse, block
    )


def _spatial_rnn_forward(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """One scan, or all four."""
    x, ways = x.contiguous(), _ways(direction)
    groups = p.chunk(len(ways), 1)
    results = [torch.empty_like(x) for _ in ways]
    for way in ways:
        weights, h = groups[way.source].contiguous(), results[way.target]
        _scan_planes((x, weights, h, x, x, x), way.direction, forward=True)
    return torch.cat(results, 1)


def _spatial_rnn_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    """Gradients of x and p, from the result h and its gradient."""
    x, ways = x.contiguous(), _ways(direction)
    grads, weights, states = (tensor.chunk(len(ways), 1) for tensor in (grad, p, h))
    grad_x, grad_p = torch.zeros_like(x), [torch.empty_like(x) for _ in ways]
    for way in ways:
        inputs = (weights[way.source], states[way.target], grads[way.target])
        contiguous = (tensor.contiguous() for tensor in inputs)
        part_x = torch.empty_like(x)
        tensors = (x, *contiguous, part_x, grad_p[way.source])
        _scan_planes(tensors, way.direction, forward=False)
        grad_x += part_x
    return grad_x, torch.cat(grad_p, 1)


dispatch.register(
    "spatial_rnn", "triton", forward=_spatial_rnn_forward, backward=_spatial_rnn_backward
)


# ----------------------------------------------------------------------------------- dynamic filter


def _dynamic_filter_forward(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    """The filtered image."""
    x, weights = x.contiguous(), logits.softmax(1).contiguous()
    out, (batch, channels, height, width), block = torch.empty_like(x), x.shape, 256
    filter_pixels[triton.cdiv(height * width, block), batch](
        x, weights, out, x, x, channels, height, width, kernel_size, True, block
    )
    return out


def _dynamic_filter_backward(
    grad: Tensor, x: Tensor, logits: Tensor, kernel_size: int
) -> tuple[Tensor, Tensor]:
    """Gradients of x and logits, from that of the output."""
    grad, x, weights = grad.contiguous(), x.contiguous(), logits.softmax(1).contiguous()
    slope, (batch, channels, height, width), block = torch.empty_like(weights), x.shape, 256
    radius = kernel_size // 2
    filter_pixels[triton.cdiv(height * width, block), batch](
        x, weights, x, grad, slope, channels, height, width, kernel_size, False, block
    )
    padded = x.new_empty(batch, channels, height + 2 * radius, width + 2 * radius)
    filter_transposed[triton.cdiv(padded[0, 0].numel(), block), batch * channels](
        grad, weights, padded, channels, height, width, kernel_size, block
    )
    grad_logits = weights * (slope - (weights * slope).sum(1, keepdim=True))
    return fold_reflection(fold_reflection(padded, radius, 2), radius, 3), grad_logits


dispatch.register(
    "dynamic_filter", "triton", forward=_dynamic_filter_forward, backward=_dynamic_filter_backward
)


# --------------------------------------------------------------------------- deformable convolution


class _Samples(NamedTuple):
    """Tensors that both passes of a deformable convolution use."""

    input: Tensor
    offset: Tensor
    mask: Tensor
    weight: Tensor
    window: tuple[Sequence[int], Sequence[int], Sequence[int]]  # stride, padding, dilation
    matrices: Tensor  # the weight as (groups, Co/groups, C/groups*taps)
    column: Tensor  # the samples, (B, groups, C/groups*taps, Ho*Wo)

    def run(self, grads: tuple[Tensor, Tensor, Tensor] | None = None) -> None:
        """Fill the column, or compute the gradients of input, offset and mask from its gradient."""
        batch, channels, height, width = self.input.shape
        kernel_height, kernel_width = self.weight.shape[-2:]
        taps, (out_height, out_width) = kernel_height * kernel_width, self.offset.shape[-2:]
        pixels, groups = out_height * out_width, self.offset.shape[1] // (2 * taps)
        stride, padding, dilation = self.window
        block, block_c = 64, min(32, triton.next_power_of_2(channels // groups))
        outputs = (self.input, self.offset, self.mask) if grads is None else grads
        sample_points[triton.cdiv(pixels, block), taps, batch * groups](
            self.input,
            self.offset,
            self.mask,
            self.column,
            self.column,
            *outputs,
            channels,
            height,
            width,
            out_width,
            pixels,
            taps,
            kernel_width,
            *stride,
            *padding,
            *dilation,
            groups,
            grads is None,
            block_c,
            block,
        )


def _samples(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    window: tuple[Sequence[int], Sequence[int], Sequence[int]],
) -> _Samples:
    """The tensors of both passes, with a column that is filled."""
    _, group_channels, kernel_height, kernel_width = weight.shape
    size = offset.shape[-2:]
    if mask is None:
        mask = offset.new_ones(offset.shape[0], offset.shape[1] // 2, *size)
    groups, depth = input.shape[1] // group_channels, group_channels * kernel_height * kernel_width
    samples = _Samples(
        input=input.contiguous(),
        offset=offset.contiguous(),
        mask=mask.contiguous(),
        weight=weight,
        window=window,
        matrices=weight.reshape(groups, -1, depth),
        column=input.new_empty(input.shape[0], groups, depth, size.numel()),
    )
    samples.run()
    return samples


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
    """Samples by a fused kernel, then one matrix product; the whole column is kept."""
    samples = _samples(input, offset, weight, mask, (stride, padding, dilation))
    product = samples.matrices @ samples.column
    out = product.view(input.shape[0], weight.shape[0], *offset.shape[-2:])
    return out if bias is None else out + bias[:, None, None]


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
    samples = _samples(input, offset, weight, mask, (stride, padding, dilation))
    grad_groups = grad.reshape(grad.shape[0], *samples.matrices.shape[:2], -1)
    grad_weight = (grad_groups @ samples.column.mT).sum(0).view_as(weight)
    torch.matmul(samples.matrices.mT, grad_groups, out=samples.column)  # now its gradient
    grad_input = torch.zeros_like(samples.input)
    grad_offset, grad_mask = torch.empty_like(samples.offset), torch.empty_like(samples.mask)
    samples.run((grad_input, grad_offset, grad_mask))
    return (
        grad_input,
        grad_offset,
        grad_weight,
        grad.sum((0, 2, 3)),
        None if mask is None else grad_mask,
    )


dispatch.register(
    "deform_conv", "triton", forward=_deform_conv_forward, backward=_deform_conv_backward
)
