"""On the command line, 0 is a value, not a missing one."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from deblurlib import experiments
from deblurlib.cli.app import app
from deblurlib.training import Experiment


@pytest.fixture
def trained(monkeypatch):
    """Calls `deblurlib train` and returns the Experiment that it hands to `fit`."""

    def call(*arguments: object) -> Experiment:
        seen = []
        monkeypatch.setattr(
            "deblurlib.training.fit", lambda experiment, **options: seen.append(experiment) or 1 / 0
        )
        result = CliRunner().invoke(app, ["train", *map(str, arguments)])
        assert len(seen) == 1, result.output
        return seen[0]

    return call


def test_a_position_weight_of_zero_replaces_that_of_the_row(trained):
    assert trained("svdn_table2:fd_og").position == 1e-4
    assert trained("svdn_table2:fd_og", "--position", 0).position == 0


def test_a_row_is_trained_as_its_table_measures_it(trained):
    """In the table's precision, that is, whatever this machine would be fastest in."""
    row = experiments.row("aspdc_table5", "v12", "smoke", 3)
    assert trained("aspdc_table5:v12", "--preset", "smoke", "--seed", 3).hash == row.hash
    chosen = trained("aspdc_table5:v12", "--preset", "smoke", "--precision", "bf16-mixed")
    assert chosen.precision == "bf16-mixed"


def test_a_trained_row_is_told_how_to_measure_it(monkeypatch, tmp_path):
    run = SimpleNamespace(folder=tmp_path, cached=False, seconds=3.0)
    monkeypatch.setattr("deblurlib.training.fit", lambda *_, **__: run)
    said = CliRunner().invoke(app, ["train", "aspdc_table5:v12", "--preset", "smoke"]).output
    assert "ablation aspdc_table5 --preset smoke --finished --against v12" in said
    assert "--seed" not in said and "--results" not in said
    place = ["--seed", "1", "--results", str(tmp_path / "of mine")]  # smoke has the seed 0 alone
    other = ["train", "radn_table1:final", "--preset", "smoke", *place]
    said = CliRunner().invoke(app, other).output
    assert f"--against final --seed 1 --results '{tmp_path / 'of mine'}'\n" in said
    changed = CliRunner().invoke(app, ["train", "aspdc_table5:v12", "--steps", "7"]).output
    assert "trained in 3 s" in changed and "ablation" not in changed


def test_numbers_that_are_not_given_are_those_of_the_preset(trained):
    given = trained("svdn", "--steps", 7, "--batch", 3, "--ema", 0.5)
    assert (given.steps, given.batch, given.ema) == (7, 3, 0.5)
    quick = trained("svdn", "--ema", 0)
    assert (quick.steps, quick.batch, quick.ema, quick.size) == (300, 4, 0, "small")


@pytest.mark.parametrize("name", ["steps", "batch"])
def test_no_steps_and_no_crops_are_refused(name):
    result = CliRunner().invoke(app, ["train", "svdn", f"--{name}", "0"])
    assert result.exit_code == 2
    assert f"--{name}" in result.stderr


def test_an_average_that_never_moves_is_refused():
    result = CliRunner().invoke(app, ["train", "svdn", "--ema", "1"])
    assert result.exit_code == 2 and "ema is 1.0: give a decay" in result.stderr
