"""The tour in JupyterLab and the report in a real browser.

JupyterLab opens the tour, runs all cells, and a slider changes its figure; the report sorts,
filters and compares, on a phone and on a projector.

Skipped without playwright or its Chromium; CONTRIBUTING.md says how to get them.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from deblurlib.book import editions
from deblurlib.book.report import write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the browser test wants playwright, see CONTRIBUTING.md"
)

ROOT = Path(__file__).parents[1]
CELLS = ".jp-Notebook .jp-CodeCell .jp-InputArea-prompt"
MINUTE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab with its own settings that serves the tour as students get it."""
    home = tmp_path_factory.mktemp("lab")
    editions.student_edition(home / "course", "00")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        f"--ServerApp.{name}"
        for name in (f"port={port}", "port_retries=0", "ip=127.0.0.1", "allow_root=True")
    ]
    options += [
        "--no-browser",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={home / 'course'}",
    ]
    folders = {"JUPYTER_CONFIG_DIR": home / "config", "DEBLURLIB_RESULTS": home / "results"}
    env = os.environ | {name: str(folder) for name, folder in folders.items()}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=env, stdout=log, stderr=log
        )
    try:
        for _ in range(120):
            try:
                urlopen(f"http://127.0.0.1:{port}/api", timeout=1).close()
                break
            except (URLError, OSError):
                assert server.poll() is None, (home / "log").read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab/tree"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def page():
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch()
        except playwright.Error as error:
            pytest.skip(
                "the browser test wants playwright's Chromium, see CONTRIBUTING.md: "
                f"{str(error).splitlines()[0]}"
            )
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def test_the_tour_runs_in_jupyterlab_and_its_slider_moves_the_line(lab, page):
    page.goto(f"{lab}/00_tour.ipynb?reset", timeout=2 * MINUTE)
    page.locator("#jp-main-statusbar", has_text="| Idle").wait_for(
        timeout=2 * MINUTE
    )  # earlier, it would ask for a kernel
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    numbered = r"prompt => /^\[\d+\]:$/.test(prompt.textContent.trim())"
    done = f"[...document.querySelectorAll('{CELLS}')].every({numbered})"
    page.wait_for_function(done, timeout=5 * MINUTE)
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    picture, handle = (
        page.locator("img.widget-image").first,
        page.locator(".widget-slider .noUi-handle").first,
    )
    picture.scroll_into_view_if_needed()
    first = picture.screenshot()
    for key in ("ArrowLeft", "ArrowRight"):  # away and back
        handle.focus()
        for _ in range(20):
            handle.press(key)
        deadline = time.monotonic() + 60
        while (picture.screenshot() == first) != (
            key == "ArrowRight"
        ) and time.monotonic() < deadline:
            page.wait_for_timeout(500)
        page.wait_for_timeout(3000)  # whatever is still on its way
        assert (picture.screenshot() == first) == (key == "ArrowRight")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768)], ids=["phone", "projector"])
def test_the_report_sorts_filters_and_compares(page, tmp_path, width, height):
    shutil.copytree(ROOT / "results", tmp_path / "results")
    report = write_report(tmp_path / "results", sorted((ROOT / "notebooks").glob("*.ipynb")))
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda request: troubles.append(request.url) if request.url.startswith("http") else None,
    )
    page.set_viewport_size({"width": width, "height": height})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page is wider than the screen"
    )

    numbers = "cells => cells.map(cell => cell.dataset.key).filter(key => key).map(Number)"
    ours = page.locator("#claims td[data-label=ours]")
    for direction in (1, -1):
        page.locator("#claims th button", has_text="ours").evaluate(
            "button => button.click()"
        )  # the phone hides it
        keys = ours.evaluate_all(numbers)
        assert len(keys) > 20 and keys == sorted(keys, reverse=direction < 0)

    contradicted = page.locator("#claims button", has_text="contradicted")
    contradicted.click()
    shown = page.locator("#claims tbody tr:visible")
    assert 0 < shown.count() == int(contradicted.text_content().split()[-1])
    assert set(shown.locator(".verdict").all_text_contents()) == {"contradicted"}

    slider = page.locator(".slider input").first
    place = "element => getComputedStyle(element.parentElement.querySelectorAll('img')[1]).clipPath"
    before = slider.evaluate(place)
    slider.fill("20")
    assert "20%" in slider.evaluate(place) != before
    assert not troubles
