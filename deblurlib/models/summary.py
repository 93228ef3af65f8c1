"""Cost of a network, as a whole or by part: parameters and multiply-accumulates."""

import copy
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(model: nn.Module, size: tuple[int, int]) -> int:
    """Count the multiply-accumulates for one image from its shapes: weights times positions.

    Deformable layers are included; biases, activations, sums and bilinear reads are not counted.

    Args:
        model: A network.
        size: (height, width) of the image.

    Returns:
        Their number.
    """
    return _trace(_hollow(model), size).get_total_flops() // 2


def count_parameters(model: nn.Module) -> int:
    """Count trainable parameters.

    Args:
        model: A network, or a part of one.

    Returns:
        Their number.

    >>> from deblurlib.models import create_model
    >>> count_parameters(create_model("svdn"))
    812019
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def list_parts(model: nn.Module, size: tuple[int, int], parts: list[str]) -> pd.DataFrame:
    """List the cost of parts of a network for one image, from its shapes alone.

    Args:
        model: A network.
        size: (height, width) of the image.
        parts: Names of the parts, such as "encoder.conv0".

    Returns:
        One row per part, with columns part; in and out, the channels of its first input and of its
        last output that is a single tensor; scale, image pixels per output pixel; parameters; macs.
    """
    hollow = _hollow(model)
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def keep(part: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, outputs: Any) -> None:
            several = [outputs] if isinstance(outputs, torch.Tensor) else outputs
            tensors = [x for x in several if isinstance(x, torch.Tensor)]
            shapes[part] = inputs[0].shape, tensors[-1].shape

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


def _hollow(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to("meta").eval()


def _trace(hollow: nn.Module, size: tuple[int, int]) -> FlopCounterMode:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hollow(*[torch.empty(1, 3, *size, device="meta")] * getattr(hollow, "pictures", 1))
        found: FlopCounterMode = counter
    return found
