"""The backend torch: the operators by their definitions, in plain torch.

Autograd can differentiate everything here, which gives the second derivatives of all backends.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import dispatch

# -------------------------------------------------------------------------- deformable convolution


@dataclass(frozen=True)
class Tap:
    """One tap of a deformable convolution: where it reads, and its share of the mask.

    Attributes:
        number: Index of the tap, row by row.
        corners: For each of the four neighbours (upper left, upper right, lower left, lower right)
            their places in the bordered image, (B, G, C/G, Ho*Wo).
        fy: Fraction of the vertical position, (B, G, 1, Ho, Wo).
        fx: Fraction of the horizontal position, (B, G, 1, Ho, Wo).
        inside_y: Whether the position lies in [-1, H), (B, G, Ho, Wo).
        inside_x: Whether the position lies in [-1, W), (B, G, Ho, Wo).
        mask: (B, G, 1, Ho, Wo).
    """

    number: int
    corners: list[Tensor]
    fy: Tensor
    fx: Tensor
    inside_y: Tensor
    inside_x: Tensor
    mask: Tensor

    def values(self, image: Tensor) -> list[Tensor]:
        """The image at the four neighbours.

        Args:
            image: (B, G, C/G, pixels of the bordered image).

        Returns:
            Four tensors (B, G, C/G, Ho, Wo).
        """
        size = self.mask.shape[-2:]
        flat = [image.gather(3, corner) for corner in self.corners]
        return [values.view(*values.shape[:3], *size) for values in flat]

    def bilinear(self, values: Sequence[Tensor]) -> Tensor:
        """The value between the four neighbours.

        Args:
            values: The image at the four neighbours.

        Returns:
            The interpolated image, (B, G, C/G, Ho, Wo).
        """
        v00, v01, v10, v11 = values
        above, below = (1 - self.fx) * v00 + self.fx * v01, (1 - self.fx) * v10 + self.fx * v11
        return (1 - self.fy) * above + self.fy * below


def _corners(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixel before each position, the fraction, and whether the position is inside."""
    inside = (position >= -1) & (position < size)
    position = position.clamp(-1, size)
    before = position.nan_to_num(-1).floor().clamp(max=size - 1)  # the fraction keeps a NaN
    return before.long(), position - before, inside


def _taps(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Iterator[Tap]:
    batch, channels, height, width = input.shape
    out_height, out_width = offset.shape[-2:]
    kernel_height, kernel_width = weight.shape[-2:]
    taps = kernel_height * kernel_width
    groups = offset.shape[1] // (2 * taps)
    offset = offset.reshape(batch, groups, taps, 2, out_height, out_width)
    if mask is None:
        mask = offset.new_ones(()).expand(batch, groups, taps, out_height, out_width)
    mask = mask.reshape(batch, groups, taps, out_height, out_width)
    row = torch.arange(out_height, device=input.device, dtype=input.dtype)[:, None]
    column = torch.arange(out_width, device=input.device, dtype=input.dtype)
    for tap in range(taps):
        i, j = divmod(tap, kernel_width)
        y = row * stride[0] - padding[0] + i * dilation[0] + offset[:, :, tap, 0]  # (B, G, Ho, Wo)
        x = column * stride[1] - padding[1] + j * dilation[1] + offset[:, :, tap, 1]
        y0, fy, inside_y = _corners(y, height)
        x0, fx, inside_x = _corners(x, width)
        index = ((y0 + 1) * (width + 2) + x0 + 1).flatten(2)[:, :, None]  # in the bordered image
        steps = (0, 1, width + 2, width + 3)
        yield Tap(
            number=tap,
            corners=[(index + step).expand(-1, -1, channels // groups, -1) for step in steps],
            fy=fy[:, :, None],
            fx=fx[:, :, None],
            inside_y=inside_y,
            inside_x=inside_x,
            mask=mask[:, :, tap, None],
        )


def _bordered(input: Tensor, groups: int) -> Tensor:
    """The image with a border of one zero pixel, (B, G, C/G, (H + 2) * (W + 2))."""
    batch, channels = input.shape[:2]
    bordered = nn.functional.pad(input, (1, 1, 1, 1))
    return bordered.reshape(batch, groups, channels // groups, -1)


def _matrices(input: Tensor, weight: Tensor) -> Tensor:
    """The weight as (groups, Co/groups, C/groups, taps)."""
    _, group_channels, *kernel = weight.shape
    return weight.reshape(input.shape[1] // group_channels, -1, group_channels, math.prod(kernel))


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
    """The definition, tap by tap: sample the input, and add weight[:, :, tap] times the samples."""
    batch, size, matrices = input.shape[0], offset.shape[-2:], _matrices(input, weight)
    image = _bordered(input, offset.shape[1] // (2 * matrices.shape[3]))
    out = input.new_zeros(batch, *matrices.shape[:2], math.prod(size))
    for tap in _taps(input, offset, weight, mask, stride, padding, dilation):
        samples = tap.mask * tap.bilinear(tap.values(image))
        samples = samples.reshape(batch, -1, matrices.shape[2], math.prod(size))
        out = out + matrices[..., tap.number] @ samples  # (B, groups, Co/groups, Ho*Wo)
    out = out.view(batch, weight.shape[0], *size)
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
    batch, _, height, width = input.shape
    size, matrices = offset.shape[-2:], _matrices(input, weight)
    taps = matrices.shape[3]
    groups = offset.shape[1] // (2 * taps)
    image = _bordered(input, groups)
    grad_groups = grad.reshape(batch, *matrices.shape[:2], -1)
    grad_image, grad_weight = torch.zeros_like(image), torch.zeros_like(matrices)
    grad_offset = offset.new_empty(batch, groups, taps, 2, *size)
    grad_mask = offset.new_empty(batch, groups, taps, *size)
    for tap in _taps(input, offset, weight, mask, stride, padding, dilation):
        grad_samples = (matrices[..., tap.number].mT @ grad_groups).reshape(
            batch, groups, -1, *size
        )
        v00, v01, v10, v11 = values = tap.values(image)
        value = tap.bilinear(values)
        slope_y = (1 - tap.fx) * (v10 - v00) + tap.fx * (v11 - v01)  # d value / d y
        slope_x = (1 - tap.fy) * (v01 - v00) + tap.fy * (v11 - v10)
        masked = tap.mask * grad_samples
        grad_offset[:, :, tap.number, 0] = tap.inside_y * (masked * slope_y).sum(2)
        grad_offset[:, :, tap.number, 1] = tap.inside_x * (masked * slope_x).sum(2)
        grad_mask[:, :, tap.number] = (grad_samples * value).sum(2)
        samples = (tap.mask * value).reshape(batch, -1, matrices.shape[2], math.prod(size))
        grad_weight[..., tap.number] = torch.einsum("bgop,bgcp->goc", grad_groups, samples)
        shares = (
            (1 - tap.fy) * (1 - tap.fx),
            (1 - tap.fy) * tap.fx,
            tap.fy * (1 - tap.fx),
            tap.fy * tap.fx,
        )
        for corner, share in zip(tap.corners, shares, strict=True):
            grad_image.scatter_add_(3, corner, (tap.mask * share * grad_samples).flatten(3))
    grad_image = grad_image.view(batch, -1, height + 2, width + 2)
    return (
        grad_image[:, :, 1:-1, 1:-1],
        grad_offset.view_as(offset),
        grad_weight.view_as(weight),
        grad.sum((0, 2, 3)),
        None if mask is None else grad_mask.view_as(mask),
    )


dispatch.register(
    "deform_conv", "torch", forward=_deform_conv_forward, backward=_deform_conv_backward
)

# ------------------------------------------------------------------------------------- spatial RNN

DIRECTIONS = ("right", "down", "left", "up")  # the order of the groups of p in `spatial_rnn_4way`
RESULT_ORDER = ("right", "left", "down", "up")  # the order of the groups of its result


def line_up(tensor: Tensor, direction: str) -> Tensor:
    """Turn an image so that its scan moves to the right; the same turn brings it back.

    Args:
        tensor: (B, C, H, W).
        direction: The way in which the scan moves: "right", "down", "left" or "up".

    Returns:
        The turned image, (B, C, H, W) or (B, C, W, H).
    """
    if direction in ("down", "up"):
        tensor = tensor.mT.flip(-2, -1) if direction == "up" else tensor.mT
    return tensor.flip(-1) if direction == "left" else tensor


def _scan(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """The definition, one column at a time."""
    columns = zip(line_up(x, direction).unbind(-1), line_up(p, direction).unbind(-1), strict=True)
    state, states = torch.zeros_like(line_up(x, direction)[..., 0]), []
    for x_k, p_k in columns:
        state = (1 - p_k) * x_k + p_k * state
        states.append(state)
    return line_up(torch.stack(states, -1), direction)


def _scan_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    """Gradients of x and p by the reverse scan."""
    grad, x, p, h = (line_up(tensor, direction) for tensor in (grad, x, p, h))
    previous = nn.functional.pad(h[..., :-1], (1, 0))  # h[k-1]
    carried, reverse = torch.zeros_like(grad[..., 0]), []
    for grad_k, p_k in zip(grad.unbind(-1)[::-1], p.unbind(-1)[::-1], strict=True):
        g_k = grad_k + carried
        carried = p_k * g_k
        reverse.append(g_k)
    g = torch.stack(reverse[::-1], -1)
    return line_up((1 - p) * g, direction), line_up(g * (previous - x), direction)


def _spatial_rnn_forward(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """One scan, or all four."""
    if direction != "all":
        return _scan(x, p, direction)
    ways = zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    results = {way: _scan(x, weights, way) for way, weights in ways}
    return torch.cat([results[way] for way in RESULT_ORDER], 1)


def _spatial_rnn_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    """Gradients of x and p, from the result h and its gradient."""
    if direction != "all":
        return _scan_backward(grad, x, p, h, direction)
    grads = dict(zip(RESULT_ORDER, grad.chunk(4, 1), strict=True))
    results = dict(zip(RESULT_ORDER, h.chunk(4, 1), strict=True))
    pairs = [
        _scan_backward(grads[way], x, weights, results[way], way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    ]
    grad_x = pairs[0][0] + pairs[1][0] + pairs[2][0] + pairs[3][0]
    return grad_x, torch.cat([grad_p for _, grad_p in pairs], 1)


dispatch.register(
    "spatial_rnn", "torch", forward=_spatial_rnn_forward, backward=_spatial_rnn_backward
)

# ---------------------------------------------------------------------------------- dynamic filter


def fold_reflection(tensor: Tensor, radius: int, axis: int) -> Tensor:
    """The transpose of reflection padding along one axis: adds margins to the pixels they mirror.

    Args:
        tensor: A padded image.
        radius: Width of each margin in pixels.
        axis: The padded axis.

    Returns:
        The image without the margins of this axis.
    """
    tensor = tensor.movedim(axis, -1)
    size = tensor.shape[-1] - 2 * radius
    inner = tensor[..., radius : radius + size].clone()
    if radius:
        inner[..., 1 : radius + 1] += tensor[..., :radius].flip(-1)
        inner[..., size - 1 - radius : size - 1] += tensor[..., -radius:].flip(-1)
    return inner.movedim(-1, axis)


def _shifts(padded: Tensor, size: Sequence[int], kernel_size: int) -> Iterator[Tensor]:
    """For each tap the view of the padded image that it multiplies."""
    for tap in range(kernel_size**2):
        y, x = divmod(tap, kernel_size)
        yield padded[:, :, y : y + size[0], x : x + size[1]]


def _dynamic_filter_forward(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    """The definition: K*K shifted images, each times its weight."""
    weights, out = logits.softmax(1), torch.zeros_like(x)
    padded = nn.functional.pad(x, [kernel_size // 2] * 4, mode="reflect")
    for tap, shifted in enumerate(_shifts(padded, x.shape[2:], kernel_size)):
        out = out + weights[:, tap, None] * shifted
    return out


def _dynamic_filter_backward(
    grad: Tensor, x: Tensor, logits: Tensor, kernel_size: int
) -> tuple[Tensor, Tensor]:
    """Gradients of x and logits, from that of the output."""
    weights, radius = logits.softmax(1), kernel_size // 2
    padded = nn.functional.pad(x, [radius] * 4, mode="reflect")
    shifts = _shifts(padded, x.shape[2:], kernel_size)
    slope = torch.stack([(grad * shifted).sum(1) for shifted in shifts], 1)  # d loss / d weight
    grad_logits = weights * (slope - (weights * slope).sum(1, keepdim=True))
    grad_padded = torch.zeros_like(padded)
    for tap, target in enumerate(_shifts(grad_padded, x.shape[2:], kernel_size)):
        target += weights[:, tap, None] * grad
    return fold_reflection(fold_reflection(grad_padded, radius, 2), radius, 3), grad_logits


dispatch.register(
    "dynamic_filter", "torch", forward=_dynamic_filter_forward, backward=_dynamic_filter_backward
)

# ------------------------------------------------------------------------------------------- PReLU


def _prelu_forward(x: Tensor, slope: Tensor) -> Tensor:
    """The definition."""
    return torch.where(x > 0, x, slope * x)


def _prelu_backward(grad: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and the slope, from that of the result."""
    grad_slope = torch.where(x > 0, 0, grad * x).sum()
    return torch.where(x > 0, grad, slope * grad), grad_slope.view_as(slope)


dispatch.register("prelu", "torch", forward=_prelu_forward, backward=_prelu_backward)
