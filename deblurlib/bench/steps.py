"""Training steps of SVDN against another commit of the library: `deblurlib bench training`."""

import statistics
from pathlib import Path

import pandas as pd

from ..results import save_table
from .checkouts import OURS, PEER, Worker, peer_origin, workers

WORKER = Path(__file__).with_name("step_worker.py")
SHAPES = {"full": 96, "small": 64}  # width of the network -> side of the crops in pixels
PRECISIONS = ("fp32", "bf16")


def run(
    results: Path, repeats: int = 7, against: Path | None = None, quick: bool = False
) -> pd.DataFrame:
    """Time training steps, interleaved with those of another commit, and divide them into parts.

    Args:
        results: Folder that tables/training_steps.csv and tables/training_parts.csv are written to.
        repeats: Timed steps per row.
        against: A checkout of another commit; None times this one alone.
        quick: Time the small network only.

    Returns:
        One row per library, network and precision: median, least and largest processor time in ms,
        and the ratio of the other commit's median in fp32 and in the same precision to it.

    Raises:
        ValueError: If there is no library in the other checkout.
    """
    sizes = ["small"] if quick else list(SHAPES)
    with workers(WORKER, against) as started:
        table = _times(started, sizes, repeats)
        parts = _parts(started, sizes[0])
    print(table.to_string(index=False), parts.to_string(index=False), sep="\n\n", flush=True)
    origin = {"source": "measured on this machine", "threads": 1, **peer_origin(against)}
    save_table(parts, results / "tables" / "training_parts.csv", **origin)
    return save_table(table, results / "tables" / "training_steps.csv", **origin)


def _times(workers: dict[str, Worker], sizes: list[str], repeats: int) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for size in sizes:
        entrants = [(name, precision) for name in workers for precision in PRECISIONS]
        times: dict[tuple[str, str], list[float]] = {entrant: [] for entrant in entrants}
        for _ in range(repeats):
            for name, precision in entrants:
                times[name, precision].append(
                    1e3 * workers[name].ask("step", size, SHAPES[size], precision)
                )
        medians = {entrant: statistics.median(runs) for entrant, runs in times.items()}
        base = PEER if PEER in workers else OURS
        for (name, precision), runs in times.items():
            own = medians[name, precision]
            rows.append(
                {
                    "network": f"SVDN {size}, 4x3x{SHAPES[size]}x{SHAPES[size]}, with guidance",
                    "library": name,
                    "precision": precision,
                    "median_ms": own,
                    "min_ms": min(runs),
                    "max_ms": max(runs),
                    "speed_up_over_fp32": medians[base, "fp32"] / own,
                    "speed_up": medians[base, precision] / own,
                    "runs": repeats,
                }
            )
    return pd.DataFrame(rows)


def _parts(workers: dict[str, Worker], size: str) -> pd.DataFrame:
    """Milliseconds and share of each part of a step, the longest first."""
    found = {
        f"{name} {precision}": worker.ask("parts", size, SHAPES[size], precision)
        for name, worker in workers.items()
        for precision in PRECISIONS
    }
    table = pd.DataFrame(found).fillna(0.0)
    table = table.sort_values(table.columns[0], ascending=False)
    shares = (100 * table / table.sum()).add_suffix(", %")
    joined = pd.concat([table.add_suffix(", ms"), shares], axis=1).round(1)
    return joined.rename_axis("part").reset_index()
