"""Where a deformable convolution reads its input."""

import math

import torch
from torch import Tensor

from .checks import overridable


@overridable
def sampling_points(offset: Tensor) -> Tensor:
    """Where the taps of a K x K deformable layer read, relative to each pixel.

    X_t = (j - K//2) + dx_t and Y_t = (i - K//2) + dy_t for tap t = i*K + j.

    Args:
        offset: Pairs (dy, dx) in pixels, tap after tap, (B, 2*K*K, h, w).

    Returns:
        Positions in pixels, (B, 2, K*K, h, w); component 0 is x (right), 1 is y (down).
    """
    dy, dx = offset[:, 0::2], offset[:, 1::2]  # (B, K*K, h, w)
    side = math.isqrt(int(dy.shape[1]))
    step = torch.arange(side, device=offset.device, dtype=offset.dtype) - side // 2
    grid_y, grid_x = torch.meshgrid(step, step, indexing="ij")
    return torch.stack([dx + grid_x.reshape(-1, 1, 1), dy + grid_y.reshape(-1, 1, 1)], 1)
