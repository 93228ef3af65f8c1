"""What the commands print fits a terminal of 80 columns, and a pipe gets one line per row."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from deblurlib.cli import tables
from deblurlib.cli.app import app
from deblurlib.experiments import TABLES, ablations
from deblurlib.training import SHIPPED_RUNS


@pytest.fixture
def pairs(tmp_path):
    """A data set whose names are longer than any column."""
    rng = np.random.default_rng(0)
    for kind in ("input", "target"):
        for i in range(2):
            path = tmp_path / "data" / kind / f"{'a_sequence_with_a_long_name' * 3}_{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    return tmp_path / "data"


def shown_by(*command, width=80):
    """What a command prints in a terminal of this width."""
    found = CliRunner().invoke(app, list(map(str, command)), env={"COLUMNS": str(width)})
    assert found.exit_code == 0, found.output
    return found.stdout.splitlines()


def fits(lines, width=80):
    return max(map(len, lines)) <= width


@pytest.mark.parametrize("metrics", ["rgb-psnr,ssim-skimage", "rgb-psnr,ssim-grey,ssim-range2"])
def test_evaluate(pairs, metrics):
    lines = shown_by("evaluate", pairs, "--model", "aspdc", "--metrics", metrics)
    assert fits(lines)
    assert sum(line.startswith("…") and "_name_" in line for line in lines) == 2
    left_out = "blurry ssim-range2" in metrics or metrics.count(",") == 2
    assert any(line.startswith("Left out") for line in lines) == left_out
    assert any("blurry ssim" in line for line in lines)  # the means are all there


def test_models():
    lines = shown_by("models")
    assert fits(lines) and any("svdn_full" in line for line in lines)


def test_runs(tmp_path):
    for home in sorted(SHIPPED_RUNS.glob("*/"))[:3]:
        shutil.copytree(home, tmp_path / "runs" / home.name)
    (tmp_path / "runs" / "0123456789ab").mkdir()
    lines = shown_by("runs", "--results", tmp_path)
    assert fits(lines) and any("damaged" in line for line in lines)


@pytest.mark.parametrize("table", list(TABLES))
def test_ablation(table, monkeypatch):
    monkeypatch.setattr(ablations, "measured", lambda name, *_, **__: ablations.shipped(name))
    lines = shown_by("ablation", table, "--preset", "smoke")
    assert fits(lines)
    for row in ablations.shipped(table).row.unique():
        assert any(line.startswith(f"{row} ") for line in lines), row


def test_a_narrow_table_has_every_cell_and_the_first_column_in_each_block(capsys, monkeypatch):
    table = pd.DataFrame(
        {
            "row": ["base", "other"],
            "gain over blurry": [0.25, None],
            "state": ["failed: the disk of this machine is full", ""],
            **{f"printed number {i}": [i + 0.5, i + 0.75] for i in range(6)},
        }
    )
    monkeypatch.setenv("COLUMNS", "60")
    tables.print_table(table)
    text = capsys.readouterr().out
    blocks = text.split("\n\n")
    assert fits(text.splitlines(), 60) and len(blocks) > 1
    assert all(block.startswith("row") and "other" in block for block in blocks)
    numbers = [float(word) for word in text.split() if re.fullmatch(r"\d+\.\d+", word)]
    assert sorted(numbers) == sorted([0.25, *table.filter(like="printed").to_numpy().ravel()])
    assert all(word in text for word in table.state[0].split())


def test_a_pipe_gets_one_line_per_row(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda fallback: os.terminal_size(fallback))
    table = pd.DataFrame({f"a long heading {i}": [i] for i in range(20)})
    tables.print_table(table)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert len(tables.Rows(["a number"] * 20).heading) == 1
