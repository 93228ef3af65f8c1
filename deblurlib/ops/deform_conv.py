"""Modulated deformable convolution (Zhu et al., CVPR 2019), behind one function so that faster backends can take its place."""

import torch
from torch import nn
from torchvision.ops import deform_conv2d as _torchvision_deform_conv2d


def deform_conv2d(input, offset, weight, bias=None, stride=1, padding=0, dilation=1, mask=None):
    """y(q) = bias + sum_t w_t * m_t(q) * x(q + grid_t + offset_t(q)), x read bilinearly and as zero outside.

    input (B, C, H, W); weight (O, C/groups, kh, kw); offset (B, 2*G*kh*kw, H', W') in pixels of `input`, for tap t = i*kw + j
    of offset group g the vertical offset dy in channel 2*(g*kh*kw + t), the horizontal dx in the next; mask (B, G*kh*kw, H',
    W') or None, used as it is (no sigmoid). Returns (B, O, H', W'). Signature and semantics are torchvision's.
    """
    return _torchvision_deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask)


class DeformConv2d(nn.Module):
    """deform_conv2d with a learned weight and bias; offsets and masks are given in the call. Xavier-uniform, zero bias."""

    def __init__(self, in_channels, out_channels, kernel_size, padding=0, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.padding = padding
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, offset, mask=None):
        return deform_conv2d(x, offset, self.weight, self.bias, padding=self.padding, mask=mask)
