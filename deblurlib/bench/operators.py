"""Times the operators against their peers: `deblurlib bench operators`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import ops
from ..results import save_table
from .cases import PHASES, Case, Shape, measure, ours
from .chart import draw
from .clock import thread_count
from .peers import column_loop, unbind_loop, unbind_loop_4way, unfold_einsum
from .training import Crops, training_cases


@dataclass(frozen=True, kw_only=True)
class KernelShape(Shape):
    """Size of an input, and of the kernels that are applied to it.

    Attributes:
        kernel: Odd side of a kernel.
    """

    kernel: int = 3

    def __str__(self) -> str:
        return f"{super().__str__()} k{self.kernel}"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The shapes that a run measures.

    Attributes:
        convolutions: For `deform_conv2d`, with as many output as input channels.
        scans: For `spatial_rnn` and `spatial_rnn_4way`.
        filters: For `dynamic_filter`.
        trainings: For whole training steps of SVDN.
    """

    convolutions: tuple[KernelShape, ...]
    scans: tuple[Shape, ...]
    filters: tuple[KernelShape, ...]
    trainings: tuple[Crops, ...]


QUICK = Suite(
    convolutions=(KernelShape(channels=32, height=48, width=48),),
    scans=(Shape(channels=8, height=48, width=48),),
    filters=(KernelShape(channels=4, height=64, width=64),),
    trainings=(Crops(batch=1, side=24, width="small"),),
)
FULL = Suite(
    convolutions=(
        KernelShape(channels=32, height=360, width=640),
        KernelShape(channels=32, height=180, width=320),
        KernelShape(channels=64, height=360, width=640),
        KernelShape(channels=64, height=180, width=320),
        KernelShape(channels=128, height=360, width=640),
        KernelShape(channels=128, height=180, width=320),
        KernelShape(channels=32, height=360, width=640, kernel=5),
        KernelShape(batch=4, channels=32, height=48, width=48, kernel=5),
    ),
    scans=(
        Shape(channels=32, height=360, width=640),
        Shape(batch=4, channels=32, height=64, width=64),
        Shape(batch=20, channels=32, height=64, width=64),
    ),
    filters=(KernelShape(channels=16, height=720, width=1280),),
    trainings=(
        Crops(batch=4, side=96, width="full"),
        Crops(batch=4, side=96, width="small"),
    ),
)


def deform_cases(
    shapes: Sequence[KernelShape], backends: Sequence[str], device: str
) -> Iterator[Case]:
    """Make the cases of `deform_conv2d`.

    Args:
        shapes: One case per shape and pass.
        backends: Backends of our operators.
        device: "cpu" or "cuda".

    Yields:
        Cases against torchvision's operator and a plain convolution.
    """
    import torchvision  # slow to import, so only comparisons import it

    for shape in shapes:
        batch, channels, *size = shape.sizes
        taps, padding = shape.kernel**2, shape.kernel // 2
        x = torch.randn(shape.sizes, device=device)
        offset = torch.randn(batch, 2 * taps, *size, device=device)
        mask = torch.rand(batch, taps, *size, device=device)
        weight = torch.randn(channels, channels, shape.kernel, shape.kernel, device=device)
        bias = torch.randn(channels, device=device)
        last_x = x.to(memory_format=torch.channels_last)
        last_weight = weight.to(memory_format=torch.channels_last)
        deform = _deform(ops.deform_conv2d, padding)
        functions = {
            **ours(deform, backends),
            "torchvision": _deform(torchvision.ops.deform_conv2d, padding),
        }
        for phase, wrap in PHASES.items():
            contestants = {
                name: wrap(function, x, offset, weight, bias, mask)
                for name, function in functions.items()
            }
            contestants["deblurlib, channels-last"] = wrap(
                deform, last_x, offset, last_weight, bias, mask
            )
            contestants["conv2d"] = wrap(
                partial(F.conv2d, padding=padding), last_x, last_weight, bias
            )
            yield Case("deform_conv2d", str(shape), phase, contestants)


def rnn_cases(shapes: Sequence[Shape], backends: Sequence[str], device: str) -> Iterator[Case]:
    """Make the cases of `spatial_rnn` and `spatial_rnn_4way`.

    Args:
        shapes: One case per shape, operator and pass.
        backends: Backends of our operators.
        device: "cpu" or "cuda".

    Yields:
        Cases against loops of plain PyTorch and, forward, one addition of the same size.
    """
    operators: dict[str, tuple[int, Callable[..., Tensor], Callable[..., Tensor]]] = {
        "spatial_rnn": (1, partial(ops.spatial_rnn, direction="right"), unbind_loop),
        "spatial_rnn_4way": (4, ops.spatial_rnn_4way, unbind_loop_4way),
    }
    for shape in shapes:
        batch, channels, height, width = shape.sizes
        x = torch.randn(shape.sizes, device=device)
        for name, (scans, fused, loop) in operators.items():
            p = torch.rand(batch, scans * channels, height, width, device=device) * 2 - 1
            for phase, wrap in PHASES.items():
                functions = {**ours(fused, backends), "unbind loop": loop}
                if scans == 1 and phase == "forward":
                    functions["column loop"] = column_loop
                contestants = {key: wrap(function, x, p) for key, function in functions.items()}
                if phase == "forward":
                    contestants["torch.add(out=)"] = partial(
                        torch.add, x.repeat(1, scans, 1, 1), p, out=torch.empty_like(p)
                    )
                yield Case(name, str(shape), phase, contestants)


def filter_cases(
    shapes: Sequence[KernelShape], backends: Sequence[str], device: str
) -> Iterator[Case]:
    """Make the cases of `dynamic_filter`.

    Args:
        shapes: One case per shape and pass.
        backends: Backends of our operators.
        device: "cpu" or "cuda".

    Yields:
        Cases against patches of plain PyTorch and one copy of as many bytes as the operator reads
        and writes.
    """
    for shape in shapes:
        batch, _, height, width = shape.sizes
        x = torch.randn(shape.sizes, device=device)
        logits = torch.randn(batch, shape.kernel**2, height, width, device=device)
        half = (2 * x.numel() + logits.numel()) // 2  # a copy reads one half and writes the other
        source, target = torch.empty(2, half, device=device)
        functions = {
            **ours(partial(ops.dynamic_filter, kernel_size=shape.kernel), backends),
            "unfold+einsum": partial(unfold_einsum, kernel_size=shape.kernel),
        }
        for phase, wrap in PHASES.items():
            contestants = {name: wrap(function, x, logits) for name, function in functions.items()}
            contestants["copy"] = partial(target.copy_, source)
            yield Case("dynamic_filter", str(shape), phase, contestants)


def cases(suite: Suite, backends: Sequence[str], device: str) -> Iterator[Case]:
    """Make every comparison of a suite; the tensors of a case are made when it is reached.

    Args:
        suite: The shapes.
        backends: Backends of our operators; the first one is the base of the ratios.
        device: "cpu" or "cuda".

    Yields:
        The cases.
    """
    yield from deform_cases(suite.convolutions, backends, device)
    yield from rnn_cases(suite.scans, backends, device)
    yield from filter_cases(suite.filters, backends, device)
    yield from training_cases(suite.trainings, backends, device)


def run(
    results: str | Path,
    quick: bool = False,
    repeats: int = 7,
    device: str = "cpu",
    backends: Sequence[str] = ("auto",),
) -> pd.DataFrame:
    """Measure every case; write `tables/operators.csv` and `figures/operators.png`.

    Args:
        results: Folder that both are written to.
        quick: Measure one small shape per operator.
        repeats: Timed calls per contestant; slow ones get three.
        device: "cpu" or "cuda".
        backends: Backends of our operators; the first one is the base of the ratios.

    Returns:
        The table, one row per case, contestant and number of threads. With one thread on the CPU,
        only the first backend is measured, for the speed-up by threads.
    """
    results = Path(results)
    rows: list[dict[str, object]] = []
    (results / "figures").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    counts = sorted({1, threads}) if device == "cpu" else [threads]
    for case in cases(QUICK if quick else FULL, backends, device):
        for count in counts:
            with thread_count(count):
                rows += measure(case if count == threads else case.ours_alone(), repeats, device)
        shown = pd.DataFrame(rows[-len(case.contestants) :])
        print(shown.to_string(header=len(rows) < 9, index=False), flush=True)
        table = save_table(
            pd.DataFrame(rows),
            results / "tables" / "operators.csv",
            source="measured on this machine",
            device=device,
        )
    draw(table, results / "figures" / "operators.png")
    return table


def _deform(operator: Callable[..., Tensor], padding: int) -> Callable[..., Tensor]:
    def call(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        return operator(x, offset, weight, bias, padding=padding, mask=mask)

    return call
