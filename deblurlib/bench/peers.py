"""The contestants that are not ours: loops, plain PyTorch and torchvision."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.spatial_rnn import DIRECTIONS, RESULT_ORDER

Pair = tuple[int, int]


def column_loop(x: Tensor, p: Tensor) -> Tensor:
    """Compute the recurrence to the right as a first draft would: column by column, in place.

    Args:
        x: Input, (B, C, H, W).
        p: Weights of the recurrence, (B, C, H, W).

    Returns:
        States h[k] = (1 - p[k]) x[k] + p[k] h[k - 1], (B, C, H, W).
    """
    h = torch.zeros_like(x)
    h[..., 0] = (1 - p[..., 0]) * x[..., 0]
    for k in range(1, x.shape[-1]):
        h[..., k] = (1 - p[..., k]) * x[..., k] + p[..., k] * h[..., k - 1]
    return h


def unbind_loop(x: Tensor, p: Tensor, direction: str = "right") -> Tensor:
    """Compute the recurrence without indexing, which autograd would record at every step.

    Args:
        x: Input, (B, C, H, W).
        p: Weights of the recurrence, (B, C, H, W).
        direction: "right", "left", "down" or "up".

    Returns:
        The states, (B, C, H, W).
    """
    axis = 3 if direction in ("right", "left") else 2
    columns, weights = x.unbind(axis), p.unbind(axis)
    if direction in ("left", "up"):
        columns, weights = columns[::-1], weights[::-1]
    state: Tensor | float = 0.0
    states = []
    for column, weight in zip(columns, weights, strict=True):
        state = (1 - weight) * column + weight * state
        states.append(state)
    return torch.stack(states if direction in ("right", "down") else states[::-1], axis)


def unbind_loop_4way(x: Tensor, p: Tensor) -> Tensor:
    """Compute the four recurrences of `ops.spatial_rnn_4way` one after the other.

    Args:
        x: Input, (B, C, H, W).
        p: Weights, (B, 4 C, H, W).

    Returns:
        The states of all directions, (B, 4 C, H, W).
    """
    results = {
        way: unbind_loop(x, weights, way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    }
    return torch.cat([results[way] for way in RESULT_ORDER], 1)


def scan_loop(x: Tensor, p: Tensor, direction: str) -> Tensor:
    """Stand in for the internal operator `spatial_rnn`.

    Args:
        x: Input, (B, C, H, W).
        p: Weights, (B, C, H, W); (B, 4 C, H, W) for all directions.
        direction: "right", "left", "down", "up" or "all".

    Returns:
        The states, shaped as p.
    """
    return unbind_loop_4way(x, p) if direction == "all" else unbind_loop(x, p, direction)


def unfold_einsum(x: Tensor, logits: Tensor, kernel_size: int = 3) -> Tensor:
    """Filter each pixel with its own kernel through a tensor of all patches.

    Args:
        x: Input, (B, C, H, W).
        logits: Kernels before the softmax, (B, kernel_size ** 2, H, W).
        kernel_size: Odd side of the kernels.

    Returns:
        The filtered input, (B, C, H, W).
    """
    padded = F.pad(x, [kernel_size // 2] * 4, mode="reflect")
    patches = F.unfold(padded, kernel_size).view(*x.shape[:2], kernel_size**2, *x.shape[2:])
    return torch.einsum("bckhw,bkhw->bchw", patches, logits.softmax(1))


def torchvision_deform(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Tensor:
    """Compute a deformable convolution with torchvision, in float32, since it takes no bfloat16.

    Args:
        input: Input, (B, C, H, W).
        offset: Offsets of the sampling points, (B, 2 K, H', W').
        weight: Kernel, (O, C, k, k).
        bias: Bias, (O,).
        mask: Modulation, (B, K, H', W').
        stride: Vertical and horizontal stride.
        padding: Vertical and horizontal padding.
        dilation: Vertical and horizontal dilation.

    Returns:
        The output, (B, O, H', W'), in the type of the input.
    """
    import torchvision  # slow to import, so only comparisons import it

    output: Tensor = torchvision.ops.deform_conv2d(
        input.float(),
        offset.float(),
        weight.float(),
        None if bias is None else bias.float(),
        stride,
        padding,
        dilation,
        None if mask is None else mask.float(),
    )
    return output.to(input.dtype)


class NoOperator(torch.autograd.Function):
    """Passes its input on, in place of a deformable convolution with equal channel counts."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        """Return the input.

        Args:
            ctx: Keeps the arguments.
            *arguments: Those of `torchvision_deform`.

        Returns:
            A view of the input.
        """
        ctx.arguments = arguments
        output: Tensor = arguments[0].detach()
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the upstream gradient for the input and zeros for the other tensors.

        Args:
            ctx: Holds the arguments.
            *grads: The upstream gradient.

        Returns:
            One gradient per argument; None where the argument is not a tensor.
        """
        zeros = [
            torch.zeros_like(each) if isinstance(each, Tensor) else None
            for each in ctx.arguments[1:]
        ]
        return grads[0], *zeros


# plain PyTorch's replacements of our operators, as arguments of ops.substitute
PLAIN: dict[str, Callable[..., Tensor]] = {
    "deform_conv2d": torchvision_deform,
    "spatial_rnn": scan_loop,
    "dynamic_filter": unfold_einsum,
}
