"""Written results: whole files or none, equal bytes for equal numbers, an origin per table."""

import hashlib
import json
import os
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deblurlib import results


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    results.write_atomically(path, "old")

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        results.write_atomically(path, "new and longer")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"] and path.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "table.csv", []
    results.write_atomically(path, "old")
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(path.read_text()), replace(a, b)))
    results.write_atomically(path, b"new")
    assert seen == ["old"] and path.read_bytes() == b"new"


def test_tables_are_equal_to_the_byte_and_carry_their_origin(tmp_path):
    table = pd.DataFrame(
        {"model": ["svdn", "radn"], "rgb-psnr": [1 / 3, 29.8100001], "steps": [40, 400]}
    )
    returned = results.save_table(
        table, tmp_path / "a" / "01_x.csv", preset="smoke", seed=0, folder=tmp_path
    )
    results.save_table(table.copy(), tmp_path / "b" / "01_x.csv", preset="quick", seed=1)
    text = (tmp_path / "a" / "01_x.csv").read_bytes()
    assert returned is table
    assert (
        text
        == (tmp_path / "b" / "01_x.csv").read_bytes()
        == b"model,rgb-psnr,steps\nsvdn,0.333333,40\nradn,29.81,400\n"
    )
    origin = json.loads((tmp_path / "a" / "01_x.json").read_text())
    assert (origin["preset"], origin["seed"], origin["sha256"]) == (
        "smoke",
        0,
        hashlib.sha256(text).hexdigest(),
    )
    assert {"git_commit", "python", "machine"} <= set(origin)
    assert len(origin["versions"]) == len(results.RECORDED_VERSIONS)
    assert "absent" not in origin["versions"].values()


def test_equal_figures_are_equal_files(tmp_path):
    for name in ("a", "b"):
        figure, axis = plt.subplots(figsize=(2, 1))
        axis.plot([0, 1], [1, 0])
        results.save_figure(figure, tmp_path / f"{name}.png")
        plt.close(figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_figure_says_what_it_shows(tmp_path):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([0, 1], [1, 0], label="SVDN")
    left.set(title="Cost\nand gain", xlabel="GMAC", ylabel="dB")
    left.legend()
    right.plot([0, 1], label="not in a legend")
    figure.suptitle("Both")
    assert Image.open(results.save_figure(figure, tmp_path / "a.png")).info["Description"] == (
        "Both; Cost and gain, x: GMAC, y: dB, shown: SVDN"
    )
    plt.close(figure)


def test_a_picture_is_written_as_it_is(tmp_path):
    picture = np.linspace(0, 1, 24).reshape(2, 4, 3)
    written = np.asarray(Image.open(results.save_picture(picture, tmp_path / "new" / "a.png")))
    np.testing.assert_array_equal(written, np.rint(255 * picture))


def test_results_folder_takes_the_argument_then_the_environment_then_the_project(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("DEBLURLIB_RESULTS", str(tmp_path / "environment"))
    assert results.results_folder(tmp_path / "argument") == tmp_path / "argument"
    assert results.results_folder() == tmp_path / "environment"
    monkeypatch.delenv("DEBLURLIB_RESULTS")
    assert results.results_folder() == results.ROOT / "results"


def test_git_commit_outside_a_checkout_is_unknown(monkeypatch, tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert results.git_commit() == "unknown"
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    clean = results.git_commit()
    (tmp_path / "file").write_text("2")
    assert len(clean) == 12 and results.git_commit() == clean + "+"


def test_hash_files_sees_names_and_contents_and_no_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    first = results.hash_files([a, b])
    assert first == results.hash_files([b, a])
    a.write_text("2"), b.write_text("1")
    assert results.hash_files([a, b]) != first


@pytest.mark.parametrize("name", ["opencv-contrib-python", "opencv-contrib-python-headless"])
def test_the_opencv_that_is_installed_is_recorded(monkeypatch, name):
    def version(package):
        if package != name and package.startswith("opencv"):
            raise PackageNotFoundError(package)
        return "4.12"

    monkeypatch.setattr(results, "version", version)
    versions = results.environment()["versions"]
    assert [package for package in versions if package.startswith("opencv")] == [name]
    assert versions[name] == "4.12"
