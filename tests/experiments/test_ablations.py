from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from deblurlib import experiments, training
from deblurlib.analysis.significance import holm, paired_bootstrap
from deblurlib.data import SceneDataset
from deblurlib.experiments import Row, ablations, rows
from deblurlib.experiments.measuring import measured_network
from deblurlib.experiments.presets import Preset
from deblurlib.training import loop

TINY = Preset(
    name="tiny",
    test_scenes=3,
    scene_size=48,
    train_scenes=2,
    train_steps=2,
    tuning_steps=1,
    batch=1,
    patch=32,
    seeds=2,
    size="small",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def found(runs):
    scenes = SceneDataset("test", 3, 48, variant="blur")
    return ablations.measured(
        "svdn_table2", TINY, scenes, folder=runs, progress=False, device="cpu"
    )


def test_measurements_have_one_row_a_row_seed_and_image(found):
    assert list(found.columns[:5]) == ["table", "row", "seed", "image", "photograph"]
    assert (
        len(found) == len(experiments.TABLES["svdn_table2"]) * 2 * 3
        and not found.duplicated(["row", "seed", "image"]).any()
    )
    assert set(found[found.row == "base"].parameters) == {180607}


def test_an_unfinished_sweep_can_be_measured(runs, found, tmp_path):
    scenes = SceneDataset("test", 3, 48, variant="blur")
    fd = rows("svdn_table2", TINY, seed=1)["fd"].hash  # a training that the sweep has not reached
    for run in runs.iterdir():
        if run.name != fd and run.is_dir():
            (tmp_path / run.name).symlink_to(run)
    some = ablations.measured("svdn_table2", TINY, scenes, folder=tmp_path, train=False)
    missing = (found.row == "fd") & (found.seed == 1)
    pd.testing.assert_frame_equal(some, found[~missing].reset_index(drop=True))
    assert ablations.differences(some, "fd", "base").shape == (1, 3)  # seed 0
    with pytest.raises(ValueError, match="'fd' and 'base' have no seed in common"):
        ablations.differences(some[(some.row == "fd") == (some.seed == 0)], "fd", "base")
    with pytest.raises(ValueError, match="No training of radn_table2 with the preset tiny is"):
        ablations.measured("radn_table2", TINY, scenes, folder=tmp_path, train=False)


def test_a_summary_pairs_rows_by_seed_and_image(found):
    moved = found.copy()
    moved.loc[moved.row == "fd", "rgb-psnr"] = (
        moved[moved.row == "base"]["rgb-psnr"].to_numpy() + 0.25
    )
    table = ablations.summary(moved, "base").set_index("row")
    assert table.loc["fd", "minus base"] == pytest.approx(0.25) and table.loc[
        "fd", "low"
    ] == pytest.approx(0.25)
    assert table.loc["fd", "could be noise"] == "yes"  # the signs of three images tell little
    assert table.loc["base", "could be noise"] == ""
    assert (table.seeds == 2).all()
    wanted = (moved["rgb-psnr"] - moved["blurry rgb-psnr"])[moved.row == "dilated"].mean()
    assert table.loc["dilated", "gain over blurry"] == pytest.approx(wanted)


def test_printed_values_stand_beside_their_rows(found):
    table = ablations.beside_printed("svdn_table2", ablations.summary(found, "base")).set_index(
        "row"
    )
    assert table.loc["fd_og", "printed psnr_db"] == 29.81 and pd.isna(
        table.loc["fd_rigid", "printed psnr_db"]
    )


def test_a_row_may_be_measured_in_another_variant(runs):
    experiment = rows("radn_table1", TINY)["final"]
    run = training.fit(experiment, folder=runs, progress=False, device="cpu")
    plus = measured_network("radn_table1", "final_plus", run)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        turned = run.model(x.rot90(1, (2, 3))).rot90(-1, (2, 3))
        assert plus.config.ensemble and not torch.allclose(plus(x), run.model(x), atol=1e-6)
        assert (
            torch.allclose(plus(x.flip(3)).flip(3), plus(x), atol=1e-4) and turned.shape == x.shape
        )


def test_the_whole_svrnn_is_measured_with_its_recurrences_switched_off(runs):
    run = training.fit(
        rows("svrnn_table4", TINY)["p_zero"], folder=runs, progress=False, device="cpu"
    )
    off, x = measured_network("svrnn_table4", "p_zero", run), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(off(x), run.model(x), atol=1e-6)
        for layer in run.model.weight_network.conv16.parameters():  # the last layer, tanh(0) = 0
            layer.zero_()
        assert torch.allclose(off(x), run.model(x), atol=1e-6)


def test_finished_trainings_are_shipped_and_found_again(runs, found, tmp_path, monkeypatch):
    for module in (ablations, loop, training.runs):
        monkeypatch.setattr(module, "SHIPPED_RUNS", tmp_path / "shipped")
    monkeypatch.setattr(ablations, "MEASURED", tmp_path / "shipped" / "measured.csv")
    made = ablations.ship(TINY, ["svdn_table2"], folder=runs)
    assert len(made) == len(found) and ablations.provenance()["preset"] == "tiny"
    pd.testing.assert_frame_equal(
        ablations.shipped("svdn_table2")[["row", "seed", "image"]], found[["row", "seed", "image"]]
    )
    assert ablations.shipped("svdn_table2")["rgb-psnr"].tolist() == pytest.approx(
        found["rgb-psnr"].tolist(), rel=1e-5
    )
    first = rows("svdn_table2", TINY)["fd"]
    again = training.fit(first, folder=tmp_path / "empty", progress=False)
    assert again.cached and again.folder == tmp_path / "shipped" / first.hash
    weights = load_file(again.folder / "model.safetensors").values()
    assert {w.dtype for w in weights if w.is_floating_point()} == {torch.float16}
    unopened, second = rows("svdn_table2", TINY)["base"], rows("svdn_table2", TINY, seed=1)["fd"]
    files = {path.name for path in (tmp_path / "shipped" / unopened.hash).iterdir()}
    assert files == {"experiment.json", "log.jsonl"}
    log = training.shipped_log(unopened)
    assert log.step.tolist() and log.loss.notna().all() and "psnr" in log
    with pytest.raises(ValueError, match=f"{second.hash} does not ship"):
        training.shipped_log(second)
    assert not (tmp_path / "shipped" / second.hash).exists()
    unfinished = "radn_table2"
    assert len(ablations.ship(TINY, ["svdn_table2", unfinished], folder=runs)) == len(found)
    with pytest.raises(ValueError, match="No seed of radn_table2 is finished in"):
        ablations.ship(TINY, [unfinished], folder=runs)


def test_a_table_that_is_shipped_leaves_the_others_alone(runs, found, tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "SHIPPED_RUNS", tmp_path)
    monkeypatch.setattr(ablations, "MEASURED", tmp_path / "measured.csv")
    ablations.ship(TINY, ["svdn_table2"], folder=runs)
    longer, scenes = replace(TINY, name="longer"), SceneDataset("test", 1, 48, variant="blur")
    ablations.measured("svrnn_table4", longer, scenes, seeds=1, folder=runs, progress=False)
    both = ablations.ship(longer, ["svrnn_table4"], folder=runs)
    assert list(both.table.unique()) == ["svrnn_table4", "svdn_table2"]  # the papers' order
    assert set(ablations.shipped("svdn_table2").preset) == {"tiny"}
    assert set(ablations.shipped("svrnn_table4").preset) == {"longer"}
    again = ablations.ship(longer, ["svdn_table2"], folder=runs)
    assert set(again.preset) == {"longer"} and len(again) == len(both)
    spent = ablations.provenance()["training_seconds"]
    assert list(spent) == ["tiny", "longer"] and ablations.provenance()["preset"] == "longer"


def test_a_new_row_is_measured_like_the_others(runs, monkeypatch):
    mine = Row({"model": "svdn", "variant": "fd_og", "position": 1e-4, "margin": 2.0})
    monkeypatch.setitem(experiments.TABLES, "mine", {"wide_margin": mine})
    table = ablations.measured(
        "mine",
        TINY,
        SceneDataset("test", 1, 48, variant="blur"),
        seeds=1,
        folder=runs,
        progress=False,
    )
    assert list(table.row) == ["wide_margin"]


def table_of(effects, seeds, images=12, photographs=4, spread=1.0, seed=0):
    """A synthetic table of measurements: an effect for each row."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "row": row,
            "seed": s,
            "image": f"{i:02}",
            "photograph": f"p{i % photographs}",
            "parameters": 1,
            "rgb-psnr": effect + spread * rng.normal(),
            "blurry rgb-psnr": 0,
        }
        for row, effect in effects.items()
        for s in range(seeds)
        for i in range(images)
    )


def test_one_seed_cannot_tell_noise():
    for seeds, wanted in ((1, "unknown (1 seed)"), (2, "no")):
        made = table_of({"base": 0, "a": 1, "b": 1}, seeds, spread=0.001)
        table = ablations.summary(made, "base").set_index("row")
        assert table["could be noise"].tolist() == ["", wanted, wanted]


def test_a_comparison_resamples_photographs():
    made = table_of({"base": 0, "a": 0.5}, 3)
    names = [f"p{i % 4}" for i in range(12)]
    assert ablations.photographs(made.sample(frac=1, random_state=0)) == names
    plain = ablations.differences(made, "a", "base")
    assert ablations.compare(made, "a", "base") == paired_bootstrap(plain, names)
    assert ablations.compare(made, "a", "base") != paired_bootstrap(plain)


def test_a_claim_about_several_rows_is_judged_by_the_weakest():
    made = table_of({"base": 0, "a": 0.5, "b": 0.9}, 3)
    one, other = (ablations.compare(made, row, "base") for row in ("a", "b"))
    both = ablations.compare(made, ["a", "b"], "base")
    assert both.value == min(one.value, other.value) and both.p == max(one.p, other.p)
    assert ablations.compare(made, "base", ["a", "b"]).value == pytest.approx(
        -max(one.value, other.value)
    )
    with pytest.raises(ValueError, match="argument"):
        ablations.compare(made, ["a", "b"], ["base", "base", "base"])


def test_what_rows_have_learned_is_that_of_the_least(found):
    made = table_of({"a": 0.6, "b": 0.2}, 2, spread=0.0).assign(
        **{"moved offsets": lambda rows: rows.row.map({"a": 0.3, "b": np.nan}), "moved p": np.nan}
    )
    assert ablations.learned(made, "a") == pytest.approx({"gain": 0.6, "offsets": 0.3})
    assert ablations.learned(made, ["a", "b"]) == pytest.approx({"gain": 0.2, "offsets": 0.3})
    untrained = ablations.learned(found, "fd")  # two steps
    assert 0 < untrained["offsets"] < 0.1 and untrained["gain"] < 0.5


def test_p_values_are_adjusted_over_the_table():
    rows = ("base", "a", "b")
    made = table_of(dict.fromkeys(rows, 0), 2, photographs=12)
    estimates = [paired_bootstrap(ablations.differences(made, row, "base")) for row in rows[1:]]
    raw = [estimate.p for estimate in estimates]
    table = ablations.summary(made, "base").set_index("row")
    ends = table.loc[["a", "b"], ["low", "high"]]
    assert [tuple(row) for row in ends.to_numpy()] == [estimate.interval for estimate in estimates]
    assert (ends.low < ends.high).all()
    assert table.p[["a", "b"]].tolist() == pytest.approx(list(holm(raw)))
    assert list(holm(raw)) != raw
