"""Regenerating results/: every notebook through papermill, then a manifest and a report.

Each notebook runs in a separate process, in parallel unless it reads another notebook's records. A
notebook is not run again while its source, the library, its parameters and data are unchanged and
its outputs are intact. A failing notebook does not stop the others.
"""

import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from rich.console import Console
from rich.markup import escape

from ..experiments.presets import Preset, get_preset
from ..results import book_folder, data_folder, results_folder, whole_seed
from ..storage import locked
from ..wording import counted
from .display import Display
from .extra import require
from .manifest import Entry, Manifest
from .names import READS, left_alone
from .notebooks import cores, default_jobs, find_notebooks, read_notebook
from .report import write_report
from .task import Task, remove_unfinished

SECONDS_TO_DIE = 10  # how long an interrupted notebook may take before it is killed
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Summary:
    """The summary of a run.

    Attributes:
        table: One row per notebook: notebook, state (done, cached or failed), minutes, tables,
            figures, error.
        report: The page to open in a browser.
    """

    table: pd.DataFrame
    report: Path

    @property
    def exit_code(self) -> int:
        """0 if every notebook is done or cached, otherwise 1."""
        return int(not self.table.state.isin(["done", "cached"]).all())


def run(  # noqa: PLR0913 - the options of one command, all of them optional
    preset: str | Preset = "quick",
    data: str | Path | None = None,
    variant: str | None = None,
    notebooks: str | Path | Iterable[str | Path] | None = None,
    jobs: int | None = None,
    results: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
) -> Summary:
    """Run notebooks through papermill and regenerate their tables, figures, manifest and report.

    Args:
        preset: Amount of work, such as "smoke" or "quick"; see `experiments.PRESETS`.
        data: Root of a real data set; None for the bundled scenes.
        variant: "blur" or "blur_gamma" where the data set has both.
        notebooks: A folder, or numbers, names or paths ("01 04" or a list); None for all.
        jobs: How many notebooks run at the same time; None for a number that suits the cores.
        results: Folder for all outputs; None for `results.book_folder(…)`.
        seed: Seed of all random numbers, 0 to 2**32 - 1.
        device: "auto", "cpu", "cuda" or "mps".
        force: Whether notebooks that are up to date run again.

    Returns:
        A summary with one row per notebook.

    Raises:
        FileNotFoundError: If the data folder or a notebook does not exist.
        ValueError: If the preset is unknown, or seed or jobs is out of range.
        ModuleNotFoundError: If papermill is not installed.
        BlockingIOError: If another process is regenerating the same folder.
    """
    require("papermill")
    preset = get_preset(preset).name
    parameters = {
        "preset": preset,
        "data": str(data_folder(data) or ""),
        "variant": variant or "",
        "seed": whole_seed(seed),
        "device": device,
        "results": str(results_folder(results)) if results else "",  # "" = beside other presets
    }
    paths = find_notebooks(notebooks)
    folder = book_folder(preset, data_folder(data), variant, results)
    if jobs is not None and jobs < 1:
        raise ValueError(
            f"jobs is {jobs}: give the number of notebooks that run at a time, 1 or more."
        )
    # numbers depend on the threads, so these do not depend on how many notebooks are chosen
    book = find_notebooks(paths[0].parent)
    threads = max(cores() // (jobs or default_jobs(preset, len(book))), 1)
    jobs = jobs or default_jobs(preset, len(paths))
    with locked(folder, "--results"):
        return _run(paths, folder, parameters, jobs, threads, force)


def _run(
    paths: list[Path],
    folder: Path,
    parameters: dict[str, Any],
    jobs: int,
    threads: int,
    force: bool,
) -> Summary:
    """Run notebooks into a folder whose lock this process holds."""
    remove_unfinished(folder)
    console = Console(stderr=True, highlight=False)
    manifest = Manifest(folder, parameters, threads)
    if manifest.damaged:
        console.print(f"{manifest.path} is damaged: what it does not record runs again.")
    console.print(
        f"{counted(len(paths), 'notebook')}, preset {parameters['preset']}, {jobs} at a time, "
        f"{counted(threads, 'thread')} each → {folder}",
        soft_wrap=True,
    )
    if strays := left_alone({path.parent for path in paths}):
        console.print(strays, soft_wrap=True, markup=False)
    tasks = [Task(path, folder, parameters, threads) for path in paths]
    display = Display(console, parameters["preset"], jobs, len(tasks))
    sound = [task for task in tasks if _is_sound(task, manifest, display)]
    try:
        _Runner(manifest, jobs, force, display).run(sound)
    finally:
        report = write_report(folder, [task.path for task in sound])
    summary = Summary(pd.DataFrame([_row(task, manifest) for task in tasks]), report)
    shown = summary.table.drop(columns="error")  # which stands above
    console.print(shown.to_string(index=False), soft_wrap=True)
    console.print(f"Report: {report}", soft_wrap=True)
    return summary


def _is_sound(task: Task, manifest: Manifest, display: Display) -> bool:
    """Whether a notebook can be read; one that cannot has failed, and the others run."""
    try:
        read_notebook(task.path)
        return True
    except ValueError as error:
        failed: Entry = {"state": "failed", "seconds": 0.0, "outputs": {}, "key": ""}
        manifest.record(task.name, {**failed, "cell": None, "error": str(error)})
        display.end(task, _line(task, manifest), None)
        return False


class _Runner:
    """Runs the tasks that are not up to date, each after those whose records it reads."""

    def __init__(self, manifest: Manifest, jobs: int, force: bool, display: Display) -> None:
        self.manifest, self.jobs, self.force, self.display = manifest, jobs, force, display
        self.waiting: list[Task] = []
        self.running: list[Task] = []

    def run(self, tasks: list[Task]) -> None:
        """Run the tasks; end every child process on Ctrl-C."""
        self.waiting = list(tasks)
        with self.display:
            try:
                while self.waiting or self.running:
                    self._collect()
                    self._advance()
                    self.display.show(self.running, self.waiting)
                    time.sleep(POLL_SECONDS)
            except BaseException:
                _end(self.running)
                raise

    def _collect(self) -> None:
        """Record the tasks whose processes have ended."""
        for task in [task for task in self.running if task.process.poll() is not None]:
            self.manifest.record(task.name, task.finish())
            self.running.remove(task)
            self._report(task, self.manifest.notebooks[task.name]["seconds"])

    def _advance(self) -> None:
        """Keep what is up to date and start what is not, up to the number of jobs."""
        for task in list(self.waiting):
            reads = READS.get(task.number, ())
            if any(other.number in reads for other in self.waiting + self.running):
                continue
            task.key = task.key or self.manifest.key(task.path)
            if not self.force and self.manifest.is_current(task.name, task.key):
                self.waiting.remove(task)
                self.manifest.mark_cached(task.name)
                self._report(task, None)
            elif len(self.running) < self.jobs:
                self.waiting.remove(task)
                self._start(task)

    def _start(self, task: Task) -> None:
        task.start()
        self.running.append(task)
        self.display.begin(task)

    def _report(self, task: Task, seconds: float | None) -> None:
        self.display.end(task, _line(task, self.manifest), seconds)


def _end(tasks: list[Task]) -> None:
    """Interrupt the running cells, so that a training keeps its checkpoint.

    After a while, or a second Ctrl-C, remaining processes are killed. Partial copies of notebooks
    are removed.
    """
    processes = []
    for task in tasks:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(task.process.pid)
            kernels = parent.children(recursive=True)
            processes += [*kernels, parent]
            for process in kernels or [parent]:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGINT)
    try:
        psutil.wait_procs(processes, timeout=SECONDS_TO_DIE)
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for task in tasks:
            task.process.wait()
            task.clear()
            task.running_copy.unlink(missing_ok=True)


def _line(task: Task, manifest: Manifest) -> str:
    """The outcome of a notebook in one line, or in three after a failure."""
    entry = manifest.notebooks[task.name]
    if entry["state"] == "cached":
        return f"[green]✓ {task.name}[/green]  unchanged, not run again (--force runs it)"
    if entry["state"] == "done":
        return f"[green]✓ {task.name}[/green]  {entry['seconds']:.0f} s"
    where = escape(
        f"    in the cell: {entry['cell'] or 'none, the notebook did not start'}\n"
        f"    {entry['error']}" + (f"\n    log: {task.log}" if task.log.exists() else "")
    )
    return f"[red]✗ {task.name}[/red]  {entry['seconds']:.0f} s\n{where}"


def _row(task: Task, manifest: Manifest) -> dict[str, Any]:
    entry = manifest.notebooks[task.name]
    kinds = [f"{Path(name).parent}/*{Path(name).suffix}" for name in entry["outputs"]]
    return {
        "notebook": task.name,
        "state": entry["state"],
        "minutes": round(entry["seconds"] / 60, 1),
        "tables": kinds.count("tables/*.csv"),
        "figures": kinds.count("figures/*.png"),
        "error": entry.get("error", ""),
    }
