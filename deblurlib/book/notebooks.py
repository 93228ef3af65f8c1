"""The notebooks as files: find, read, execute in place, and keep their metadata plain."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..results import ROOT
from ..storage import write_atomically
from .extra import notebook_packages, require
from .fitting import fit
from .kernel import end_with
from .names import LESSON, READS, left_alone, lessons_in, number

with notebook_packages():
    import nbformat
    from nbformat import NotebookNode

PLAIN_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS, START_SECONDS = 1800, 120  # time limits of a cell and of the start of a kernel


def book_home() -> Path:
    """Find the folder of the book: that of this project, or else of the current folder.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If there is none, for example because only a wheel is installed.
    """
    home = ROOT / "notebooks" if (ROOT / "notebooks").is_dir() else Path.cwd() / "notebooks"
    if not lessons_in(home)[0]:
        raise FileNotFoundError(
            f"There are no notebooks in {home}: an installed package does not contain the book, so "
            "run this command in a clone of the repository."
        )
    return home


def find_notebooks(wanted: str | Path | Iterable[str | Path] | None = None) -> list[Path]:
    """Find notebooks of the book.

    Args:
        wanted: A folder, or numbers, names or paths of notebooks, as a list or as one string such
            as "01 04". None or "" stands for all notebooks of this project.

    Returns:
        Absolute paths, each once, sorted by file name; of a folder, its `lessons_in`.

    Raises:
        FileNotFoundError: If one of them does not exist; the message lists those that do.
        ValueError: If a file is named whose name is not that of a lesson: it would overwrite the
            results of another one.
    """
    items: Iterable[str | Path]
    if wanted is None or wanted == "":
        items = [book_home()]
    elif isinstance(wanted, str | Path):
        items = [wanted] if Path(wanted).exists() else re.split(r"[\s,]+", str(wanted).strip())
    else:
        items = wanted
    found: set[Path] = set()
    for item in items:
        path = Path(item)
        if path.is_dir():
            matches = lessons_in(path)[0]
            if not matches:
                raise FileNotFoundError(
                    f"There is no notebook in {path}: give the folder of the book."
                )
        elif path.is_file():
            if not LESSON.fullmatch(path.stem):
                raise ValueError(
                    f"{path} does not have the name of a lesson, NN_name.ipynb: rename it, with a "
                    "number that no other notebook has."
                )
            matches = [path]
        else:
            home, start = book_home(), path.name.removesuffix(".ipynb")
            matches = [lesson for lesson in lessons_in(home)[0] if lesson.stem.startswith(start)]
            if not matches:
                names = ", ".join(lesson.stem for lesson in lessons_in(home)[0])
                raise FileNotFoundError(
                    f"There is no notebook {item!s} below {home}: choose from {names}."
                )
        found |= {match.resolve() for match in matches}
    return sorted(found, key=lambda path: path.name)


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook.

    Args:
        path: The notebook.

    Returns:
        Its content in format 4.

    Raises:
        ValueError: In one sentence, if it is empty, damaged, or not a notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        if all(isinstance(cell.source, str) for cell in notebook.cells):
            return notebook
        reason = "it has cells without text"
    except Exception as error:  # nbformat raises many types
        text = path.read_text(encoding="utf-8", errors="replace")
        if "<<<<<<<" in text and ">>>>>>>" in text:
            reason = "it has an unresolved merge conflict"
        else:
            reason = type(error).__name__ if text.strip() else "it is empty"
    raise ValueError(f"{path} cannot be read as a notebook ({reason}): restore it.")


def is_readable(path: Path) -> bool:
    """Check whether a file can be read as a notebook.

    Args:
        path: The file.

    Returns:
        Whether `read_notebook` reads it.
    """
    try:
        read_notebook(path)
    except ValueError:
        return False
    return True


def title_of(notebook: Path) -> tuple[str, str]:
    """Read the title of a notebook and the sentence below it.

    Args:
        notebook: Path of the notebook.

    Returns:
        The first heading and the first paragraph below it, without their Markdown markup. The name
        of the file replaces a missing heading, "" a missing paragraph.
    """
    cells = read_notebook(notebook).cells
    text = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    title = lines[0].lstrip("# ") if lines and lines[0].startswith("#") else notebook.stem
    paragraphs = (line for line in lines[1:] if not line.startswith(("#", "|", "- ", "* ")))
    return plain_text(title), plain_text(next(paragraphs, "").lstrip("> "))


def plain_text(markdown: str) -> str:
    """Remove the emphasis and code marks of a line of Markdown.

    Args:
        markdown: The line.

    Returns:
        The line without `*`, backticks, and underscores at the edge of a word.
    """
    return re.sub(r"[*`]|\b_|_\b", "", markdown)


def source_hash(path: Path) -> str:
    """Hash what a notebook does: the types, tags and sources of its cells, not its stored outputs.

    Args:
        path: The notebook.

    Returns:
        A sha256 in hexadecimal digits.
    """
    cells = read_notebook(path).cells
    content = [(cell.cell_type, cell.metadata.get("tags", []), cell.source) for cell in cells]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_jobs(preset: str, notebooks: int) -> int:
    """Choose how many notebooks run at the same time.

    Args:
        preset: Name of the preset: under "gpu" and "paper", one training fills the GPU.
        notebooks: How many notebooks are to run.

    Returns:
        1 for the presets of a GPU, otherwise one job per core and per notebook, at most 4.
    """
    return 1 if preset in ("gpu", "paper") else max(min(cores(), 4, notebooks), 1)


def refresh_notebooks(
    notebooks: str | Path | Iterable[str | Path] | None = None, jobs: int | None = None
) -> int:
    """Execute the committed notebooks in place, with their own parameters.

    Those that read the records of others come after them. Their metadata is stripped of everything
    that depends on the machine. A notebook that fails keeps its old content.

    Args:
        notebooks: Which ones, as `find_notebooks` takes them; None for all.
        jobs: How many run at the same time; None for a number that suits the cores.

    Returns:
        How many failed.

    Raises:
        FileNotFoundError: If a notebook does not exist.
    """
    require("nbclient")
    paths = find_notebooks(notebooks)
    jobs = jobs or default_jobs("quick", len(paths))
    settings = {
        "OMP_NUM_THREADS": str(max(cores() // jobs, 1)),
        "DEBLURLIB_RESULTS": str(ROOT / "build" / "refresh"),
    }
    console, failed = Console(stderr=True, highlight=False), 0
    if strays := left_alone({path.parent for path in paths}):
        console.print(strays, soft_wrap=True, markup=False)
    waves = [
        [path for path in paths if (number(path) in READS) == reads] for reads in (False, True)
    ]
    spawn = get_context("spawn")  # a fork of a process with threads may hang
    with ProcessPoolExecutor(jobs, spawn, _begin, (settings, os.getpid())) as pool:
        for wave in waves:
            for path, future in [(path, pool.submit(_refresh, path)) for path in wave]:
                try:
                    console.print(f"[green]✓ {path.name}[/green]  {future.result():.0f} s")
                except Exception as error:  # any error of a cell, and a kernel that dies
                    failed += 1
                    reason = escape(str(error).strip().splitlines()[-1])
                    console.print(f"[red]✗ {path.name}[/red]  {reason}", soft_wrap=True)
    return failed


def _begin(settings: dict[str, str], parent: int) -> None:
    """Set up a process that executes notebooks."""
    end_with(parent)
    os.environ.update(settings)


def _refresh(path: Path) -> float:
    """Execute one notebook in place; return the seconds it took."""
    with notebook_packages():
        from nbclient import NotebookClient

        from .execute import KernelManager

    began = time.monotonic()
    notebook = read_notebook(path)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        kernel_name="python3",
        kernel_manager_class=KernelManager,
        record_timing=False,
    )
    client.execute(cwd=str(path.parent))
    write_atomically(path, nbformat.writes(fit(strip_metadata(notebook))) + "\n")
    return time.monotonic() - began


def strip_metadata(notebook: NotebookNode) -> NotebookNode:
    """Keep only the metadata that is the same on every machine: kernel name, language and tags.

    Progress bars, other widgets and stderr output are removed as well.

    Args:
        notebook: A notebook of format 4; it is changed in place.

    Returns:
        The same notebook.
    """
    notebook.metadata = nbformat.from_dict(PLAIN_METADATA)
    for cell in without_widgets(notebook).cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """Remove widgets and their state: a slider or progress bar is useless without its kernel.

    Args:
        notebook: A notebook of format 4; it is changed in place.

    Returns:
        The same notebook.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    return notebook
