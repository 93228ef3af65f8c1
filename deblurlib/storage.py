"""Writing files whole or not at all, and folders with one writer at a time."""

import errno
import functools
import hashlib
import itertools
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import psutil

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: str | bytes, *, overwrite: bool = True) -> Path:
    """Write a file under a temporary name, then rename it.

    A full disk, a killed process or a power failure never leaves a partial file. The temporary name
    is hidden and ends in `.tmp`, so no pattern for images or tables finds it.

    Args:
        path: The file; missing folders above it are created.
        content: Its content; a text is encoded as UTF-8.
        overwrite: Whether an existing file is replaced.

    Returns:
        The same path.

    Raises:
        FileExistsError: If the file exists and `overwrite` is False, even if another process
            created it a moment ago.
        OSError: If the file cannot be written; the message names it.
    """
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent)
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path, overwrite=overwrite)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def check_writable(folder: Path) -> None:
    """Check before the work that files can be written to a folder.

    Args:
        folder: The folder, which need not exist; nothing is left in it.

    Raises:
        ValueError: If it, or the nearest folder above it that exists, is a file or not writable.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise ValueError(f"{nearest} is a file, so there is no folder {folder}: choose another.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"The folder {nearest} is not writable: choose another one.")
    try:
        with tempfile.TemporaryFile(dir=nearest):  # permissions do not tell, as those of /proc
            pass
    except OSError as error:
        if error.errno not in NO_SPACE:  # what exists already needs no space
            raise ValueError(
                f"The folder {nearest} takes no files ({error.strerror}): choose another one."
            ) from None


def publish(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file its final name.

    Args:
        temporary: The file, on the same file system; it is gone afterwards.
        path: The final name.
        overwrite: Whether an existing file is replaced.

    Raises:
        FileExistsError: If the file exists and `overwrite` is False.
    """
    if overwrite:
        temporary.replace(path)
    else:
        _move_to_new(temporary, path)
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, recursive: bool = False) -> None:
    """Remove the temporary files that killed processes of this machine have left.

    Those of processes that still run, or that run on another machine, stay.

    Args:
        folder: The folder, which need not exist.
        recursive: Whether to look into all folders below it as well.
    """
    found = folder.rglob if recursive else folder.glob
    for path in found(".*.tmp"):
        with suppress(OSError):
            if path.is_file() and _is_leftover(path):
                path.unlink()


@contextmanager
def locked(folder: Path, option: str = "results") -> Iterator[None]:
    """Hold the lock of a folder, so that no two processes write their results into it.

    The lock ends with its process, however that ends.

    Args:
        folder: The folder; it is created.
        option: Name of the option or argument that chooses another folder, for the message.

    Raises:
        BlockingIOError: If another process holds the lock.

    Yields:
        Nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except filelock.Timeout:
        raise BlockingIOError(
            f"Another process is writing to {folder}: wait until it has finished, or choose "
            f"another folder with the option {option}."
        ) from None


_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})\.(?P<process>\d+)\.\d+\.tmp")
_host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_numbers = itertools.count()


def _temporary(path: Path) -> Path:
    """A hidden name beside a file that says which process of which machine writes it."""
    # a file name has 255 bytes at most, and need not be text
    short = os.fsencode(path.name)[:100].decode(errors="ignore")
    return path.with_name(f".{short}.{_host}.{os.getpid()}.{next(_numbers)}.tmp")


def _is_leftover(path: Path) -> bool:
    """Whether the process of this machine that wrote a temporary file has ended."""
    parts = _TEMPORARY.fullmatch(path.name)
    if parts is None or parts["host"] != _host:
        return False
    try:
        began = psutil.Process(int(parts["process"])).create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
    return began > path.stat().st_mtime + 60  # another process has the same number now


@functools.cache
def _sweep_once(folder: Path) -> None:
    remove_leftovers(folder)


def _move_to_new(temporary: Path, path: Path) -> None:
    """Rename a file to a name that must not exist."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from None
        temporary.replace(path)
