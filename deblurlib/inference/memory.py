"""Free memory, and the memory that a network needs per pixel."""

import contextlib
import ctypes
import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .precision import Precision
from .windows import predicting, run_window

# Texts of the RuntimeErrors with which torch and oneDNN report that memory has run out.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "could not create a primitive",
    "could not create a memory",
    "could not execute a primitive",
    "std::bad_alloc",
)
WORKSPACE = 1.3  # measured: what kernels allocate besides the tensors that are counted
M_MMAP_THRESHOLD = -3  # of glibc's mallopt
BLOCK = 2**23  # bytes from which memory is returned at once
LARGEST_BLOCK = 2**25  # bytes: where glibc's own rule ends after large blocks have been freed
UNKNOWN = 4096.0  # bytes per pixel of a network that cannot be measured
AROUND = 72.0  # bytes per pixel of the arrays in which a tile arrives and leaves


def is_out_of_memory(error: BaseException) -> bool:
    """Recognise that memory has run out.

    Args:
        error: Anything that was raised.

    Returns:
        Whether it is a MemoryError, or an error by which torch or oneDNN reports the same.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def free_memory(device: torch.device | str = "cpu") -> int:
    """Return how much memory this process may still allocate on a device.

    On the CPU the tightest limit counts: the available memory of the machine, that of each
    enclosing control group (containers), or the limit of the process's address space.

    Args:
        device: The CPU, or a CUDA device.

    Returns:
        Bytes, 0 or more.
    """
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    available = int(psutil.virtual_memory().available)
    return max(0, min([available, *_free_of_groups(), *_free_of_process()]))


def bytes_per_pixel(network: nn.Module, precision: Precision = "fp32", side: int = 128) -> float:
    """Measure the peak memory of a network per pixel of its input, on a small grey image.

    All tensors alive at the same time are counted; `WORKSPACE` allows for what kernels add.

    Args:
        network: Maps (1, 3, h, w) RGB in [0, 1] to the same shape.
        precision: What it computes in.
        side: Height and width of the image, in pixels.

    Returns:
        Bytes per pixel; `UNKNOWN` if the network does not accept the image.
    """
    try:
        with predicting(network, precision), warnings.catch_warnings(), LiveBytes() as live:
            warnings.simplefilter("ignore")  # about this image, which is nobody's
            run_window(network, np.full((side, side, 3), 128, np.uint8))
    except Exception:  # a foreign network that needs another size fails again on the real image
        return UNKNOWN
    return max(WORKSPACE * float(live.peak) / side**2, AROUND)


@contextlib.contextmanager
def returning_memory() -> Iterator[None]:
    """Return freed memory to the system at once within a `with` block.

    glibc keeps freed blocks of up to 32 MB for later ones, which seldom fit: deblurring tiles then
    takes twice the memory of their tensors. Other allocators, and one that the environment sets,
    are left alone.

    Yields:
        None.
    """
    try:
        libc = ctypes.CDLL(None)
        limit, trim = libc.mallopt, libc.malloc_trim
    except (OSError, TypeError, AttributeError):  # TypeError: Windows has no CDLL(None)
        yield
        return
    if "MALLOC_MMAP_THRESHOLD_" in os.environ:
        yield
        return
    trim(0)
    limit(M_MMAP_THRESHOLD, BLOCK)
    try:
        yield
    finally:
        limit(M_MMAP_THRESHOLD, LARGEST_BLOCK)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Counts the bytes of all tensors that are created within its `with` block.

    Attributes:
        now: Bytes of the tensors alive at present.
        peak: The largest value that `now` has had.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.now: int = 0
        self.peak: int = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; torch would load its compiler, 80 MB, to make sure of it."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        created = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(created):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return created

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _free_of_groups(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Free memory within the control groups (versions 2 and 1), cached file pages included."""
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers not in ("", "memory"):
            continue
        names = (
            ("memory.max", "memory.current")
            if not controllers
            else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        home, group = root / controllers, Path(path.lstrip("/"))
        for folder in {home, *(home / part for part in [group, *group.parents])}:
            with contextlib.suppress(OSError, ValueError):  # no limit reads "max": ValueError
                limit, used = (int((folder / name).read_text()) for name in names)
                stat = dict(
                    line.split() for line in (folder / "memory.stat").read_text().splitlines()
                )
                yield limit - used + int(stat.get("inactive_file", 0))


def _free_of_process() -> Iterator[int]:
    """Free memory within the address-space limit, on systems that have one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - int(psutil.Process().memory_info().vms)
