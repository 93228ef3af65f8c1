"""The log of a run: one line of JSON every few steps."""

import hashlib
import json
import warnings
from pathlib import Path

from ..storage import write_atomically

LOG = "log.jsonl"
COLUMNS = ("step", "lr", "loss", "pixel")  # of every log


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


def cut_log(folder: Path, step: int, digest: str | None = None) -> None:
    """Remove the lines of the log after a step, and those that are not whole.

    Args:
        folder: The folder of the run.
        step: The last step to keep.
        digest: What `log_digest` returned at that step; None if it is not known. A warning says
            that the log has changed since.
    """
    rows = [row for row in read_log(folder) if row["step"] <= step]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if digest not in (None, hashlib.sha256(text.encode()).hexdigest()):
        warnings.warn(
            f"{folder / LOG} has changed since the checkpoint of step {step} was written: "
            "its readable lines are kept.",
            stacklevel=2,
        )
    if (folder / LOG).is_file():
        write_atomically(folder / LOG, text)


def log_digest(folder: Path) -> str:
    """Hash the log of a run.

    Args:
        folder: The folder of the run.

    Returns:
        The sha256 of its content in hexadecimal digits, that of nothing if there is no log.
    """
    path = folder / LOG
    return hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
