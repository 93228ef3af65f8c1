"""One build of a network, created and timed in a separate process."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from .. import ops
from ..models import create_model, list_models, load_model, spec_of
from .clock import extra_memory
from .peers import PLAIN

DEFAULT = "svdn"  # the network of `deblurlib.deblur`


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One build of one network.

    Attributes:
        model: Name of the network.
        variant: Its variant.
        width: "full" or "small".
        precision: "fp32", or "bf16" by autocast.
        plain: Whether plain PyTorch and torchvision stand in for our operators.
    """

    model: str
    variant: str
    width: str
    precision: str = "fp32"
    plain: bool = False


class Figures(TypedDict):
    """Measurements of one run: its seconds, the share of them in operators, and its memory."""

    seconds: float
    in_operator: float
    extra_mb: float


@dataclass(frozen=True)
class Entrant:
    """A contestant that is ready to run: its network, and the images that it takes."""

    contestant: Contestant
    network: nn.Module
    images: list[Tensor]


def timed_networks() -> list[Contestant]:
    """List the networks to time, as their specifications say.

    Returns:
        Our builds: the default network first, then small widths before full ones.
    """
    timed = [
        Contestant(
            model=name, variant=timing.variant, width=timing.width, precision=timing.precision
        )
        for name in list_models()
        for timing in spec_of(name).benchmark
    ]
    return sorted(timed, key=lambda each: (each.model != DEFAULT, each.width == "full"))


def prepare(contestant: Contestant, size: tuple[int, int]) -> Entrant:
    """Make a network, with shipped weights if there are any, and its images.

    Args:
        contestant: Which build.
        size: Height and width of the images.

    Returns:
        The entrant.
    """
    if contestant.plain:
        import_module("torchvision")  # before the clock: its time and memory are not the network's
    torch.manual_seed(0)
    try:
        network = load_model(contestant.model, size=contestant.width)
    except FileNotFoundError:
        network = create_model(contestant.model, contestant.variant, size=contestant.width).eval()
    # the memory format that `deblur` uses
    image = torch.rand(1, 3, *size).contiguous(memory_format=torch.channels_last)
    return Entrant(contestant, network, [image] * getattr(network, "pictures", 1))


def forward(entrant: Entrant, *, memory: bool) -> tuple[np.ndarray, Figures]:
    """Run a network once.

    Args:
        entrant: The network and its images.
        memory: Whether to also measure its memory.

    Returns:
        The output, (1, 3, H, W), and the measurements; `extra_mb` is NaN without `memory`.
    """
    outputs: list[Tensor] = []
    duration = extra_mb = float("nan")

    def call() -> None:
        nonlocal duration
        began = time.perf_counter()
        outputs.append(entrant.network(*entrant.images))
        duration = time.perf_counter() - began

    bf16 = entrant.contestant.precision == "bf16"
    with (
        timed_operators(plain=entrant.contestant.plain) as spent,
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        if memory:
            extra_mb = extra_memory(call, "cpu")
        else:
            call()
    figures = Figures(seconds=duration, in_operator=sum(spent) / duration, extra_mb=extra_mb)
    return outputs[0].float().numpy(), figures


@contextmanager
def timed_operators(*, plain: bool) -> Iterator[list[float]]:
    """Record the time spent in operators within a `with` block.

    Args:
        plain: Whether plain PyTorch and torchvision stand in for our operators.

    Yields:
        A list that gains the seconds of every call.
    """
    spent: list[float] = []

    def timed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: object) -> Tensor:
            began = time.perf_counter()
            output = function(*arguments)
            spent.append(time.perf_counter() - began)
            return output

        return call

    functions = {
        name: timed(other if plain else getattr(torch.ops.deblurlib, name))
        for name, other in PLAIN.items()
    }
    with ops.substitute(**functions):
        yield spent
