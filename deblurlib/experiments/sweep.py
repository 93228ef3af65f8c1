"""The grid: every training of some tables, on this machine's cores or on a Dask cluster.

Each training is one task and one folder, identified by its hash: a finished one is reused and an
interrupted one resumes at its last checkpoint. A lost worker costs minutes, a second sweep nothing.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm.auto import tqdm

from ..training import Experiment, fit
from .presets import Preset, get_preset
from .tables import TABLES, everything
from .tables import rows as rows_of

if TYPE_CHECKING:
    from distributed import Client, Future


def sweep(
    tables: Collection[str] | None = None,
    preset: str | Preset = "reference",
    *,
    folder: str | Path,
    scheduler: str | None = None,
    jobs: int | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool | None = None,
    **changes: Any,
) -> pd.DataFrame:
    """Train all rows of some tables for all seeds of a preset.

    A failed training raises no error; its state gives the reason.

    Args:
        tables: Keys of TABLES; None or an empty sequence for all.
        preset: Sets the size of the trainings and the number of seeds.
        folder: Folder of all runs, as in `fit`.
        scheduler: Address of a running Dask scheduler, such as "tcp://host:8786", whose workers
            see the same folder; None starts local processes.
        jobs: Number of local processes; None for one per core.
        device: "auto", or a device such as "cpu" or "cuda".
        seed: The first seed.
        progress: Whether to show a progress bar; None shows it in a terminal.
        **changes: Further fields of Experiment, such as real="…", real_share=1.0.

    Returns:
        One row per training. Column "row" is TABLE:ROW, and empty for trainings that rows only
        start from; "state" is "trained", "reused" or "failed: …".

    Raises:
        ImportError: If Dask is not installed.
        ValueError: If the table or preset is unknown.
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
        tasks: dict[str, tuple[Experiment, Future]] = {}
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


def train(
    experiment: Experiment, folder: Path, device: str, *earlier: dict[str, Any]
) -> dict[str, Any]:
    """Carry out one task of the grid.

    Args:
        experiment: The training.
        folder: Folder of all runs.
        device: "auto", or a device such as "cpu" or "cuda".
        *earlier: Outcomes of the trainings that it starts from; they make Dask wait for them.

    Returns:
        The state, "trained" or "reused", and the seconds of the training.
    """
    run = fit(experiment, device=device, folder=folder, progress=False)
    return {"state": "reused" if run.cached else "trained", "seconds": run.seconds}


def _submit(
    client: "Client",
    tasks: dict[str, tuple[Experiment, "Future"]],
    experiment: Experiment,
    folder: Path,
    device: str,
) -> "Future":
    """Submit a training after those that it starts from, once."""
    if experiment.hash not in tasks:
        earlier = [
            _submit(client, tasks, run, folder, device)
            for run in (experiment.start, experiment.reblur)
            if run is not None
        ]
        future = client.submit(
            train,
            experiment,
            folder,
            device,
            *earlier,
            key=f"{experiment.model}-{experiment.variant}-{experiment.seed}-{experiment.hash}",
            retries=2,
            priority=-experiment.seed,  # all rows of the first seed come first
        )
        tasks[experiment.hash] = experiment, future
    return tasks[experiment.hash][1]
