"""Whole pictures against another checkout; no test depends on a speed."""

import json

import pytest

from deblurlib.bench import checkouts, picture_worker, pictures
from deblurlib.provenance import git_commit
from deblurlib.results import ROOT, origin_of, read_table


def test_pictures_of_two_checkouts_are_timed_in_turns(tmp_path):
    found = pictures.run(
        tmp_path, size=(32, 48), repeats=2, against=ROOT, width="small", networks=["svdn", "aspdc"]
    )
    assert list(zip(found.network, found.library, found.precision, strict=True)) == [
        (f"{network} small", library, precision)
        for network in ("svdn", "aspdc")
        for library in ("deblurlib", "peer")
        for precision in pictures.PRECISIONS
    ]
    assert found.min_ms.gt(0).all() and found.runs.eq(2).all()
    assert found.median_ms.between(found.min_ms, found.max_ms).all()
    theirs = found[(found.library == "peer") & (found.precision == "fp32")]
    assert theirs.speed_up_over_fp32.eq(1).all() and len(theirs) == 2
    written = tmp_path / "tables/picture_times.csv"
    assert read_table(written).columns.tolist() == found.columns.tolist()
    assert json.loads(origin_of(written).read_text())["peer_commit"] == git_commit(ROOT)


def test_a_commit_that_cannot_choose_the_precision_is_timed_in_its_own(monkeypatch):
    monkeypatch.setattr(picture_worker, "CHOOSES_PRECISION", False)
    monkeypatch.setattr(picture_worker.deblurlib, "deblur", lambda *given, progress: given)
    assert picture_worker.seconds("svdn", "small", "32x48", "bf16") is None
    assert picture_worker.seconds("svdn", "small", "32x48", "fp32") >= 0


def test_a_folder_without_the_library_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no folder deblurlib: give a checkout"):
        pictures.run(tmp_path, against=tmp_path)


def test_a_checkout_that_fails_is_told_by_name_also_if_it_fails_first(tmp_path):
    (tmp_path / "deblurlib").mkdir()
    (tmp_path / "deblurlib" / "__init__.py").write_text("raise SystemExit(1)")
    with (
        pytest.raises(ChildProcessError, match=f"failed with the library in {tmp_path}: run it"),
        checkouts.workers(pictures.WORKER, tmp_path) as started,
    ):
        started[checkouts.PEER].process.wait()  # so that no command reaches it
        started[checkouts.PEER].ask("svdn", "small", "32x48", "fp32")
