"""Times a network against other runtimes on the CPU: `deblurlib bench rivals`.

    onnxruntime   the file of `deblurlib export --native`, with DeformConv
    openvino      converted from PyTorch, with torchvision's deformable convolution in place of ours
    ncnn          the same, traced and converted by pnnx

A runtime that is not installed has a row that says so. Each contestant runs in a separate process;
runs are interleaved, so that other load on the machine slows all alike, and medians are compared.
"""

import copy
import io
import math
import multiprocessing
import statistics
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from .. import ops
from ..data.photographs import list_photographs, load_photograph
from ..inference.onnx_export import to_onnx
from ..inference.precision import Precision
from ..inference.windows import predicting
from ..models import load_model
from ..results import save_table
from .clock import Seconds, seconds

SIZE = (180, 320)  # height and width in pixels
SAME = 45.0  # dB to our output, below which a runtime computes another image
Call = Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One runtime in one precision.

    Attributes:
        package: The distribution that computes, "deblurlib" for ours.
        precision: "fp32" or "bf16".
        threads: Number of threads.
    """

    package: str
    precision: Precision
    threads: int


@dataclass
class Outcome:
    """What a contestant has shown: its last output, its times, and why it could not run."""

    output: np.ndarray | None = None
    runs: list[Seconds] = field(default_factory=list)
    note: str = ""


def rivals(threads: int) -> list[Rival]:
    """List the contestants for a number of threads.

    Args:
        threads: The number.

    Returns:
        Ours in fp32 first.
    """
    return [
        Rival(package=package, precision=precision, threads=threads)
        for package, precisions in PRECISIONS.items()
        for precision in precisions
    ]


def run(
    results: str | Path,
    model: str = "svdn",
    size: tuple[int, int] = SIZE,
    repeats: int = 7,
    threads: Sequence[int] = (1, 2),
) -> pd.DataFrame:
    """Measure a network in all runtimes that are installed; write `tables/rivals.csv`.

    Args:
        results: Folder that the table is written to.
        model: Name of a network with shipped weights that can be exported.
        size: Height and width of the image.
        repeats: Runs of each contestant after one that warms it up.
        threads: Numbers of threads.

    Returns:
        One row per contestant: medians of wall and processor time, their ratios to ours in the same
        precision and with as many threads, and the agreement with our output in fp32.
    """
    rows: list[dict[str, object]] = []
    for count in threads:
        rows += _race(model, size, repeats, rivals(count))
        shown = pd.DataFrame(rows[-len(rivals(count)) :])
        print(shown.to_string(index=False, float_format="%.2f"), flush=True)
        table = save_table(
            pd.DataFrame(rows),
            Path(results) / "tables" / "rivals.csv",
            source="measured on this machine",
            device="cpu",
            data="one photograph",
        )
    return table


def _race(
    model: str, size: tuple[int, int], repeats: int, contestants: Sequence[Rival]
) -> list[dict[str, object]]:
    outcomes = {each: Outcome() for each in contestants}
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pools = {each: stack.enter_context(ProcessPoolExecutor(1, spawn)) for each in contestants}
        started = {each: pool.submit(_enter, each, model, size) for each, pool in pools.items()}
        for each, prepared in started.items():
            try:
                outcomes[each].note = prepared.result()
            except BrokenExecutor:
                outcomes[each].note = "the process crashed"
        print(f"{model}, {contestants[0].threads} threads: {1 + repeats} turns", flush=True)
        for turn in range(1 + repeats):
            for each, pool in pools.items():
                if outcomes[each].note:
                    continue
                try:
                    outcomes[each].output, took = pool.submit(_forward).result()
                    outcomes[each].runs += [took] if turn else []
                except BrokenExecutor:
                    outcomes[each].note = "the process crashed"
    return [_row(each, model, size, outcomes) for each in contestants]


def _row(
    each: Rival, model: str, size: tuple[int, int], outcomes: dict[Rival, Outcome]
) -> dict[str, object]:
    outcome = outcomes[each]
    ours = {rival.precision: found for rival, found in outcomes.items() if _is_ours(rival)}
    walls, base = [run.wall for run in outcome.runs], ours[each.precision].runs
    processors = [run.processor for run in outcome.runs]
    median, processor = (_median(values) for values in (walls, processors))
    agreement = _agreement(outcome.output, ours["fp32"].output)
    other = "" if agreement >= SAME else "computes another image"
    return {
        "network": model,
        "size": f"{size[0]}x{size[1]}",
        "contestant": each.package,
        "version": version(each.package),
        "precision": each.precision,
        "threads": each.threads,
        "median_ms": 1e3 * median,
        "min_ms": 1e3 * min(walls, default=math.nan),
        "max_ms": 1e3 * max(walls, default=math.nan),
        "cpu_ms": 1e3 * processor,
        "ratio": median / _median([run.wall for run in base]),
        "cpu_ratio": processor / _median([run.processor for run in base]),
        "agreement_db": agreement,
        "runs": len(outcome.runs),
        "note": outcome.note or other,
    }


def _is_ours(rival: Rival) -> bool:
    return rival.package == "deblurlib"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def _agreement(output: np.ndarray | None, ours: np.ndarray | None) -> float:
    """PSNR in dB between two outputs; infinite for equal ones."""
    if output is None or ours is None:
        return math.nan
    error = float(np.square(output.clip(0, 1) - ours.clip(0, 1), dtype=np.float64).mean())
    return -10 * math.log10(error) if error else math.inf


def version(package: str) -> str:
    """Find the version of a distribution.

    Args:
        package: Its name.

    Returns:
        The version, with torch's for ours; empty if it is not installed.
    """
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
    return f"{found}, torch {torch.__version__}" if package == "deblurlib" else found


# --------------------------------------------------------------------------------------------------
# In the process of a contestant

_call: Call | None = None


def _enter(rival: Rival, model: str, size: tuple[int, int]) -> str:
    """Prepare the contestant of this process.

    Args:
        rival: Which one.
        model: Name of the network.
        size: Height and width of the image.

    Returns:
        Why it cannot run; empty if it can.
    """
    global _call
    torch.set_num_threads(rival.threads)
    network = load_model(model).eval()
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch's tracer
            _call = MAKERS[rival.package](network, _image(size), rival)
    except ImportError as error:
        return f"{error.name or rival.package} is not installed"
    except Exception as error:  # runtimes raise many types for a network that they cannot read
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return ""


def _forward() -> tuple[np.ndarray, Seconds]:
    """Run the contestant once; the output is (3, H, W) float32."""
    assert _call is not None, "_enter starts each process"
    outputs: list[np.ndarray] = []
    call = _call
    took = seconds(lambda: outputs.append(call()), "cpu")
    return np.array(outputs[0], np.float32).reshape(3, *outputs[0].shape[-2:]), took


def _image(size: tuple[int, int]) -> torch.Tensor:
    """The middle of a photograph, (1, 3, H, W) in [0, 1]."""
    photograph = load_photograph(list_photographs("test")[0])
    top, left = ((whole - part) // 2 for whole, part in zip(photograph.shape, size, strict=False))
    crop = photograph[top : top + size[0], left : left + size[1]]
    pixels = torch.from_numpy(crop.copy()).movedim(-1, 0)[None]
    return (pixels / 255).contiguous(memory_format=torch.channels_last)


def _ours(network: nn.Module, image: torch.Tensor, rival: Rival) -> Call:
    def call() -> np.ndarray:
        with predicting(network, rival.precision):
            output: np.ndarray = network(image).float().numpy()
        return output

    return call


def _onnxruntime(network: nn.Module, image: torch.Tensor, rival: Rival) -> Call:
    onnxruntime = import_module("onnxruntime")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = rival.threads
    # threads that wait in a loop would count as processor time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory() as folder:
        path = to_onnx(network, Path(folder) / "network.onnx", _size(image), native=True)
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    blurry = image.contiguous().numpy()
    return lambda: np.asarray(session.run(None, {"blurry": blurry})[0])


def _openvino(network: nn.Module, image: torch.Tensor, rival: Rival) -> Call:
    openvino = import_module("openvino")

    plain, blurry = _with_torchvision(network), image.contiguous().numpy()
    with torch.no_grad():
        traced = torch.jit.trace(plain, image.contiguous())
        graph = openvino.convert_model(traced, input=[tuple(image.shape)])
    settings = {
        "INFERENCE_NUM_THREADS": rival.threads,
        "INFERENCE_PRECISION_HINT": "f32" if rival.precision == "fp32" else "bf16",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(graph, "CPU", settings)
    return lambda: np.asarray(compiled([blurry])[0])


def _ncnn(network: nn.Module, image: torch.Tensor, rival: Rival) -> Call:
    ncnn, pnnx = import_module("ncnn"), import_module("pnnx")

    net = ncnn.Net()
    net.opt.num_threads = rival.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = rival.precision == "bf16"
    with tempfile.TemporaryDirectory() as folder:
        path, printed = str(Path(folder) / "network.pt"), io.StringIO()
        with torch.no_grad(), redirect_stdout(printed):
            pnnx.export(_with_torchvision(network), path, image.contiguous())
        net.load_param(str(Path(folder) / "network.ncnn.param"))
        net.load_model(str(Path(folder) / "network.ncnn.bin"))
    pixels = image[0].contiguous().numpy()  # in a variable, as ncnn.Mat does not keep it alive
    blurry = ncnn.Mat(pixels).clone()

    def call() -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("in0", blurry)
        return np.array(extractor.extract("out0")[1])

    return call


def _with_torchvision(network: nn.Module) -> nn.Module:
    """A copy with torchvision's deformable convolutions, which converters know as layers."""
    from torchvision.ops import DeformConv2d  # slow to import, so only comparisons import it

    plain = copy.deepcopy(network)
    for module in list(plain.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, ops.DeformConv2d):
                shape = layer.in_channels, layer.out_channels, layer.kernel_size
                window = layer.stride, layer.padding, layer.dilation, layer.groups
                other = DeformConv2d(*shape, *window, bias=layer.bias is not None)
                other.load_state_dict(layer.state_dict())
                setattr(module, name, other)
    return plain


def _size(image: torch.Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return height, width


MAKERS: dict[str, Callable[[nn.Module, torch.Tensor, Rival], Call]] = {
    "deblurlib": _ours,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "ncnn": _ncnn,
}
PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "deblurlib": ("fp32", "bf16"),
    "onnxruntime": ("fp32",),
    "openvino": ("fp32", "bf16"),
    "ncnn": ("fp32", "bf16"),
}
