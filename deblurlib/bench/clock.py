"""Time and memory of one call, and the arithmetic rate of the machine."""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Seconds(NamedTuple):
    """Duration of one call: wall time, and processor time summed over all threads."""

    wall: float
    processor: float


def forward_only(function: Callable[..., Result], *tensors: Tensor) -> Callable[[], Result]:
    """Make a call that can be timed: a forward pass without gradients.

    Args:
        function: Called with the tensors.
        *tensors: Its arguments.

    Returns:
        A function without arguments.
    """

    def call() -> Result:
        with torch.no_grad():
            return function(*tensors)

    return call


def forward_backward(
    function: Callable[..., Tensor], *tensors: Tensor
) -> Callable[[], tuple[Tensor, ...]]:
    """Make a call that can be timed: a forward and a backward pass.

    Args:
        function: Called with the tensors; it returns one tensor.
        *tensors: Its arguments, each of which gets a gradient.

    Returns:
        A function without arguments that returns the gradients for an upstream gradient of ones.
    """
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    upstream: list[Tensor] = []  # made once: making it in each call costs as much as some operators

    def call() -> tuple[Tensor, ...]:
        out = function(*leaves)
        if not upstream:
            upstream.append(torch.ones_like(out))
        return torch.autograd.grad(out, leaves, upstream[0])

    return call


def seconds(function: Callable[[], object], device: str) -> Seconds:
    """Time one call.

    Args:
        function: Called once.
        device: "cpu", or "cuda" to wait for the GPU before and after the call.

    Returns:
        Wall time and processor time.
    """
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


def extra_memory(function: Callable[[], object], device: str) -> float:
    """Measure how much memory a call needs at its peak, its result included.

    Args:
        function: Called once.
        device: "cpu" reads Linux's accounts of this process, "cuda" those of torch's allocator.

    Returns:
        Megabytes above the level before the call; NaN where the system does not say.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # reset the recorded peak
        before = _status_kilobytes("VmRSS")
        kept = function()  # its result counts
        del kept
        return (_status_kilobytes("VmHWM") - before) / 1e3
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no CDLL(None)
        return float("nan")


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Let torch compute with another number of threads within a `with` block.

    Args:
        threads: Number of threads, 1 or more.

    Yields:
        None.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gemm_rate(precision: str = "fp32", n: int = 2048) -> float:
    """Measure the rate of a product of two large matrices, an upper bound for any convolution.

    Args:
        precision: "fp32" or "bf16".
        n: Side of the square matrices.

    Returns:
        Floating-point operations per second on the CPU.
    """
    a = torch.ones(n, n, dtype=DTYPES[precision])
    torch.mm(a, a)  # warm-up
    return 2 * n**3 / seconds(lambda: torch.mm(a, a), "cpu").wall


def _status_kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
