"""All ablation tables stacked: every number once, with what it was made by."""

import io
import re
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest

import deblurlib
from deblurlib import dictionary, papers
from deblurlib.analysis.verdicts import VERDICTS
from deblurlib.experiments import TABLES, ablations, row, stacked
from deblurlib.results import ROOT
from deblurlib.training import SHIPPED_RUNS


@pytest.fixture(scope="module")
def long():
    return ablations.load()


def test_every_measured_number_is_there_once(long):
    assert list(long)[:7] == ["table", "row", "seed", "image", "photograph", "metric", "value"]
    assert not long.duplicated(["table", "row", "seed", "image", "metric"]).any()
    ours = long[(long.source == "measured") & (long.row != "blurry")]
    for table in TABLES:
        shipped = ablations.shipped(table)
        mine = ours[(ours.table == table) & (ours.metric == "rgb-psnr")]
        assert sorted(mine.value) == sorted(shipped["rgb-psnr"])
    assert ours.hash.notna().all() and (ours.steps > 0).all() and ours.photograph.notna().all()


def test_a_number_says_which_training_made_it(long):
    preset = ablations.shipped("svdn_table2").preset[0]
    chosen = long[(long.table == "svdn_table2") & (long.row == "fd") & (long.seed == 1)]
    experiment = row("svdn_table2", "fd", preset, 1)
    assert set(chosen.hash) == {experiment.hash} and set(chosen.steps) == {experiment.steps}
    weights = {path.name for path in SHIPPED_RUNS.iterdir() if path.is_dir()}
    assert set(long[long.seed == 0].hash) <= weights


def test_the_input_is_a_row_of_its_own(long):
    blurry = long[(long.row == "blurry") & (long.metric == "rgb-psnr")]
    shipped = ablations.shipped("radn_table1").drop_duplicates("image")
    mine = blurry[blurry.table == "radn_table1"].set_index("image").value
    assert mine.to_dict() == shipped.set_index("image")["blurry rgb-psnr"].to_dict()
    assert set(blurry.parameters) == {0} and blurry.seed.isna().all()


def test_printed_numbers_carry_the_metric_that_they_were_made_with(long):
    printed = long[long.source == "printed"].set_index(["table", "row", "metric"]).value
    assert printed["svdn_table2", "fd_og", "rgb-psnr"] == 29.81
    assert printed["svdn_table2", "fd_og", "ssim-matlab-rgb3d"] == 0.9368
    assert printed["aspdc_table5", "v12", "ssim-range2"] == 0.959
    entries = [entry for rows in TABLES.values() for entry in rows.values()]
    wanted = sum(entry.printed is not None for entry in entries)
    assert (printed.index.get_level_values("metric") == "rgb-psnr").sum() == wanted
    assert not {"ssim-skimage"} & set(printed.index.get_level_values("metric"))


def readme_lines(word):
    """What the lines with that word print, of the one block of the README that has it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    with redirect_stdout(io.StringIO()) as shown:
        exec(block, {"ablations": ablations})
    return shown.getvalue().splitlines()


def test_the_lines_in_the_readme_put_ours_beside_theirs():
    lines = readme_lines("ablations.load()")
    assert lines[0].split() == ["source", "measured", "printed"]
    cells = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    measured = ablations.shipped("aspdc_table5").groupby("row")["rgb-psnr"].mean()
    printed = papers.table("aspdc_table5").psnr_db
    assert set(cells) == {*TABLES["aspdc_table5"], "blurry"}
    assert [float(x) for x in cells["v12"]] == [round(measured["v12"], 2), printed[11]]
    assert cells["blurry"][1] == "NaN"


def test_the_lines_in_the_readme_show_seeds_and_intervals():
    lines = readme_lines("ablations.summary(")
    assert lines[0].split() == ["seed", "0", "1", "2"]
    measured = ablations.shipped("aspdc_table5")
    (v12, summed) = (line.split() for line in lines if " v12 " in f" {line} ")
    of_seeds = measured[measured.row == "v12"].groupby("seed")["rgb-psnr"].mean()
    assert [float(x) for x in v12[1:]] == list(of_seeds.round(3))
    estimate = ablations.compare(measured, "v12", "v11")
    assert [float(x) for x in summed[6:9]] == [
        round(x, 3) for x in (estimate.value, *estimate.interval)
    ]


def test_each_row_of_a_table_has_one_line_with_its_verdict():
    table = stacked.overview()
    assert not table.duplicated(["table", "row"]).any()
    assert set(table.verdict) <= {*VERDICTS, ""} and table.verdict.ne("").any()
    judged = table[table.verdict != ""]
    assert judged["printed difference"].notna().all() and (judged.row != judged.against).all()
    line = table.set_index(["table", "row"]).loc[("svdn_table2", "fd_og")]
    assert line["printed difference"] == pytest.approx(29.81 - 28.34)
    assert line.low < line.difference < line.high
    base = table.set_index(["table", "row"]).loc[("svdn_table2", "base")]
    assert np.isnan(base.difference) and base.verdict == ""
    assert line.difference == pytest.approx(line["rgb-psnr"] - base["rgb-psnr"])


@pytest.mark.parametrize(
    "interval, gain, seeds, verdict",
    [
        ((1.3, 1.6), 1.0, 3, "reproduced"),
        ((1.3, 1.6), 0.4, 3, "not learned enough"),
        ((1.3, 1.6), 1.0, 1, "inconclusive"),
        ((-1.6, -1.3), 1.0, 3, "contradicted"),
        ((-0.1, 0.1), 1.0, 3, "no effect at this scale"),
    ],
)
def test_the_verdict_is_that_of_the_ledgers_rule(interval, gain, seeds, verdict):
    rows = [
        {"row": name, "seed": 0, "image": "a", "rgb-psnr": 20 + gain, "blurry rgb-psnr": 20.0}
        for name in ("base", "fd")
    ]
    line = {"row": "fd", "difference": np.mean(interval), "low": interval[0], "high": interval[1]}
    line |= {"p_holm": 0.9 if min(interval) < 0 < max(interval) else 0.01, "seeds": seeds}
    line |= {"printed difference": 1.4}
    assert stacked._verdict(pd.DataFrame(rows), "base", line) == verdict
    assert stacked._verdict(pd.DataFrame(rows), "base", line | {"row": "base"}) == ""
    assert stacked._verdict(pd.DataFrame(rows), "base", line | {"printed difference": np.nan}) == ""


def test_the_files_hold_the_same_numbers_and_validate(tmp_path, long):
    stacked.write(tmp_path)
    for name in ("ablations", "ablations_long"):
        assert dictionary.problems(tmp_path / f"{name}.csv") == []
    back = pd.read_csv(tmp_path / "ablations_long.csv", dtype={"seed": "Int64"})
    assert back.value.tolist() == long.value.tolist() and back.seed.equals(long.seed)
    assert {"against", "difference_db", "printed_difference_db", "verdict"} <= set(
        pd.read_csv(tmp_path / "ablations.csv")
    )
    shipped = ROOT / "results" / "tables" / "ablations_long.csv"
    if shipped.exists():
        assert list(pd.read_csv(shipped, nrows=1)) == list(back)


def test_the_name_is_public():
    assert deblurlib.ablations is ablations
