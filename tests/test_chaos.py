"""The comparison of `make chaos` sees what a fault could leave, and the README tells its table."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from deblurlib.provenance import ROOT
from tests.chaos.commands import COMMANDS
from tests.chaos.comparison import difference, snapshot


@pytest.fixture
def results(tmp_path):
    """A folder of results, and another one of an equal run that took longer."""
    folders = []
    for seconds in (1, 2):
        folder = tmp_path / f"out{seconds:04}"
        (folder / "tables").mkdir(parents=True)
        (folder / "tables" / "a.csv").write_text("psnr\n1.5\n")
        (folder / "a.json").write_text(json.dumps({"seconds": seconds, "steps": 4}))
        (folder / "copy.txt").write_text(f"written to {folder}")
        save_file({"w": np.arange(3.0)}, folder / "model.safetensors")
        sums = {"a.json": hashlib.sha256((folder / "a.json").read_bytes()).hexdigest()}
        entry = {"state": "done", "outputs": sums, "seconds": seconds}
        (folder / "manifest.json").write_text(json.dumps({"notebooks": {"01": entry}}))
        folders.append(folder)
    return folders


def test_equal_runs_are_equal(results):
    first, second = results
    assert difference(snapshot(first), second) == ""


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("tables/a.csv", b"psnr\n1.4\n", "different: tables/a.csv"),
        ("a.json", b'{"seconds": 2, "steps": 5}', "different: a.json at /steps: 4 became 5"),
        ("a.json", b"{", "unreadable"),
        ("a.json", b'{"seconds": 3, "steps": 4}', "different: manifest.json at /notebooks/01/out"),
        ("model.safetensors", b"", "unreadable"),
        ("more.txt", b"", "new: more.txt"),
        (".a.csv.12345678.1.0.tmp", b"", "left behind: .a.csv"),
        ("tables/a.csv", None, "missing: tables/a.csv"),
    ],
)
def test_a_difference_is_told(results, name, content, told):
    first, second = results
    if content is None:
        (second / name).unlink()
    else:
        (second / name).write_bytes(content)
    assert difference(snapshot(first), second).startswith(told)


def test_the_readme_tells_what_the_stored_table_covers():
    table = pd.read_csv(ROOT / "results" / "tables" / "chaos.csv")
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    told = re.search(
        r"in the (\d+) cases of \[the stored table\]\(results/tables/chaos\.csv\), "
        r"(\d+) of them signals at random moments, every rerun",
        text,
    )
    signals = table[table.fault.str.startswith("SIG")].cases.sum()
    assert told is not None and [int(n) for n in told.groups()] == [table.cases.sum(), signals]
    assert not table.failures.any()
    assert sorted(set(table.command)) == sorted(command.name for command in COMMANDS)
