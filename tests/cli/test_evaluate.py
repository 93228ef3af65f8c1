"""The command evaluate: what was measured is shown and kept, whatever happens afterwards."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import deblurlib
from deblurlib import evaluation, results
from deblurlib.analysis.significance import paired_bootstrap
from deblurlib.cli.app import app
from deblurlib.cli.measuring import gains_by_blur, sentences, summary
from deblurlib.data import SceneDataset

ROOT = Path(deblurlib.__file__).parents[1]


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("blur", "sharp"):
        for i in range(4):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(
                tmp_path / "data" / kind / f"{i}.png"
            )
    return tmp_path / "data"


def call(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--blurry-only"])


def test_rows_are_printed_and_written_as_they_are_measured(data, tmp_path, monkeypatch):
    score, seen = evaluation.score, []

    def watch(*arguments):
        path = tmp_path / "t.partial.csv"
        seen.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return score(*arguments)

    monkeypatch.setattr(evaluation, "score", watch)
    result = call(data, "-o", tmp_path / "t.csv")
    assert seen == [0, 2, 3, 4] and result.exit_code == 0
    table = pd.read_csv(tmp_path / "t.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data",
        "t.csv",
        "t.csv.origin.json",
    ]
    for name, psnr, ssim in table.itertuples(index=False):
        assert f"{name:24}  {psnr:15.3f}  {ssim:19.3f}" in result.stdout.splitlines()
    assert result.stdout.splitlines()[0].split() == [
        "image",
        "blurry",
        "rgb-psnr",
        "blurry",
        "ssim-skimage",
    ]
    assert f"{table.blurry_rgb_psnr_db.mean():.3f}" in result.stdout


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_full_disk_costs_the_file_and_not_the_numbers(data, tmp_path, monkeypatch, first):
    """The disk is full from the first, second … write of the final table on."""
    calls = []

    def full(descriptor):
        calls.append(1)
        if len(calls) >= first:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = call(data, "-o", tmp_path / "t.csv")
    assert len(result.stdout.splitlines()) == 8 and "\nmean\n" in result.stdout
    if first <= 2:  # the file that records the origin, then the table
        assert result.exit_code == 1
        assert f"{tmp_path / 't'}" in result.stderr and "No space left on device" in result.stderr
        assert len(pd.read_csv(tmp_path / "t.partial.csv")) == 4


def test_a_file_that_may_not_grow_is_named_and_the_rows_are_shown(data, tmp_path):
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "deblurlib", "evaluate", data, "--blurry-only"]
    done = subprocess.run(
        [*command, "-o", tmp_path / "t.csv"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{tmp_path / 't.csv'}.origin.json: File too large" in done.stderr
    assert len(done.stdout.splitlines()) == 8 and not (tmp_path / "t.csv").exists()


def test_what_was_measured_before_ctrl_c_is_kept(data, tmp_path, monkeypatch):
    score, calls = evaluation.score, []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(evaluation, "score", interrupt)
    result = call(data, "-o", tmp_path / "t.csv")
    assert result.exit_code == 130 and not (tmp_path / "t.csv").exists()
    assert len(pd.read_csv(tmp_path / "t.partial.csv")) == 2
    monkeypatch.undo()
    assert call(data, "-o", tmp_path / "t.csv").exit_code == 0
    assert not (tmp_path / "t.partial.csv").exists() and len(pd.read_csv(tmp_path / "t.csv")) == 4


def test_a_reader_that_has_enough_does_not_cost_the_file(data, tmp_path):
    command = (
        f'"{sys.executable}" -m deblurlib evaluate "{data}" --blurry-only -o "{tmp_path}/t.csv"'
    )
    subprocess.run(f"{command} | head -n 1", shell=True, cwd=ROOT, check=True, capture_output=True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 4


def test_a_folder_as_output_is_refused_before_the_work(data, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "score", pytest.fail)
    result = call(data, "-o", tmp_path)
    assert result.exit_code == 2 and "is a folder: give the name of a CSV file" in result.stderr


@pytest.mark.parametrize("name", ["scores.json", "old.csv"])
def test_outputs_that_would_destroy_something_are_refused_before_the_work(
    data, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(evaluation, "score", pytest.fail)
    (tmp_path / name).write_text("precious")
    result = call(data, "-o", tmp_path / name)
    assert result.exit_code == 2 and (tmp_path / name).read_text() == "precious"
    ablation = ["ablation", "svdn_table2", "--preset", "smoke", "-o", str(tmp_path / name)]
    monkeypatch.setattr("deblurlib.experiments.ablations.measured", pytest.fail)
    assert CliRunner().invoke(app, ablation).exit_code == 2
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("model", ["radn", "svdn"])
def test_evaluate_and_deblur_mean_the_same_network_and_say_which(data, tmp_path, model):
    options = ["--model", model, "--json"]
    measured = CliRunner().invoke(
        app, ["evaluate", str(data), *options, "--frames", ":1", "-o", str(tmp_path / "t.csv")]
    )
    picture = str(next((data / "blur").glob("*.png")))
    deblurred = CliRunner().invoke(app, ["deblur", picture, *options, "-o", str(tmp_path / "out")])
    origin = json.loads((tmp_path / "t.csv.origin.json").read_text())
    reports = [json.loads(measured.stdout), json.loads(deblurred.stdout), origin]
    assert len({(each["weights"], each["weights_sha256"]) for each in reports}) == 1
    assert len(origin["weights_sha256"]) == 64
    wrong = CliRunner().invoke(app, ["evaluate", str(data), "--model", model, "--size", "tiny"])
    assert wrong.exit_code == 2 and "in size 'tiny' are shipped" in wrong.stderr


def test_overwrite_replaces_a_table_and_nothing_else(data, tmp_path):
    for name in ("mine.csv", "mine.json"):
        (tmp_path / name).write_text("old")
    assert call(data, "-o", tmp_path / "mine.csv", "--overwrite").exit_code == 0
    assert len(pd.read_csv(tmp_path / "mine.csv")) == 4
    assert (tmp_path / "mine.json").read_text() == "old"


def test_the_gain_over_the_blurry_images_is_printed_with_its_interval(data):
    result = CliRunner().invoke(app, ["evaluate", str(data), "--json"])
    report = json.loads(result.stdout)
    table = pd.DataFrame(report["images"])
    differences = table["rgb-psnr"] - table["blurry rgb-psnr"]
    expected = paired_bootstrap(differences)
    gain = report["gain"]["rgb-psnr"]
    assert gain["value"] == pytest.approx(differences.mean())
    assert (gain["low"], gain["high"]) == pytest.approx(expected.interval)
    assert gain["low"] < gain["value"] < gain["high"]
    lines = CliRunner().invoke(app, ["evaluate", str(data)]).stdout.splitlines()
    interval = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
    assert lines[-2] == f"gain in rgb-psnr  {gain['value']:+.3f}  95 % interval {interval}"
    assert lines[-1].startswith("gain in ssim-skimage  ")
    one = CliRunner().invoke(app, ["evaluate", str(data), "--frames", "0:1"]).stdout
    assert "gain" not in one and "gain" not in call(data).stdout


@pytest.mark.parametrize("camera", [None, "real", "daylight"])
def test_rendered_scenes_pass_through_the_camera_that_is_named(tmp_path, camera):
    options = ["--preset", "smoke", "--split", "validation", "--frames", ":2"]
    given = ["--camera", camera] if camera else []
    assert call(*options, *given, "-o", tmp_path / "t.csv").exit_code == 0
    scenes = SceneDataset("validation", 2, 128, variant="blur", camera=camera)
    expected = [evaluation.psnr(scene.blurry, scene.sharp) for scene in scenes]
    table = pd.read_csv(tmp_path / "t.csv")
    assert table.blurry_rgb_psnr_db.tolist() == pytest.approx(expected)
    data = json.loads((tmp_path / "t.csv.origin.json").read_text())["data"]
    through = f" through the camera '{camera}'" if camera else ""
    assert data == f"rendered validation scenes of the preset smoke{through}"


def test_a_camera_needs_rendered_scenes_and_a_name(data):
    taken, unknown = call(data, "--camera", "real"), call("--camera", "phone")
    assert taken.exit_code == 2 and "--camera real is for rendered scenes" in taken.stderr
    assert unknown.exit_code == 2 and "choose one of real, daylight" in unknown.stderr
    assert "choose one of train, validation, test" in call("--split", "eval").stderr


def test_harm_to_nearly_sharp_images_is_told_apart_and_images_without_blur_are_counted():
    table = pd.DataFrame({"image": range(5), "blurry rgb-psnr": [20, 35, 40, 45, np.inf]})
    table["rgb-psnr"] = [21, 36, 38, 41, 50]
    found = summary(table)
    assert found["gain_on_nearly_sharp"] == {
        "images": 3,
        "blurry_from": 35,
        "gain": pytest.approx(-5 / 3),
        "smallest_gain": -4,
        "harmed": 2,
    }
    assert found["gain"]["rgb-psnr"]["value"] == -1 and found["without_blur"] == 1
    *_, nearly, equal = sentences(found)
    assert nearly == "blurry 35 dB or more: gain -1.67 dB, smallest -4.00 dB, 2 of 3 images worse"
    assert equal.startswith("1 blurry image equals its reference: gains")
    assert summary(table[:1])["gain_on_nearly_sharp"] == {}


def test_the_gain_is_split_by_blur_so_that_harm_to_sharp_images_shows():
    blurry = np.arange(20.0, 40.0)
    table = pd.DataFrame({"image": range(20), "rgb-psnr": blurry, "blurry rgb-psnr": blurry})
    table["rgb-psnr"] += np.where(blurry < 36, 1.0, -2.0)
    parts = gains_by_blur(table.sample(frac=1, random_state=0))
    assert [part["images"] for part in parts] == [4] * 5
    assert (parts[0]["blurry_from"], parts[-1]["blurry_to"]) == (20, 39)
    assert [part["gain"] for part in parts] == [1, 1, 1, 1, -2]
    assert [part["harmed"] for part in parts] == [0, 0, 0, 0, 4]
    assert gains_by_blur(table[:9]) == [] == gains_by_blur(table.drop(columns="rgb-psnr"))


@pytest.mark.parametrize("camera", ["real", "daylight"])
def test_the_readme_tells_the_stored_measurements_through_cameras(camera):
    """The row that links the table, and the one below it for images above 35 dB."""
    table = results.read_table(ROOT / "results" / "tables" / f"camera_{camera}.csv")
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    first = next(
        i for i, line in enumerate(lines) if f"(results/tables/camera_{camera}.csv)" in line
    )
    nearly_sharp = table[table["blurry rgb-psnr"] >= 35]
    for line, images in zip(lines[first : first + 2], (table, nearly_sharp), strict=True):
        gain = images["rgb-psnr"] - images["blurry rgb-psnr"]
        told = [float(n.replace("−", "-")) for n in re.findall(r"([+−]?\d+\.\d\d) dB", line)]
        means = [images["blurry rgb-psnr"].mean(), images["rgb-psnr"].mean()]
        assert told == pytest.approx([*means, gain.mean(), gain.min()], abs=0.00501)
        assert int(line.split("|")[2]) == len(images)
    found = summary(table)["gain_on_nearly_sharp"]
    assert found["images"] == len(nearly_sharp)
    assert found["harmed"] > len(nearly_sharp) / 2  # "most of those above 35 dB get worse"
