"""A page that is too large keeps its text and drawings; its largest photographs get coarser."""

import base64
import io

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from deblurlib.book.fitting import fit


def figure(side, kind, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    mime = f"image/{kind}"
    data = {mime: base64.b64encode(content.getvalue()).decode()}
    return new_output("display_data", data, metadata={mime: {"width": side // 2}})


def page():
    outputs = [figure(200, "jpeg"), figure(400, "jpeg", 1), figure(64, "png")]
    return new_notebook(cells=[new_code_cell("draw()", outputs=outputs)])


def size_of(notebook):
    return len(nbformat.writes(notebook))


def sides(notebook):
    data = [next(iter(output.data.values())) for output in notebook.cells[0].outputs]
    return [Image.open(io.BytesIO(base64.b64decode(each))).width for each in data]


def test_the_largest_photograph_gives_way_first_and_is_shown_at_its_size():
    notebook = page()
    before = size_of(notebook)
    fitted = fit(notebook, before - 1000)
    assert sides(fitted) == [200, 300, 64] and size_of(fitted) <= before - 1000
    assert [list(output.metadata.values()) for output in fitted.cells[0].outputs] == [
        [{"width": 100}],
        [{"width": 200}],
        [{"width": 32}],
    ]


def test_a_page_that_fits_stays():
    notebook = page()
    assert sides(fit(notebook, size_of(notebook))) == [200, 400, 64]


def test_drawings_never_give_way():
    assert sides(fit(page(), 1)) == [150, 300, 64]
