"""One process at a time trains a run; the lock ends with its process, however that ends."""

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

SECONDS_BETWEEN_TRIES = 0.5


@contextmanager
def run_lock(folder: Path, tell: Callable[[str], object], wait: bool = True) -> Iterator[None]:
    """Hold the lock of a run's folder; wait while another process holds it.

    Under `torchrun`, the first process holds it for all, and does not wait.

    Args:
        folder: The folder of the run, which need not exist.
        tell: Called once with one sentence, before waiting.
        wait: Whether to wait.

    Yields:
        Nothing.

    Raises:
        BlockingIOError: If another process holds it and either several processes share this
            training or `wait` is False.
    """
    if int(os.environ.get("RANK", 0)) != 0:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = _lock_path(folder)
    lock = filelock.FileLock(path, poll_interval=SECONDS_BETWEEN_TRIES)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        sentence = f"The training {folder.name} is running in {_holder(path)}"
        if not wait or int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise BlockingIOError(f"{sentence}: wait until it has finished.") from None
        tell(f"{sentence}: waiting until it has finished.")
        lock.acquire()
    try:
        path.write_text(json.dumps({"process": os.getpid(), "host": platform.node()}))
        yield
    finally:
        lock.release()


def holder(folder: Path) -> str | None:
    """Find who trains a run now.

    Args:
        folder: The folder of the run.

    Returns:
        "process N on H"; None if no process trains it.
    """
    path = _lock_path(folder)
    if not path.is_file():
        return None
    try:
        with filelock.FileLock(path, timeout=0):
            return None
    except filelock.Timeout:
        return _holder(path)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")  # beside it: the folder may be deleted


def _holder(path: Path) -> str:
    try:
        content = json.loads(path.read_text())
        return f"process {content['process']} on {content['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just taken the lock
        return "another process"
