"""The choice of a backend: torch (the reference, on any device), cpp (CPU) or triton (CUDA)."""

import logging
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from . import compiler

BACKENDS = ("auto", "torch", "cpp", "triton")
DEVICES = {"cpp": "cpu", "triton": "cuda"}  # where the kernels of a backend run
# The kernels count the pixels of an image in 32 bits, and a border makes at most nine of one.
LARGEST_PLANE = 2**31 // 9
log = logging.getLogger("deblurlib.ops")
_said: set[str] = set()


@dataclass(frozen=True)
class Implementation:
    """An operator in one backend.

    Attributes:
        forward: Computes the result.
        backward: Computes the gradients of the inputs from that of the result.
        takes_bfloat16: Whether tensors may also be bfloat16, all or some of them; otherwise they
            all have one dtype, float32 or float64.
    """

    forward: Callable[..., Tensor]
    backward: Callable[..., Any]  # a tuple of tensors, None for that of an absent input
    takes_bfloat16: bool = False

    def prepared(self, *tensors: Tensor | None) -> list[Tensor | None]:
        """Tensors in dtypes that the implementation takes.

        Args:
            tensors: The tensors of an operator; None stands for an absent one and stays None.

        Returns:
            The tensors themselves, or all in float64 if any is float64, or else in float32.
        """
        dtypes = {tensor.dtype for tensor in tensors if tensor is not None}
        if self.takes_bfloat16 and dtypes <= {torch.float32, torch.bfloat16}:
            return list(tensors)
        return widen(*tensors)


_table: dict[tuple[str, str], Implementation] = {}
_loaders: dict[str, Callable[[], None]] = {}


def register(
    operator: str,
    backend: str,
    *,
    forward: Callable[..., Tensor],
    backward: Callable[..., Any],
    takes_bfloat16: bool = False,
) -> None:
    """Register an implementation of an operator in the table that `implementation` reads.

    Args:
        operator: Name of the operator: "deform_conv", "spatial_rnn", "dynamic_filter" or "prelu".
        backend: "torch", "cpp" or "triton".
        forward: Computes the result.
        backward: Computes the gradients of the inputs from that of the result.
        takes_bfloat16: Whether tensors may also be bfloat16, see `Implementation`.
    """
    _table[operator, backend] = Implementation(forward, backward, takes_bfloat16)


def register_lazily(backend: str, load: Callable[[], None]) -> None:
    """Register the function that imports a backend's kernels, which then register themselves.

    Args:
        backend: The backend whose kernels are imported when they are first needed.
        load: Imports them; an ImportError means that the backend is not available.
    """
    _loaders[backend] = load


def _checked(name: str, where: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"{where} is {name!r}; choose one of {', '.join(BACKENDS)}.")
    return name


_chosen = _checked(
    os.environ.get("DEBLURLIB_BACKEND", "auto"), "The environment variable DEBLURLIB_BACKEND"
)


class set_backend:
    """Choose the backend of all operators, permanently or within a `with` block.

    The choice holds for all threads of the process. At first it is the environment variable
    DEBLURLIB_BACKEND, or else "auto". Calls that a backend cannot run fall back to "torch"; if the
    backend was chosen by name, a warning is logged once for each reason.

    Args:
        name: "torch", "cpp", "triton", or "auto": cpp on a CPU with a C compiler, triton on CUDA,
            torch elsewhere.

    Raises:
        ValueError: If the name is unknown.
    """

    def __init__(self, name: str) -> None:
        global _chosen
        self.previous, _chosen = _chosen, _checked(name, "The argument of set_backend")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        global _chosen
        _chosen = self.previous


def get_backend() -> str:
    """The backend that was chosen.

    Returns:
        "auto", "torch", "cpp" or "triton".
    """
    return _chosen


def _log_once(level: int, text: str) -> None:
    if text not in _said:
        _said.add(text)
        log.log(level, text)


def _computation_dtype(tensors: Iterable[Tensor]) -> torch.dtype:
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


def widen(*tensors: Tensor | None) -> list[Tensor | None]:
    """Tensors in the dtype in which the kernels compute.

    Args:
        tensors: The tensors of an operator; None stands for an absent one and stays None.

    Returns:
        The tensors in float64 if any of them is float64, or else in float32.
    """
    dtype = _computation_dtype(tensor for tensor in tensors if tensor is not None)
    return [None if tensor is None else tensor.to(dtype) for tensor in tensors]


def _problem(operator: str, backend: str, tensors: list[Tensor]) -> str | None:
    """Why a backend cannot run an operator on tensors, or None."""
    device, dtype = tensors[0].device.type, _computation_dtype(tensors)
    interpreted = backend == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device != DEVICES[backend] and not interpreted:
        return f"its kernels do not run on {device}"
    if max(math.prod(tensor.shape[-2:]) for tensor in tensors) > LARGEST_PLANE:
        return f"its kernels take images of at most {LARGEST_PLANE} pixels"
    if backend == "triton" and dtype == torch.float64:
        return "its kernels take no float64"
    try:
        if backend == "cpp":
            compiler.load(operator, dtype)
        else:
            _loaders[backend]()
    except compiler.KernelUnavailable as error:
        if _chosen == "auto":
            _log_once(logging.WARNING, f"Operators run in plain PyTorch, which is slower: {error}.")
        return str(error)
    except ImportError as error:
        return f"it cannot be imported ({error})"
    return None if (operator, backend) in _table else "it has no kernel for this operator"


def resolve(operator: str, *tensors: Tensor | None) -> str:
    """The backend that runs an operator.

    Args:
        operator: Name of the operator: "deform_conv", "spatial_rnn", "dynamic_filter" or "prelu".
        tensors: Its tensors, all on one device; None stands for an absent one.

    Returns:
        "torch", "cpp" or "triton".
    """
    present = [tensor for tensor in tensors if tensor is not None]
    device, wanted = present[0].device.type, _chosen
    if wanted == "auto":
        wanted = next((name for name, home in DEVICES.items() if home == device), "torch")
    if wanted == "torch":
        return wanted
    problem = _problem(operator, wanted, present)
    if problem is None:
        _log_once(logging.INFO, f"{operator}: {wanted} on {device}")
        return wanted
    level = logging.INFO if _chosen == "auto" else logging.WARNING
    _log_once(level, f"{operator}: torch, not {wanted}: {problem}")
    return "torch"


def implementation(operator: str, *tensors: Tensor | None) -> Implementation:
    """The implementation of an operator in the backend that runs it.

    Args:
        operator: Name of the operator: "deform_conv", "spatial_rnn", "dynamic_filter" or "prelu".
        tensors: Its tensors, all on one device; None stands for an absent one.

    Returns:
        The two steps of the operator.
    """
    return _table[operator, resolve(operator, *tensors)]


def reference(operator: str) -> Implementation:
    """The implementation of an operator in plain torch, which autograd can differentiate.

    Args:
        operator: Name of the operator: "deform_conv", "spatial_rnn", "dynamic_filter" or "prelu".

    Returns:
        The two steps of the operator.
    """
    return _table[operator, "torch"]
