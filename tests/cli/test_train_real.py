"""`deblurlib train --real` and `sweep --real` on small generated folders of every layout."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from deblurlib.cli.app import app

FRAMES = range(3)
# layout -> the files of frame n of the training split, and a file of another split, if it has one
LAYOUTS = {
    "gopro": (
        ["G/train/GOPR0372_07_00/blur/{n:06}.png", "G/train/GOPR0372_07_00/sharp/{n:06}.png"],
        ["G/test/GOPR0384_11_00/blur/{n:06}.png", "G/test/GOPR0384_11_00/sharp/{n:06}.png"],
    ),
    "gopro with blur_gamma alone": (["train/A/blur_gamma/{n:06}.png", "train/A/sharp/{n:06}.png"],),
    "one sequence": (["blur/{n:06}.png", "sharp/{n:06}.png"],),
    "reds": (
        ["train_blur/000/{n:08}.png", "train_sharp/000/{n:08}.png"],
        ["val_blur/000/{n:08}.png", "val_sharp/000/{n:08}.png"],
    ),
    "hide": (
        ["train/{n}fromGOPR0950.png", "GT/{n}fromGOPR0950.png"],
        ["test/test-close-ups/{n}fromGOPR1.png", "GT/{n}fromGOPR1.png"],
    ),
    "mprnet": (
        ["train/input/GOPR0372_07_00-{n:06}.png", "train/target/GOPR0372_07_00-{n:06}.png"],
        ["test/input/GOPR0384_11_00-{n:06}.png", "test/target/GOPR0384_11_00-{n:06}.png"],
    ),
    "input and target": (["input/{n}.jpg", "target/{n}.jpg"],),
}


def write(root: Path, names, size=(40, 48), frames=FRAMES):
    rng = np.random.default_rng(0)
    for name in names:
        for n in frames:
            path = root / name.format(n=n)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr("deblurlib.training.crops.pairs_folder", lambda: tmp_path / "pairs")
    return tmp_path / "data"


def train(root, *options):
    results = ["--results", root.parent / "results"]
    sizes = ["--preset", "smoke", "--steps", 20, "--batch", 1, "--patch", 32, "--device", "cpu"]
    arguments = ["train", "svdn", "--real", root, *sizes, *results, *options]
    return CliRunner().invoke(app, list(map(str, arguments)))


def record(root):
    (file,) = (root.parent / "results" / "runs").glob("*/experiment.json")
    return json.loads(file.read_text())["experiment"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_trains_and_no_variant_need_be_given(layout, root):
    for names in LAYOUTS[layout]:
        write(root, names)
    result = train(root)
    assert result.exit_code == 0, result.output
    made = record(root)
    assert (made["real_share"], made["real_variant"], made["real_split"]) == (1.0, None, None)
    assert (made["steps"], made["patch"]) == (20, 32)


def test_the_training_split_is_the_default_and_another_can_be_chosen(root):
    for names in LAYOUTS["reds"]:
        write(root, names)
    write(root, LAYOUTS["reds"][1], size=(8, 8))  # too small for the patch: cannot be trained on
    assert train(root).exit_code == 0
    assert train(root, "--real-split", "val").exit_code == 2


def test_pairs_without_a_training_split_need_a_choice(root):
    write(root, LAYOUTS["reds"][1])
    refused = train(root)
    assert refused.exit_code == 2
    assert "has no split 'train', only val: choose the split to train on." in refused.stderr
    assert train(root, "--real-split", "val").exit_code == 0


def test_two_variants_need_a_choice(root):
    write(root, ["train/A/blur/{n}.png", "train/A/blur_gamma/{n}.png", "train/A/sharp/{n}.png"])
    refused = train(root)
    assert refused.exit_code == 2 and "holds both `blur` and `blur_gamma`" in refused.stderr
    assert train(root, "--real-variant", "blur_gamma").exit_code == 0


def test_images_without_ground_truth_are_refused_in_one_sentence(root):
    write(root, ["{n}.png"])
    refused = train(root)
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1
    assert "holds images without ground truth" in refused.stderr


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize(
    "option", [("--real-share", "0"), ("--real-split", "train"), ("--real-variant", "blur")]
)
def test_options_about_real_pairs_need_real_pairs(command, option):
    result = CliRunner().invoke(app, [command, *option])
    assert result.exit_code == 2
    assert f"{option[0]} is about real pairs: also give their folder with --real." in result.stderr


def test_a_sweep_takes_the_same_options(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "deblurlib.experiments.sweep.sweep",
        lambda *_, **options: seen.update(options) or pd.DataFrame([{"state": "trained"}]),
    )
    command = "sweep svdn_table2 --real X --real-share 0.25 --real-split val --patch 48"
    assert CliRunner().invoke(app, command.split()).exit_code == 0
    wanted = {"real": "X", "real_share": 0.25, "real_split": "val", "patch": 48}
    assert wanted.items() <= seen.items() and "real_variant" not in seen
    CliRunner().invoke(app, ["sweep", "--real", "X"])
    assert seen["real_share"] == 1.0


def test_a_faulty_pair_is_named_before_the_training_or_skipped(root, monkeypatch, caplog):
    names = LAYOUTS["gopro"][0]
    write(root, names, frames=range(6))
    write(root, names[1:], size=(40, 47), frames=[1])  # of two sizes
    write(root, names, size=(20, 48), frames=[2])  # smaller than a crop
    cut = root / names[0].format(n=4)
    cut.write_bytes(cut.read_bytes()[:-200])
    refused = train(root)
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1
    first = "000001.png is 48 x 40 but "
    assert first in refused.stderr and "47 x 40, and 2 more of 6 pairs are faulty" in refused.stderr
    assert "leave the pairs out with skip_bad (--skip-bad)" in refused.stderr
    assert not list((root.parent / "results").rglob("log.jsonl"))
    assert train(root, "--skip-bad").exit_code == 0
    assert "3 of 6 pairs are left out: " in caplog.text and first in caplog.text
