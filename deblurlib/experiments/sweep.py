"""The grid: every training of some tables, on the cores of this machine or on a Dask cluster.

Each training is one task and one folder, idempotent by its hash: a finished one is reused, an interrupted one taken up at
its last checkpoint, so that a lost worker costs minutes and a second sweep nothing.
"""

import contextlib
import os
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from ..training import Experiment, fit
from .presets import get_preset
from .tables import TABLES, everything
from .tables import rows as rows_of


def sweep(
    tables=(),
    preset: str = "reference",
    *,
    folder: str | Path,
    scheduler: str | None = None,
    jobs: int | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool | None = None,
    **changes,
) -> pd.DataFrame:
    """Train all rows of the tables (default: of every table) for all seeds of a preset: one row a training, with its state.

    scheduler: address of a running Dask scheduler, such as "tcp://host:8786", whose workers see the same `folder` of runs;
    None starts `jobs` local processes (default: one a core). changes: fields of Experiment, such as real="…", real_share=1.0.
    Column "row" names it as TABLE:ROW, and is empty for what rows only start from. State is "trained", "reused" or "failed: …";
    nothing is raised for a training that fails.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise ImportError(
            'A sweep needs the package distributed: run `pip install "deblurlib[sweep]"`.'
        ) from None

    folder, preset = Path(folder), get_preset(preset)
    labels = {
        experiment.hash: f"{table}:{name}"
        for s in range(seed, seed + preset.seeds)
        for table in tables or TABLES
        for name, experiment in rows_of(table, preset, s, **changes).items()
    }
    local = {
        "n_workers": os.cpu_count() if jobs is None else jobs,
        "threads_per_worker": 1,
        "dashboard_address": None,
    }
    with (
        LocalCluster(**local)
        if scheduler is None
        else contextlib.nullcontext(scheduler) as cluster,
        Client(cluster) as client,
    ):
        tasks: dict[str, tuple] = {}
        for experiment in everything(preset, tables, seed, **changes):
            _submit(client, tasks, experiment, folder, device)
        rows, names = [], {future.key: experiment for experiment, future in tasks.values()}
        futures = as_completed([future for _, future in tasks.values()])
        for future in tqdm(
            futures,
            total=len(tasks),
            desc="sweep",
            disable=None if progress is None else not progress,
        ):
            experiment = names[future.key]
            error = future.exception()
            outcome = (
                {"state": f"failed: {error}", "seconds": float("nan")} if error else future.result()
            )
            row = {
                "row": labels.get(experiment.hash, ""),
                "model": experiment.model,
                "variant": experiment.variant,
            }
            rows.append(row | {"seed": experiment.seed, "hash": experiment.hash} | outcome)
    return pd.DataFrame(rows).sort_values(["model", "variant", "seed", "hash"], ignore_index=True)


def train(experiment: Experiment, folder: Path, device: str, *earlier) -> dict:
    """One task: `earlier` are the outcomes of trainings that it starts from."""
    run = fit(experiment, device=device, folder=folder, progress=False)
    return {"state": "reused" if run.cached else "trained", "seconds": run.seconds}


def _submit(client, tasks: dict, experiment: Experiment, folder: Path, device: str):
    """Hand in a training after those that it starts from; once."""
    if experiment.hash not in tasks:
        earlier = [
            _submit(client, tasks, run, folder, device)
            for run in (experiment.start, experiment.reblur)
            if run
        ]
        key = f"{experiment.model}-{experiment.variant}-{experiment.seed}-{experiment.hash}"
        priority = -experiment.seed  # all rows of the first seed come first
        future = client.submit(
            train, experiment, folder, device, *earlier, key=key, retries=2, priority=priority
        )
        tasks[experiment.hash] = experiment, future
    return tasks[experiment.hash][1]
