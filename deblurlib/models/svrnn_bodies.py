"""SVRNN between conv2 and conv21: RNNs and convolutions, chains of RNNs, or convolutions only."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import spatial_rnn, spatial_rnn_4way
from ..ops.spatial_rnn import DIRECTIONS, RESULT_ORDER

RNNS = 4


def conv(size: int, in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution with zero padding that keeps the size, or divides it by the stride.

    Args:
        size: Side of the kernel.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the kernel.

    Returns:
        The layer.
    """
    return nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2)


def leaky(x: Tensor) -> Tensor:
    """Apply a leaky ReLU of slope 0.1, as after every convolution outside the weight network.

    Args:
        x: Any shape.

    Returns:
        The same shape.
    """
    return F.leaky_relu(x, 0.1)


def double(x: Tensor, resize: str = "bilinear") -> Tensor:
    """Resize bilinearly to twice the size.

    Args:
        x: (B, C, h, w).
        resize: "caffe": even outputs copy a pixel, odd ones are half the sum of two neighbours,
            where a missing neighbour is 0. Anything else: half-pixel centres.

    Returns:
        (B, C, 2h, 2w).
    """
    if resize != "caffe":
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    taps = x.new_tensor([0.5, 1, 0.5])
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1, groups=x.shape[1])


class FusedRNNs(nn.Module):
    """Four RNNs; a 3x3 convolution fuses the directions of each (conv17 to conv20)."""

    def __init__(self, channels: int):
        super().__init__()
        self.fuse = nn.ModuleList(conv(3, 4 * channels, channels) for _ in range(RNNS))

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        """Features (B, C, h, w) and p (B, 16 C, h, w) -> features."""
        for fuse, weights in zip(self.fuse, p.chunk(RNNS, 1), strict=True):
            scans = spatial_rnn_4way(
                x.to(p.dtype), weights
            )  # (B, 128, h, w): right, left, down, up
            x = leaky(fuse(scans.to(x.dtype)))  # (B, 32, h, w)
        return x


class ChainedRNNs(nn.Module):
    """Four RNNs without convolutions: each direction feeds its next scan (caption of Figure 3)."""

    def __init__(self, channels: int, merge: str):
        super().__init__()
        self.merge = merge
        if merge == "conv20":
            self.conv20 = conv(3, 4 * channels, channels)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        """Features (B, C, h, w), p (B, 16 C, h, w) -> features, (B, 4 C, h, w) if concatenated."""
        weights = torch.unflatten(p, 1, (RNNS, 4, -1))  # (B, 4, 4, 32, h, w)
        ends = {}
        for k, direction in enumerate(DIRECTIONS):
            h = x.to(p.dtype)
            for rnn in range(RNNS):
                h = spatial_rnn(h, weights[:, rnn, k], direction)
            ends[direction] = h.to(x.dtype)
        stacked = torch.stack([ends[direction] for direction in RESULT_ORDER], 1)  # (B, 4, C, h, w)
        if self.merge == "conv20":
            return leaky(self.conv20(stacked.flatten(1, 2)))
        if self.merge == "concatenate":
            return stacked.flatten(1, 2)
        return stacked.sum(1) if self.merge == "sum" else stacked.amax(1)


class Convolutions(nn.Module):
    """conv17 to conv20 with nothing between them."""

    def __init__(self, channels: int, inner: int):
        super().__init__()
        widths = (channels, inner, inner, inner, channels)
        self.convs = nn.ModuleList(conv(3, *pair) for pair in pairwise(widths))

    def forward(self, x: Tensor, _: None = None) -> Tensor:
        """Features (B, C, h, w) -> features."""
        for convolution in self.convs:
            x = leaky(convolution(x))
        return x
