"""The contestants that are not ours: loops, plain PyTorch and torchvision."""

import sys
from unittest import mock

import torch
from torch.nn import functional as F

from ..ops.spatial_rnn import DIRECTIONS, RESULT_ORDER


def column_loop(x, p):
    """The recurrence to the right as one would first write it."""
    h = torch.zeros_like(x)
    h[..., 0] = (1 - p[..., 0]) * x[..., 0]
    for k in range(1, x.shape[-1]):
        h[..., k] = (1 - p[..., k]) * x[..., k] + p[..., k] * h[..., k - 1]
    return h


def unbind_loop(x, p, direction="right"):
    """The same without indexing, which autograd would pay for at every step."""
    axis = 3 if direction in ("right", "left") else 2
    columns, weights = x.unbind(axis), p.unbind(axis)
    order = range(len(columns)) if direction in ("right", "down") else reversed(range(len(columns)))
    state, states = 0, [None] * len(columns)
    for k in order:
        state = states[k] = (1 - weights[k]) * columns[k] + weights[k] * state
    return torch.stack(states, axis)


def unbind_loop_4way(x, p):
    results = {
        way: unbind_loop(x, weights, way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    }
    return torch.cat([results[way] for way in RESULT_ORDER], 1)


def unfold_einsum(x, logits):
    patches = F.unfold(F.pad(x, [1] * 4, mode="reflect"), 3).view(*x.shape[:2], 9, *x.shape[2:])
    return torch.einsum("bckhw,bkhw->bchw", patches, logits.softmax(1))


def torchvision_deform(input, offset, weight, bias, mask, stride, padding, dilation):
    """torchvision's operator with the arguments of ours."""
    import torchvision

    tensors = [
        None if tensor is None else tensor.float() for tensor in (input, offset, weight, bias, mask)
    ]  # it takes no bf16
    return torchvision.ops.deform_conv2d(*tensors[:4], stride, padding, dilation, tensors[4]).to(
        input.dtype
    )


class NoOperator(torch.autograd.Function):
    """Stands where a deformable convolution with as many outputs as inputs stood, and does nothing."""

    @staticmethod
    def forward(ctx, *arguments):
        ctx.arguments = arguments
        return arguments[0].detach()

    @staticmethod
    def backward(ctx, grad):
        tensors = [
            torch.zeros_like(each) if isinstance(each, torch.Tensor) else None
            for each in ctx.arguments[1:]
        ]
        return grad, *tensors


def with_deform(function, step):
    """The step with another operator in the place of our deformable convolution."""

    def call():
        home = sys.modules[
            "deblurlib.ops.deform_conv"
        ]  # the package shows functions under the same names
        with mock.patch.object(home, "_deform_conv2d", function):
            return step()

    return call
