"""What a network costs: multiply-accumulates, with the deformable layers counted."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulates for one picture of (height, width): weights times positions, by tracing shapes alone.

    Biases, activations, sums and the bilinear reads of deformable layers are not counted.
    """
    hollow = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hollow(*[torch.empty(1, 3, *size, device="meta")] * getattr(model, "pictures", 1))
    return counter.get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters.

    >>> from deblurlib.models import create_model
    >>> count_parameters(create_model("svdn"))
    812019
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
