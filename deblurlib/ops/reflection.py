"""Reflection at the border of a picture, and its transpose."""

import torch


def fold_reflection(tensor: torch.Tensor, radius: int, axis: int) -> torch.Tensor:
    """The transpose of reflection padding along one axis: the margins are added to the pixels that they show."""
    tensor = tensor.movedim(axis, -1)
    size = tensor.shape[-1] - 2 * radius
    inner = tensor[..., radius : radius + size].clone()
    if radius:
        inner[..., 1 : radius + 1] += tensor[..., :radius].flip(-1)
        inner[..., size - 1 - radius : size - 1] += tensor[..., -radius:].flip(-1)
    return inner.movedim(-1, axis)
