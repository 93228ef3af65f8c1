"""How much memory is free, and how much a network needs per pixel."""

import contextlib
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .windows import predicting, run_window

WORKSPACE = 1.3  # what kernels take beside the tensors that are counted: measured
UNKNOWN = 4096.0  # bytes a pixel of a network that cannot be measured


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that this process may still take: of the machine, of its control group, of its own limit; or of the GPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(0, min([psutil.virtual_memory().available, *_free_of_groups(), *_free_of_process()]))


def _free_of_groups(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What the limits of a container leave, pages of files apart, which it gives back: versions 2 and 1 of cgroups."""
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
        home = root / controllers
        for folder in {
            home,
            *(home / part for part in [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents]),
        }:
            with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
                limit, used = (int((folder / name).read_text()) for name in names)
                stat = dict(
                    line.split() for line in (folder / "memory.stat").read_text().splitlines()
                )
                yield limit - used + int(stat.get("inactive_file", 0))


def _free_of_process() -> Iterator[int]:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - psutil.Process().memory_info().vms


def bytes_per_pixel(network: nn.Module, side: int = 128) -> float:
    """How much memory a network takes at its peak for each pixel of its input, measured on a small grey picture.

    All tensors that live at the same time are counted; WORKSPACE allows for what kernels add. A network that does not take
    that picture counts as UNKNOWN.
    """
    try:
        with predicting(network), LiveBytes() as live:
            run_window(network, np.full((side, side, 3), 128, np.uint8))
    except (
        Exception
    ):  # a foreign network may want another size, and will say so when it is given the picture
        return UNKNOWN
    return WORKSPACE * live.peak / side**2


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made within it: those alive now, and the most that were at once."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return made

    def count(self, storage):
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())

    def forget(self, key, size):
        self.known.discard(key)
        self.now -= size
