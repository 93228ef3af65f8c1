"""Times whole networks on one picture against the same networks built of plain PyTorch: `deblurlib bench networks`.

Each contestant lives in a process of its own, so that its memory is its own; their runs are interleaved, so that a busy machine
slows all alike, and medians are compared.
"""

import contextlib
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch

from .. import papers
from ..models import count_macs, create_model, list_models, load_model, spec_of
from ..results import save_table
from .clock import extra_memory, gemm_rate
from .peers import torchvision_deform, unbind_loop, unbind_loop_4way, unfold_einsum

SIZE = (720, 1280)  # what the papers time
TOLERANCE = 1e-4  # by which two builds of a network may differ, relative to the largest value
ENOUGH = 60.0  # seconds after which a first run is the only one
DEFAULT = "svdn"  # the network of `deblurlib.deblur`
SLOW = 5.0  # seconds from which three runs are enough


@dataclass(frozen=True)
class Contestant:
    """One build of one network: ours, or with the operators that plain PyTorch has in their place."""

    model: str
    variant: str
    width: str  # "full" or "small"
    precision: str = "fp32"  # or "bf16", by autocast
    plain: bool = False


COLUMNS = [
    "network",
    "width",
    "precision",
    "contestant",
    "size",
    "threads",
    "median_ms",
    "min_ms",
    "max_ms",
    "runs",
    "ratio",
]
COLUMNS += [
    "in_operator",
    "extra_mb",
    "gmac",
    "gemm_gflops",
    "floor_ms",
    "difference",
    "printed_ms",
    "printed_on",
    "note",
]


def timed_networks() -> list[tuple[str, str, str, str]]:
    """What is timed, as (network, variant, width, precision): the default network first, then small widths before full ones."""
    timed = [
        (name, timing.variant, timing.width, timing.precision)
        for name in list_models()
        for timing in spec_of(name).benchmark
    ]
    return sorted(timed, key=lambda each: (each[0] != DEFAULT, each[2] == "full"))


def run(results="results", size=SIZE, repeats=5, networks=None) -> pd.DataFrame:
    """Measure every network, write `tables/inference.csv` under `results` after each, return the table.

    One row a contestant: medians of interleaved runs in milliseconds with the smallest and the largest, how many runs, the
    ratio to ours, the share of the time that is spent in the paper's operator (for SVRNN, its scans), the peak of memory beyond
    the network and the picture; for ours also the largest relative difference between both results, the time that its
    multiply-accumulates take at this machine's rate for large matrix products, and what the paper printed, on its card.
    Raises RuntimeError where the two builds differ by more than TOLERANCE.
    """
    rows = []
    for number, network in enumerate(timed_networks() if networks is None else networks):
        found = pd.DataFrame(_measure(network, tuple(size), repeats))
        print(readable(found).to_string(index=False, header=number == 0), flush=True)
        rows.append(found)
        table = save_table(
            pd.concat(rows, ignore_index=True),
            Path(results) / "tables" / "inference.csv",
            source="measured on this machine",
            device="cpu",
            threads=torch.get_num_threads(),
            data=f"one picture of {size[1]} x {size[0]}",
        )
    return table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The columns to look at, rounded, of equal width whatever the rows."""
    shown = table.assign(network=table.network.str.cat([table.width, table.precision], sep=" "))
    columns = {
        "network": 18,
        "contestant": 0,
        "median_ms": 0,
        "min_ms": 8,
        "max_ms": 8,
        "runs": 0,
        "ratio": 6,
        "in_operator": 0,
    }
    columns |= {
        "extra_mb": 0,
        "floor_ms": 0,
        "printed_ms": 0,
        "note": 0,
    }  # their widths, the name's own at least
    digits = {"ratio": 2, "in_operator": 2}
    return pd.DataFrame(
        {
            name: [
                _word(value, digits.get(name, 0)).rjust(max(width, len(name)))
                for value in shown[name]
            ]
            for name, width in columns.items()
        }
    )


def _word(value, digits) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def _measure(network, size, repeats) -> list[dict]:
    """Rows for ours and for the plain build of a network."""
    ours, plain = contestants = [Contestant(*network, plain=plain) for plain in (False, True)]
    outputs, runs, notes, rate = _race(contestants, size, repeats)
    rows = [_row(each, runs[each], notes[each], size) for each in contestants]
    if len(outputs) == 2:
        apart = rows[0]["difference"] = float(
            np.abs(outputs[ours] - outputs[plain]).max() / np.abs(outputs[plain]).max()
        )
        if ours.precision == "fp32" and not apart <= TOLERANCE:
            raise RuntimeError(
                f"The plain build of {ours.model} gives another picture: the largest difference is {apart:.2g}."
            )
    macs = count_macs(create_model(ours.model, ours.variant, size=ours.width), size)
    rows[0] |= {"gmac": macs / 1e9, "gemm_gflops": rate / 1e9, "floor_ms": 1e3 * 2 * macs / rate}
    if ours.width == "full" and size == SIZE:
        rows[0] |= _printed(ours.model)
    for row in rows:
        row["ratio"] = row["median_ms"] / rows[0]["median_ms"]
    return pd.DataFrame(rows).reindex(columns=COLUMNS).to_dict("records")


def _race(contestants, size, repeats) -> tuple[dict, dict, dict, float]:
    """By contestant: its output, its runs, taken in turns, and why it failed; and the best rate of matrix products meanwhile."""
    outputs, runs, notes, rates = (
        {},
        {each: [] for each in contestants},
        dict.fromkeys(contestants, ""),
        [],
    )
    with contextlib.ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pools = {
            each: stack.enter_context(ProcessPoolExecutor(1, spawn, _build, (each, size)))
            for each in contestants
        }
        for started in [pool.submit(int) for pool in pools.values()]:
            started.exception()  # both at once, and before any clock runs
        for turn in range(1 + repeats):
            rates.append(gemm_rate(contestants[0].precision))
            for each, pool in pools.items():
                if notes[each] or turn and not _again(runs[each], turn, repeats):
                    continue
                try:
                    outputs[each], figures = pool.submit(_forward, turn == 0).result()
                    runs[each].append(figures)
                except (BrokenExecutor, RuntimeError, MemoryError) as error:
                    notes[each] = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
    return outputs, runs, notes, max(rates)


def _again(runs, turn, repeats) -> bool:
    """Whether a contestant runs in this turn, by how long its first run took."""
    first = runs[0]["seconds"]
    return first < ENOUGH and turn <= (repeats if first < SLOW else min(repeats, 3))


def _row(contestant, runs, note, size) -> dict:
    timed = (
        runs[1:] or runs
    )  # the first is to warm up, unless it was long enough to be the only one
    times = [1e3 * figures["seconds"] for figures in timed] or [np.nan]
    return {
        "network": contestant.model,
        "width": contestant.width,
        "precision": contestant.precision,
        "contestant": "plain" if contestant.plain else "deblurlib",
        "size": f"{size[0]}x{size[1]}",
        "threads": torch.get_num_threads(),
        "median_ms": statistics.median(times),
        "min_ms": min(times),
        "max_ms": max(times),
        "runs": len(timed),
        "note": note,
        "in_operator": statistics.median(figures["in_operator"] for figures in timed)
        if timed
        else np.nan,
        "extra_mb": runs[0]["extra_mb"] if runs else np.nan,
    }


def _printed(model) -> dict:
    """The printed runtime of a network in milliseconds, and the card."""
    times = papers.runtimes().set_index("paper")
    return (
        {"printed_ms": times.ms[model], "printed_on": times.device[model]}
        if model in times.index
        else {}
    )


# ---------------------------------------------------------------------------------------------------------------------
# In the process of a contestant


def _build(contestant: Contestant, size: tuple[int, int]) -> None:
    """Make the network, with shipped weights where there are any, and the picture; they live as long as the process."""
    global _ready
    if contestant.plain:
        import_module(
            "torchvision"
        )  # here, since it takes seconds and memory that are not the network's
    torch.manual_seed(0)
    try:
        network = load_model(contestant.model, size=contestant.width)
    except FileNotFoundError:
        network = create_model(contestant.model, contestant.variant, size=contestant.width).eval()
    picture = torch.rand(1, 3, *size).contiguous(
        memory_format=torch.channels_last
    )  # as `deblur` gives it
    _ready = contestant, network, [picture] * getattr(network, "pictures", 1)


def _forward(first: bool) -> tuple[np.ndarray, dict]:
    """One run: the output, its seconds, the share of them spent in the paper's operators, and in the first the most memory."""
    contestant, network, pictures = _ready
    outputs, figures = [], {}

    def call():
        began = time.perf_counter()
        outputs.append(network(*pictures))
        figures["seconds"] = time.perf_counter() - began

    autocast = torch.autocast("cpu", torch.bfloat16, enabled=contestant.precision == "bf16")
    with operators(contestant.plain) as spent, torch.inference_mode(), autocast:
        if first:
            figures["extra_mb"] = extra_memory(call, "cpu")
        else:
            call()
    return outputs[0].float().numpy(), figures | {"in_operator": sum(spent) / figures["seconds"]}


@contextlib.contextmanager
def operators(plain: bool) -> Iterator[list[float]]:
    """Within it, the operators of the networks note their seconds in the list, and are plain PyTorch's if `plain`."""
    spent = []

    def timed(function):
        def call(*arguments):
            began = time.perf_counter()
            output = function(*arguments)
            spent.append(time.perf_counter() - began)
            return output

        return call

    with contextlib.ExitStack() as stack:
        for module, (name, other) in PLAIN.items():
            home = sys.modules[
                f"deblurlib.ops.{module}"
            ]  # the package shows functions under the same names
            stack.enter_context(
                mock.patch.object(home, name, timed(other if plain else getattr(home, name)))
            )
        yield spent


def _loop(x, p, direction):
    return unbind_loop_4way(x, p) if direction == "all" else unbind_loop(x, p, direction)


def _unfold(x, logits, kernel_size):
    assert kernel_size == 3
    return unfold_einsum(x, logits)


# module of the operator -> its one entry, and what stands there in a network of plain PyTorch
PLAIN = {
    "deform_conv": ("_deform_conv2d", torchvision_deform),
    "spatial_rnn": ("_spatial_rnn", _loop),
    "dynamic_filter": ("_dynamic_filter", _unfold),
}
