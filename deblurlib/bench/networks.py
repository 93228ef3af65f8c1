"""Times whole networks on one image against plain PyTorch: `deblurlib bench networks`.

Each contestant runs in a separate process, whose memory is measured. Runs are interleaved, so that
other load on the machine slows all contestants alike; medians are compared.
"""

import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import papers
from ..models import count_macs, create_model
from ..results import save_table
from .clock import gemm_rate
from .contestants import Contestant, Entrant, Figures, forward, prepare, timed_networks

SIZE = (720, 1280)  # the image size of the papers' timings
TOLERANCE = 1e-4  # largest difference of two builds, relative to the largest value
ENOUGH = 60.0  # seconds after which a first run is the only one
SLOW = 5.0  # seconds from which three runs are enough
COLUMNS = (
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
    "in_operator",
    "extra_mb",
    "gmac",
    "gemm_gflops",
    "floor_ms",
    "difference",
    "printed_ms",
    "printed_on",
    "note",
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How a column is printed: its smallest width, and the digits after the point."""

    width: int = 0
    digits: int = 0


SHOWN = {
    "network": Shown(width=18),
    "contestant": Shown(),
    "median_ms": Shown(),
    "min_ms": Shown(width=8),
    "max_ms": Shown(width=8),
    "runs": Shown(),
    "ratio": Shown(width=6, digits=2),
    "in_operator": Shown(digits=2),
    "extra_mb": Shown(),
    "floor_ms": Shown(),
    "printed_ms": Shown(),
    "note": Shown(),
}


@dataclass
class Outcome:
    """Runs of one contestant: the last output, the measurements, and why it failed, if it did."""

    output: np.ndarray | None = None
    runs: list[Figures] = field(default_factory=list)
    note: str = ""


def run(
    results: str | Path,
    size: tuple[int, int] = SIZE,
    repeats: int = 5,
    networks: Sequence[Contestant] | None = None,
) -> pd.DataFrame:
    """Measure networks; write `tables/inference.csv` after each.

    Args:
        results: Folder that the table is written to.
        size: Height and width of the image.
        repeats: Runs of each contestant after a first one that warms it up; slow ones get fewer.
        networks: Our builds of the networks; None = those of `timed_networks`.

    Returns:
        The table, one row per contestant: median, smallest and largest time of interleaved runs,
        their number, the ratio to ours, the share of the time spent in the paper's operators (for
        SVRNN, its scans), and the peak of memory beyond the network and the image. Ours also have
        the largest relative difference of the two outputs, the time of their multiply-accumulates
        at this machine's rate for large matrix products, and the time and card that the paper
        prints.

    Raises:
        RuntimeError: If the outputs of two builds differ by more than `TOLERANCE`.
    """
    rows: list[pd.DataFrame] = []
    for network in timed_networks() if networks is None else networks:
        found = _measure(network, size, repeats)
        print(readable(found).to_string(index=False, header=not rows), flush=True)
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
    """Round the columns that matter and give them a constant width.

    Args:
        table: Rows of `run`.

    Returns:
        A table of text.
    """
    table = table.assign(network=table.network.str.cat([table.width, table.precision], sep=" "))
    return pd.DataFrame(
        {
            name: [
                _word(value, shown.digits).rjust(max(shown.width, len(name)))
                for value in table[name]
            ]
            for name, shown in SHOWN.items()
        }
    )


def _word(value: object, digits: int) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or pd.isna(value) else f"{value:.{digits}f}"


def _measure(ours: Contestant, size: tuple[int, int], repeats: int) -> pd.DataFrame:
    """One row for our build of a network and one for the plain build."""
    plain = replace(ours, plain=True)
    outcomes, rate = _race([ours, plain], size, repeats)
    rows = [_row(contestant, outcomes[contestant], size) for contestant in (ours, plain)]
    output, other = (outcomes[contestant].output for contestant in (ours, plain))
    if output is not None and other is not None:
        apart = float(np.abs(output - other).max() / np.abs(other).max())
        rows[0]["difference"] = apart
        if ours.precision == "fp32" and not apart <= TOLERANCE:
            raise RuntimeError(
                f"The plain build of {ours.model} computes a different image: "
                f"the largest relative difference is {apart:.2g}."
            )
    macs = count_macs(create_model(ours.model, ours.variant, size=ours.width), size)
    rows[0] |= {"gmac": macs / 1e9, "gemm_gflops": rate / 1e9, "floor_ms": 1e3 * 2 * macs / rate}
    if ours.width == "full" and size == SIZE:
        rows[0] |= _printed(ours.model)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return table.assign(ratio=table.median_ms / table.median_ms[0])


def _race(
    contestants: Sequence[Contestant], size: tuple[int, int], repeats: int
) -> tuple[dict[Contestant, Outcome], float]:
    """Run contestants in turns; also the best rate of matrix products in the meantime."""
    outcomes = {contestant: Outcome() for contestant in contestants}
    rates = []
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pools = {
            each: stack.enter_context(ProcessPoolExecutor(1, spawn, _enter, (each, size)))
            for each in contestants
        }
        for started in [pool.submit(int) for pool in pools.values()]:
            started.exception()  # both start at once, before any clock runs
        for turn in range(1 + repeats):
            rates.append(gemm_rate(contestants[0].precision))
            for contestant, pool in pools.items():
                outcome = outcomes[contestant]
                if outcome.note or (turn and not _again(outcome.runs, turn, repeats)):
                    continue
                try:
                    outcome.output, figures = pool.submit(_forward, turn == 0).result()
                    outcome.runs.append(figures)
                except (BrokenExecutor, RuntimeError, MemoryError) as error:
                    sentence = " ".join(str(error).split())[:80]
                    outcome.note = f"{type(error).__name__}: {sentence}"
    return outcomes, max(rates)


def _again(runs: Sequence[Figures], turn: int, repeats: int) -> bool:
    """Whether a contestant runs in this turn, by the time of its first run."""
    first = runs[0]["seconds"]
    return first < ENOUGH and turn <= (repeats if first < SLOW else min(repeats, 3))


def _row(contestant: Contestant, outcome: Outcome, size: tuple[int, int]) -> dict[str, object]:
    # the first run is a warm-up, unless it took so long that it is the only one
    timed = outcome.runs[1:] or outcome.runs
    times = [1e3 * figures["seconds"] for figures in timed] or [np.nan]
    shares = [figures["in_operator"] for figures in timed] or [np.nan]
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
        "in_operator": statistics.median(shares),
        "extra_mb": outcome.runs[0]["extra_mb"] if outcome.runs else np.nan,
        "note": outcome.note,
    }


def _printed(model: str) -> dict[str, object]:
    """The runtime that a paper prints, in milliseconds, and its card."""
    times = papers.runtimes().set_index("paper")
    if model not in times.index:
        return {}
    return {"printed_ms": times.ms[model], "printed_on": times.device[model]}


# the entrant of a contestant's process
_entrant: Entrant | None = None


def _enter(contestant: Contestant, size: tuple[int, int]) -> None:
    global _entrant
    _entrant = prepare(contestant, size)


def _forward(first: bool) -> tuple[np.ndarray, Figures]:
    assert _entrant is not None, "_enter starts each process"
    return forward(_entrant, memory=first)
