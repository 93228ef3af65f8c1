"""How the networks that ship with the library are trained: stages, each starting from the last.

A stage is one training, so each can be interrupted, resumed and measured. Early stages are cheap
(small crops, clean averages), later ones closer to real images: a network that starts with noisy
and compressed crops learns for thousands of steps to do nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..training import Experiment

# Choices of ours that all stages share; the papers fix none of them for this data.
COMMON: Mapping[str, Any] = {
    "scenes": 2000,
    "scene_size": 256,
    "precision": "bf16-mixed",
    "batch": 4,
    "betas": (0.9, 0.99),
    "clip": 0.02,
    "ema": 0.999,
    "warmup": 300,
    "lr_power": 1.0,
}
CLEAN: Mapping[str, Any] = {"steps": 24_000, "patch": 64, "lr": 1.2e-3, "lr_end": 3e-4}
CAMERA: Mapping[str, Any] = {
    "camera": "real",
    "steps": 16_000,
    "patch": 64,
    "lr": 6e-4,
    "lr_end": 1e-5,
    "pixel": 0.0,
    "psnr": 2.3e-4,  # about the size of the pixel loss, which the other weights refer to
}
SMALL: Mapping[str, Any] = {
    "steps": 8000,
    "scenes": 1000,
    "patch": 64,
    "lr": 1e-3,
    "lr_end": 1e-5,
}

# name of the weights -> the network, and what each stage changes
SHIPPED: Mapping[str, tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]] = {
    "svdn_full": (
        {"model": "svdn", "variant": "fd_og", "size": "full", "position": 1e-4},
        (CLEAN, CAMERA),
    ),
    "svrnn_small": (
        {"model": "svrnn", "size": "small", "options": (("residual", True),)},
        (SMALL,),
    ),
    "radn_small": ({"model": "radn", "size": "small"}, (SMALL,)),
    "aspdc_small": ({"model": "aspdc", "size": "small"}, (SMALL,)),
    "reblur_small": ({"model": "reblur", "size": "small"}, (SMALL,)),
}


def stages(
    name: str, seed: int = 0, start_weights: str | None = None, **changes: Any
) -> list[Experiment]:
    """Describe the trainings behind a file of weights.

    Args:
        name: The weights, such as "svdn_full".
        seed: Determines initial weights, scenes and crops.
        start_weights: A file of weights, or "default" for the shipped ones, that the last stage
            starts from; it is then the only one.
        **changes: Further fields of Experiment, for every stage; the shipped weights were trained
            on BSDS500, Kodak's and bundled photographs (`photos`), which do not ship.

    Returns:
        The stages in order; each starts from the one before.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in SHIPPED:
        raise ValueError(f"There is no recipe {name!r}: choose one of {', '.join(SHIPPED)}.")
    network, steps = SHIPPED[name]
    found: list[Experiment] = []
    for stage in steps:
        experiment = Experiment(seed=seed, **{**COMMON, **network, **stage, **changes})
        found.append(replace(experiment, start=found[-1]) if found else experiment)
    if start_weights is not None:
        return [replace(found[-1], start=None, start_weights=start_weights)]
    return found
