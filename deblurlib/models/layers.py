"""What the networks truly share."""

import torch.nn.functional as F


def pad_to_multiple(x, multiple: int):
    """Reflect-pad (B, C, H, W) at the right and bottom to a multiple; returns it and a function that crops back."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    padded = F.pad(x, (0, right, 0, bottom), mode="reflect") if bottom or right else x
    return padded, lambda y: y[..., :height, :width]
