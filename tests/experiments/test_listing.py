"""The list of trainings in a folder, each in another state."""

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from deblurlib.cli.app import app
from deblurlib.experiments import rows
from deblurlib.experiments.listing import list_runs
from deblurlib.training import Experiment, fit, loop
from deblurlib.training.locks import run_lock

TINY = Experiment(
    variant="fd_og", size="small", scenes=1, scene_size=48, steps=4, batch=1, patch=32
)
CHOICE = {"progress": False, "device": "cpu"}


def test_every_run_is_listed_with_its_state(tmp_path, monkeypatch):
    folder, real = tmp_path / "runs", loop.learning_rate
    finished = fit(TINY, folder=folder, validate_every=4, **CHOICE)
    stopped = replace(TINY, seed=1)

    def rate(step, experiment):
        if step == 3:
            raise ArithmeticError
        return real(step, experiment)

    monkeypatch.setattr(loop, "learning_rate", rate)
    with pytest.raises(ArithmeticError):
        fit(stopped, folder=folder, checkpoint_every=2, **CHOICE)
    running, damaged = folder / ("1" * 12), folder / ("2" * 12)
    shutil.copytree(folder / stopped.hash, running)
    shutil.copytree(finished.folder, damaged)
    (damaged / "model.safetensors").write_bytes(b"")
    row = rows("svdn_table2", "quick", 1)["fd_og"].hash
    shutil.copytree(finished.folder, folder / row)
    (folder / "3").mkdir()
    with run_lock(running, pytest.fail):
        table = list_runs(folder).set_index("hash")
    states = table.state.to_dict()
    assert states.pop(running.name).startswith("running (process ")
    assert states == {
        TINY.hash: "finished",
        stopped.hash: "interrupted at step 2",
        damaged.name: "damaged",
        row: "finished",
        "3": "damaged",
    }
    first = table.loc[TINY.hash]
    assert (first.model, first.variant, first["size"], first.seed) == ("svdn", "fd_og", "small", 0)
    assert (first.done, first.steps) == (4, 4) and 0 <= first.cpu_hours < 0.1
    last = finished.log.iloc[-1]
    assert first.gain == pytest.approx(last.validation - last.validation_blurry)
    assert 15 < last.validation_blurry < 40
    assert table.row.to_dict()[row] == "svdn_table2:fd_og" and table.row[TINY.hash] == ""
    printed = CliRunner().invoke(app, ["runs", "--results", str(tmp_path), "--json"])
    assert [line["hash"] for line in json.loads(printed.stdout)] == list(table.index)
    printed = CliRunner().invoke(app, ["runs", "--results", str(tmp_path)])
    assert "interrupted at step 2" in printed.stdout


def test_an_empty_folder_has_no_runs(tmp_path):
    printed = CliRunner().invoke(app, ["runs", "--results", str(tmp_path)])
    assert printed.exit_code == 0 and "There are no trainings in" in printed.stdout
