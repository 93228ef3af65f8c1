"""Layers that several networks share."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Extras = dict[str, Tensor]  # what a network's figures need, by name; see its method `extras`


def pad_to_multiple(x: Tensor, multiple: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Pad by reflection at the right and bottom to a size that strided layers divide.

    Args:
        x: (B, C, H, W).
        multiple: Height and width become multiples of it.

    Returns:
        The padded tensor, and a function that crops a tensor of its size back to H x W.
    """
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    padded = F.pad(x, (0, right, 0, bottom), mode="reflect") if bottom or right else x
    return padded, lambda y: y[..., :height, :width]
