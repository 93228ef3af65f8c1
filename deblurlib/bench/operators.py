"""Times the operators against their peers: `deblurlib bench operators`."""

from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.nn import functional as F

from .. import ops
from ..figures.style import COLOURS
from ..ops.deform_conv import output_size
from ..results import save_table
from .cases import PHASES, Case, measure, ours
from .clock import thread_count
from .peers import column_loop, unbind_loop, unbind_loop_4way, unfold_einsum
from .training import training_cases


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
