"""The precision that networks compute in: float32, or bfloat16 where that is faster and as good.

bfloat16 keeps 8 bits of a number instead of 24. Under autocast, convolutions and the operators of
this library compute in it; the image, the residual and the output stay float32.
"""

import contextlib
import math
from typing import Literal, cast

import torch
from torch import nn

from ..data.scenes import SceneDataset
from ..models.devices import multiplies_bf16

Precision = Literal["fp32", "bf16"]
CHOICES = ("auto", "fp32", "bf16")
# PSNR in dB between the outputs in both precisions: their difference is then below half a step of
# 8 bits, whose rounding alone costs 58.9 dB, nearly everywhere.
AGREEMENT = 55.0


def choose_precision(
    precision: str, network: nn.Module, device: torch.device | str = "cpu"
) -> Precision:
    """Resolve a precision.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 if the device multiplies it in hardware and the
            network's weights are recorded to agree with their own float32 output to `AGREEMENT`
            dB, else fp32.
        network: The network.
        device: Where it computes.

    Returns:
        "fp32" or "bf16".

    Raises:
        ValueError: If the precision is unknown.
    """
    if precision not in CHOICES:
        raise ValueError(f"precision is {precision!r}: choose one of {', '.join(CHOICES)}.")
    if precision != "auto":
        return cast(Precision, precision)
    agreement = vars(network).get("bf16_agreement_db")
    agrees = agreement is not None and agreement >= AGREEMENT
    return "bf16" if agrees and multiplies_bf16(device) else "fp32"


def autocast(
    precision: Precision, device: torch.device | str
) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a network computes in a precision.

    Args:
        precision: "fp32" or "bf16".
        device: Where it computes.

    Returns:
        A context manager.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def agreement(network: nn.Module, scenes: int = 4) -> float:
    """Measure how closely a network's output in bfloat16 agrees with that in float32.

    Args:
        network: A network that deblurs single images.
        scenes: Number of rendered test scenes of 192 x 192 pixels.

    Returns:
        The lowest PSNR in dB between the two outputs of a scene, clipped to [0, 1].
    """
    device = next(network.parameters()).device
    found = []
    for sample in SceneDataset("test", scenes, 192, photos="wide"):
        blurry = sample.blurry[None].to(device)
        outputs = []
        for each in ("fp32", "bf16"):
            with torch.inference_mode(), autocast(each, device):
                outputs.append(network(blurry).clamp(0, 1).double())
        found.append(-10 * math.log10(float((outputs[0] - outputs[1]).square().mean())))
    return min(found)
