"""The committed pages of the book, filled from the copies that `reproduce` has executed."""

import ast
import copy
from pathlib import Path

from ..results import results_folder
from ..storage import write_atomically
from .extra import notebook_packages
from .fitting import fit
from .notebooks import find_notebooks, read_notebook, strip_metadata

with notebook_packages():
    import nbformat
    from nbformat import NotebookNode

INJECTED = "injected-parameters"  # the tag of the cell that papermill adds


def fill_pages(notebooks: str | Path | None = None, results: str | Path | None = None) -> list[str]:
    """Copy the outputs of executed copies into the committed notebooks.

    Args:
        notebooks: Which ones, as `find_notebooks` takes them; None for all.
        results: The results folder of a finished `reproduce`; None for the usual one.

    Returns:
        The names of the notebooks that were filled. Nothing is written unless all can be.

    Raises:
        FileNotFoundError: If a notebook or its copy does not exist.
        ValueError: If a copy was made from other cells, or with other parameters than the notebook
            itself has.
    """
    copies = (results_folder() if results is None else Path(results)) / "notebooks"
    pages = find_notebooks(notebooks)
    filled = [(page, _filled(page, copies / page.name)) for page in pages]
    for page, notebook in filled:
        write_atomically(page, nbformat.writes(fit(strip_metadata(notebook))) + "\n")
    return [page.name for page, _ in filled]


def _filled(page: Path, executed: Path) -> NotebookNode:
    """The notebook with the outputs of its copy, counted as in a run of its own."""
    if not executed.is_file():
        raise FileNotFoundError(f"{executed} does not exist: run `deblurlib reproduce` first.")
    notebook, other = read_notebook(page), read_notebook(executed)
    cells = [cell for cell in other.cells if INJECTED not in cell.metadata.get("tags", [])]
    own, theirs = ([(cell.cell_type, cell.source) for cell in c] for c in (notebook.cells, cells))
    if own != theirs:
        raise ValueError(
            f"{page.name} has changed since {executed} was executed: run `deblurlib reproduce` "
            "again."
        )
    asked, made = _parameters(notebook), _parameters(other)
    if asked != made:
        raise ValueError(
            f"{executed} was executed with other parameters than {page.name} has: run `deblurlib "
            f"reproduce --preset {asked.get('preset')}` without further options."
        )
    count = 0
    for cell, done in zip(notebook.cells, cells, strict=True):
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count, cell.outputs = count, copy.deepcopy(done.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return notebook


def _parameters(notebook: NotebookNode) -> dict[str, object]:
    """What decides the results of a notebook: its parameter cell, then the injected one."""
    found: dict[str, object] = {}
    for cell in notebook.cells:
        if {"parameters", INJECTED} & {*cell.metadata.get("tags", [])}:
            for line in ast.parse(cell.source).body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    found[line.targets[0].id] = ast.literal_eval(line.value)
    return {name: value for name, value in found.items() if name not in ("results", "device")}
