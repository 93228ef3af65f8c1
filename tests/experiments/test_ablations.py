import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from deblurlib import experiments, training
from deblurlib.analysis.significance import holm, paired_bootstrap
from deblurlib.data import SceneDataset
from deblurlib.experiments import Row, ablations, rows
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
    assert list(found.columns[:4]) == ["table", "row", "seed", "image"]
    assert (
        len(found) == len(experiments.TABLES["svdn_table2"]) * 2 * 3
        and not found.duplicated(["row", "seed", "image"]).any()
    )
    assert set(found[found.row == "base"].parameters) == {180607}


def test_a_summary_pairs_rows_by_seed_and_image(found):
    moved = found.copy()
    moved.loc[moved.row == "fd", "rgb-psnr"] = (
        moved[moved.row == "base"]["rgb-psnr"].to_numpy() + 0.25
    )
    table = ablations.summary(moved, "base").set_index("row")
    assert table.loc["fd", "minus base"] == pytest.approx(0.25) and table.loc[
        "fd", "low"
    ] == pytest.approx(0.25)
    assert table.loc["fd", "could be noise"] == "no" and table.loc["base", "could be noise"] == ""
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
    plus = ablations.measured_network("radn_table1", "final_plus", run)
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
    off, x = ablations.measured_network("svrnn_table4", "p_zero", run), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(off(x), run.model(x), atol=1e-6)
        for layer in run.model.weight_network.conv16.parameters():  # the last layer, tanh(0) = 0
            layer.zero_()
        assert torch.allclose(off(x), run.model(x), atol=1e-6)


def test_finished_trainings_are_shipped_and_found_again(runs, found, tmp_path, monkeypatch):
    for module in (ablations, loop):
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
    second = rows("svdn_table2", TINY, seed=1)["fd"]
    assert not (tmp_path / "shipped" / second.hash).exists()
    unfinished = "radn_table2"
    assert len(ablations.ship(TINY, ["svdn_table2", unfinished], folder=runs)) == len(found)


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


def test_p_values_are_adjusted_over_the_table():
    rows = ("base", "a", "b")
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "row": row,
            "seed": 0,
            "image": i,
            "parameters": 1,
            "rgb-psnr": rng.normal(),
            "blurry rgb-psnr": 0,
        }
        for row in rows
        for i in range(12)
    )
    estimates = [paired_bootstrap(ablations.differences(made, row, "base")) for row in rows[1:]]
    raw = [estimate.p for estimate in estimates]
    table = ablations.summary(made, "base").set_index("row")
    ends = table.loc[["a", "b"], ["low", "high"]]
    assert [tuple(row) for row in ends.to_numpy()] == [estimate.interval for estimate in estimates]
    assert (ends.low < ends.high).all()
    assert table.p[["a", "b"]].tolist() == pytest.approx(list(holm(raw)))
    assert list(holm(raw)) != raw
