"""The book in two other forms: an edition for students, without solutions, and a static site to read in any browser."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .extra import notebook_packages
from .notebooks import PLAIN_METADATA, find_notebooks, number, title_of

with notebook_packages():
    import nbformat
    from nbformat.v4 import new_markdown_cell, new_notebook

INDEX = """# deblurlib: the book

Four papers on **dynamic-scene motion deblurring**, replicated as notebooks that run. These pages show them as they were
executed last; to run and change them, install the project and open them in JupyterLab.

| lesson | |
|---|---|
{lessons}

{others}

The pages need nothing but themselves: copy the folder anywhere and read it without a network.
"""
LINK = re.compile(r'\]\(([^)\s#:]+)|href="([^"#:]+)')  # relative ones, in Markdown and in HTML


def student_edition(out: str | Path, notebooks=None) -> list[Path]:
    """Write the book into the new folder `out` with its exercises and their first checks, without solutions and outputs.

    Files that its text links to come along, notebooks among them treated alike. Returns the notebooks. Raises ValueError where
    `out` holds something already, FileNotFoundError where there is no book; nothing is left behind then.
    """
    paths = find_notebooks(notebooks)
    files = sorted({*paths, *linked_files(paths)})
    with _new_folder(out) as folder:
        for path in files:
            if path.suffix == ".ipynb":
                nbformat.write(
                    without_solutions(nbformat.read(path, as_version=4)), folder / path.name
                )
            else:
                shutil.copy(path, folder / path.name)
    return [Path(out) / path.name for path in files if path.suffix == ".ipynb"]


def without_solutions(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook without the cells tagged `solution`, without the check right behind each, and without outputs.

    The answers to "Predict" stay: they belong to the text.
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


def is_check(cell) -> bool:
    """Whether a cell hands an answer to `teaching.check`."""
    return cell.cell_type == "code" and re.search(r"(?<!\w)check\(", cell.source) is not None


def linked_files(paths: list[Path]) -> set[Path]:
    """The files beside the notebooks `paths` that their text links to, and those that these link to in turn."""
    found, waiting = set(), list(paths)
    while waiting:
        path = waiting.pop()
        targets = {path.parent / (a or b) for a, b in LINK.findall(_text(path))}
        new = {
            target for target in targets if target.is_file() and target.parent == path.parent
        } - found
        found |= new
        waiting += [target for target in new if target.suffix in (".ipynb", ".md")]
    return found


def _text(path: Path) -> str:
    """The prose of a notebook or of a Markdown file."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )


def site(out: str | Path, notebooks=None) -> list[Path]:
    """Write the book as web pages into the new folder `out`, from the stored outputs: nothing is executed or fetched.

    One page a notebook and a Markdown file beside them, and index.html. Returns the pages; raises as `student_edition` does.
    """
    from .pages import page

    paths = find_notebooks(notebooks)
    texts = sorted({file for path in paths for file in path.parent.glob("*.md")})
    pages = [{"href": "index.html", "label": "Index", "title": "deblurlib: the book"}]
    pages += [
        {"href": f"{path.stem}.html", "label": number(path), "title": title_of(path)[0]}
        for path in paths
    ]
    pages += [
        {"href": f"{path.stem}.html", "label": _heading(path), "title": _heading(path)}
        for path in texts
    ]
    lessons = [
        f"| [{number(path)} {title}]({path.name}) | {claim} |"
        for path in paths
        for title, claim in [title_of(path)]
    ]
    index = INDEX.format(
        lessons="\n".join(lessons),
        others=" · ".join(f"[{_heading(path)}]({path.name})" for path in texts),
    )
    contents = [_page_of(index), *(nbformat.read(path, as_version=4) for path in paths)]
    contents += [_page_of(path.read_text(encoding="utf-8")) for path in texts]
    names = {path.name for path in (*paths, *texts)}
    with _new_folder(out) as folder:
        for here, content in zip(pages, contents, strict=True):
            html = page(content, here["title"], here, pages)
            (folder / here["href"]).write_text(_to_pages(html, names), encoding="utf-8")
    return [Path(out) / each["href"] for each in pages]


def _to_pages(html: str, names: set[str]) -> str:
    """Links to the files `names` turned into links to their pages."""

    def turn(match):
        return f'href="{Path(match[1]).stem}.html' if match[1] in names else match[0]

    return re.sub(r'href="([^"#:]+)', turn, html)


def _page_of(text: str) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell(text)], metadata=PLAIN_METADATA)


def _heading(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


@contextmanager
def _new_folder(out: str | Path) -> Iterator[Path]:
    """A folder to write into that appears as `out` when all is written; after an error there is none."""
    out = Path(out).resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} is there already and not an empty folder: name a new one, or remove it first."
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
