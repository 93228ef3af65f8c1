"""Progress without a terminal: a line per minute for long work, nothing for short work."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deblurlib import progress
from deblurlib.data import check_data
from deblurlib.data.samples import Sample
from deblurlib.evaluation import evaluate
from deblurlib.inference.files import deblur_files
from deblurlib.training import Experiment, fit


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by forty seconds whenever it is read."""
    times = iter(range(0, 10**6, 40))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(times)))


@pytest.mark.usefixtures("clock")
def test_a_line_per_minute_says_how_much_is_done_and_left(capsys):
    with progress.progress_bar(range(6), desc="deblur", unit="image") as bar:
        assert list(bar) == list(range(6))
    assert capsys.readouterr().err.splitlines() == [
        "deblur: 2 of 6 images, 1 min elapsed, 3 min left",
        "deblur: 4 of 6 images, 3 min elapsed, 1 min left",
        "deblur: 6 of 6 images, 4 min elapsed, 0 min left",
    ]


@pytest.mark.usefixtures("clock")
def test_what_was_done_before_does_not_make_the_rest_look_faster(capsys):
    bar = progress.progress_bar(total=104, initial=100, desc="svdn", unit="step")
    bar.update()
    bar.update()
    assert capsys.readouterr().err == "svdn: 102 of 104 steps, 1 min elapsed, 1 min left\n"


@pytest.mark.usefixtures("clock")
def test_an_unknown_end_and_hours(capsys):
    for _ in progress.progress_bar((i for i in range(400)), desc="evaluate", unit="image"):
        pass
    assert capsys.readouterr().err.splitlines()[-1] == "evaluate: 400 images, 4.5 h elapsed"


@pytest.mark.usefixtures("clock")
def test_no_line_if_progress_is_not_wanted_and_a_bar_if_it_is(capsys):
    assert list(progress.progress_bar(range(9), show=False)) == list(range(9))
    assert capsys.readouterr().err == ""
    assert list(progress.progress_bar(range(9), show=True, desc="x")) == list(range(9))
    assert "100%" in capsys.readouterr().err


@pytest.mark.usefixtures("clock")
def test_a_notebook_of_a_run_writes_its_progress_into_the_log(capsys, monkeypatch, tmp_path):
    log = tmp_path / "03.log"
    log.write_text("papermill\n")
    monkeypatch.setenv(progress.LOG, str(log))
    with progress.progress_bar(total=3, desc="svdn fd", unit="step") as bar:
        for _ in range(3):
            bar.update()
    assert capsys.readouterr().err == ""
    assert log.read_text().splitlines() == [
        "papermill",
        "Progress: svdn fd: 1 of 3 steps, 1 min elapsed, 1 min left",
        "Progress: svdn fd: 2 of 3 steps, 1 min elapsed, 1 min left",
        "Progress: svdn fd: 3 of 3 steps, 2 min elapsed, 0 min left",
        "Progress: svdn fd: 3 steps are done",
    ]


@pytest.mark.usefixtures("clock")
def test_a_training_without_a_terminal_prints_a_line_per_minute(capsys, tmp_path):
    fit(Experiment(steps=4, patch=16, batch=1, size="small"), folder=tmp_path, device="cpu")
    assert "svdn paper small seed 0: 4 of 4 steps, " in capsys.readouterr().err


def test_short_work_says_nothing_and_a_terminal_has_its_bar(capsys, monkeypatch):
    assert list(progress.progress_bar(range(1000))) == list(range(1000))
    assert capsys.readouterr().err == ""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.progress_bar(range(1000), desc="x")) == list(range(1000))
    assert "100%" in terminal.getvalue()


@pytest.mark.usefixtures("clock")
def test_long_work_of_the_library_reports_itself(capsys, tmp_path):
    for kind in ("blur", "sharp"):
        for name in "abcd":
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(
                tmp_path / "data" / kind / f"{name}.png"
            )
    deblur_files(tmp_path / "data" / "blur", tmp_path / "out", nn.Identity())
    assert "deblur: 4 of 4 images" in capsys.readouterr().err
    grey = torch.zeros(3, 16, 16)
    evaluate(None, [Sample(grey, grey, name=name) for name in "abcd"])
    assert "evaluate: 4 of 4 images" in capsys.readouterr().err
    check_data(tmp_path / "data")
    assert "check: 8 of 8 files" in capsys.readouterr().err
