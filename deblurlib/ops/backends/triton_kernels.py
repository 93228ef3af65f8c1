"""Triton kernels of the three operators, for CUDA.

They were checked for correctness only, by Triton's interpreter on a CPU; their speed on a GPU has not been measured.
All compute in float32 and take contiguous tensors. The sums over atomics (the gradient of
deformable convolution's input) are not bit-identical between runs.
"""

import torch
import triton
import triton.language as tl

from . import dispatch

# ------------------------------------------------------------------------------------------------------ spatial RNN


@triton.jit
def _scan(
    x,
    p,
    h,
    grad,
    grad_x,
    grad_p,
    lines,
    length,
    line_step,
    step,
    forward: tl.constexpr,
    reverse: tl.constexpr,
    block: tl.constexpr,
):  # noqa: E501
    """One program scans `block` lines of a plane side by side; the lines of a vertical scan are adjacent in memory."""
    plane = tl.program_id(1).to(tl.int64) * lines * length
    line = tl.program_id(0) * block + tl.arange(0, block)
    valid = line < lines
    base = plane + line * line_step
    state = tl.zeros((block,), tl.float32)
    for t in range(length):
        k = length - 1 - t if forward == reverse else t  # a backward pass runs against its scan
        at = base + k * step
        xs, ps = tl.load(x + at, valid, 0.0), tl.load(p + at, valid, 0.0)
        if forward:
            state = xs + ps * (state - xs)
            tl.store(h + at, state, valid)
        else:
            first = k == (length - 1 if reverse else 0)
            previous = tl.load(h + at + (step if reverse else -step), valid & (not first), 0.0)
            g = tl.load(grad + at, valid, 0.0) + state
            state = ps * g
            tl.store(grad_x + at, g - state, valid)
            tl.store(grad_p + at, g * (previous - xs), valid)


def _scan_planes(x, p, h, grad, grad_x, grad_p, direction, forward):
    height, width = x.shape[-2:]
    sideways = direction in ("right", "left")
    lines, length = (height, width) if sideways else (width, height)
    line_step, step = (width, 1) if sideways else (1, width)
    reverse = direction in ("left", "up")
    block = 32
    grid = triton.cdiv(lines, block), x.shape[0] * x.shape[1]
    _scan[grid](
        x, p, h, grad, grad_x, grad_p, lines, length, line_step, step, forward, reverse, block
    )


def _ways(direction):
    """For each scan: its name, which group of p it reads, which group of the result it writes."""
    if direction != "all":
        return [(direction, 0, 0)]
    return [("right", 0, 0), ("down", 1, 2), ("left", 2, 1), ("up", 3, 3)]


def spatial_rnn_forward(x, p, direction):
    x, ways = x.contiguous(), _ways(direction)
    groups, results = p.chunk(len(ways), 1), [None] * len(ways)
    for way, source, target in ways:
        weights = groups[source].contiguous()
        results[target] = torch.empty_like(x)
        _scan_planes(x, weights, results[target], x, x, x, way, True)
    return torch.cat(results, 1)


def spatial_rnn_backward(grad, x, p, h, direction):
    x, ways = x.contiguous(), _ways(direction)
    grads, weights, states = (tensor.chunk(len(ways), 1) for tensor in (grad, p, h))
    grad_x, grad_p = torch.zeros_like(x), [None] * len(ways)
    for way, source, target in ways:
        part_x, grad_p[source] = torch.empty_like(x), torch.empty_like(x)
        inputs = [
            tensor.contiguous() for tensor in (weights[source], states[target], grads[target])
        ]
        _scan_planes(x, *inputs, part_x, grad_p[source], way, False)
        grad_x += part_x
    return grad_x, torch.cat(grad_p, 1)


# --------------------------------------------------------------------------------------------------- dynamic filter


@triton.jit
def _reflect(i, size):
    i = tl.abs(i)
    return tl.where(i < size, i, 2 * (size - 1) - i)


@triton.jit
def _filter(
    x,
    weights,
    out,
    grad,
    slope,
    channels,
    height,
    width,
    kernel: tl.constexpr,
    forward: tl.constexpr,
    block: tl.constexpr,
):  # noqa: E501
    """Forward: the filtered image. Otherwise: slope[tap], the gradient of the weights. One program, `block` pixels."""
    n, plane = tl.program_id(1).to(tl.int64), height * width
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    valid, y, z = pixel < plane, pixel // width, pixel % width
    radius: tl.constexpr = kernel // 2
    if forward:
        for c in range(channels):
            total = tl.zeros((block,), tl.float32)
            for tap in tl.static_range(kernel * kernel):
                at = _reflect(y + tap // kernel - radius, height) * width + _reflect(
                    z + tap % kernel - radius, width
                )
                weight = tl.load(weights + (n * kernel * kernel + tap) * plane + pixel, valid, 0.0)
                total += weight * tl.load(x + (n * channels + c) * plane + at, valid, 0.0)
            tl.store(out + (n * channels + c) * plane + pixel, total, valid)
    else:
        for tap in tl.static_range(kernel * kernel):
            at = _reflect(y + tap // kernel - radius, height) * width + _reflect(
                z + tap % kernel - radius, width
            )
            total = tl.zeros((block,), tl.float32)
            for c in range(channels):
                first = (n * channels + c) * plane
                total += tl.load(grad + first + pixel, valid, 0.0) * tl.load(
                    x + first + at, valid, 0.0
                )
            tl.store(slope + (n * kernel * kernel + tap) * plane + pixel, total, valid)


@triton.jit
def _filter_transposed(
    grad, weights, padded, channels, height, width, kernel: tl.constexpr, block: tl.constexpr
):
    """Gradient of the padded image, gathered: each padded pixel collects from the pixels that saw it."""
    plane, radius = tl.program_id(1).to(tl.int64), kernel // 2
    n, wide, tall = plane // channels, width + 2 * (kernel // 2), height + 2 * (kernel // 2)
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    y, z = pixel // wide - radius, pixel % wide - radius
    total = tl.zeros((block,), tl.float32)
    for tap in tl.static_range(kernel * kernel):
        source_y, source_z = y + radius - tap // kernel, z + radius - tap % kernel
        valid = (source_y >= 0) & (source_y < height) & (source_z >= 0) & (source_z < width)
        at = source_y * width + source_z
        weight = tl.load(weights + (n * kernel * kernel + tap) * height * width + at, valid, 0.0)
        total += weight * tl.load(grad + plane * height * width + at, valid, 0.0)
    tl.store(padded + plane * tall * wide + pixel, total, pixel < tall * wide)


def dynamic_filter_forward(x, logits, kernel_size):
    x, weights = x.contiguous(), logits.softmax(1).contiguous()
    out, (batch, channels, height, width), block = torch.empty_like(x), x.shape, 256
    grid = triton.cdiv(height * width, block), batch
    _filter[grid](x, weights, out, x, x, channels, height, width, kernel_size, True, block)
    return out


def dynamic_filter_backward(grad, x, logits, kernel_size):
    from ..reflection import fold_reflection

    grad, x, weights = grad.contiguous(), x.contiguous(), logits.softmax(1).contiguous()
    slope, (batch, channels, height, width), block = torch.empty_like(weights), x.shape, 256
    radius = kernel_size // 2
    grid = triton.cdiv(height * width, block), batch
    _filter[grid](x, weights, x, grad, slope, channels, height, width, kernel_size, False, block)
    padded = x.new_empty(batch, channels, height + 2 * radius, width + 2 * radius)
    grid = triton.cdiv(padded[0, 0].numel(), block), batch * channels
    _filter_transposed[grid](grad, weights, padded, channels, height, width, kernel_size, block)
    grad_logits = weights * (slope - (weights * slope).sum(1, keepdim=True))
    return fold_reflection(fold_reflection(padded, radius, 2), radius, 3), grad_logits


# ------------------------------------------------------------------------------------------- deformable convolution


@triton.jit
def _corner(image, plane, y, x, height, width, valid):
    """A pixel of every channel in `plane` (channels x 1) at each point; zero outside the image."""
    valid = valid & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return tl.load(image + plane + (y * width + x)[None, :], valid[None, :], 0.0)


@triton.jit
def _sample(
    image,
    offset,
    mask,
    column,
    grad_column,
    grad_image,
    grad_offset,
    grad_mask,
    channels,
    height,
    width,
    out_width,
    pixels,
    taps,
    kernel_width,
    stride_y,
    stride_x,
    pad_y,
    pad_x,
    dilation_y,
    dilation_x,
    groups,
    forward: tl.constexpr,
    block_c: tl.constexpr,
    block: tl.constexpr,
):  # noqa: E501
    """One program: `block` output pixels, one tap of one offset group. Forward: column = mask * sampled image.
    Otherwise: the gradients of mask and offset, and the image's by atomic sums, from that of the column."""
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    tap, n, group = tl.program_id(1), tl.program_id(2) // groups, tl.program_id(2) % groups
    valid, per_group = pixel < pixels, channels // groups
    slot = ((n * groups + group) * taps + tap).to(tl.int64)
    dy = tl.load(offset + 2 * slot * pixels + pixel, valid, 0.0)
    dx = tl.load(offset + (2 * slot + 1) * pixels + pixel, valid, 0.0)
    m = tl.load(mask + slot * pixels + pixel, valid, 0.0)
    y = pixel // out_width * stride_y - pad_y + tap // kernel_width * dilation_y + dy
    x = pixel % out_width * stride_x - pad_x + tap % kernel_width * dilation_x + dx
    m = tl.where((y == y) & (x == x), m, float("nan"))  # an offset that is not a number must show
    inside_y, inside_x = (y >= -1) & (y < height), (x >= -1) & (x < width)
    y = tl.minimum(
        tl.maximum(tl.where(y == y, y, -1.0), -1.0), height
    )  # before it becomes an integer
    x = tl.minimum(tl.maximum(tl.where(x == x, x, -1.0), -1.0), width)
    floor_y, floor_x = tl.floor(y), tl.floor(x)
    fy, fx, y0, x0 = (
        (y - floor_y)[None, :],
        (x - floor_x)[None, :],
        floor_y.to(tl.int32),
        floor_x.to(tl.int32),
    )
    sum_m, sum_y, sum_x = (
        tl.zeros((block,), tl.float32),
        tl.zeros((block,), tl.float32),
        tl.zeros((block,), tl.float32),
    )
    for first in range(0, per_group, block_c):
        c = first + tl.arange(0, block_c)[:, None]
        plane = (n * channels + group * per_group + c).to(tl.int64) * height * width
        here = valid[None, :] & (c < per_group)
        row = ((n * channels + group * per_group + c).to(tl.int64) * taps + tap) * pixels + pixel[
            None, :
        ]
        plane = tl.where(c < per_group, plane, 0)
        v00 = _corner(image, plane, y0, x0, height, width, valid)
        v01 = _corner(image, plane, y0, x0 + 1, height, width, valid)
        v10 = _corner(image, plane, y0 + 1, x0, height, width, valid)
        v11 = _corner(image, plane, y0 + 1, x0 + 1, height, width, valid)
        value = (1 - fy) * ((1 - fx) * v00 + fx * v01) + fy * ((1 - fx) * v10 + fx * v11)
        if forward:
            tl.store(column + row, m[None, :] * value, here)
        else:
            g = tl.load(grad_column + row, here, 0.0)
            sum_m += tl.sum(g * value, 0)
            sum_y += tl.sum(g * ((1 - fx) * (v10 - v00) + fx * (v11 - v01)), 0)
            sum_x += tl.sum(g * ((1 - fy) * (v01 - v00) + fy * (v11 - v10)), 0)
            for corner in tl.static_range(4):
                yc, xc = y0 + corner // 2, x0 + corner % 2
                share = (fy if corner // 2 else 1 - fy) * (fx if corner % 2 else 1 - fx)
                inside = (yc >= 0) & (yc < height) & (xc >= 0) & (xc < width)
                tl.atomic_add(
                    grad_image + plane + (yc * width + xc)[None, :],
                    m[None, :] * share * g,
                    here & inside[None, :],
                )  # noqa: E501
    if not forward:
        tl.store(grad_mask + slot * pixels + pixel, sum_m, valid)
        tl.store(grad_offset + 2 * slot * pixels + pixel, tl.where(inside_y, m * sum_y, 0.0), valid)
        tl.store(
            grad_offset + (2 * slot + 1) * pixels + pixel, tl.where(inside_x, m * sum_x, 0.0), valid
        )


def _run_sample(input, offset, mask, weight, stride, padding, dilation, column, grads=None):
    batch, channels, height, width = input.shape
    taps, pixels = weight.shape[-2] * weight.shape[-1], offset.shape[-2] * offset.shape[-1]
    groups = offset.shape[1] // (2 * taps)
    block, block_c = 64, min(32, triton.next_power_of_2(channels // groups))
    outputs = (input, offset, mask) if grads is None else grads
    _sample[triton.cdiv(pixels, block), taps, batch * groups](
        input,
        offset,
        mask,
        column,
        column,
        *outputs,
        channels,
        height,
        width,
        offset.shape[-1],
        pixels,
        taps,
        weight.shape[-1],
        *stride,
        *padding,
        *dilation,
        groups,
        grads is None,
        block_c,
        block,
    )


def _prepare(input, offset, weight, mask):
    taps = weight.shape[-2] * weight.shape[-1]
    mask = (
        offset.new_ones(offset.shape[0], offset.shape[1] // 2, *offset.shape[-2:])
        if mask is None
        else mask
    )
    matrices = weight.reshape(
        input.shape[1] // weight.shape[1], -1, weight.shape[1] * taps
    )  # (groups, Co/g, C/g*taps)
    pixels = offset.shape[-2] * offset.shape[-1]
    column = input.new_empty(input.shape[0], matrices.shape[0], matrices.shape[2], pixels)
    return input.contiguous(), offset.contiguous(), mask.contiguous(), matrices, column


def deform_conv_forward(input, offset, weight, bias, mask, stride, padding, dilation):
    """Samples by a fused kernel, then one matrix product by the library; the column is kept whole."""
    input, offset, mask, matrices, column = _prepare(input, offset, weight, mask)
    _run_sample(input, offset, mask, weight, stride, padding, dilation, column)
    out = (matrices @ column).view(input.shape[0], -1, *offset.shape[-2:])
    return out if bias is None else out + bias[:, None, None]


def deform_conv_backward(grad, input, offset, weight, mask, stride, padding, dilation):
    modulated = mask is not None
    input, offset, mask, matrices, column = _prepare(input, offset, weight, mask)
    _run_sample(input, offset, mask, weight, stride, padding, dilation, column)
    grad_groups = grad.reshape(grad.shape[0], matrices.shape[0], matrices.shape[1], -1)
    grad_weight = (grad_groups @ column.mT).sum(0).view_as(weight)
    torch.matmul(matrices.mT, grad_groups, out=column)  # from here on the gradient of the column
    grads = torch.zeros_like(input), torch.empty_like(offset), torch.empty_like(mask)
    _run_sample(input, offset, mask, weight, stride, padding, dilation, column, grads)
    grad_input, grad_offset, grad_mask = grads
    return (
        grad_input,
        grad_offset,
        grad_weight,
        grad.sum((0, 2, 3)),
        grad_mask if modulated else None,
    )


dispatch.register(
    "spatial_rnn", "triton", forward=spatial_rnn_forward, backward=spatial_rnn_backward
)
dispatch.register(
    "dynamic_filter", "triton", forward=dynamic_filter_forward, backward=dynamic_filter_backward
)
dispatch.register(
    "deform_conv", "triton", forward=deform_conv_forward, backward=deform_conv_backward
)
