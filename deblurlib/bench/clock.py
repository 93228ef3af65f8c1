"""Wall time, processor time and memory of one call, and what the machine can do."""

import contextlib
import ctypes
import time
from pathlib import Path

import torch


def forward_only(function, *tensors):
    def call():
        with torch.no_grad():
            return function(*tensors)

    return call


def forward_backward(function, *tensors):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    grads = []  # filled by the first call: making it each time would cost as much as some operators

    def call():
        out = function(*leaves)
        if not grads:
            grads.append(torch.ones_like(out))
        return torch.autograd.grad(out, leaves, grads[0])

    return call


def seconds(function, device):
    """Wall time and processor time of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor


def extra_memory(function, device):
    """Megabytes that a call needs at its peak beyond what was there before; not a number where it cannot be known."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest resident size so far
        before = status_kilobytes("VmRSS")
        kept = function()  # its outputs count
        del kept
        return (status_kilobytes("VmHWM") - before) / 1e3
    except (OSError, AttributeError):
        return float("nan")


def status_kilobytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


@contextlib.contextmanager
def thread_count(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    yield
    torch.set_num_threads(before)


def gemm_rate(precision="fp32", n=2048) -> float:
    """Operations a second of a product of two large matrices, the most that this machine can be made to do."""
    a = torch.ones(n, n, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    torch.mm(a, a)
    began = time.perf_counter()
    torch.mm(a, a)
    return 2 * n**3 / (time.perf_counter() - began)
