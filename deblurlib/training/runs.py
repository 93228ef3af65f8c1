"""The folder of a run: its record, log and checkpoints, and the files of a finished training.

experiment.json                         the record: experiment, hash, time, versions
log.jsonl                               one line every few steps
checkpoint.pt, checkpoint-previous.pt   while unfinished
model.json, model.safetensors           the final weights
finished.json                           written last
"""

import hashlib
import io
import json
import pickle
import shutil
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..models import create_model, save_model
from ..models.weights import WEIGHTS, load_weights, recorded_recipe
from ..provenance import environment
from ..storage import write_atomically
from .experiment import Experiment

# Finished runs that come with the library, laid out like those of results/runs.
SHIPPED_RUNS = WEIGHTS / "runs"
RECORD, LOG, MARKER = "experiment.json", "log.jsonl", "finished.json"
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint-previous.pt"
RECIPE, FINAL_WEIGHTS = "model.json", "model.safetensors"
FILES = (RECORD, LOG, MARKER, CHECKPOINT, PREVIOUS, RECIPE, FINAL_WEIGHTS)
COLUMNS = ("step", "lr", "loss", "pixel")  # of every log


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


def check_folder(folder: Path) -> None:
    """Check that nothing stands in the way of the files of a run.

    Args:
        folder: The folder of the run, which need not exist.

    Raises:
        NotADirectoryError: If it is a file.
        ValueError: If a folder has the name of one of its files.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is a file, not the folder of a training: remove it and train again."
        )
    for name in FILES:
        if (folder / name).is_dir():
            raise ValueError(
                f"{folder / name} is a folder, not a file of a training: remove it and train again."
            )


def clear(folder: Path) -> None:
    """Remove the contents of a run's folder.

    Args:
        folder: The folder of the run, which need not exist.
    """
    for path in folder.glob("*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_finished(folder: Path) -> bool:
    """Return whether a run's folder holds a finished training.

    Args:
        folder: The folder of the run.

    Returns:
        True if its marker says so or, in a run from before there were markers, if all other files
        are there and no checkpoint.
    """
    if _marker(folder) is not None:
        return True
    names = (RECORD, LOG, RECIPE, FINAL_WEIGHTS)
    complete = all((folder / name).is_file() for name in names)
    return complete and not any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))


def state_of(folder: Path) -> tuple[str, dict[str, Any]]:
    """Find how far a run is, without loading its network.

    Args:
        folder: The folder of the run.

    Returns:
        (state, facts): "finished", "interrupted" or "damaged", and steps, seconds and cpu_seconds
        where they are known.
    """
    record, marker = _read_json(folder / RECORD), _marker(folder)
    if record is None or not isinstance(record.get("experiment"), dict):
        return "damaged", {}
    facts: dict[str, Any] = {
        key: record[key] for key in ("seconds", "cpu_seconds") if key in record
    }
    if not is_finished(folder):
        states = [_read_state(path) for path in (folder / CHECKPOINT, folder / PREVIOUS)]
        state = next((state for state in states if state is not None), None)
        if state is None:
            exists = any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))
            return ("damaged" if exists else "interrupted"), {"steps": 0, **facts}
        known: dict[str, Any] = {
            key: state[key] for key in ("seconds", "cpu_seconds") if key in state
        }
        return "interrupted", {"steps": state["step"], **known}
    weights = folder / FINAL_WEIGHTS
    intact = weights.is_file() and (
        marker is None or marker["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    )
    return ("finished" if intact else "damaged"), {
        "steps": record["experiment"].get("steps"),
        **facts,
    }


def write_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the checkpoint of an unfinished run and keep the previous one.

    Args:
        folder: The folder of the run.
        state: Tensors and numbers by name; "step" is the number of finished steps and "hash" the
            experiment's.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    current = folder / CHECKPOINT
    if current.is_file():
        current.replace(folder / PREVIOUS)
    write_atomically(current, buffer.getvalue())


def read_checkpoint(folder: Path, experiment: Experiment) -> dict[str, Any] | None:
    """Read the newest intact checkpoint of an interrupted run.

    A damaged one is removed, with a warning, if the previous one is intact.

    Args:
        folder: The folder of the run.
        experiment: The training.

    Returns:
        The state that `write_checkpoint` was given, or None if there is no checkpoint.

    Raises:
        ValueError: If no checkpoint is intact, or it is that of another training.
    """
    damaged = []
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not path.is_file():
            continue
        state = _read_state(path)
        if state is None:
            damaged.append(path)
            continue
        if state.get("hash", experiment.hash) != experiment.hash:
            raise ValueError(
                f"{path} is the checkpoint of another training, {state['hash']}: "
                f"delete the folder {folder} to train {experiment.hash} from its start."
            )
        if damaged:
            damaged[0].unlink()
            warnings.warn(
                f"{damaged[0]} is damaged: the training resumes at step {state['step']} "
                f"from {path.name}.",
                stacklevel=2,
            )
        return state
    if damaged:
        raise ValueError(
            f"{damaged[0]} is damaged and no other checkpoint is intact: "
            f"delete the folder {folder} to train from the start."
        )
    return None


def _read_state(path: Path) -> dict[str, Any] | None:
    """The contents of a checkpoint; None if it is damaged."""
    if not path.is_file():
        return None
    try:
        with ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch itself does not compare checksums
                return None
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (BadZipFile, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError):
        return None
    kinds = {"model": dict, "optimizer": dict, "step": int, "seconds": float}
    if not isinstance(state, dict):
        return None
    return state if all(isinstance(state.get(k), kind) for k, kind in kinds.items()) else None


def append_to_log(folder: Path, row: dict[str, float]) -> None:
    """Add one line to the log of a run.

    Args:
        folder: The folder of the run; it is created if needed.
        row: The values by column.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a") as log:
        log.write(json.dumps(row) + "\n")


def read_log(folder: Path) -> list[dict[str, float]]:
    """Read the whole lines of the log of a run.

    Args:
        folder: The folder of the run.

    Returns:
        One row per step, in order; of several with one step, the last.
    """
    path, rows = folder / LOG, {}
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    for line in lines:
        row = _log_row(line)
        if row is not None:
            rows[row["step"]] = row
    # the last line may be that of a process that was killed while it wrote
    if any(line and _log_row(line) is None for line in lines[:-1]):
        warnings.warn(f"{path} is damaged: its readable lines are kept.", stacklevel=2)
    return [rows[step] for step in sorted(rows)]


def _log_row(line: bytes) -> dict[str, float] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return None
    numbers = all(type(value) in (int, float) for value in row.values())
    return row if numbers else None


def cut_log(folder: Path, step: int) -> None:
    """Remove the lines of the log after a step, and those that are not whole.

    Args:
        folder: The folder of the run.
        step: The last step to keep.
    """
    if (folder / LOG).is_file():
        kept = [json.dumps(row) + "\n" for row in read_log(folder) if row["step"] <= step]
        write_atomically(folder / LOG, "".join(kept))


def write_record(folder: Path, experiment: Experiment, **measured: object) -> dict[str, Any]:
    """Write the record of a training.

    Args:
        folder: The folder of the run.
        experiment: The description of the training.
        **measured: Further entries, such as seconds.

    Returns:
        The record without the description of the environment.
    """
    record = {"experiment": asdict(experiment), "hash": experiment.hash, **measured}
    text = json.dumps(record | environment(), indent=1) + "\n"
    write_atomically(folder / RECORD, text)
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """Read the record of a training.

    Args:
        folder: The folder of the run.

    Returns:
        The record that `write_record` wrote.

    Raises:
        ValueError: If it is missing or damaged.
    """
    record = _read_json(folder / RECORD)
    if record is None or not isinstance(record.get("experiment"), dict):
        raise ValueError(
            f"{folder / RECORD}, the record of a training, is missing or damaged: "
            f"restore it, or delete the folder {folder} to train again."
        )
    return record


def _read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None if the file is missing or holds something else."""
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def finish(folder: Path, experiment: Experiment, model: nn.Module, **measured: float | str) -> None:
    """Write the files of a finished training, the marker last, and remove its checkpoints.

    Args:
        folder: The folder of the run.
        experiment: The description of the training.
        model: The trained network.
        **measured: Further entries of the record: seconds, cpu_seconds, device.
    """
    record = write_record(folder, experiment, **measured)
    weights = save_model(model, folder / FINAL_WEIGHTS, record)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    marker = {"hash": experiment.hash, "steps": experiment.steps, "sha256": digest}
    write_atomically(folder / MARKER, json.dumps(marker, indent=1) + "\n")
    for name in (CHECKPOINT, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


def _marker(folder: Path) -> dict[str, Any] | None:
    marker = _read_json(folder / MARKER)
    return marker if marker is not None and "sha256" in marker else None


def finished_run(experiment: Experiment, folder: Path) -> Run:
    """Load a finished training.

    Args:
        experiment: The description of the training.
        folder: The folder of the run.

    Returns:
        The run, marked as cached.

    Raises:
        ValueError: If a file is damaged, or belongs to another training.
    """
    record = read_record(folder)
    if record.get("hash") != experiment.hash or not isinstance(record.get("seconds"), int | float):
        raise ValueError(
            f"{folder / RECORD} is not the record of the finished training {experiment.hash}: "
            f"restore it, or delete the folder {folder} to train again."
        )
    log = pd.DataFrame(read_log(folder) or {name: [] for name in COLUMNS})
    if "pixel" in log:
        log["psnr"] = -10 * np.log10(2 * log["pixel"])  # pixel is half the mean squared error
    return Run(experiment, _final_network(experiment, folder), log, folder, record["seconds"], True)


def _final_network(experiment: Experiment, folder: Path) -> nn.Module:
    """The network of an experiment with the final weights of its run."""
    weights, marker = folder / FINAL_WEIGHTS, _marker(folder)
    if not weights.is_file():
        raise ValueError(
            f"{weights} is missing: restore it, or delete the folder {folder} to train again."
        )
    if marker and marker["sha256"] != hashlib.sha256(weights.read_bytes()).hexdigest():
        raise ValueError(
            f"{weights} has changed since it was written: "
            f"restore it, or delete the folder {folder} to train again."
        )
    network = create_model(
        experiment.model, experiment.variant, size=experiment.size, **dict(experiment.options)
    )
    wanted = json.loads(json.dumps(network.recipe, default=str))
    found = recorded_recipe(weights)
    if found is not None and found != wanted:
        raise ValueError(
            f"{weights} holds weights of {found['name']} {found['variant']} {found['size']}, not "
            f"of this training: restore it, or delete the folder {folder} to train again."
        )
    load_weights(network, weights)
    return network.eval()
