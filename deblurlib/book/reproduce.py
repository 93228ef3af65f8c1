"""Regenerating results/: every notebook through papermill, a manifest of what came out of it, and a report to open in a browser.

One process a notebook, in parallel where no notebook reads what another writes. A notebook whose source, library, parameters and
data are unchanged and whose outputs are still there is not run again. A notebook that fails does not stop the others.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..experiments.presets import get_preset
from ..results import (
    ROOT,
    data_folder,
    environment,
    hash_files,
    results_folder,
    whole_seed,
    write_atomically,
)
from .report import number, title_of, write_report

# The notebooks whose records a notebook reads, by number; those that are not named here stand alone.
READS = {"12": ("00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11")}
OUTPUTS = (
    "tables/{}_*.csv",
    "tables/{}_*.json",
    "figures/{}_*.png",
    "pictures/{}_*.png",
    "ledger/{}_*.json",
    "timings/{}_*",
)
SECONDS_TO_DIE = 10  # what an interrupted notebook gets before it is killed
DEAD_KERNEL = "the kernel was killed, most often for lack of memory: run fewer notebooks at a time or a smaller preset."
PLAIN_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Summary:
    """What a run did: `table` has one row a notebook, `report` is the page to open."""

    table: pd.DataFrame  # notebook, state (done, cached, failed), minutes, tables, figures, error
    report: Path

    @property
    def exit_code(self) -> int:
        """0 when every notebook is done or cached, else 1."""
        return int(not self.table.state.isin(["done", "cached"]).all())


def run(
    preset="quick",
    data="",
    variant="",
    notebooks=None,
    jobs=None,
    results="",
    seed=0,
    device="auto",
    force=False,
) -> Summary:
    """Run notebooks through papermill and regenerate their tables, figures, the manifest and the report.

    `notebooks`: a folder, or numbers, names or paths ("01 04" or a list); None = all. `jobs`: how many at a time; None = by the
    number of cores. Raises FileNotFoundError for a missing data folder or notebook, ValueError for an unknown preset.
    """
    root = data_folder(data)
    parameters = {
        "preset": get_preset(preset).name,
        "data": str(root or ""),
        "variant": variant or "",
        "seed": whole_seed(seed),
    }
    paths = find_notebooks(notebooks)
    folder = results_folder(results)
    jobs = int(jobs or _default_jobs(preset, len(paths)))
    if jobs < 1:
        raise ValueError(
            f"jobs is {jobs}: give a number of notebooks to run at the same time, 1 or more."
        )
    threads = max(_cores() // jobs, 1)
    parameters |= {"device": device, "results": str(folder)}
    manifest = Manifest(folder, parameters)
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{len(paths)} notebooks, preset {preset}, {jobs} at a time, {threads} threads each → {folder}",
        soft_wrap=True,
    )
    tasks = [Task(path, folder, parameters, threads, manifest.key(path)) for path in paths]
    try:
        _run_all(tasks, jobs, manifest, force, console)
    finally:
        report = write_report(folder, paths)
    summary = Summary(pd.DataFrame([_row(task, manifest) for task in tasks]), report)
    console.print(summary.table.to_string(index=False), soft_wrap=True)
    console.print(f"Report: {report}", soft_wrap=True)
    return summary


def find_notebooks(wanted=None) -> list[Path]:
    """The notebooks of a folder, or those of numbers, names or paths; None = all of this project, in order."""
    home = ROOT / "notebooks" if (ROOT / "notebooks").is_dir() else Path.cwd() / "notebooks"
    if wanted is None or wanted == "":
        wanted = [home]
    elif isinstance(wanted, (str, Path)):
        wanted = [wanted] if Path(wanted).exists() else re.split(r"[\s,]+", str(wanted).strip())
    found = []
    for item in wanted:
        path = Path(item)
        if path.is_dir():
            matches = sorted(path.glob("*.ipynb"))
        elif path.is_file():
            matches = [path]
        else:
            matches = sorted(home.glob(f"{path.name.removesuffix('.ipynb')}*.ipynb"))
        if not matches:
            names = ", ".join(p.stem for p in sorted(home.glob("*.ipynb"))) or "none"
            raise FileNotFoundError(
                f"There is no notebook {item!s} below {home}: it holds {names}."
            )
        found += [match.resolve() for match in matches]
    return sorted(set(found), key=lambda path: path.name)


# ---------------------------------------------------------------------------------------------------------------------
# One notebook


class Task:
    """One notebook on its way through papermill."""

    def __init__(self, path: Path, folder: Path, parameters: dict, threads: int, key: str):
        self.path, self.folder, self.parameters, self.threads, self.key = (
            path,
            folder,
            parameters,
            threads,
            key,
        )
        self.name, self.number = path.stem, number(path)
        self.copy = folder / "notebooks" / path.name
        self.running_copy = folder / "notebooks" / f".{path.stem}.running.ipynb"
        self.log = folder / "logs" / f"{self.number}.log"
        self.process = None

    def start(self) -> None:
        """Start papermill in a process of its own, in the folder of the notebook, as JupyterLab would."""
        self.copy.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.before = self.files()
        command = [
            sys.executable,
            "-m",
            "papermill",
            self.path,
            self.running_copy,
            "--cwd",
            self.path.parent,
        ]
        command += [
            "--parameters_yaml",
            json.dumps(self.parameters),
            "--kernel",
            "python3",
            "--language",
            "python",
            "--start-timeout",
            "120",
        ]
        command += ["--log-output", "--no-progress-bar"]
        env = os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "DEBLURLIB_RESULTS": str(self.folder),
            "PYTHONUNBUFFERED": "1",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,
            )
        self.clock = time.monotonic()

    def finish(self) -> dict:
        """The manifest entry of a notebook whose process has ended. Only its exit code says whether it succeeded."""
        failed = self.process.returncode != 0
        entry = {
            "state": "failed" if failed else "done",
            "key": self.key,
            "source_sha256": source_hash(self.path),
            "threads": self.threads,
            "seconds": round(time.monotonic() - self.clock, 1),
        }
        if self.running_copy.exists():
            os.replace(self.running_copy, self.copy)
            with suppress(ValueError):  # a kernel that died may leave half a file
                write_atomically(
                    self.copy,
                    nbformat.writes(without_widgets(nbformat.read(self.copy, as_version=4))) + "\n",
                )
        if failed:
            entry |= self.failure()
        else:
            write_atomically(self.copy.with_suffix(".html"), to_html(self.copy))
        return entry | {"outputs": self.outputs()}

    def outputs(self) -> dict:
        """sha256 by path below results/ of every file that this run of the notebook wrote."""
        written = sorted(
            path for path, changed in self.files().items() if self.before.get(path) != changed
        )
        return {path.relative_to(self.folder).as_posix(): file_hash(path) for path in written}

    def files(self) -> dict:
        """Every file that belongs to this notebook, with the time and the node by which a rewritten one is told."""
        files = [
            path for pattern in OUTPUTS for path in self.folder.glob(pattern.format(self.number))
        ]
        files += [path for path in (self.copy, self.copy.with_suffix(".html")) if path.exists()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    def failure(self) -> dict:
        """The cell that failed, by the first line of its source, and the line that says why."""
        try:
            cells = nbformat.read(self.copy, as_version=4).cells
        except (OSError, ValueError):
            return {"cell": None, "error": _last_line(self.log)}
        for cell in cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    return {
                        "cell": _first_line(cell),
                        "error": f"{output.ename}: {output.evalue}".splitlines()[0],
                    }
        position = self.cell_reached()  # no cell shows an error: the kernel was killed
        cell = _first_line(cells[position - 1]) if 0 < position <= len(cells) else None
        return {
            "cell": cell,
            "error": DEAD_KERNEL
            if "DeadKernelError" in _last_line(self.log)
            else _last_line(self.log),
        }

    def cell_reached(self) -> int:
        """The position of the last cell that papermill started, 0 before the first."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return int((re.findall(r"Executing Cell (\d+)-", text) or [0])[-1])


def source_hash(path: Path) -> str:
    """sha256 over the cells' types, tags and sources: what a notebook does, whatever its stored outputs."""
    cells = nbformat.read(path, as_version=4).cells
    return hashlib.sha256(
        json.dumps([(c.cell_type, c.metadata.get("tags", []), c.source) for c in cells]).encode()
    ).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def to_html(notebook: Path) -> str:
    """An executed notebook as one page that any browser shows."""
    from .pages import page

    return page(nbformat.read(notebook, as_version=4), title_of(notebook)[0])


def _first_line(cell) -> str:
    return next((line.strip() for line in cell.source.splitlines() if line.strip()), "")


def _last_line(log: Path) -> str:
    lines = (
        [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
    return lines[-1] if lines else "the process ended without a word"


# ---------------------------------------------------------------------------------------------------------------------
# All notebooks


def _run_all(
    tasks: list[Task], jobs: int, manifest: "Manifest", force: bool, console: Console
) -> None:
    """Run what is not up to date, `jobs` at a time, each after those it reads from; end every child on Ctrl-C."""
    waiting, running, ran = list(tasks), [], set()
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("cell {task.completed:.0f}/{task.total:.0f}"),
    )
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bars = {}
        try:
            while waiting or running:
                for task in [task for task in running if task.process.poll() is not None]:
                    manifest.record(task, task.finish())
                    running.remove(task)
                    progress.remove_task(bars.pop(task))
                    console.print(_line(task, manifest), soft_wrap=True)
                for task in [task for task in waiting if not _must_wait(task, waiting + running)]:
                    if (
                        not force
                        and manifest.is_current(task)
                        and not ran & set(READS.get(task.number, ()))
                    ):
                        manifest.mark_cached(task)
                        waiting.remove(task)
                        console.print(_line(task, manifest), soft_wrap=True)
                    elif len(running) < jobs:
                        waiting.remove(task)
                        task.start()
                        ran.add(task.number)
                        running.append(task)
                        total = (
                            len(nbformat.read(task.path, as_version=4).cells) + 1
                        )  # papermill adds the parameters
                        bars[task] = progress.add_task(task.name, total=total)
                        if not console.is_terminal:
                            console.print(f"  … {task.name}", soft_wrap=True)
                for task in running:
                    progress.update(bars[task], completed=task.cell_reached())
                time.sleep(0.2)
        except BaseException:
            _end(running)
            raise


def _must_wait(task: Task, unfinished: Iterable[Task]) -> bool:
    return any(other.number in READS.get(task.number, ()) for other in unfinished)


def _end(tasks: list[Task]) -> None:
    """Interrupt the running cells, so that a training keeps its checkpoint; kill what is left, drop the half-written copies."""
    import psutil  # comes with ipykernel

    processes = []
    for task in tasks:
        parent = psutil.Process(task.process.pid)
        kernels = parent.children(recursive=True)
        processes += [*kernels, parent]
        for process in kernels or [parent]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
    for process in psutil.wait_procs(processes, timeout=SECONDS_TO_DIE)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for task in tasks:
        task.process.wait()
        task.running_copy.unlink(missing_ok=True)


def _line(task: Task, manifest: "Manifest") -> str:
    entry = manifest.notebooks[task.name]
    if entry["state"] == "cached":
        return f"[green]✓ {task.name}[/green]  unchanged, kept (--force runs it again)"
    if entry["state"] == "done":
        return f"[green]✓ {task.name}[/green]  {entry['seconds']:.0f} s"
    where = escape(
        f"    in the cell: {entry['cell'] or 'none, it did not start'}\n    {entry['error']}\n    log: {task.log}"
    )
    return f"[red]✗ {task.name}[/red]  {entry['seconds']:.0f} s\n{where}"


def _row(task: Task, manifest: "Manifest") -> dict:
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_jobs(preset: str, notebooks: int) -> int:
    """One at a time where a training fills the GPU, else a job a core, four at most."""
    return 1 if preset in ("gpu", "paper") else max(min(_cores(), 4, notebooks), 1)


# ---------------------------------------------------------------------------------------------------------------------
# The manifest


class Manifest:
    """results/manifest.json: for each notebook its inputs, state and outputs; written after each notebook."""

    def __init__(self, folder: Path, parameters: dict):
        self.folder, self.path = folder, folder / "manifest.json"
        self.data_hash = data_hash(parameters["data"])
        inputs = {
            name: parameters[name] for name in ("preset", "data", "variant", "seed", "device")
        }
        self.inputs = {**inputs, "data": Path(parameters["data"]).name, "data_hash": self.data_hash}
        self.library = hash_files(_library_files(), ROOT)
        self.environment = environment()
        try:
            self.notebooks = json.loads(self.path.read_text())["notebooks"]
        except (OSError, ValueError, KeyError):
            self.notebooks = {}

    def key(self, path: Path) -> str:
        """What decides whether a notebook must run: its source, the library with its weights, parameters, data, versions."""
        parts = [
            source_hash(path),
            self.library,
            self.inputs,
            self.environment["versions"],
            self.environment["python"],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def is_current(self, task: Task) -> bool:
        """Whether the recorded run had the same key, succeeded, and its outputs are still there, to the byte."""
        entry = self.notebooks.get(task.name, {})
        if entry.get("state") not in ("done", "cached") or entry.get("key") != task.key:
            return False
        files = {self.folder / name: sha256 for name, sha256 in entry["outputs"].items()}
        return all(path.exists() and file_hash(path) == sha256 for path, sha256 in files.items())

    def mark_cached(self, task: Task) -> None:
        self.notebooks[task.name]["state"] = "cached"
        self.write()

    def record(self, task: Task, entry: dict) -> None:
        """Take over the entry of a notebook; remove what an earlier run of it wrote and this one does not write any more."""
        if entry["state"] == "done":
            for name in set(self.notebooks.get(task.name, {}).get("outputs", {})) - set(
                entry["outputs"]
            ):
                (self.folder / name).unlink(missing_ok=True)
        self.notebooks[task.name] = {"inputs": self.inputs, **entry}
        self.write()

    def write(self) -> None:
        content = {
            "inputs": self.inputs,
            **self.environment,
            "cores": _cores(),
            "notebooks": dict(sorted(self.notebooks.items())),
        }
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")


def data_hash(root: str) -> str:
    """A short sha256 over the names and sizes of all files of a data set, not their contents; "" for the bundled scenes."""
    if not root:
        return ""
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(root).rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()[:16]


def _library_files() -> list[Path]:
    """Everything in the package that a notebook's numbers can depend on."""
    package = Path(__file__).parent.parent
    aside = {
        "__main__.py",
        "cli",
        *(
            f"book/{name}"
            for name in (
                "reproduce.py",
                "report.py",
                "report.html",
                "editions.py",
                "pages.py",
                "page.html.j2",
            )
        ),
    }
    files = (
        path.relative_to(package)
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    return [package / path for path in files if not aside & {path.as_posix(), path.parts[0]}]


# ---------------------------------------------------------------------------------------------------------------------
# The committed notebooks


def refresh_notebooks(notebooks=None, jobs=None) -> int:
    """Execute the committed notebooks in place, as they are (preset smoke), and strip all metadata but tags.

    Returns how many failed; a notebook that fails keeps its old content.
    """
    paths = find_notebooks(notebooks)
    jobs = int(jobs or _default_jobs("smoke", len(paths)))
    settings = {
        "OMP_NUM_THREADS": str(max(_cores() // jobs, 1)),
        "DEBLURLIB_RESULTS": str(ROOT / "build" / "refresh"),
    }
    console, failed = Console(stderr=True, highlight=False), 0
    with ProcessPoolExecutor(jobs, initializer=os.environ.update, initargs=(settings,)) as pool:
        for path, future in [(path, pool.submit(_refresh, path)) for path in paths]:
            try:
                console.print(f"[green]✓ {path.name}[/green]  {future.result():.0f} s")
            except Exception as error:  # whatever a cell raises, and a kernel that dies
                failed += 1
                console.print(
                    f"[red]✗ {path.name}[/red]  {escape(str(error).strip().splitlines()[-1])}",
                    soft_wrap=True,
                )
    return failed


def _refresh(path: Path) -> float:
    from nbclient import NotebookClient

    began = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, startup_timeout=120, kernel_name="python3", record_timing=False
    )
    client.execute(cwd=str(path.parent))
    write_atomically(path, nbformat.writes(strip_metadata(notebook)) + "\n")
    return time.monotonic() - began


def strip_metadata(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep of the metadata only what is the same on every machine: the kernel's name, the language, the tags.

    Progress bars and other widgets go, too.
    """
    notebook.metadata = nbformat.from_dict(PLAIN_METADATA)
    for cell in without_widgets(notebook).cells:
        cell.metadata = nbformat.from_dict(
            {"tags": cell.metadata.tags} if cell.metadata.get("tags") else {}
        )
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def without_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop the widgets and their state: sliders and progress bars are of no use without the kernel that made them."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                o
                for o in cell.outputs
                if "application/vnd.jupyter.widget-view+json" not in o.get("data", {})
            ]
    return notebook
