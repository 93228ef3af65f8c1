"""What all tests share: small notebooks, made on the spot, and matplotlib's own settings."""

import signal

import matplotlib as mpl
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from deblurlib.book.notebooks import PLAIN_METADATA

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell starts it in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

PARAMETERS = 'preset = "smoke"\ndata = ""\nvariant = ""\nresults = ""\nseed = 0\ndevice = "auto"'


@pytest.fixture(autouse=True)
def own_style():
    """The style of the book, which some tests set, does not reach the next test."""
    with mpl.rc_context():
        yield


@pytest.fixture
def write_notebook(tmp_path):
    """write_notebook(name, *code): a notebook below tmp_path with a heading and parameters."""

    def write(name, *code):
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        cells = [
            new_markdown_cell(f"# {name}\n\nA claim about *{name}*."),
            new_code_cell(PARAMETERS),
        ]
        cells[1].metadata.tags = ["parameters"]
        nbformat.write(
            new_notebook(
                cells=cells + [new_code_cell(source) for source in code], metadata=PLAIN_METADATA
            ),
            path,
        )
        return path

    return write
