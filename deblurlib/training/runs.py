"""The folder of a run: its log, its checkpoint, and the files of a finished training."""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..models import load_model, save_model
from ..models.weights import WEIGHTS
from ..results import environment, write_atomically
from .experiment import Experiment

# Finished runs that come with the library, laid out like those of results/runs.
SHIPPED_RUNS = WEIGHTS / "runs"


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        experiment: Its description.
        model: The trained network.
        log: One row every few steps: step, lr, each loss term, psnr of the training batch in dB
            and, where measured, that of the validation scenes.
        folder: The folder that holds its files.
        seconds: Training time, including that before interruptions.
        cached: Whether it was loaded rather than trained now.
    """

    experiment: Experiment
    model: nn.Module
    log: pd.DataFrame
    folder: Path
    seconds: float
    cached: bool


def is_finished(folder: Path) -> bool:
    """Return whether a run's folder holds a finished training.

    Args:
        folder: The folder of the run.

    Returns:
        True if its final weights are there.
    """
    return (folder / "model.safetensors").is_file()


def write_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint of an unfinished run; a killed process never leaves a partial file.

    Args:
        folder: The folder of the run.
        state: Tensors and numbers by name; "step" is the number of finished steps.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(folder / "checkpoint.pt", buffer.getvalue())


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint of an interrupted run.

    Args:
        folder: The folder of the run.

    Returns:
        The state that `write_checkpoint` was given, or None if there is no checkpoint.
    """
    file = folder / "checkpoint.pt"
    if not file.is_file():
        return None
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def append_to_log(folder: Path, row: dict[str, float]) -> None:
    """Add one line to the log of a run.

    Args:
        folder: The folder of the run; it is created if needed.
        row: The values by column.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")


def cut_log(folder: Path, step: int) -> None:
    """Remove the lines of the log after a step, and an incomplete last line.

    Args:
        folder: The folder of the run.
        step: The last step to keep.
    """
    log = folder / "log.jsonl"
    if log.is_file():
        lines = [line for line in log.read_text().splitlines() if line.endswith("}")]
        kept = [line + "\n" for line in lines if json.loads(line)["step"] <= step]
        write_atomically(log, "".join(kept))


def finish(
    folder: Path, experiment: Experiment, model: nn.Module, seconds: float, device: torch.device
) -> None:
    """Write the weights and the record of a finished training, and remove its checkpoint.

    Args:
        folder: The folder of the run.
        experiment: The description of the training.
        model: The trained network.
        seconds: Training time.
        device: The device it was trained on.
    """
    record = {
        "experiment": asdict(experiment),
        "hash": experiment.hash,
        "seconds": round(seconds, 1),
        "device": str(device),
    }
    text = json.dumps(record | environment(), indent=1) + "\n"
    write_atomically(folder / "experiment.json", text)
    save_model(model, folder / "model.safetensors", record)
    (folder / "checkpoint.pt").unlink(missing_ok=True)


def finished_run(experiment: Experiment, folder: Path) -> Run:
    """Load a finished training.

    Args:
        experiment: The description of the training.
        folder: The folder of the run.

    Returns:
        The run, marked as cached.
    """
    model = load_model(experiment.model, folder / "model.safetensors")
    log = pd.read_json(folder / "log.jsonl", lines=True)
    log["psnr"] = -10 * np.log10(2 * log["pixel"])  # pixel is half the mean squared error
    seconds = json.loads((folder / "experiment.json").read_text())["seconds"]
    return Run(experiment, model, log, folder, seconds, cached=True)
