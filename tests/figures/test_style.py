"""What a notebook stores of a figure."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython import display
from PIL import Image
from skimage import data

from deblurlib.figures.style import (
    LARGE,
    QUALITY,
    SCALE,
    UNSEEN,
    as_png,
    described,
    encoded,
    show,
    use_style,
)


@pytest.fixture(autouse=True)
def style_of_the_book(own_style):
    use_style()


def drawing():
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot(np.arange(20) ** 2)
    axes.set_title("Squares\nof numbers")
    axes.set_xlabel("number")
    return figure


def photograph():
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.imshow(data.astronaut())
    axes.set_title("An astronaut")
    return figure


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_drawing_keeps_its_colours_and_white_paper():
    full = as_png(drawing(), SCALE)
    content, kind = encoded(full)
    assert kind == "png" and len(content) < len(full)
    error = np.abs(opened(content) - opened(full)).max(-1)
    assert np.percentile(error, 99.9) <= UNSEEN
    assert (opened(content)[0, 0] == 255).all()


def test_a_photograph_is_not_reduced_to_a_palette():
    full = as_png(photograph(), SCALE)
    content, kind = encoded(full)
    height, width = (n // SCALE for n in opened(full).shape[:2])
    error = (opened(content) - opened(full)).reshape(height, SCALE, width, SCALE, 3).mean((1, 3))
    assert kind == "jpeg" and len(content) < len(full) / 2
    assert -10 * np.log10((error**2).mean() / 255**2) > 40  # at the size at which it is shown
    assert len(np.unique(opened(content).reshape(-1, 3), axis=0)) > 1000


def test_a_large_photograph_takes_less_space_and_looks_the_same():
    figure, axes = plt.subplots(figsize=(9, 9))
    axes.imshow(data.astronaut())
    full = as_png(figure, SCALE)
    content, kind = encoded(full)
    whole = io.BytesIO()
    Image.open(io.BytesIO(full)).convert("RGB").save(whole, "JPEG", quality=QUALITY, subsampling=2)
    assert kind == "jpeg" and len(content) < 0.9 * len(whole.getvalue()) > 0.9 * LARGE
    height, width = (n // SCALE for n in opened(full).shape[:2])
    error = (opened(content) - opened(full)).reshape(height, SCALE, width, SCALE, 3).mean((1, 3))
    assert -10 * np.log10((error**2).mean() / 255**2) > 38


def test_a_smooth_map_keeps_its_gradient():
    figure, axes = plt.subplots(figsize=(6, 2))
    axes.imshow(np.linspace(0, 1, 500)[None].repeat(100, 0), aspect="auto")
    full = opened(as_png(figure, SCALE))
    content = opened(encoded(as_png(figure, SCALE))[0])
    line = full.shape[0] // 2
    assert np.abs(content[line] - full[line]).max() <= UNSEEN


def test_a_notebook_shows_twice_the_pixels_and_says_what_they_are(monkeypatch):
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    show(drawing())
    (image,) = shown
    assert image.alt == "Squares of numbers, number"
    assert image.width == 6 * plt.rcParams["figure.dpi"]
    assert opened(image.data).shape[1] == SCALE * image.width
    assert not plt.get_fignums()


def test_a_figure_without_text_is_described_as_that():
    assert described(plt.figure()) == "figure without text"


def test_lines_are_described_by_their_legend_and_a_diagram_by_its_boxes():
    figure, (curves, boxes) = plt.subplots(1, 2)
    curves.plot([0, 1], label="first half")
    curves.legend()
    boxes.text(0.5, 0.5, "conv\n147,584")
    assert described(figure) == "first half; conv 147,584"
