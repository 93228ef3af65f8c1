"""What the tests share: small notebooks made on the spot."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from deblurlib.reproduce import PLAIN_METADATA

PARAMETERS = 'preset = "smoke"\ndata = ""\nvariant = ""\nresults = ""\nseed = 0\ndevice = "auto"'


@pytest.fixture
def write_notebook(tmp_path):
    """write_notebook(name, *code): a notebook in tmp_path/notebooks with a heading, the parameters and those code cells."""

    def write(name, *code):
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        cells = [new_markdown_cell(f"# {name}\n\nA claim about *{name}*."), new_code_cell(PARAMETERS)]
        cells[1].metadata.tags = ["parameters"]
        nbformat.write(new_notebook(cells=cells + [new_code_cell(source) for source in code], metadata=PLAIN_METADATA), path)
        return path

    return write


MEASURES = []


@pytest.fixture
def record_measures():
    """record_measures(name, words, lines, words a line, kilobytes) of a notebook, for the summary below."""
    return lambda *measures: MEASURES.append(measures)


def pytest_terminal_summary(terminalreporter):
    if MEASURES:
        terminalreporter.section("notebooks")
        for name, words, lines, ratio, size in MEASURES:
            terminalreporter.line(f"{name:36} {words:5} words {lines:4} code lines {ratio:5.1f} words a line {size:5.0f} KB")
