"""The folder of a run: checkpoint, log, and what a finished training leaves behind."""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..models import load_model, save_model
from ..models.weights import WEIGHTS
from ..results import environment, write_atomically
from .experiment import Experiment

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SHIPPED_RUNS = (
    WEIGHTS / "runs"
)  # finished runs that come with the library, laid out like those of results/runs


@dataclass(frozen=True)
class Run:
    """A finished training."""

    experiment: Experiment
    model: nn.Module
    log: pd.DataFrame  # one row every few steps: step, lr, each loss term, psnr of the batch, now and then of the validation
    folder: Path
    seconds: float
    cached: bool


def restore_checkpoint(folder: Path, model, optimizer, average) -> tuple[int, float]:
    """Take up a checkpoint, if there is one: (step, seconds so far). The log is cut back to that step."""
    file, log = folder / "checkpoint.pt", folder / "log.jsonl"
    state = (
        torch.load(file, map_location="cpu", weights_only=True)
        if file.is_file()
        else {"step": 0, "seconds": 0.0}
    )
    if state["step"]:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        for kept, value in zip(average or (), state["average"] or (), strict=True):
            kept.copy_(value)
    if log.is_file():
        rows = [line for line in log.read_text().splitlines() if line.endswith("}")]
        write_atomically(
            log, "".join(line + "\n" for line in rows if json.loads(line)["step"] <= state["step"])
        )
    return state["step"], state["seconds"]


def save_checkpoint(
    folder: Path, fabric: "Fabric", model, optimizer, average, step: int, seconds: float
) -> None:
    if fabric.is_global_zero:
        buffer, state = (
            io.BytesIO(),
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average},
        )
        torch.save({**state, "step": step, "seconds": seconds}, buffer)
        write_atomically(folder / "checkpoint.pt", buffer.getvalue())


def append_to_log(folder: Path, fabric: "Fabric", row: dict) -> None:
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")


def finish(folder: Path, experiment: Experiment, model, seconds: float, device) -> None:
    record = {
        "experiment": asdict(experiment),
        "hash": experiment.hash,
        "seconds": round(seconds, 1),
        "device": str(device),
    }
    write_atomically(
        folder / "experiment.json", json.dumps(record | environment(), indent=1) + "\n"
    )
    save_model(model, folder / "model.safetensors", record)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def finished_run(experiment: Experiment, folder: Path) -> Run:
    model = load_model(experiment.model, folder / "model.safetensors")
    log = pd.read_json(folder / "log.jsonl", lines=True)
    log["psnr"] = -10 * np.log10(2 * log["pixel"])  # of the training batch
    seconds = json.loads((folder / "experiment.json").read_text())["seconds"]
    return Run(experiment, model, log, folder, seconds, cached=True)
