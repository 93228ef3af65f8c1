"""Layers that several networks share."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Extras = dict[str, Tensor]  # what a network's figures need, by name; see its method `extras`


def pad_to_multiple(
    x: Tensor, multiple: int, mode: str = "reflect"
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Pad at the right and bottom to a size that strided layers divide.

    Args:
        x: (B, C, H, W).
        multiple: Height and width become multiples of it.
        mode: "reflect" or "replicate", as in `F.pad`.

    Returns:
        The padded tensor, and a function that crops a tensor of its size back to H x W.
    """
    height, width = x.shape[-2:]
    rows, columns = ((n + multiple - 1) // multiple * multiple for n in (height, width))
    if torch.compiler.is_exporting():  # one program for all sizes: F.pad and slices would branch
        inside = [torch.arange(n, device=x.device) for n in (height, width)]
        outside = [torch.arange(n, device=x.device) for n in (rows, columns)]
        for axis, last in enumerate((height - 1, width - 1)):
            beyond = last if mode == "replicate" else 2 * last - outside[axis]
            outside[axis] = torch.where(outside[axis] > last, beyond, outside[axis])
        return _select(x, *outside), lambda y: _select(y, *inside)
    if (height, width) != (rows, columns):
        x = F.pad(x, (0, columns - width, 0, rows - height), mode=mode)
    return x, lambda y: y[..., :height, :width]


def _select(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return x.index_select(-2, rows).index_select(-1, columns)
