"""The checkpoint of an unfinished run, and the previous one."""

import io
import pickle
import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from ..storage import write_atomically
from .experiment import Experiment

CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint-previous.pt"


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
        state = read_state(path)
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


def read_state(path: Path) -> dict[str, Any] | None:
    """Read one checkpoint.

    Args:
        path: Its file.

    Returns:
        The state that `write_checkpoint` was given; None if the file is missing or damaged.
    """
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


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run.

    Args:
        folder: The folder of the run.
    """
    for name in (CHECKPOINT, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
