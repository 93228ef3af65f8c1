"""How the networks that ship with the library are trained: stages, each starting from the last.

A stage is one training, so each can be interrupted, resumed and measured. Early stages are cheap
(small crops, clean averages), later ones closer to real images: a network that starts with noisy
and compressed crops learns for thousands of steps to do nothing.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data.photographs import is_collection
from ..inference.precision import agreement
from ..models import save_model
from ..models.weights import WEIGHTS, find_weights
from ..training import Experiment, Run, initial_model

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
# Larger crops hold longer blur; less noise makes the network bolder where an image has none.
DAYLIGHT: Mapping[str, Any] = {
    **CAMERA,
    "camera": "daylight",
    "steps": 18_000,
    "batch": 3,
    "patch": 96,
}
AGAIN: Mapping[str, Any] = {**DAYLIGHT, "seed": 1}  # on other scenes; half of the way is kept
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
        (CLEAN, CAMERA, DAYLIGHT, AGAIN),
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
        seed: Determines initial weights, scenes and crops, unless a stage has its own.
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
        experiment = Experiment(**{"seed": seed, **COMMON, **network, **stage, **changes})
        found.append(replace(experiment, start=found[-1]) if found else experiment)
    if start_weights is not None:
        return [replace(found[-1], start=None, start_weights=start_weights)]
    return found


_STAGE = ("hash", "steps", "batch", "patch", "camera")


def ship(
    run: Run, name: str, photographs: str, folder: str | Path = WEIGHTS, share: float = 1.0
) -> Path:
    """Write the network of a run as weights that ship with the library.

    Args:
        run: The run of the recipe's last stage.
        name: The weights, such as "svdn_full".
        photographs: What the network was trained on, in words; the record names no folder.
        folder: Folder of the weights.
        share: Position of the weights on the line from those that the last stage started from, 0,
            to those it ended with, 1. In between, a network keeps part of what a stage on other
            data makes it forget (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
            2022).

    Returns:
        The safetensors file, in float16, beside which a JSON records how the network was trained
        and, for one that deblurs single images, how closely bfloat16 agrees with float32.
    """
    network = _between(run, share)
    saved = json.loads((run.folder / "experiment.json").read_text())
    described = saved.pop("experiment")
    if not is_collection(run.experiment.photos):
        described["photos"] = photographs
    parts = _stages(run.experiment, photographs, run.folder.parent)
    parts[-1] |= {"hours": round(run.seconds / 3600, 2), "share": share}
    record = {
        **saved,
        "variant": run.experiment.variant,
        "photographs": photographs,
        "steps": sum(part["steps"] for part in parts),
        "batch": run.experiment.batch,
        "patch": run.experiment.patch,
        "hours": round(sum(part["hours"] for part in parts), 2),
        "stages": parts,
        "experiment": described,
    }
    if "validation" in run.log:
        curve = run.log.set_index("step")["validation"].dropna().round(3)
        record["validation_psnr_db"] = {str(step): value for step, value in curve.items()}
    if getattr(network, "pictures", 1) == 1:
        record["bf16_agreement_db"] = round(agreement(network), 2)
    return save_model(network, Path(folder) / f"{name}.safetensors", record, torch.float16)


def _between(run: Run, share: float) -> nn.Module:
    """The network between the start and the end of a stage that began with weights."""
    if share == 1:
        return run.model
    first, last = initial_model(run.experiment).state_dict(), run.model.state_dict()
    network = copy.deepcopy(run.model)
    network.load_state_dict(
        {
            key: first[key].lerp(last[key], share) if last[key].is_floating_point() else last[key]
            for key in last
        }
    )
    return network


def _stages(experiment: Experiment, photographs: str, runs: Path) -> list[dict[str, Any]]:
    """The trainings that made a network, the first first, with those of weights it began with."""
    earlier: list[dict[str, Any]] = []
    if experiment.start is not None:
        earlier = _stages(experiment.start, photographs, runs)
        saved = json.loads((runs / experiment.start.hash / "experiment.json").read_text())
        earlier[-1]["hours"] = round(saved["seconds"] / 3600, 2)
    elif experiment.start_weights is not None:
        path = find_weights(experiment.model, experiment.start_weights, experiment.size)
        record = json.loads(path.with_suffix(".json").read_text())
        earlier = record.get("stages") or [
            {key: record.get(key) for key in (*_STAGE, "photographs", "hours")}
        ]
    kept = {key: getattr(experiment, key) for key in _STAGE}
    return [*earlier, {**kept, "photographs": photographs}]
