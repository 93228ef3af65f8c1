"""Triton kernels of the three operators, for CUDA; triton_backend launches them.

They have been checked for correctness by Triton's interpreter on a CPU; their speed on a GPU has
not been measured. All compute in float32 and take contiguous tensors.
"""

import triton
import triton.language as tl

# -------------------------------------------------------------------------------------- spatial RNN


@triton.jit
def scan_lines(  # noqa: PLR0913  # a kernel takes pointers and sizes one by one
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
):
    """One program scans `block` lines of a plane side by side."""
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


# ----------------------------------------------------------------------------------- dynamic filter


@triton.jit
def _reflect(i, size):
    i = tl.abs(i)
    return tl.where(i < size, i, 2 * (size - 1) - i)


@triton.jit
def filter_pixels(  # noqa: PLR0913  # a kernel takes pointers and sizes one by one
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
):
    """The filtered image, or slope[tap], the gradient of the weights, of `block` pixels."""
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
def filter_transposed(
    grad, weights, padded, channels, height, width, kernel: tl.constexpr, block: tl.constexpr
):
    """Gradient of the padded image: each padded pixel collects from the pixels that read it."""
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


# --------------------------------------------------------------------------- deformable convolution


@triton.jit
def _corner(image, plane, y, x, height, width, valid):
    """A pixel of every channel in `plane` (channels x 1) at each point; zero outside the image."""
    valid = valid & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return tl.load(image + plane + (y * width + x)[None, :], valid[None, :], 0.0)


@triton.jit
def sample_points(  # noqa: PLR0913  # a kernel takes pointers and sizes one by one
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
):
    """One program: `block` output pixels, one tap of one offset group.

    Forward: column = mask * sampled image. Otherwise, from the gradient of the column, those of
    mask and offset, and by atomic additions that of the image.
    """
    pixel = tl.program_id(0) * block + tl.arange(0, block)
    tap, n, group = tl.program_id(1), tl.program_id(2) // groups, tl.program_id(2) % groups
    valid, per_group = pixel < pixels, channels // groups
    slot = ((n * groups + group) * taps + tap).to(tl.int64)
    dy = tl.load(offset + 2 * slot * pixels + pixel, valid, 0.0)
    dx = tl.load(offset + (2 * slot + 1) * pixels + pixel, valid, 0.0)
    m = tl.load(mask + slot * pixels + pixel, valid, 0.0)
    y = pixel // out_width * stride_y - pad_y + tap // kernel_width * dilation_y + dy
    x = pixel % out_width * stride_x - pad_x + tap % kernel_width * dilation_x + dx
    m = tl.where((y == y) & (x == x), m, float("nan"))  # a NaN offset must show in the result
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
                )
    if not forward:
        tl.store(grad_mask + slot * pixels + pixel, sum_m, valid)
        tl.store(grad_offset + 2 * slot * pixels + pixel, tl.where(inside_y, m * sum_y, 0.0), valid)
        tl.store(
            grad_offset + (2 * slot + 1) * pixels + pixel, tl.where(inside_x, m * sum_x, 0.0), valid
        )
