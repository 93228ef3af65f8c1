"""The same training started twice: one process trains, the other waits and loads."""

import multiprocessing
import os
import platform
import time

import pytest

from deblurlib.training import fit
from deblurlib.training.locks import holder, run_lock
from tests.training.test_training import TINY


def hold(folder):
    """Another process that holds the lock; forked, since it starts in milliseconds."""
    here, there = multiprocessing.Pipe()

    def child():
        with run_lock(folder, pytest.fail):
            there.send("held")
            time.sleep(600)

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    assert here.poll(60) and here.recv() == "held"
    return process


def test_the_second_waits_says_for_whom_and_loads(tmp_path, capsys, monkeypatch):
    """The other process finishes the run while this one waits."""
    from deblurlib.training import loop

    home = tmp_path / TINY.hash
    process = hold(home)
    trained = fit(TINY, folder=tmp_path / "other", progress=False, device="cpu")
    asked, real = [], loop.run_lock

    def waiting(folder, tell, wait):
        def told(sentence):
            tell(sentence)
            asked.append(sentence)
            trained.folder.rename(home)  # as the other process would write it
            process.kill()

        return real(folder, told, wait)

    monkeypatch.setattr(loop, "run_lock", waiting)
    before = (trained.folder / "log.jsonl").read_bytes()
    run = fit(TINY, folder=tmp_path, progress=False, device="cpu")
    sentence = f"The training {TINY.hash} is running in process {process.pid} on {platform.node()}"
    assert asked == [f"{sentence}: waiting until it has finished."]
    assert asked[0] in capsys.readouterr().err
    assert run.cached and (home / "log.jsonl").read_bytes() == before
    process.join()


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    home = tmp_path / "run"
    assert holder(home) is None
    process = hold(home)
    assert holder(home) == f"process {process.pid} on {platform.node()}"
    process.kill()
    process.join()
    began = time.monotonic()
    assert holder(home) is None
    with run_lock(home, pytest.fail):
        assert holder(home) == f"process {os.getpid()} on {platform.node()}"
    assert holder(home) is None and time.monotonic() - began < 5


def test_several_processes_of_one_training_hold_one_lock_and_do_not_wait(tmp_path, monkeypatch):
    home = tmp_path / "run"
    with run_lock(home, pytest.fail):
        monkeypatch.setenv("WORLD_SIZE", "2")
        second = run_lock(home, pytest.fail)
        with pytest.raises(BlockingIOError, match="wait until it has finished"), second:
            pass
        monkeypatch.setenv("RANK", "1")
        with run_lock(home, pytest.fail):
            pass
