"""The folder of a run: its record, log and checkpoints, and the files of a finished training.

experiment.json                         the record: experiment, hash, time, versions
log.jsonl                               one line every few steps
checkpoint.pt, checkpoint-previous.pt   while unfinished
model.json, model.safetensors           the final weights
finished.json                           written last, with checksums of the others
"""

import hashlib
import json
import shutil
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from ..models import create_model, save_model
from ..models.weights import WEIGHTS, load_weights, recorded_recipe
from ..provenance import environment
from ..storage import write_atomically
from .checkpoints import CHECKPOINT, PREVIOUS, read_state, remove_checkpoints
from .experiment import Experiment
from .logs import COLUMNS, LOG, read_log

# Finished runs that come with the library, laid out like those of results/runs.
SHIPPED_RUNS = WEIGHTS / "runs"
RECORD, MARKER = "experiment.json", "finished.json"
RECIPE, FINAL_WEIGHTS = "model.json", "model.safetensors"
FILES = (RECORD, LOG, MARKER, CHECKPOINT, PREVIOUS, RECIPE, FINAL_WEIGHTS)


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
        states = [read_state(path) for path in (folder / CHECKPOINT, folder / PREVIOUS)]
        state = next((state for state in states if state is not None), None)
        if state is None:
            exists = any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))
            return ("damaged" if exists else "interrupted"), {"steps": 0, **facts}
        known: dict[str, Any] = {
            key: state[key] for key in ("seconds", "cpu_seconds") if key in state
        }
        return "interrupted", {"steps": state["step"], **known}
    weights = folder / FINAL_WEIGHTS
    intact = weights.is_file() and (marker is None or marker["sha256"] == _sha256(weights))
    return ("finished" if intact else "damaged"), {
        "steps": record["experiment"].get("steps"),
        **facts,
    }


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
    save_model(model, folder / FINAL_WEIGHTS, record)
    write_marker(folder, experiment)
    remove_checkpoints(folder)


def write_marker(folder: Path, experiment: Experiment) -> None:
    """Write the marker of a finished training: the checksums of its other files, and its own.

    Args:
        folder: The folder of the run, in which all other files are complete.
        experiment: The description of the training.
    """
    marker = {
        "hash": experiment.hash,
        "steps": experiment.steps,
        "sha256": _sha256(folder / FINAL_WEIGHTS),
        "files": {name: _sha256(folder / name) for name in (RECORD, LOG, RECIPE)},
    }
    text = json.dumps(marker | {"check": _check(marker)}, indent=1) + "\n"
    write_atomically(folder / MARKER, text)


def _marker(folder: Path) -> dict[str, Any] | None:
    """The contents of the marker; None if it is missing or damaged."""
    marker = _read_json(folder / MARKER)
    if marker is None or marker.keys() == {"hash", "steps", "sha256"}:
        return marker  # the three stand in markers of the first kind
    return marker if marker.pop("check", None) == _check(marker) else None


def _check(marker: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(marker, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str | None:
    """The checksum of a file; None if it is missing."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


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
    log = _log_of(folder)
    network = _final_network(experiment, folder)
    for name, digest in (_marker(folder) or {}).get("files", {}).items():
        if _sha256(folder / name) != digest:
            warnings.warn(
                f"{folder / name} is missing or has changed since it was written: "
                f"restore it, or delete the folder {folder} to train again.",
                stacklevel=2,
            )
    return Run(experiment, network, log, folder, record["seconds"], True)


def shipped_log(experiment: Experiment) -> pd.DataFrame:
    """Read the log of a training that ships, whether or not its weights do.

    Args:
        experiment: The description of the training.

    Returns:
        One row every few steps, as in `Run.log`.

    Raises:
        ValueError: If it does not ship.
    """
    folder = SHIPPED_RUNS / experiment.hash
    if not (folder / LOG).is_file():
        raise ValueError(f"The training {experiment.hash} does not ship: call fit() to train it.")
    return _log_of(folder)


def _log_of(folder: Path) -> pd.DataFrame:
    log = pd.DataFrame(read_log(folder) or {name: [] for name in COLUMNS})
    if "pixel" in log:
        log["psnr"] = -10 * np.log10(2 * log["pixel"])  # pixel is half the mean squared error
    return log


def completed_run(experiment: Experiment, folder: Path) -> Run:
    """Load a finished training, and complete what its process has not done or lived to do.

    A marker that is missing or damaged is written, and checkpoints are removed.

    Args:
        experiment: The description of the training.
        folder: The folder of the run.

    Returns:
        The run, marked as cached.

    Raises:
        ValueError: If a file is damaged, or belongs to another training.
    """
    run = finished_run(experiment, folder)
    with suppress(OSError):  # a folder that others own is read all the same
        if _marker(folder) is None:
            write_marker(folder, experiment)
        remove_checkpoints(folder)
    return run


def _final_network(experiment: Experiment, folder: Path) -> nn.Module:
    """The network of an experiment with the final weights of its run."""
    weights, marker = folder / FINAL_WEIGHTS, _marker(folder)
    if not weights.is_file():
        raise ValueError(
            f"{weights} is missing: restore it, or delete the folder {folder} to train again."
        )
    if marker and marker["sha256"] != _sha256(weights):
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
