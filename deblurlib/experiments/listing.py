"""The trainings in a folder: which they are, how far they are, and what they have cost."""

from pathlib import Path
from typing import Any

import pandas as pd

from ..training.locks import holder
from ..training.logs import read_log
from ..training.runs import read_record, state_of
from .presets import PRESETS
from .tables import TABLES, rows

COLUMNS = (
    "row",
    "model",
    "variant",
    "size",
    "seed",
    "done",
    "steps",
    "gain",
    "cpu_hours",
    "state",
    "hash",
)


def list_runs(folder: str | Path) -> pd.DataFrame:
    """List all trainings in a folder.

    Args:
        folder: Folder of all runs, as in `fit`; it need not exist.

    Returns:
        One line per run, sorted by network, variant and seed. "row" is TABLE:ROW of a preset's
        table, "gain" the last measured PSNR of the validation scenes minus that of their blurry
        images in dB, "cpu_hours" processor time, and "state" one of "finished",
        "running (process N on H)", "interrupted at step N" and "damaged".
    """
    homes = [home for home in Path(folder).glob("[!.]*") if home.is_dir()]
    labels = _labels() if homes else {}
    table = pd.DataFrame(
        [{**_line(home), "row": labels.get(home.name, "")} for home in homes], columns=COLUMNS
    )
    return table.sort_values(["model", "variant", "size", "seed", "hash"], ignore_index=True)


def _line(home: Path) -> dict[str, Any]:
    state, facts = state_of(home)
    line: dict[str, Any] = {"hash": home.name, "model": "", "variant": "", "size": "", "seed": -1}
    try:
        described = read_record(home)["experiment"]
    except ValueError:
        return {**line, "state": "damaged"}
    line |= {name: described[name] for name in ("model", "variant", "size", "seed", "steps")}
    try:
        log = read_log(home)
    except OSError:
        log, state = [], "damaged"
    line["done"] = facts.get("steps", 0)
    measured = [row for row in log if "validation_blurry" in row]
    if measured:
        line["gain"] = measured[-1]["validation"] - measured[-1]["validation_blurry"]
    if "cpu_seconds" in facts:
        line["cpu_hours"] = facts["cpu_seconds"] / 3600
    trainer = holder(home)
    if trainer is not None:
        line["done"] = max([line["done"], *(row["step"] for row in log)])
        return {**line, "state": f"running ({trainer})"}
    at = f" at step {line['done']}" if state == "interrupted" else ""
    return {**line, "state": state + at}


def _labels() -> dict[str, str]:
    """TABLE:ROW by hash, for all presets and their seeds."""
    found: dict[str, str] = {}
    for preset in PRESETS.values():
        for seed in range(preset.seeds):
            for table in TABLES:
                try:
                    made = rows(table, preset, seed)
                except ValueError:  # no schedule of this network is printed
                    continue
                for name, experiment in made.items():
                    found.setdefault(experiment.hash, f"{table}:{name}")
    return found
