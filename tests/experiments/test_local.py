"""A sweep on this machine, without Dask: killed processes, a time limit, two at once."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest

from deblurlib.experiments import local, rows
from deblurlib.experiments.presets import Preset
from deblurlib.experiments.sweep import _in_order, sweep
from deblurlib.training.locks import run_lock
from deblurlib.training.runs import is_finished

TINY = Preset(
    name="tiny",
    test_scenes=1,
    scene_size=48,
    train_scenes=1,
    train_steps=20,
    tuning_steps=5,
    batch=1,
    patch=32,
    seeds=1,
    size="small",
)
WEIGHTS = "model.safetensors"
CHOICE = {"jobs": 1, "progress": False, "device": "cpu"}


def test_a_killed_process_starts_again_and_a_second_sweep_trains_nothing(tmp_path):
    killed = []

    def kill_in_mid_run():
        while not list(tmp_path.glob("*/experiment.json")):
            time.sleep(0.02)
        # the first child may be multiprocessing's resource tracker, which is not niced
        child = max(psutil.Process().children(), key=psutil.Process.nice)
        killed.append(child.nice())
        child.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_in_mid_run)
    killer.start()
    table = sweep(["svdn_table2"], TINY, folder=tmp_path, **CHOICE)
    killer.join()
    assert killed == [min(19, psutil.Process().nice() + local.NICENESS)]
    assert set(table.state) <= {"trained", "reused"} and (table.state == "trained").sum() >= 4
    assert all(is_finished(tmp_path / name) for name in table.hash)
    again = sweep(["svdn_table2"], TINY, folder=tmp_path, **CHOICE)
    assert set(again.state) == {"reused"}
    marker, weights = (tmp_path / again.hash[0] / name for name in ("finished.json", WEIGHTS))
    before, content = marker.read_bytes(), bytearray(weights.read_bytes())
    marker.unlink()
    sweep(["svdn_table2"], TINY, folder=tmp_path, **CHOICE)
    assert marker.read_bytes() == before
    content[-1] ^= 1
    weights.write_bytes(content)
    damaged = sweep(["svdn_table2"], TINY, folder=tmp_path, **CHOICE).set_index("hash").state
    assert damaged.pop(again.hash[0]).startswith(f"failed: {weights} has changed since it was wri")
    assert set(damaged) == {"reused"}


def test_a_process_ends_if_its_parent_has_died_before_its_first_line(tmp_path):
    order = _in_order(rows("svdn_table2", replace(TINY, train_steps=10**6)).values())
    work = local.Work(order=order, folder=tmp_path, device="cpu")
    child = subprocess.Popen(
        [sys.executable, "-c", "from deblurlib.experiments.local import take; take(2**30)"],
        stdin=subprocess.PIPE,
    )
    try:
        child.communicate(pickle.dumps(work), timeout=60)
    finally:
        child.kill()
    assert child.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_without_time_nothing_starts(tmp_path):
    table = sweep(["svdn_table2"], TINY, folder=tmp_path, hours=0, **CHOICE)
    assert set(table.state) == {"left"} and not list(tmp_path.glob("*"))
    with pytest.raises(ValueError, match="hours limits trainings on this machine"):
        sweep(["svdn_table2"], TINY, folder=tmp_path, hours=1, scheduler="tcp://h:1")


def test_a_run_is_free_unless_it_is_trained_or_waits_for_another(tmp_path):
    tuned = rows("aspdc_table6", TINY)["lambda_1"]
    work = local.Work(order=_in_order([tuned]), folder=tmp_path, device="cpu")
    assert work.order == [tuned.start, tuned.reblur, tuned]
    free = [local._is_free(work, experiment, set()) for experiment in work.order]
    assert free == [True, True, False]
    with run_lock(tmp_path / tuned.start.hash, pytest.fail):
        assert not local._is_free(work, tuned.start, set())
    assert local._is_free(work, tuned, {tuned.start.hash, tuned.reblur.hash})


def test_who_loses_the_race_for_a_run_does_not_wait_for_it(tmp_path, capsys):
    """Another process took the lock after this one had seen that the run is free."""
    (experiment, *_) = rows("svdn_table2", replace(TINY, train_steps=1)).values()
    work, failed = local.Work(order=[experiment], folder=tmp_path, device="cpu"), set()
    with run_lock(tmp_path / experiment.hash, pytest.fail):
        local._train(work, experiment, failed)  # would wait for ever
    assert not failed and not work.is_done(experiment) and not capsys.readouterr().out
    local._train(work, experiment, failed)
    assert not failed and work.is_done(experiment)
