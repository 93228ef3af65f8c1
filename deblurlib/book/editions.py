"""The book in two other forms: an edition for students without solutions, and a static web site."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..results import results_folder
from .extra import notebook_packages
from .frames import with_sliders
from .names import number
from .notebooks import PLAIN_METADATA, find_notebooks, read_notebook, title_of

with notebook_packages():
    import nbformat
    from nbformat import NotebookNode
    from nbformat.v4 import new_markdown_cell, new_notebook

INDEX = """# deblurlib: the book

Four papers on **dynamic-scene motion deblurring**, replicated as notebooks that run. These pages
show the outputs of their last execution; to run and change the notebooks, install the project and
open them in JupyterLab.

| lesson | |
|---|---|
{lessons}

{others} · [API reference](api/index.html)

The pages are self-contained: copy the folder anywhere and read it without a network.
"""
LINK = re.compile(r'\]\(([^)\s#:]+)|href="([^"#:]+)')  # relative ones, in Markdown and in HTML


def student_edition(
    out: str | Path, notebooks: str | Path | Iterable[str | Path] | None = None
) -> list[Path]:
    """Write the book with its exercises and their first checks, but without solutions and outputs.

    Linked files are copied as well, and linked notebooks are stripped in the same way. After an
    error, nothing is left behind.

    Args:
        out: A new folder.
        notebooks: Which notebooks, as `find_notebooks` takes them; None for all.

    Returns:
        The written notebooks.

    Raises:
        ValueError: If `out` is not empty.
        FileNotFoundError: If a notebook does not exist.
    """
    paths = find_notebooks(notebooks)
    files = sorted({*paths, *linked_files(paths)})
    with _new_folder(out) as folder:
        for path in files:
            if path.suffix == ".ipynb":
                notebook = without_solutions(read_notebook(path))
                nbformat.write(notebook, folder / path.name)
            else:
                shutil.copy(path, folder / path.name)
    return [Path(out) / path.name for path in files if path.suffix == ".ipynb"]


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Remove the cells tagged `solution`, the check that follows each, and all outputs.

    The answers to "Predict" stay, because they belong to the text.

    Args:
        notebook: A notebook of format 4; it is changed in place.

    Returns:
        The same notebook.
    """
    kept, solved = [], False
    for cell in notebook.cells:
        is_solution = "solution" in cell.metadata.get("tags", [])
        if not is_solution and not (solved and is_check(cell)):
            kept.append(cell)
        solved = is_solution
    for cell in kept:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells = kept
    return notebook


def is_check(cell: NotebookNode) -> bool:
    """Return whether a cell passes an answer to `teaching.check`.

    Args:
        cell: A cell of any type.

    Returns:
        Whether it does.
    """
    return cell.cell_type == "code" and re.search(r"(?<!\w)check\(", cell.source) is not None


def linked_files(paths: Iterable[Path]) -> set[Path]:
    """Find the files that notebooks link to, and those that these link to in turn.

    Args:
        paths: The notebooks.

    Returns:
        The linked files that lie in the folder of the file with the link.
    """
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        targets = {path.parent / (a or b) for a, b in LINK.findall(_text(path))}
        beside = {file for file in targets if file.is_file() and file.parent == path.parent}
        waiting += [file for file in beside - found if file.suffix in (".ipynb", ".md")]
        found |= beside
    return found


def _text(path: Path) -> str:
    """The prose of a notebook or of a Markdown file."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = read_notebook(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def site(out: str | Path, notebooks: str | Path | Iterable[str | Path] | None = None) -> list[Path]:
    """Write the book as web pages from the stored outputs; nothing is executed or downloaded.

    There is one page per notebook, one per Markdown file beside them, and index.html. Figures with
    sliders have them, as far as results/frames holds what they show. After an error, nothing is
    left behind.

    Args:
        out: A new folder.
        notebooks: Which notebooks, as `find_notebooks` takes them; None for all.

    Returns:
        The written pages.

    Raises:
        ValueError: If `out` is not empty.
        FileNotFoundError: If a notebook does not exist.
    """
    from .pages import page

    paths = find_notebooks(notebooks)
    texts = sorted({file for path in paths for file in path.parent.glob("*.md")})
    titles = {path: title_of(path) for path in paths}
    pages = [
        _link("index", "Index", "deblurlib: the book"),
        *(_link(path.stem, number(path), titles[path][0]) for path in paths),
        *(_link(path.stem, _heading(path), _heading(path)) for path in texts),
    ]
    lessons = [
        f"| [{number(path)} {title}]({path.name}) | {claim} |"
        for path, (title, claim) in titles.items()
    ]
    index = INDEX.format(
        lessons="\n".join(lessons),
        others=" · ".join(f"[{_heading(path)}]({path.name})" for path in texts),
    )
    contents = [
        _page_of(index),
        *(with_sliders(read_notebook(p), number(p), results_folder() / "frames") for p in paths),
        *(_page_of(path.read_text(encoding="utf-8")) for path in texts),
    ]
    names = {path.name for path in (*paths, *texts)}
    with _new_folder(out) as folder:
        for here, content in zip(pages, contents, strict=True):
            html = page(content, here["title"], here, pages)
            (folder / here["href"]).write_text(_to_pages(html, names), encoding="utf-8")
    return [Path(out) / each["href"] for each in pages]


def _link(stem: str, label: str, title: str) -> dict[str, str]:
    return {"href": f"{stem}.html", "label": label, "title": title}


def _to_pages(html: str, names: set[str]) -> str:
    """Turn links to the files `names` into links to their pages."""

    def turn(match: re.Match[str]) -> str:
        return f'href="{Path(match[1]).stem}.html' if match[1] in names else match[0]

    return re.sub(r'href="([^"#:]+)', turn, html)


def _page_of(text: str) -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell(text)], metadata=PLAIN_METADATA)


def _heading(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


@contextmanager
def _new_folder(out: str | Path) -> Iterator[Path]:
    """A temporary folder that becomes `out` at the end; an error leaves no folder."""
    out = Path(out).resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} already exists and is not an empty folder: give a new one, or remove it first."
        )
    folder = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    folder.mkdir(parents=True)
    try:
        yield folder
        if out.exists():
            out.rmdir()
        folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
