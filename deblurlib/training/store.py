"""Decoded real pairs in a cache on disk and a bounded part of them in memory.

A crop is read from the mapped file of its pair without reading the rest; which parts stay in memory
is up to the operating system, and all processes that train on the same pairs share them.

The cache is the folder `pairs` in $DEBLURLIB_CACHE, or else in the user's cache folder. It holds up
to $DEBLURLIB_CACHE_GB gigabytes, by default 40; 0 switches it off. A pair of 1280 x 720 takes
5.5 MB, with flow 12.9 MB. The folder may be deleted at any time.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import PIL
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..data.samples import Sample
from ..ops.backends.compiler import cache_folders
from ..provenance import digest_of
from ..storage import write_atomically

logger = logging.getLogger(__name__)

FORMAT = 1  # part of every key: raise it when the same files give other entries
DEFAULT_BOUND = 40e9  # bytes
RESERVE = 2**30  # bytes of the disk that are left free
IN_USE = 3600  # seconds since its last use during which an entry of other pairs is not removed
COUNT_EVERY = 16  # entries written between two counts of what all processes have written


def pairs_folder() -> Path:
    """Choose the folder of the cache.

    Returns:
        Its path; it need not exist.
    """
    return next(cache_folders()) / "pairs"


def pairs_bound() -> float:
    """Read the bound of the cache from the environment.

    Returns:
        The number of bytes that it may hold.

    Raises:
        ValueError: If DEBLURLIB_CACHE_GB is not a number of at least 0.
    """
    given = os.environ.get("DEBLURLIB_CACHE_GB")
    if given is None:
        return DEFAULT_BOUND
    try:
        bound = float(given) * 1e9
    except ValueError:
        bound = -1
    if not bound >= 0:
        raise ValueError(
            f"The environment variable DEBLURLIB_CACHE_GB is {given!r}: give a number of "
            "gigabytes of at least 0."
        )
    return bound


def key_of(files: Mapping[str, Path]) -> str:
    """Name the entry of a pair by the contents of its files and the versions of the decoders.

    Args:
        files: The files by field of the sample.

    Returns:
        32 hexadecimal digits.
    """
    contents = {role: digest_of(path).hex() for role, path in files.items()}
    facts = [FORMAT, PIL.__version__, cv2.__version__, contents]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class Store:
    """Samples in a folder, each in a file of its own that is complete or absent.

    Files are named `KEY.safetensors`. Where the bound or the disk leaves no room for a sample,
    those of other data sets that were not used for an hour are removed; if that is not enough,
    nothing more is stored.

    Args:
        folder: The folder; it is created when it is first written to.
        bound: Bytes that it may hold, about.
        files: For each sample, the files that it is read from, by field.

    Attributes:
        fault: Why nothing more is stored, None while it is.
    """

    def __init__(self, folder: Path, bound: float, files: Sequence[Mapping[str, Path]]) -> None:
        self.folder, self.bound, self.files = folder, bound, files
        self.keys = [key_of(names) for names in files]
        self.fault: str | None = None if bound else "DEBLURLIB_CACHE_GB is 0"
        self.used = 0.0
        self.written = 0
        self.seen: set[int] = set()

    @property
    def advice(self) -> str:
        """A sentence for a training that needs more than is stored."""
        return (
            f"{self.fault}, so pairs are decoded again whenever they are used, which is slow: make "
            "room there, or set DEBLURLIB_CACHE to another folder or DEBLURLIB_CACHE_GB to a "
            "larger bound."
        )

    def get(self, index: int) -> Sample | None:
        """Map a stored sample into memory.

        Args:
            index: Its number.

        Returns:
            The sample, whose values are read from the file when they are used; None if it is not
            stored.
        """
        path = self._path(index)
        try:
            with safe_open(path, "pt") as file:
                name = (file.metadata() or {}).get("name", "")
                fields = {field: file.get_tensor(field) for field in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
        if index not in self.seen:
            self.seen.add(index)
            with suppress(OSError):
                os.utime(path)  # the time of last use
        return Sample(name=name, **fields)

    def put(self, index: int, sample: Sample) -> bool:
        """Store a sample.

        Args:
            index: Its number.
            sample: The sample.

        Returns:
            Whether it is stored; `fault` says why it is not.

        Raises:
            ValueError: If its files have changed since the store was made.
        """
        if key_of(self.files[index]) != self.keys[index]:
            raise ValueError(
                f"{self.files[index]['blurry']} or a frame beside it has changed since the "
                "training began: start the training again."
            )
        if self.fault is not None:
            return False
        content = save(sample.tensors(), {"name": str(sample.name)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._has_room(len(content)):
                return False
            write_atomically(self._path(index), content)
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            self.fault = f"{self.folder} cannot be written to ({reason})"
            return False
        self.used += len(content)
        self.written += 1
        return True

    def _path(self, index: int) -> Path:
        return self.folder / f"{self.keys[index]}.safetensors"

    def _has_room(self, size: int) -> bool:
        """Whether a file fits, if necessary after removing others."""
        if self.written % COUNT_EVERY == 0:
            self.used = sum(facts.st_size for _, facts in self._entries())
        if self._fits(size):
            return True
        long_ago, ours = time.time() - IN_USE, frozenset(self.keys)
        for path, facts in sorted(self._entries(), key=_last_use):
            if path.stem not in ours and facts.st_mtime < long_ago:
                with suppress(OSError):
                    path.unlink()
                    self.used -= facts.st_size
                if self._fits(size):
                    return True
        over = self.used + size > self.bound
        reason = f"has reached {self.bound / 1e9:g} GB" if over else "is on a full disk"
        self.fault = f"{self.folder} {reason}"
        return False

    def _fits(self, size: int) -> bool:
        free = shutil.disk_usage(self.folder).free
        return self.used + size <= self.bound and free >= size + RESERVE

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.folder.glob("*.safetensors"):
            with suppress(OSError):  # another process may remove it
                found.append((path, path.stat()))
        return found


class Memory:
    """The samples that were used last, up to a number of bytes.

    Args:
        bound: The number of bytes.

    Attributes:
        used: The bytes of the samples that are kept.
    """

    def __init__(self, bound: float) -> None:
        self.bound, self.used = bound, 0
        self.kept: OrderedDict[int, Sample] = OrderedDict()

    def get(self, index: int) -> Sample | None:
        """Return a sample that is kept.

        Args:
            index: Its number.

        Returns:
            The sample, None if it is not kept.
        """
        if index in self.kept:
            self.kept.move_to_end(index)
        return self.kept.get(index)

    def put(self, index: int, sample: Sample) -> bool:
        """Keep a sample, in place of those that were not used for the longest time.

        Args:
            index: Its number, which is not kept yet.
            sample: The sample.

        Returns:
            Whether there was room without dropping any.
        """
        self.kept[index] = sample
        self.used += _size(sample)
        roomy = self.used <= self.bound
        while self.used > self.bound:
            self.used -= _size(self.kept.popitem(last=False)[1])
        return roomy


def _size(sample: Sample) -> int:
    return sum(tensor.nbytes for tensor in sample.tensors().values())


def _last_use(entry: tuple[Path, os.stat_result]) -> float:
    return entry[1].st_mtime
