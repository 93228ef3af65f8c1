"""`deblur()` of one picture, against another commit of the library: `deblurlib bench pictures`."""

import statistics
from collections.abc import Collection
from itertools import product
from pathlib import Path

import pandas as pd

from ..results import save_table
from .checkouts import OURS, PEER, peer_origin, workers

WORKER = Path(__file__).with_name("picture_worker.py")
NETWORKS = ("svdn", "svrnn", "aspdc", "radn")
PRECISIONS = ("fp32", "bf16")
WARM_UP = "96x160"


def run(
    results: Path,
    size: tuple[int, int] = (720, 1280),
    repeats: int = 3,
    against: Path | None = None,
    *,
    width: str = "full",
    networks: Collection[str] = NETWORKS,
) -> pd.DataFrame:
    """Time `deblur` on one thread, in turns with that of another commit.

    Args:
        results: Folder that tables/picture_times.csv is written to, after each network.
        size: Height and width of the picture.
        repeats: Timed runs per row, after one of a small picture.
        against: A checkout of another commit; None times this one alone.
        width: Width of the networks, "small" or "full".
        networks: Their names.

    Returns:
        One row per network, library and precision that the library can choose: median, least and
        largest processor time in ms, and the ratio of the other commit's fp32 median to it.

    Raises:
        ValueError: If there is no library in the other checkout.
    """
    rows: list[dict[str, object]] = []
    shape = f"{size[0]}x{size[1]}"
    with workers(WORKER, against) as started:
        for network in networks:
            times: dict[tuple[str, str], list[float]] = {}
            for turn, name, precision in product(range(1 + repeats), started, PRECISIONS):
                asked = shape if turn else WARM_UP
                seconds = started[name].ask(network, width, asked, precision)
                if seconds is not None and turn:
                    times.setdefault((name, precision), []).append(1e3 * seconds)
            medians = {entrant: statistics.median(runs) for entrant, runs in times.items()}
            base = medians[PEER if PEER in started else OURS, "fp32"]
            rows += [
                {
                    "network": f"{network} {width}",
                    "image_size": shape,
                    "library": name,
                    "precision": precision,
                    "median_ms": medians[name, precision],
                    "min_ms": min(runs),
                    "max_ms": max(runs),
                    "speed_up_over_fp32": base / medians[name, precision],
                    "runs": len(runs),
                }
                for (name, precision), runs in times.items()
            ]
            table = save_table(
                pd.DataFrame(rows),
                results / "tables" / "picture_times.csv",
                source="measured on this machine",
                threads=1,
                **peer_origin(against),
            )
    print(table.to_string(index=False), flush=True)
    return table
