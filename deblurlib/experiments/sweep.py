"""The grid: every training of some tables, on this machine's cores or on a Dask cluster.

Each training is one task and one folder, identified by its hash: a finished one is reused and an
interrupted one resumes at its last checkpoint. A lost worker costs minutes, a second sweep nothing.
"""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..progress import progress_bar
from ..training import Experiment, fit
from .local import Work, run_all
from .presets import Preset, get_preset
from .tables import TABLES, everything
from .tables import rows as rows_of

if TYPE_CHECKING:
    from distributed import Client, Future


def sweep(  # noqa: PLR0913 - what, where and how long
    tables: Collection[str] | None = None,
    preset: str | Preset = "reference",
    *,
    folder: str | Path,
    scheduler: str | None = None,
    jobs: int | None = None,
    hours: float | None = None,
    checkpoints: Mapping[str, Any] | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool | None = None,
    **changes: Any,
) -> pd.DataFrame:
    """Train all rows of some tables for all seeds of a preset.

    A failed training raises no error; its state gives the reason.

    Args:
        tables: Keys of TABLES, the most urgent first; None or an empty sequence for all. All rows
            of the first seed come before those of the second.
        preset: Sets the size of the trainings and the number of seeds.
        folder: Folder of all runs, as in `fit`.
        scheduler: Address of a running Dask scheduler, such as "tcp://host:8786", whose workers
            see the same folder; None starts processes on this machine, which share the trainings
            with those of other sweeps in the same folder.
        jobs: Number of local processes of one thread; None for one per core.
        hours: Time after which no training starts and the current ones are interrupted with a
            checkpoint; None for no limit.
        checkpoints: checkpoint_every and checkpoint_seconds of `fit`, on this machine.
        device: "auto", or a device such as "cpu" or "cuda".
        seed: The first seed.
        progress: Whether to show a progress bar; None shows it in a terminal.
        **changes: Further fields of Experiment, such as real="…", real_share=1.0.

    Returns:
        One row per training. Column "row" is TABLE:ROW, and empty for trainings that rows only
        start from; "state" is "trained", "reused", "failed: …" or, if the
        time is used up, "left".

    Raises:
        ImportError: If `scheduler` is given and Dask is not installed.
        KeyboardInterrupt: If a signal ended the sweep; the checkpoints are written.
        ValueError: If the table or preset is unknown.
    """
    folder, preset = Path(folder), get_preset(preset)
    order = _in_order(everything(preset, tables, seed, **changes))
    labels = {
        experiment.hash: f"{table}:{name}"
        for s in range(seed, seed + preset.seeds)
        for table in tables or TABLES
        for name, experiment in rows_of(table, preset, s, **changes).items()
    }
    if scheduler is None:
        deadline = None if hours is None else time.time() + 3600 * hours
        work = Work(
            order=order,
            folder=folder,
            device=device,
            deadline=deadline,
            options=dict(checkpoints or {}),
        )
        cores = (os.cpu_count() or 1) if jobs is None else jobs
        outcomes = run_all(work, cores, progress)
    elif hours is not None:
        raise ValueError("hours limits trainings on this machine: leave it or scheduler out.")
    else:
        outcomes = _on_cluster(scheduler, order, folder, device, progress)
    rows = [
        {
            "row": labels.get(experiment.hash, ""),
            "model": experiment.model,
            "variant": experiment.variant,
            "seed": experiment.seed,
            "hash": experiment.hash,
            **outcomes[experiment.hash],
        }
        for experiment in order
    ]
    return pd.DataFrame(rows).sort_values(["model", "variant", "seed", "hash"], ignore_index=True)


def _in_order(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Each training once, after those that it starts from."""
    found: dict[Experiment, None] = {}
    for experiment in experiments:
        earlier = [e for e in (experiment.start, experiment.reblur) if e is not None]
        found |= dict.fromkeys([*_in_order(earlier), experiment])
    return list(found)


def _on_cluster(
    scheduler: str,
    order: Sequence[Experiment],
    folder: Path,
    device: str,
    progress: bool | None,
) -> dict[str, dict[str, Any]]:
    """State and seconds by hash, from the workers of a Dask scheduler."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ImportError(
            'A scheduler needs the package distributed: run `pip install "deblurlib[sweep]"`.'
        ) from None
    outcomes = {}
    with Client(scheduler) as client:
        tasks: dict[str, tuple[Experiment, Future]] = {}
        for experiment in order:
            _submit(client, tasks, experiment, folder, device)
        names = {future.key: experiment.hash for experiment, future in tasks.values()}
        futures = as_completed([future for _, future in tasks.values()])
        bar = progress_bar(futures, total=len(tasks), desc="sweep", unit="training", show=progress)
        for future in bar:
            error = future.exception()
            outcomes[names[future.key]] = (
                {"state": f"failed: {error}", "seconds": float("nan")} if error else future.result()
            )
    return outcomes


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
