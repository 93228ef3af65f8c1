"""Files that are written whole or not at all, and folders with one writer."""

import os
import subprocess
import sys

import pytest

from deblurlib import storage
from deblurlib.data.pictures import is_picture
from deblurlib.results import ROOT


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    storage.write_atomically(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'"):
        storage.write_atomically(path, "new and longer")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"] and path.read_text() == "old"


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "table.csv", []
    storage.write_atomically(path, "old")
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(path.read_text()), replace(a, b)))
    storage.write_atomically(path, b"new")
    assert seen == ["old"] and path.read_bytes() == b"new"


DIE_WHILE_WRITING = """
import os, sys
from pathlib import Path
from deblurlib import storage
os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
storage.write_atomically(Path(sys.argv[1]), "partial")
"""


@pytest.mark.parametrize("name", ["a.png", "x" * 251 + ".png", "ä" * 120 + ".png"])
def test_a_killed_write_leaves_no_picture_and_the_next_one_removes_what_it_left(tmp_path, name):
    subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, str(tmp_path / name)], cwd=ROOT)
    (left,) = tmp_path.iterdir()
    assert not list(tmp_path.glob("*.png")) and not list(tmp_path.glob("[!.]*"))
    assert not is_picture(left)
    storage._sweep_once.cache_clear()  # as in a new process
    storage.write_atomically(tmp_path / "other.csv", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def test_leftovers_of_live_processes_of_other_machines_and_foreign_files_stay(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    names = {
        f".a.csv.{storage._host}.{process.pid}.0.tmp": False,
        f".a.csv.{storage._host}.{os.getpid()}.0.tmp": True,
        f".a.csv.01234567.{process.pid}.0.tmp": True,
        ".notes.tmp": True,
        f"a.csv.{storage._host}.{process.pid}.0.tmp": True,
    }
    for name in names:
        (tmp_path / "below").mkdir(exist_ok=True)
        (tmp_path / "below" / name).touch()
    storage.remove_leftovers(tmp_path / "missing")
    storage.remove_leftovers(tmp_path)
    assert len(list((tmp_path / "below").iterdir())) == len(names)
    storage.remove_leftovers(tmp_path, recursive=True)
    assert {path.name for path in (tmp_path / "below").iterdir()} == {n for n in names if names[n]}
    reused = tmp_path / f".a.csv.{storage._host}.{os.getpid()}.1.tmp"
    reused.touch()
    os.utime(reused, (0, 0))  # long before this process began
    storage.remove_leftovers(tmp_path)
    assert not reused.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_exists_is_kept_on_request_even_if_it_has_just_appeared(
    tmp_path, monkeypatch, links
):
    if not links:
        monkeypatch.setattr(os, "link", lambda *a, **b: (_ for _ in ()).throw(OSError(95, "no")))
    path = tmp_path / "a.csv"
    storage.write_atomically(path, "first", overwrite=False)
    with pytest.raises(FileExistsError):
        storage.write_atomically(path, "second", overwrite=False)
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


HOLD = """
import sys
from pathlib import Path
from deblurlib import storage
with storage.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_in_a_folder_is_told_so_in_one_sentence_until_the_first_dies(tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert first.stdout.readline() == b"held\n"
    told = pytest.raises(BlockingIOError, match=r"^Another process is writing to .*: wait until")
    with told, storage.locked(tmp_path):
        pass
    first.kill()
    first.communicate()
    with storage.locked(tmp_path):
        pass
