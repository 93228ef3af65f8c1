"""Training steps of SVDN against another commit of the library: `deblurlib bench training`."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from ..results import ROOT, save_table

WORKER = Path(__file__).with_name("step_worker.py")
SHAPES = {"full": 96, "small": 64}  # width of the network -> side of the crops in pixels
PRECISIONS = ("fp32", "bf16")


class Worker:
    """A process that takes training steps with one checkout of the library, on one thread.

    Args:
        folder: The checkout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, command: str, size: str, precision: str) -> Any:
        """Give a command.

        Args:
            command: "step" or "parts".
            size: Width of the network, "small" or "full".
            precision: "fp32" or "bf16".

        Returns:
            The answer of the process.

        Raises:
            RuntimeError: If the process has failed.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        print(command, size, SHAPES[size], precision, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"{WORKER.name} failed with the library in {self.folder}: "
                "run it with PYTHONPATH set to that folder to see why."
            )
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


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
    folders = {"deblurlib": ROOT}
    if against is not None:
        if not (against / "deblurlib").is_dir():
            raise ValueError(f"{against} has no folder deblurlib: give a checkout of this project.")
        folders["peer"] = against.resolve()
    sizes = ["small"] if quick else list(SHAPES)
    workers = {name: Worker(folder) for name, folder in folders.items()}
    try:
        table = _times(workers, sizes, repeats)
        parts = _parts(workers, sizes[0])
    finally:
        for worker in workers.values():
            worker.close()
    print(table.to_string(index=False), parts.to_string(index=False), sep="\n\n", flush=True)
    save_table(parts, results / "tables" / "training_parts.csv", source="measured on this machine")
    return save_table(
        table, results / "tables" / "training_steps.csv", source="measured on this machine"
    )


def _times(workers: dict[str, Worker], sizes: list[str], repeats: int) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for size in sizes:
        entrants = [(name, precision) for name in workers for precision in PRECISIONS]
        times: dict[tuple[str, str], list[float]] = {entrant: [] for entrant in entrants}
        for _ in range(repeats):
            for name, precision in entrants:
                times[name, precision].append(1e3 * workers[name].ask("step", size, precision))
        medians = {entrant: statistics.median(runs) for entrant, runs in times.items()}
        base = "peer" if "peer" in workers else "deblurlib"
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
        f"{name} {precision}": worker.ask("parts", size, precision)
        for name, worker in workers.items()
        for precision in PRECISIONS
    }
    table = pd.DataFrame(found).fillna(0.0)
    table = table.sort_values(table.columns[0], ascending=False)
    shares = (100 * table / table.sum()).add_suffix(", %")
    joined = pd.concat([table.add_suffix(", ms"), shares], axis=1).round(1)
    return joined.rename_axis("part").reset_index()
