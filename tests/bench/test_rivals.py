"""The benchmark against other runtimes: what a row says, and that those installed agree."""

import math
import sys

import numpy as np
import pytest

from deblurlib.bench import rivals
from deblurlib.bench.clock import Seconds
from deblurlib.bench.rivals import Outcome, Rival
from deblurlib.dictionary import problems

TINY = (32, 48)


def contestant(package, precision="fp32"):
    return Rival(package=package, precision=precision, threads=1)


def test_every_runtime_competes_and_ours_comes_first():
    found = rivals.rivals(2)
    assert found[0] == Rival(package="deblurlib", precision="fp32", threads=2)
    assert {each.package for each in found} == set(rivals.MAKERS) == set(rivals.PRECISIONS)


@pytest.mark.parametrize("package", ["onnxruntime", "openvino", "ncnn", "pnnx"])
def test_a_runtime_that_is_not_installed_says_so(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, "ncnn", None if package == "ncnn" else math)
    runtime = "ncnn" if package == "pnnx" else package
    note = rivals._enter(contestant(runtime), "svdn", TINY)
    assert note == f"{package} is not installed"


@pytest.mark.parametrize(
    "package, precision, least",
    [
        ("deblurlib", "bf16", 55),
        ("onnxruntime", "fp32", 100),
        ("openvino", "fp32", 100),
        ("openvino", "bf16", 50),
    ],
)
def test_a_runtime_that_is_installed_agrees_with_ours(package, precision, least):
    if package != "deblurlib":
        pytest.importorskip(package)
    contestants = [contestant("deblurlib"), contestant(package, precision)]
    if precision == "bf16":
        contestants.insert(1, contestant("deblurlib", "bf16"))
    ours, *_, other = rivals._race("svdn", TINY, 1, contestants)
    assert other["note"] == "" and other["agreement_db"] > least
    assert ours["agreement_db"] == math.inf and ours["ratio"] == ours["cpu_ratio"] == 1


def test_a_row_compares_with_ours_in_the_same_precision():
    image = np.full((3, 2, 2), 0.5)
    ours, half, other, missing = (
        contestant("deblurlib"),
        contestant("deblurlib", "bf16"),
        contestant("openvino", "bf16"),
        contestant("ncnn"),
    )
    outcomes = {
        ours: Outcome(image, [Seconds(8.0, 8.0)]),
        half: Outcome(image + 0.1, [Seconds(2.0, 4.0), Seconds(2.0, 4.0), Seconds(9.0, 9.0)]),
        other: Outcome(image, [Seconds(3.0, 5.0)]),
        missing: Outcome(note="ncnn is not installed"),
    }
    row = rivals._row(other, "svdn", TINY, outcomes)
    assert (row["median_ms"], row["ratio"], row["cpu_ratio"]) == (3000, 1.5, 1.25)
    assert row["agreement_db"] == math.inf
    row = rivals._row(half, "svdn", TINY, outcomes)
    assert row["agreement_db"] == pytest.approx(20) and row["note"] == "computes another image"
    row = rivals._row(missing, "svdn", TINY, outcomes)
    assert math.isnan(row["median_ms"]) and row["note"] == "ncnn is not installed"


def test_the_table_is_written_in_the_words_of_the_dictionary(tmp_path, monkeypatch):
    monkeypatch.setattr(rivals, "PRECISIONS", {"deblurlib": ("fp32",), "onnxruntime": ("fp32",)})
    table = rivals.run(tmp_path, size=TINY, repeats=1, threads=(1,))
    assert list(table.contestant) == ["deblurlib", "onnxruntime"] and (table.runs == 1).all()
    assert (table.version != "").all() and table.agreement_db[1] > 100
    assert problems(tmp_path / "tables" / "rivals.csv") == []
