"""Training steps against another checkout; no test depends on a speed."""

import pytest

from deblurlib.bench import steps
from deblurlib.results import ROOT, read_table


def test_steps_of_two_checkouts_are_timed_and_divided_into_parts(tmp_path):
    table = steps.run(tmp_path, repeats=1, against=ROOT, quick=True)
    assert list(zip(table.library, table.precision, strict=True)) == [
        (library, precision) for library in ("deblurlib", "peer") for precision in steps.PRECISIONS
    ]
    assert table.median_ms.gt(0).all()
    fp32 = table[table.precision == "fp32"]
    assert fp32.speed_up.tolist() == fp32.speed_up_over_fp32.tolist()
    assert fp32.speed_up.iloc[1] == 1
    parts = read_table(tmp_path / "tables/training_parts.csv").set_index("part")
    assert set(parts.index) == {
        "convolutions, forward",
        "convolutions, backward",
        "deformable convolutions",
        "PReLU",
        "position loss",
        "copies",
        "Adam",
        "rest",
    }
    assert parts.filter(like=", ms").gt(0).all(axis=None)
    assert parts.filter(like=", %").sum().sub(100).abs().le(1).all()
    assert (tmp_path / "tables/training_steps.csv").exists()


def test_a_folder_without_the_library_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no folder deblurlib: give a checkout"):
        steps.run(tmp_path, against=tmp_path)
