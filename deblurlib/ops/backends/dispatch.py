"""Which implementation the operators run: torch (reference, any device), cpp (compiled C, CPU), triton (GPU)."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from . import compiler

BACKENDS = ("auto", "torch", "cpp", "triton")
log = logging.getLogger("deblurlib.ops")
_said = set()


@dataclass(frozen=True)
class Implementation:
    """The two steps of an operator in one backend."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


_table: dict[tuple[str, str], Implementation] = {}
_loaders: dict[str, Callable[[], None]] = {}


def register(
    operator: str, backend: str, *, forward: Callable[..., Any], backward: Callable[..., Any]
) -> None:
    """Enter an implementation of an operator into the table that `implementation` reads.

    Args:
        operator: name of the operator: "deform_conv", "spatial_rnn" or "dynamic_filter".
        backend: "torch", "cpp" or "triton".
        forward: computes the result.
        backward: computes the gradients of the inputs from that of the result.
    """
    _table[operator, backend] = Implementation(forward, backward)


def register_lazily(backend: str, load: Callable[[], None]) -> None:
    """Name the function that imports a backend's kernels, which then register themselves.

    Args:
        backend: the backend whose kernels are imported when they are first needed.
        load: imports them; an ImportError means that the backend is not available.
    """
    _loaders[backend] = load


def _check(name, where):
    if name not in BACKENDS:
        raise ValueError(
            f"{where} is {name!r}, which is no backend; choose one of {', '.join(BACKENDS)}."
        )
    return name


_chosen = _check(
    os.environ.get("DEBLURLIB_BACKEND", "auto"), "The environment variable DEBLURLIB_BACKEND"
)


class set_backend:
    """Choose the implementation of all operators, for good or within a `with` block.

    name: "auto" (cpp on a CPU with a C compiler, triton on CUDA, else torch), "torch", "cpp" or "triton".
    A backend that cannot run here gives way to torch, and the log says why once. The initial choice is the
    environment variable DEBLURLIB_BACKEND, or "auto". The choice holds for all threads of the process.
    """

    def __init__(self, name):
        global _chosen
        self.previous, _chosen = _chosen, _check(name, "The argument of set_backend")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        global _chosen
        _chosen = self.previous


def get_backend():
    """The name that was chosen, "auto" included."""
    return _chosen


def _say_once(text):
    if text not in _said:
        _said.add(text)
        log.info(text)


def _load(backend: str) -> str | None:
    """Import the kernels of a backend that are registered lazily; the reason where that is impossible."""
    try:
        _loaders[backend]()
    except ImportError as error:
        return f"{backend} cannot be imported ({error})"
    return None


def resolve(kernel, tensor):
    """The backend that runs `kernel` on `tensor`: "torch", "cpp" or "triton"."""
    wanted, device, half = _chosen, tensor.device.type, tensor.dtype
    if wanted == "auto":
        wanted = {"cpu": "cpp", "cuda": "triton"}.get(device, "torch")
    if wanted == "torch":
        return wanted
    home = {"cpp": "cpu", "triton": "cuda"}[wanted]
    interpreted = wanted == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device != home and not interpreted:
        problem = f"its kernels do not run on {device}"
    elif wanted == "triton":
        problem = "its kernels take no float64" if half == torch.float64 else _load("triton")
    else:
        try:
            compiler.load(kernel, half)
            problem = None
        except compiler.KernelUnavailable as error:
            problem = str(error)
    _say_once(
        f"{kernel}: {wanted} on {device}"
        if problem is None
        else f"{kernel}: torch, not {wanted}: {problem}"
    )
    return wanted if problem is None else "torch"


def implementation(operator: str, tensor: torch.Tensor) -> Implementation:
    """The registered implementation of an operator that runs on `tensor` with the chosen backend."""
    return _table[operator, resolve(operator, tensor)]


def widen(*tensors):
    """The tensors in the dtype the kernels compute in: float64 if any is float64, else float32; None stays None."""
    present = [tensor for tensor in tensors if tensor is not None]
    dtype = (
        torch.float64 if any(tensor.dtype == torch.float64 for tensor in present) else torch.float32
    )
    return [None if tensor is None else tensor.detach().to(dtype) for tensor in tensors]


def operator(function):
    """Decorator: make `function`, called _name, the operator torch.ops.deblurlib.name, and return that operator.

    Does what `torch.library.custom_op` does here, without its import of the compiler at the first call, which takes seconds.
    """
    name = function.__name__.removeprefix("_")
    schema = torch.library.infer_schema(function, mutates_args=())
    torch.library.define(f"deblurlib::{name}", schema, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(f"deblurlib::{name}", "default", function)
    return getattr(torch.ops.deblurlib, name)
