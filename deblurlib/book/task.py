"""Running one notebook through papermill in a separate process."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..progress import LOG, MARK
from ..results import results_folder
from ..storage import remove_leftovers, write_atomically
from .extra import notebook_packages
from .manifest import Entry, file_hash
from .names import number
from .notebooks import START_SECONDS, source_hash, title_of, without_widgets

with notebook_packages():
    import nbformat
    from nbformat import NotebookNode

OUTPUTS = (
    "tables/{}_*.csv",
    "tables/{}_*.json",
    "figures/{}_*.png",
    "pictures/{}_*.png",
    "ledger/{}_*.json",
    "timings/{}_*",
)
RUNTIME = ".kernels"  # folder of the kernels' connection files, below the results folder
DEAD_KERNEL = (
    "The kernel was killed, most often for lack of memory: run fewer notebooks at the same time "
    "or choose a smaller preset."
)


class Task:
    """One notebook of a run: it starts papermill, follows it, and describes the outcome."""

    def __init__(self, path: Path, folder: Path, parameters: dict[str, Any], threads: int) -> None:
        """Prepare a task without starting it.

        Args:
            path: The notebook.
            folder: The results folder.
            parameters: The values for its cell of parameters.
            threads: How many threads its computations use.
        """
        self.path, self.folder, self.parameters = path, folder, parameters
        self.threads = threads
        self.key = ""  # its `Manifest.key`, once everything that it reads is finished
        self.name, self.number = path.stem, number(path)
        self.copy = folder / "notebooks" / path.name
        self.running_copy = folder / "notebooks" / f".{path.stem}.running.ipynb"
        self.log = folder / "logs" / f"{self.number}.log"
        self.runtime = folder / RUNTIME / self.number

    def start(self) -> None:
        """Start papermill in the folder of the notebook, as JupyterLab would."""
        for folder in (self.copy.parent, self.log.parent, self.runtime):
            folder.mkdir(parents=True, exist_ok=True)
        self.before = self.files()
        options = {
            "notebook": str(self.path),
            "copy": str(self.running_copy),
            "parameters": self.parameters,
            "cwd": str(self.path.parent),
            "start_timeout": START_SECONDS,
        }
        self.log.unlink(missing_ok=True)
        with self.log.open("ab") as log:  # to which the notebook's progress is appended as well
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deblurlib.book.execute", json.dumps(options)],
                stdin=subprocess.PIPE,  # closes when this process ends, and the other one with it
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": str(self.threads),
                    LOG: str(self.log),
                    "DEBLURLIB_RESULTS": str(results_folder(self.parameters["results"])),
                    "JUPYTER_RUNTIME_DIR": str(self.runtime),
                    "PYTHONUNBUFFERED": "1",
                },
                start_new_session=True,
            )
        self.clock = time.monotonic()

    def finish(self) -> Entry:
        """Describe a run whose process has ended, and store the executed notebook and its page.

        Only the exit code of the process says whether the run succeeded.

        Returns:
            The entry for the manifest.
        """
        failed = self.process.returncode != 0
        self.clear()
        entry: Entry = {
            "state": "failed" if failed else "done",
            "key": self.key,
            "source_sha256": source_hash(self.path),
            "threads": self.threads,
            "seconds": round(time.monotonic() - self.clock, 1),
        }
        if self.running_copy.exists():
            self.running_copy.replace(self.copy)
            with suppress(ValueError):  # a kernel that died may leave half a file
                notebook = without_widgets(nbformat.read(self.copy, as_version=4))
                write_atomically(self.copy, nbformat.writes(notebook) + "\n")
        if failed:
            entry["cell"], entry["error"] = self.failure()
        else:
            write_atomically(self.copy.with_suffix(".html"), to_html(self.copy))
        entry["outputs"] = self.outputs()
        return entry

    def clear(self) -> None:
        """Close the pipe of a process that has ended, and remove its kernel's connection file."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def outputs(self) -> dict[str, str]:
        """Return the sha256 of every file this run wrote, by its path below the results folder."""
        written = sorted(
            path for path, changed in self.files().items() if self.before.get(path) != changed
        )
        return {path.relative_to(self.folder).as_posix(): file_hash(path) for path in written}

    def files(self) -> dict[Path, tuple[int, int]]:
        """Return every file of this notebook with its time and inode, which change on a rewrite."""
        files = [
            path for pattern in OUTPUTS for path in self.folder.glob(pattern.format(self.number))
        ]
        files += [path for path in (self.copy, self.copy.with_suffix(".html")) if path.exists()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    def failure(self) -> tuple[str | None, str]:
        """Return the first line of the cell that failed, if one did, and the reason."""
        try:
            cells = nbformat.read(self.copy, as_version=4).cells
        except (OSError, ValueError):
            return None, _last_line(self.log)
        for cell in cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    reason = f"{output.ename}: {output.evalue}".splitlines()[0]
                    return _first_line(cell), reason
        position = self.reached()[0]  # no cell shows an error: the kernel was killed
        cell = _first_line(cells[position - 1]) if 0 < position <= len(cells) else None
        reason = _last_line(self.log)
        return cell, DEAD_KERNEL if "DeadKernelError" in reason else reason

    def reached(self) -> tuple[int, str]:
        """Return how far the notebook is.

        Returns:
            The position of the last cell that papermill started, 0 before the first; and the last
            line about the progress of long work in this cell, "" if there is none.
        """
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        *_, start = [None, *re.finditer(r"Executing Cell (\d+)-", text)]
        if start is None:
            return 0, ""
        lines = re.findall(rf"^{MARK}(.+)", text[start.end() :], re.MULTILINE)
        return int(start[1]), lines[-1] if lines else ""


def remove_unfinished(folder: Path) -> None:
    """Remove what the notebooks of a killed run have left in a results folder.

    Args:
        folder: The results folder, whose lock this process holds.
    """
    remove_leftovers(folder, recursive=True)
    for path in folder.glob("notebooks/.*.running.ipynb"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / RUNTIME, ignore_errors=True)


def to_html(notebook: Path) -> str:
    """Turn an executed notebook into one page for any browser.

    Args:
        notebook: Path of the notebook.

    Returns:
        The page, with all figures inside.
    """
    from .pages import page

    return page(nbformat.read(notebook, as_version=4), title_of(notebook)[0])


def _first_line(cell: NotebookNode) -> str:
    return next((line.strip() for line in cell.source.splitlines() if line.strip()), "")


def _last_line(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "The process ended without a message."
