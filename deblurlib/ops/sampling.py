"""Where a deformable convolution reads its input."""

import torch


def sampling_points(offset: torch.Tensor) -> torch.Tensor:
    """Where the taps of a K x K deformable layer read, relative to each pixel: (B, 2*K*K, h, w) -> (B, 2, K*K, h, w).

    X_t = (j - K//2) + dx_t and Y_t = (i - K//2) + dy_t for tap t = i*K + j; component 0 is x (right), 1 is y (down).
    """
    dy, dx = offset[:, 0::2], offset[:, 1::2]  # (B, K*K, h, w)
    side = round(int(dy.shape[1]) ** 0.5)
    step = torch.arange(side, device=offset.device, dtype=offset.dtype) - side // 2
    grid_y, grid_x = torch.meshgrid(step, step, indexing="ij")
    return torch.stack([dx + grid_x.reshape(-1, 1, 1), dy + grid_y.reshape(-1, 1, 1)], 1)
