"""Deblurs pictures when told to on standard input; run by `pictures.py` as a script.

It uses only names that all commits of the library have, so that it can also run another one, which
PYTHONPATH names. The command is "MODEL WIDTH HEIGHTxWIDTH PRECISION", answered with the processor
time in seconds, or null if this commit cannot choose the precision.
"""

import functools
import inspect
import json
import sys
import time
from typing import Any

import numpy as np
import torch

import deblurlib

CHOOSES_PRECISION = "precision" in inspect.signature(deblurlib.deblur).parameters


@functools.cache
def network(model: str, width: str) -> torch.nn.Module:
    """Make a network with random weights; what they are does not change the time.

    Args:
        model: Its name.
        width: "small" or "full".

    Returns:
        The network.
    """
    torch.manual_seed(0)
    return deblurlib.create_model(model, size=width).eval()


@functools.cache
def picture(size: str) -> np.ndarray:
    """Make a picture of noise.

    Args:
        size: HEIGHTxWIDTH in pixels.

    Returns:
        uint8, (H, W, 3).
    """
    height, width = map(int, size.split("x"))
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def seconds(model: str, width: str, size: str, precision: str) -> float | None:
    """Time `deblur` once.

    Args:
        model: The network's name.
        width: "small" or "full".
        size: HEIGHTxWIDTH in pixels.
        precision: "fp32" or "bf16".

    Returns:
        Processor time in seconds; None if this commit cannot choose the precision.
    """
    if precision != "fp32" and not CHOOSES_PRECISION:
        return None
    options: dict[str, Any] = {"precision": precision} if CHOOSES_PRECISION else {}
    given, module = picture(size), network(model, width)
    began = time.process_time()
    deblurlib.deblur(given, module, "cpu", progress=False, **options)
    return time.process_time() - began


def main() -> None:
    """Answer the commands on standard input, one line each."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(seconds(*line.split())), flush=True)


if __name__ == "__main__":
    main()
