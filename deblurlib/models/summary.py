"""What a network costs: parameters and multiply-accumulates, of all of it or part by part, with the deformable layers counted."""

import copy

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulates for one picture of (height, width): weights times positions, by tracing shapes alone.

    Biases, activations, sums and the bilinear reads of deformable layers are not counted.
    """
    return _trace(_hollow(model), size).get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters.

    >>> from deblurlib.models import create_model
    >>> count_parameters(create_model("svdn"))
    812019
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def list_parts(model: nn.Module, size: tuple[int, int], parts: list[str]) -> pd.DataFrame:
    """One row a part of the network, e.g. "encoder.conv0", for one picture of (height, width), by tracing shapes alone.

    Columns: part, in, out (channels of its first input and of its last output that is one tensor), scale (how many pixels of
    the picture are one of its output), parameters, macs.
    """
    hollow, shapes = _hollow(model), {}

    def keep(part):
        def hook(module, inputs, outputs):
            outputs = (
                [outputs]
                if isinstance(outputs, torch.Tensor)
                else [x for x in outputs if isinstance(x, torch.Tensor)]
            )
            shapes[part] = inputs[0].shape, outputs[-1].shape

        return hook

    for part in parts:
        hollow.get_submodule(part).register_forward_hook(keep(part))
    counts = _trace(hollow, size).get_flop_counts()
    rows = [
        {
            "part": part,
            "in": shapes[part][0][1],
            "out": shapes[part][1][1],
            "scale": round(size[0] / shapes[part][1][2]),
            "parameters": count_parameters(hollow.get_submodule(part)),
            "macs": sum(counts[f"{type(hollow).__name__}.{part}"].values()) // 2,
        }
        for part in parts
    ]
    return pd.DataFrame(rows)


def _hollow(model):
    return copy.deepcopy(model).to("meta").eval()


def _trace(hollow, size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hollow(*[torch.empty(1, 3, *size, device="meta")] * getattr(hollow, "pictures", 1))
    return counter
