"""Trainings on the cores of this machine, without Dask: each process takes the next free one.

The locks of the runs are the only thing the processes share. Those of two sweeps, also on two
machines with one folder, therefore share the work as those of one do.
"""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..progress import Bar, progress_bar
from ..results import ROOT
from ..training import SHIPPED_RUNS, Experiment, fit
from ..training.interrupts import Signals
from ..training.locks import holder
from ..training.runs import completed_run, is_finished

NICENESS = 10
SECONDS_BETWEEN_LOOKS = 0.5
STARTS = 3  # of a process that is killed from outside
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    # glibc keeps freed memory instead of returning it in each step only to fetch it again in the
    # next, which takes 5 to 14 ms of a step; other libraries ignore this
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the processes of a sweep do.

    Attributes:
        order: The trainings, the most urgent first; each after those that it starts from.
        folder: Folder of all runs.
        device: "auto", or a device such as "cpu" or "cuda".
        deadline: Time, in seconds since the epoch, at which trainings are interrupted; None for
            none.
        options: Further options of `fit`.
    """

    order: Sequence[Experiment]
    folder: Path
    device: str
    deadline: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def is_due(self) -> bool:
        """Tell whether the time is used up.

        Returns:
            False without a deadline.
        """
        return self.deadline is not None and time.time() >= self.deadline

    def is_done(self, experiment: Experiment) -> bool:
        """Tell whether a training is finished, here or in the library.

        Args:
            experiment: The training.

        Returns:
            True if it need not be trained.
        """
        places = (self.folder, SHIPPED_RUNS)
        return any(is_finished(place / experiment.hash) for place in places)


def run_all(work: Work, jobs: int, progress: bool | None) -> dict[str, dict[str, Any]]:
    """Carry out all trainings in niced processes of one thread.

    Args:
        work: The trainings.
        jobs: Number of processes.
        progress: Whether to show a progress bar; None shows it in a terminal.

    Returns:
        state and seconds by hash: "trained", "reused", "failed: …" or, at the deadline, "left".

    Raises:
        KeyboardInterrupt: If a signal ended the sweep; the checkpoints are written.
    """
    outcomes = {e.hash: _reused(work, e) for e in work.order if work.is_done(e)}
    bar: Bar[None] = progress_bar(
        total=len(work.order), initial=len(outcomes), desc="sweep", unit="training", show=progress
    )
    with (
        tempfile.TemporaryFile("w+") as told,
        bar,
        Signals().noted() as signals,
    ):
        jobs = 0 if work.is_due() else min(jobs, len(work.order) - len(outcomes))
        _supervise(work, jobs, told, signals, bar)
        if signals.number is not None:
            raise signals.exception(
                "The sweep was interrupted: run it again to resume its trainings."
            )
        told.seek(0)
        for line in told:
            outcomes.update(json.loads(line))
    for experiment in work.order:
        if experiment.hash in outcomes:
            continue
        if work.is_done(experiment):  # by a process that was killed, or another sweep
            outcomes[experiment.hash] = _reused(work, experiment)
        else:
            state = "left" if work.is_due() else "failed: its process ended"
            outcomes[experiment.hash] = {"state": state, "seconds": float("nan")}
    return outcomes


def _reused(work: Work, experiment: Experiment) -> dict[str, Any]:
    """The outcome of a finished training, whose files are checked."""
    home = work.folder / experiment.hash
    try:
        if is_finished(home):
            completed_run(experiment, home)
    except ValueError as error:
        return {"state": f"failed: {error}", "seconds": float("nan")}
    return {"state": "reused", "seconds": 0.0}


def _supervise(work: Work, jobs: int, told: IO[str], signals: Signals, bar: Bar[None]) -> None:
    """Wait for the processes; one that is killed starts again, a signal ends all."""
    starts = [1] * jobs
    processes = [_start(work, told) for _ in starts]
    done = sum(map(work.is_done, work.order))
    try:
        while signals.number is None and any(process.poll() is None for process in processes):
            before, done = done, sum(map(work.is_done, work.order))
            bar.update(done - before)
            time.sleep(SECONDS_BETWEEN_LOOKS)
            for i, process in enumerate(processes):
                killed = (process.poll() or 0) < 0 and not work.is_due()
                if killed and starts[i] < STARTS and signals.number is None:
                    processes[i], starts[i] = _start(work, told), starts[i] + 1
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in processes:
            process.wait()


def _start(work: Work, told: IO[str]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # the parent is named: it may have died by the time that the imports are done
    code = f"from deblurlib.experiments.local import take; take({os.getpid()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=told,
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pickle.dump(work, pipe)
    return process


def take(parent: int) -> None:
    """Carry out trainings that are free until none is left: the main function of a process.

    It reads a pickled `Work` from stdin and writes each outcome as a line of JSON to stdout.

    Args:
        parent: Number of the process that started this one, which it does not outlive.
    """
    import torch

    work: Work = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(AttributeError, OSError):  # Windows has no niceness
        os.nice(NICENESS)
    torch.set_num_threads(1)
    threading.Thread(target=_watch, args=(work, parent), daemon=True).start()
    failed: set[str] = set()
    try:
        while not work.is_due():
            left = [e for e in work.order if e.hash not in failed and not work.is_done(e)]
            if not left:
                return
            chosen = next((e for e in left if _is_free(work, e, failed)), None)
            if chosen is None:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            else:
                _train(work, chosen, failed)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)


def _watch(work: Work, parent: int) -> None:
    """End this process, with a checkpoint, at the deadline and after its parent."""
    while os.getppid() == parent and not work.is_due():
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_free(work: Work, experiment: Experiment, failed: set[str]) -> bool:
    """Whether nobody trains it and what it starts from is finished, or has failed."""
    earlier = [e for e in (experiment.start, experiment.reblur) if e is not None]
    ready = all(e.hash in failed or work.is_done(e) for e in earlier)
    return ready and holder(work.folder / experiment.hash) is None


def _train(work: Work, experiment: Experiment, failed: set[str]) -> None:
    try:
        run = fit(
            experiment,
            device=work.device,
            folder=work.folder,
            progress=False,
            wait=False,
            **work.options,
        )
        outcome = {"state": "reused" if run.cached else "trained", "seconds": run.seconds}
    except BlockingIOError:  # another process was quicker: the next training is free
        return
    except Exception as error:
        failed.add(experiment.hash)
        outcome = {"state": f"failed: {error}", "seconds": float("nan")}
    sys.stdout.write(json.dumps({experiment.hash: outcome}) + "\n")
    sys.stdout.flush()
