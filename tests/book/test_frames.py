"""Sliders without a kernel: what is drawn beforehand is what the explorer would have shown."""

import base64
import copy
import json
import shutil
import subprocess

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from ipywidgets import FloatLogSlider, FloatSlider, IntSlider
from nbformat.v4 import new_code_cell, new_notebook, new_output

from deblurlib import figures
from deblurlib.book import editions, frames, widgets

PIXEL = base64.b64encode(b"a still image").decode()


def drawing(a, b):
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot([a, b])
    return figure


@pytest.fixture(scope="module")
def explorer():
    return widgets.Explorer(
        drawing,
        a=FloatSlider(value=0.3, min=0, max=1, description="a <b>"),
        b=IntSlider(value=2, min=0, max=7, description="b"),
    )


@pytest.fixture(scope="module")
def folder(explorer, tmp_path_factory):
    home = tmp_path_factory.mktemp("frames")
    frames.write(explorer, home / "01_lines.json")
    return home


def lesson(source):
    still = new_output(
        "display_data",
        {"image/png": PIXEL},
        metadata={"image/png": {"alt": 'Two "lines"', "width": 512}},
    )
    return new_notebook(cells=[new_code_cell(source, outputs=[still])])


@pytest.mark.parametrize(
    "slider, wanted",
    [
        (IntSlider(value=2, min=0, max=3), [0, 1, 2, 3]),
        (FloatSlider(value=0.5, min=0, max=7), [0, 0.5, 1, 2, 3, 4, 5, 6, 7]),
        (FloatLogSlider(value=10, min=0, max=7), [10**k for k in range(8)]),
    ],
)
def test_a_slider_is_drawn_at_even_steps_and_where_it_begins(slider, wanted):
    assert frames.positions(slider) == pytest.approx(wanted)


def test_one_slider_moves_at_a_time_and_the_figures_are_those_of_the_explorer(explorer, folder):
    first, second = json.loads((folder / "01_lines.json").read_text())
    assert first["labels"][first["begin"]] == "0.30" and second["labels"][second["begin"]] == "2"
    assert len(first["frames"]) == len(first["labels"]) == 9
    assert first["frames"][first["begin"]] == second["frames"][second["begin"]]
    assert len({*first["frames"], *second["frames"]}) == 9 + 8 - 1
    data, kind = figures.style.encoded(figures.as_png(drawing(1.0, 2)))
    assert first["frames"][-1] == f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    assert explorer.sliders["a"].value == 0.3 and plt.get_fignums() == []


def test_the_still_image_begins_and_its_words_stay(folder):
    cell = frames.with_sliders(lesson('lesson.explore(lines(), "lines")'), "01", folder).cells[0]
    page = BeautifulSoup(cell.outputs[0].data["text/html"], "html.parser")
    image, inputs = page.img, page.find_all("input")
    assert image["src"] == f"data:image/png;base64,{PIXEL}" and image["alt"] == 'Two "lines"'
    assert [(i["value"], i["max"]) for i in inputs] == [("3", "8"), ("2", "7")]
    assert [label.contents[0].strip() for label in page.find_all("label")] == ["a <b>", "b"]


@pytest.mark.parametrize(
    "prefix, source",
    [
        ("02", 'lesson.explore(lines(), "lines")'),
        ("01", 'lesson.figure(lines(), "lines")'),
        ("01", 'lesson.explore(lines(), "other")'),
    ],
)
def test_a_figure_without_stored_frames_stays_as_it_is(folder, prefix, source):
    notebook = lesson(source)
    before = copy.deepcopy(notebook)
    assert frames.with_sliders(notebook, prefix, folder) == before


def test_in_a_browser_a_slider_changes_the_image_and_the_others_go_back(folder, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    cell = frames.with_sliders(lesson('lesson.explore(lines(), "lines")'), "01", folder).cells[0]
    moves = """<script>
      const [a, b] = document.querySelectorAll('input'), image = document.querySelector('img');
      const seen = [];
      const move = (input, value) => {
        input.value = value; input.dispatchEvent(new Event('input'));
        const shown = [a, b].flatMap(i => [i.value, i.nextElementSibling.value]);
        seen.push([image.src.length, ...shown]);
      };
      move(a, 8); move(b, 7); move(b, 2);
      document.title = JSON.stringify(seen);
    </script>"""
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html>{cell.outputs[0].data['text/html']}{moves}")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'u'}"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    first, second = json.loads((folder / "01_lines.json").read_text())
    still = f"data:image/png;base64,{PIXEL}"
    assert json.loads(BeautifulSoup(done.stdout, "html.parser").title.text) == [
        [len(first["frames"][8]), "8", "1.00", "2", "2"],
        [len(second["frames"][7]), "3", "0.30", "7", "7"],
        [len(still), "3", "0.30", "2", "2"],
    ]


def test_the_site_has_the_sliders_of_the_results_folder(tmp_path, folder, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(folder, results / "frames")
    monkeypatch.setenv("DEBLURLIB_RESULTS", str(results))
    source = 'lesson.explore(lines(), "lines")'
    path = tmp_path / "notebooks" / "01_lines.ipynb"
    path.parent.mkdir()
    nbformat.write(lesson(source), path)
    editions.site(tmp_path / "site", path)
    page = BeautifulSoup((tmp_path / "site" / "01_lines.html").read_text(), "html.parser")
    assert len(page.select(".explorer input[type=range]")) == 2
    assert np.all([i["src"].startswith("data:") for i in page.find_all("img")])
