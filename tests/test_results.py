"""Written results: whole files or none, equal bytes for equal numbers, an origin per table."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deblurlib import provenance, results
from deblurlib.data.pictures import is_picture


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    results.write_atomically(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'"):
        results.write_atomically(path, "new and longer")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"] and path.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "table.csv", []
    results.write_atomically(path, "old")
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(path.read_text()), replace(a, b)))
    results.write_atomically(path, b"new")
    assert seen == ["old"] and path.read_bytes() == b"new"


DIE_WHILE_WRITING = """
import os, sys
from pathlib import Path
from deblurlib import provenance, results
os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
results.write_atomically(Path(sys.argv[1]), "partial")
"""


@pytest.mark.parametrize("name", ["a.png", "x" * 251 + ".png", "ä" * 120 + ".png"])
def test_a_killed_write_leaves_no_picture_and_the_next_one_removes_what_it_left(tmp_path, name):
    subprocess.run(
        [sys.executable, "-c", DIE_WHILE_WRITING, str(tmp_path / name)], cwd=results.ROOT
    )
    (left,) = tmp_path.iterdir()
    assert not list(tmp_path.glob("*.png")) and not list(tmp_path.glob("[!.]*"))
    assert not is_picture(left)
    results._sweep_once.cache_clear()  # as in a new process
    results.write_atomically(tmp_path / "other.csv", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def test_leftovers_of_live_processes_of_other_machines_and_foreign_files_stay(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    names = {
        f".a.csv.{results._host}.{process.pid}.0.tmp": False,
        f".a.csv.{results._host}.{os.getpid()}.0.tmp": True,
        f".a.csv.01234567.{process.pid}.0.tmp": True,
        ".notes.tmp": True,
        f"a.csv.{results._host}.{process.pid}.0.tmp": True,
    }
    for name in names:
        (tmp_path / "below").mkdir(exist_ok=True)
        (tmp_path / "below" / name).touch()
    results.remove_leftovers(tmp_path / "missing")
    results.remove_leftovers(tmp_path)
    assert len(list((tmp_path / "below").iterdir())) == len(names)
    results.remove_leftovers(tmp_path, recursive=True)
    assert {path.name for path in (tmp_path / "below").iterdir()} == {n for n in names if names[n]}
    reused = tmp_path / f".a.csv.{results._host}.{os.getpid()}.1.tmp"
    reused.touch()
    os.utime(reused, (0, 0))  # long before this process began
    results.remove_leftovers(tmp_path)
    assert not reused.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_exists_is_kept_on_request_even_if_it_has_just_appeared(
    tmp_path, monkeypatch, links
):
    if not links:
        monkeypatch.setattr(os, "link", lambda *a, **b: (_ for _ in ()).throw(OSError(95, "no")))
    path = tmp_path / "a.csv"
    results.write_atomically(path, "first", overwrite=False)
    with pytest.raises(FileExistsError):
        results.write_atomically(path, "second", overwrite=False)
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


HOLD = """
import sys
from pathlib import Path
from deblurlib import provenance, results
with results.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_in_a_folder_is_told_so_in_one_sentence_until_the_first_dies(tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=results.ROOT,
    )
    assert first.stdout.readline() == b"held\n"
    told = pytest.raises(BlockingIOError, match=r"^Another process is writing to .*: wait until")
    with told, results.locked(tmp_path):
        pass
    first.kill()
    first.communicate()
    with results.locked(tmp_path):
        pass


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
    assert lines == ["parameters,psnr", "12732227,25.4931", ",1e+20"]


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
