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

from deblurlib import provenance, results


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
        == b"model,rgb_psnr_db,steps\nsvdn,0.3333333333333333,40\nradn,29.8100001,400\n"
    )
    origin = json.loads((tmp_path / "a" / "01_x.csv.origin.json").read_text())
    assert (origin["preset"], origin["seed"], origin["sha256"]) == (
        "smoke",
        0,
        hashlib.sha256(text).hexdigest(),
    )
    assert {"git_commit", "python", "machine"} <= set(origin)
    assert len(origin["versions"]) == len(provenance.RECORDED_VERSIONS)
    assert "absent" not in origin["versions"].values()


def test_a_table_keeps_all_digits_of_whole_numbers_and_neighbours_of_its_name(tmp_path):
    (tmp_path / "mine.json").write_text("precious")
    table = pd.DataFrame({"parameters": [12732227, None], "psnr": [25.4931234, 1e20]})
    results.save_table(table, tmp_path / "mine.csv", preset="smoke")
    assert (tmp_path / "mine.json").read_text() == "precious"
    lines = (tmp_path / "mine.csv").read_text().splitlines()
    assert lines == ["parameters,psnr", "12732227,25.4931234", ",1e+20"]


@pytest.mark.parametrize(
    "name, words",
    [
        ("scores.json", "would hold a table: give a name that ends in .csv"),
        ("old.csv", "exists already: choose another name, or add --overwrite"),
        ("folder", "is a folder: give the name of a CSV file"),
        ("old.csv/t.csv", "is a file, so there is no folder"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused_before_the_work(tmp_path, name, words):
    (tmp_path / "old.csv").write_text("1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=words):
        results.check_new_table(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old.csv"]
    results.check_new_table(tmp_path / "old.csv", overwrite=True)
    results.check_new_table(tmp_path / "new" / "deep" / "t.CSV")


def test_a_folder_that_is_not_writable_is_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(ValueError, match=f"The folder {tmp_path} is not writable"):
        results.check_new_table(tmp_path / "new" / "t.csv")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system without files")
def test_a_folder_that_permissions_allow_but_that_takes_no_files_is_named(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: True)  # as for root
    with pytest.raises(ValueError, match=r"The folder /proc takes no files \("):
        results.check_new_table(Path("/proc/x/t.csv"))


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


def test_git_commit_outside_a_checkout_of_this_project_is_unknown(monkeypatch, tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_commit() == "unknown"
    file = tmp_path / "deblurlib" / "__init__.py"
    file.parent.mkdir()
    file.write_text("1")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-qm", "first", "--allow-empty"], check=True)
    assert provenance.git_commit() == "unknown"  # installed within the repository of another
    subprocess.run([*git, "add", "deblurlib"], check=True)
    subprocess.run([*git, "commit", "-qm", "second"], check=True)
    clean = provenance.git_commit()
    file.write_text("2")
    assert len(clean) == 12 and provenance.git_commit() == clean + "+"
    inside = tmp_path / "lib" / "deblurlib" / "__init__.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("1")
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "lib")
    subprocess.run([*git, "add", "lib"], check=True)
    assert provenance.git_commit() == "unknown"  # copied into another project


def test_hash_files_sees_names_and_contents_and_no_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    first = provenance.hash_files([a, b])
    assert first == provenance.hash_files([b, a])
    a.write_text("2"), b.write_text("1")
    assert provenance.hash_files([a, b]) != first


@pytest.mark.parametrize("name", ["opencv-contrib-python", "opencv-contrib-python-headless"])
def test_the_opencv_that_is_installed_is_recorded(monkeypatch, name):
    def version(package):
        if package != name and package.startswith("opencv"):
            raise PackageNotFoundError(package)
        return "4.12"

    monkeypatch.setattr(provenance, "version", version)
    versions = provenance.environment()["versions"]
    assert [package for package in versions if package.startswith("opencv")] == [name]
    assert versions[name] == "4.12"
