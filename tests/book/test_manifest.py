"""What decides whether a notebook must run again: only what can change its numbers."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

import deblurlib
from deblurlib.book import manifest
from tests.test_imports import imports

PACKAGE = Path(deblurlib.__file__).parent
BOOK = sorted((PACKAGE.parent / "notebooks").glob("*.ipynb"))
PARAMETERS = {"preset": "smoke", "data": "", "variant": "", "seed": 0, "device": "cpu"}


@pytest.fixture
def key_after(tmp_path, monkeypatch, write_notebook):
    """key_after(file, text): a notebook's key after `text` was appended to a file of a package."""
    for name in ("cli/app.py", "bench/operators.py", "book/report.html", "models/svdn.py"):
        (tmp_path / "deblurlib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "deblurlib" / name).write_text("x = 1\n")
    monkeypatch.setattr(manifest, "PACKAGE", tmp_path / "deblurlib")
    notebook = write_notebook("01_lesson")

    def key(file, text):
        with (tmp_path / "deblurlib" / file).open("a") as stream:
            stream.write(text)
        return manifest.Manifest(tmp_path / "results", PARAMETERS).key(notebook)

    return key


@pytest.mark.parametrize("file", ["cli/app.py", "bench/operators.py", "book/report.html"])
def test_a_command_a_benchmark_or_the_report_leaves_the_key_as_it_is(key_after, file):
    assert key_after(file, "") == key_after(file, "x = 2\n")


def test_a_network_changes_the_key(key_after):
    assert key_after("models/svdn.py", "") != key_after("models/svdn.py", "x = 2\n")


def modules_of(notebook):
    """The modules of the package that the cells of a notebook import."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("deblurlib"):
                    here = node.module.removeprefix("deblurlib").strip(".")
                    yield here
                    yield from (f"{here}.{alias.name}".strip(".") for alias in node.names)


def test_no_notebook_imports_a_file_that_is_set_aside():
    graph = imports(PACKAGE)
    waiting = {module for path in BOOK for module in modules_of(path)} & set(graph)
    reached = set()
    while waiting:
        module = waiting.pop()
        reached.add(module)
        parents = {".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 1)}
        waiting |= (graph[module] | parents) - reached
    assert {"book.lesson", "models.svdn", "bench.clock"} <= reached
    files = {module.replace(".", "/") + ".py" for module in reached}
    assert not files & set(manifest.ASIDE) and "cli" not in {re.split("[/.]", f)[0] for f in files}


def test_what_is_set_aside_exists():
    assert [name for name in manifest.ASIDE if not (PACKAGE / name).exists()] == []
