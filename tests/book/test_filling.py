"""Pages are filled from executed copies only if those were made from the same cells."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

from deblurlib.book.filling import INJECTED, fill_pages
from deblurlib.cli.app import app

PARAMETERS = 'preset = "quick"  # "smoke" | "quick"\nseed = 0\nresults = ""'


@pytest.fixture
def page(tmp_path):
    """Write a page without outputs; return its path."""
    path = tmp_path / "book" / "01_blur.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=cells()), path)
    return path


def cells(text="print(1 + 1)"):
    parameters = new_code_cell(PARAMETERS)
    parameters.metadata.tags = ["parameters"]
    return [new_markdown_cell("# Blur"), parameters, new_code_cell(text)]


def execute(folder, source="print(1 + 1)", injected='preset = "quick"\nseed = 0\nresults = "r"'):
    """Write the copy that papermill would leave."""
    copies = cells(source)
    copies.insert(2, new_code_cell(injected, execution_count=2))
    copies[2].metadata.tags = [INJECTED]
    copies[3].execution_count = 3
    copies[3].outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=3)]
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=copies), folder / "notebooks" / "01_blur.ipynb")


def test_outputs_are_copied_and_counted_as_in_a_run_of_the_page(page, tmp_path):
    execute(tmp_path / "results")
    assert fill_pages(page, tmp_path / "results") == ["01_blur.ipynb"]
    filled = nbformat.read(page, 4)
    assert [c.source for c in filled.cells] == [c.source for c in cells()]
    assert [c.execution_count for c in filled.cells[1:]] == [1, 2]
    (output,) = filled.cells[2].outputs
    assert output.data == {"text/plain": "2"} and output.execution_count == 2


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"source": "print(2)"}, "01_blur.ipynb has changed since .* was executed: run `deblurlib"),
        ({"injected": 'preset = "smoke"'}, "other parameters than .* has: run .*--preset quick`"),
        ({"injected": "seed = 1"}, "other parameters than"),
    ],
)
def test_a_copy_of_something_else_leaves_the_page_alone(page, tmp_path, changed, sentence):
    before = page.read_bytes()
    execute(tmp_path / "results", **changed)
    with pytest.raises(ValueError, match=sentence):
        fill_pages(page, tmp_path / "results")
    assert page.read_bytes() == before


def test_a_missing_copy_is_named(page, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"01_blur.ipynb does not exist: run `deblurlib"):
        fill_pages(page, tmp_path / "results")


def test_refresh_takes_what_reproduce_left(page, tmp_path):
    execute(tmp_path / "results")
    words = ["refresh", "--reproduced", "--notebooks", str(page), "--results"]
    result = CliRunner().invoke(app, [*words, str(tmp_path / "results")])
    assert result.exit_code == 0 and result.stdout == "1 notebook filled: 01_blur.ipynb\n"
