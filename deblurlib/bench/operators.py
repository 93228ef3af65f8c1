"""Times the operators against their peers: `deblurlib bench operators`.

Everything of one case runs in one process, in turns, so that a busy machine slows all alike; medians are compared.
Every timed call of up to ten seconds follows an untimed one of the same contestant, as in a network or a training: else
the first to need memory after another has given gigabytes back to the system would be charged for fetching it again.
"""

import contextlib
import ctypes
import gc
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from deblurlib import ops
from deblurlib.figures.style import COLOURS
from deblurlib.ops.deform_conv import output_size
from deblurlib.ops.spatial_rnn import DIRECTIONS, RESULT_ORDER
from deblurlib.results import save_table

SLOW = 0.5  # seconds; what takes longer is repeated three times only
LONG = 10.0  # seconds; what takes longer needs no untimed call before a timed one: fetching pages is nothing beside it


@dataclass
class Case:
    """One comparison; `contestants` maps a name to a function without arguments, ours first."""

    operator: str
    shape: str
    phase: str
    contestants: dict


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


PHASES = {"forward": forward_only, "forward+backward": forward_backward}


def with_backend(name, function):
    def call(*tensors):
        with ops.set_backend(name):
            return function(*tensors)

    return call


def column_loop(x, p):
    """The recurrence to the right as one would first write it."""
    h = torch.zeros_like(x)
    h[..., 0] = (1 - p[..., 0]) * x[..., 0]
    for k in range(1, x.shape[-1]):
        h[..., k] = (1 - p[..., k]) * x[..., k] + p[..., k] * h[..., k - 1]
    return h


def unbind_loop(x, p, direction="right"):
    """The same without indexing, which autograd would pay for at every step."""
    axis = 3 if direction in ("right", "left") else 2
    columns, weights = x.unbind(axis), p.unbind(axis)
    order = range(len(columns)) if direction in ("right", "down") else reversed(range(len(columns)))
    state, states = 0, [None] * len(columns)
    for k in order:
        state = states[k] = (1 - weights[k]) * columns[k] + weights[k] * state
    return torch.stack(states, axis)


def unbind_loop_4way(x, p):
    results = {
        way: unbind_loop(x, weights, way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    }
    return torch.cat([results[way] for way in RESULT_ORDER], 1)


def unfold_einsum(x, logits):
    patches = F.unfold(F.pad(x, [1] * 4, mode="reflect"), 3).view(*x.shape[:2], 9, *x.shape[2:])
    return torch.einsum("bckhw,bkhw->bchw", patches, logits.softmax(1))


def ours(function, backends):
    return {f"deblurlib ({name})": with_backend(name, function) for name in backends}


def deform(operator, padding):
    return lambda x, offset, weight, bias, mask: operator(
        x, offset, weight, bias, padding=padding, mask=mask
    )


def deform_cases(shapes, backends, device):
    import torchvision  # takes seconds, and nobody else here needs it

    for batch, channels, height, width, kernel in shapes:
        size = output_size((height, width), *[(n, n) for n in (kernel, 1, kernel // 2, 1)])
        x = torch.randn(batch, channels, height, width, device=device)
        offset = torch.randn(batch, 2 * kernel**2, *size, device=device)
        mask = torch.rand(batch, kernel**2, *size, device=device)
        weight, bias = (
            torch.randn(channels, channels, kernel, kernel, device=device),
            torch.randn(channels, device=device),
        )

        last = {"memory_format": torch.channels_last}
        plain = [x.to(**last), weight.to(**last), bias]
        for phase, wrap in PHASES.items():
            functions = {
                **ours(deform(ops.deform_conv2d, kernel // 2), backends),
                "torchvision": deform(torchvision.ops.deform_conv2d, kernel // 2),
            }
            contestants = {
                name: wrap(f, x, offset, weight, bias, mask) for name, f in functions.items()
            }
            like_conv2d = plain[0], offset, weight, bias, mask
            contestants["deblurlib, channels-last"] = wrap(
                deform(ops.deform_conv2d, kernel // 2), *like_conv2d
            )
            contestants["conv2d"] = wrap(
                lambda x, w, b, padding=kernel // 2: F.conv2d(x, w, b, padding=padding), *plain
            )
            yield Case(
                "deform_conv2d",
                f"{batch}x{channels}x{height}x{width} k{kernel}",
                phase,
                contestants,
            )


def rnn_cases(shapes, backends, device):
    for shape in shapes:
        x, label = torch.randn(shape, device=device), "x".join(map(str, shape))
        for scans, name in ((1, "spatial_rnn"), (4, "spatial_rnn_4way")):
            p = torch.rand(shape[0], scans * shape[1], *shape[2:], device=device) * 2 - 1
            fused = (
                ops.spatial_rnn_4way if scans == 4 else lambda x, p: ops.spatial_rnn(x, p, "right")
            )
            for phase, wrap in PHASES.items():
                functions = {
                    **ours(fused, backends),
                    "unbind loop": unbind_loop_4way if scans == 4 else unbind_loop,
                }
                if scans == 1 and phase == "forward":
                    functions["column loop"] = column_loop
                contestants = {name: wrap(function, x, p) for name, function in functions.items()}
                if phase == "forward":
                    out = torch.empty_like(p)
                    repeated = x.repeat(1, scans, 1, 1)
                    contestants["torch.add(out=)"] = lambda a=repeated, b=p, out=out: torch.add(
                        a, b, out=out
                    )
                yield Case(name, label, phase, contestants)


def filter_cases(shapes, backends, device):
    for batch, channels, height, width in shapes:
        x = torch.randn(batch, channels, height, width, device=device)
        logits = torch.randn(batch, 9, height, width, device=device)
        target = torch.empty(2 * x.numel() + logits.numel(), device=device)
        for phase, wrap in PHASES.items():
            functions = {**ours(ops.dynamic_filter, backends), "unfold+einsum": unfold_einsum}
            contestants = {name: wrap(function, x, logits) for name, function in functions.items()}
            half = target.numel() // 2  # a copy reads and writes, so half the bytes each way
            contestants["copy"] = lambda a=target[:half], b=target[half : 2 * half]: b.copy_(a)
            yield Case(
                "dynamic_filter", f"{batch}x{channels}x{height}x{width} k3", phase, contestants
            )


def torchvision_deform(input, offset, weight, bias, mask, stride, padding, dilation):
    """torchvision's operator with the arguments of ours."""
    import torchvision

    tensors = [
        None if tensor is None else tensor.float() for tensor in (input, offset, weight, bias, mask)
    ]  # it takes no bf16
    return torchvision.ops.deform_conv2d(*tensors[:4], stride, padding, dilation, tensors[4]).to(
        input.dtype
    )


class NoOperator(torch.autograd.Function):
    """Stands where a deformable convolution with as many outputs as inputs stood, and does nothing."""

    @staticmethod
    def forward(ctx, *arguments):
        ctx.arguments = arguments
        return arguments[0].detach()

    @staticmethod
    def backward(ctx, grad):
        tensors = [
            torch.zeros_like(each) if isinstance(each, torch.Tensor) else None
            for each in ctx.arguments[1:]
        ]
        return grad, *tensors


def with_deform(function, step):
    """The step with another operator in the place of our deformable convolution."""

    def call():
        home = sys.modules[
            "deblurlib.ops.deform_conv"
        ]  # the package shows functions under the same names
        with mock.patch.object(home, "_deform_conv2d", function):
            return step()

    return call


def training_cases(shapes, backends, device):
    """A whole step of training SVDN: with our operator, with torchvision's, and with none, which no operator can beat."""
    from ..data.samples import Sample

    for batch, size, width in shapes:
        pictures, flows = (
            torch.rand(2, batch, 3, size, size),
            8 * torch.randn(2, batch, 2, size, size),
        )
        sample = Sample(*pictures, flow_previous=flows[0], flow_next=flows[1]).to(device)
        contestants = {}
        for backend in backends:
            contestants |= ours(training_step(width, sample), [backend])
        for name, function in (
            ("torchvision", torchvision_deform),
            ("no operator", NoOperator.apply),
        ):
            contestants[name] = with_deform(function, training_step(width, sample))
        yield Case(
            "svdn training step",
            f"{batch}x3x{size}x{size} {width}",
            "forward+backward+Adam",
            contestants,
        )


def training_step(width, sample):
    """A function that takes a step of training SVDN on the sample and returns the gradients."""
    from ..training import Experiment, LossTerms, initial_model

    experiment = Experiment(size=width, position=1e-4)
    model = (
        initial_model(experiment)
        .to(sample.blurry.device, memory_format=torch.channels_last)
        .train()
    )
    for layer in (model.neck.ow1, model.neck.ow2[-1]):
        torch.nn.init.constant_(layer.bias, 0.3)  # points off the grid, as in a training
    optimizer, loss_terms = (
        torch.optim.Adam(model.parameters(), experiment.lr),
        LossTerms(experiment),
    )

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss, _ = loss_terms(model, sample)
        loss.backward()
        optimizer.step()
        return tuple(parameter.grad for parameter in model.parameters())

    return step


def cases(quick, backends, device):
    """Every comparison; the tensors of a case are made when it is reached."""
    if quick:
        yield from deform_cases([(1, 32, 48, 48, 3)], backends, device)
        yield from rnn_cases([(1, 8, 48, 48)], backends, device)
        yield from filter_cases([(1, 4, 64, 64)], backends, device)
        yield from training_cases([(1, 24, "small")], backends, device)
        return
    convolutions = [(1, c, h, w, 3) for c in (32, 64, 128) for h, w in ((360, 640), (180, 320))]
    yield from deform_cases(
        [*convolutions, (1, 32, 360, 640, 5), (4, 32, 48, 48, 5)], backends, device
    )
    yield from rnn_cases([(1, 32, 360, 640), (4, 32, 64, 64), (20, 32, 64, 64)], backends, device)
    yield from filter_cases([(1, 16, 720, 1280)], backends, device)
    yield from training_cases([(4, 96, "full"), (4, 96, "small")], backends, device)


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


def seconds(function, device):
    """Wall time and processor time of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter(), time.process_time()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(case, repeats, device):
    """One row for each contestant: medians of interleaved runs, and how many times ours goes into it."""
    gc.collect()
    first_times = {
        name: seconds(function, device)[0] for name, function in case.contestants.items()
    }
    slow, long = (
        {name for name, time in first_times.items() if time > limit} for limit in (SLOW, LONG)
    )
    memory = {
        name: statistics.median(
            extra_memory(function, device) for _ in range(1 if name in slow else 3)
        )
        for name, function in case.contestants.items()
    }
    times = {name: [] for name in case.contestants}
    for turn in range(repeats):
        for name, function in case.contestants.items():
            if turn < 3 or name not in slow:
                if name not in long:
                    function()
                times[name].append(seconds(function, device))
    walls = {name: [wall for wall, _ in runs] for name, runs in times.items()}
    processors = {
        name: statistics.median(processor for _, processor in runs) for name, runs in times.items()
    }
    first = next(iter(case.contestants))
    for name, runs in walls.items():
        yield {
            **{
                "operator": case.operator,
                "shape": case.shape,
                "pass": case.phase,
                "contestant": name,
            },
            **{
                "device": device,
                "threads": torch.get_num_threads(),
                "median_ms": 1e3 * statistics.median(runs),
            },
            **{
                "min_ms": 1e3 * min(runs),
                "max_ms": 1e3 * max(runs),
                "cpu_ms": 1e3 * processors[name],
            },
            "ratio": statistics.median(runs) / statistics.median(walls[first]),
            "cpu_ratio": processors[name] / max(processors[first], 1e-9),
            **{"extra_mb": memory[name], "runs": len(runs), "torch": torch.__version__},
        }


@contextlib.contextmanager
def thread_count(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    yield
    torch.set_num_threads(before)


def draw(table, path):
    """One line a shape and pass, one marker a peer: how many times our time goes into the peer's, on all threads."""
    table = table[
        (table.threads == table.threads.max()) & ~table.contestant.str.startswith("deblurlib")
    ]
    table = table.assign(line=table["shape"] + ", " + table["pass"])
    lines = {
        operator: list(dict.fromkeys(rows.line))
        for operator, rows in table.groupby("operator", sort=False)
    }
    figure = Figure(
        figsize=(8, 1.2 + 0.3 * sum(map(len, lines.values())) + 0.5 * len(lines)),
        layout="constrained",
    )
    panels = figure.subplots(
        len(lines),
        1,
        height_ratios=[len(names) + 1 for names in lines.values()],
        squeeze=False,
        sharex=True,
    )
    looks = list(
        zip(
            "osD^vP", (colour for name, colour in COLOURS.items() if name != "yellow"), strict=False
        )
    )
    for axis, (operator, names) in zip(panels[:, 0], lines.items(), strict=True):
        peers = table[table.operator == operator].groupby("contestant", sort=False)
        for (marker, colour), (peer, rows) in zip(looks, peers, strict=False):
            axis.plot(
                rows.ratio,
                [names.index(line) for line in rows.line],
                marker,
                color=colour,
                label=peer,
            )
        axis.set(yticks=range(len(names)), xscale="log", ylim=(len(names) - 0.4, -0.6))
        axis.set_yticklabels(names, fontsize=8)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(operator, fontsize=10, loc="left")
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    panels[-1, 0].xaxis.set_major_formatter("{x:g} x")
    panels[-1, 0].set_xlabel(
        "time of the peer / time of deblurlib (right of the line: deblurlib is faster)"
    )
    figure.savefig(path, dpi=100)


def run(results="results", quick=False, repeats=7, device="cpu", backends=None):
    """Measure every case, write `tables/operators.csv` and `figures/operators.png` under `results`, return the table.

    quick: one small shape an operator. backends: ours to compare, the first is the base of the ratios; by default
    ("auto",). On a CPU the cases of the largest shapes run with one thread too, in rows of their own.
    """
    results, rows = Path(results), []
    (results / "figures").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    counts = sorted({1, torch.get_num_threads()}) if device == "cpu" else [torch.get_num_threads()]
    for case in cases(quick, backends or ("auto",), device):
        for threads in counts:
            alone = (
                threads < counts[-1]
            )  # with one thread, only ours: the speed-up by threads is what matters
            contestants = dict(list(case.contestants.items())[:1]) if alone else case.contestants
            with thread_count(threads):
                rows += measure(
                    Case(case.operator, case.shape, case.phase, contestants), repeats, device
                )
        print(
            pd.DataFrame(rows[-len(case.contestants) :]).to_string(
                header=len(rows) < 9, index=False
            ),
            flush=True,
        )
        table = save_table(
            pd.DataFrame(rows),
            results / "tables" / "operators.csv",
            source="measured on this machine",
            device=device,
        )
    draw(table, results / "figures" / "operators.png")
    return table
