"""The grid trains every row once, whatever happens to its workers."""

import os
import signal
import threading
import time

import pytest

from deblurlib import experiments, training
from deblurlib.experiments import rows
from deblurlib.experiments.presets import Preset

pytest.importorskip("distributed")
from deblurlib.experiments.sweep import sweep


def test_a_killed_worker_costs_no_row_and_nothing_is_trained_twice(tmp_path):
    from distributed import Client, LocalCluster

    preset = Preset(
        name="tiny",
        test_scenes=1,
        scene_size=48,
        train_scenes=2,
        train_steps=20,
        tuning_steps=5,
        batch=1,
        patch=32,
        seeds=1,
        size="small",
    )
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        worker = next(iter(cluster.scheduler.workers.values()))
        victim = client.run(os.getpid)[worker.address]

        def kill_in_mid_run():
            while not list((tmp_path / "runs").glob("*/log.jsonl")):
                time.sleep(0.05)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_in_mid_run)
        killer.start()
        first = sweep(
            ["svdn_table2"],
            preset,
            scheduler=cluster.scheduler_address,
            folder=tmp_path / "runs",
            progress=False,
        )
        killer.join()
        assert client.run(os.getpid) and victim not in client.run(os.getpid).values()
        assert set(first.state) <= {
            "trained",
            "reused",
        }  # reused: it was finished, and the worker died before it could say so
        assert (first.state == "trained").sum() >= 4
        named = {
            f"svdn_table2:{name}": each.hash for name, each in rows("svdn_table2", preset).items()
        }
        assert dict(zip(first.row, first.hash, strict=True)) == named
        made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/model.safetensors")}
        again = sweep(
            ["svdn_table2"],
            preset,
            scheduler=cluster.scheduler_address,
            folder=tmp_path / "runs",
            progress=False,
        )
    assert list(again.state) == ["reused"] * len(rows("svdn_table2", preset))
    assert made == {
        path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/model.safetensors")
    }
    straight = training.fit(
        rows("svdn_table2", preset)["base"],
        folder=tmp_path / "straight",
        progress=False,
        device="cpu",
    )
    swept = tmp_path / "runs" / straight.experiment.hash / "model.safetensors"
    assert (
        swept.read_bytes()[-4096:] == (straight.folder / "model.safetensors").read_bytes()[-4096:]
    )


def test_what_a_row_starts_from_is_trained_first_and_failures_are_told(tmp_path):
    preset = Preset(
        name="tiny",
        test_scenes=1,
        scene_size=48,
        train_scenes=2,
        train_steps=2,
        tuning_steps=1,
        batch=1,
        patch=32,
        seeds=1,
        size="small",
    )
    table = sweep(["aspdc_table6"], preset, jobs=1, folder=tmp_path / "runs", progress=False)
    tuned = experiments.everything(preset, ["aspdc_table6"])
    assert set(table.hash) == {e.hash for e in tuned} | {tuned[0].start.hash, tuned[0].reblur.hash}
    assert set(table.state) == {"trained"}
    assert set(table.row[table.hash.isin([e.hash for e in tuned])]) == {
        f"aspdc_table6:{r}" for r in rows("aspdc_table6", preset)
    }
    assert table.row.eq("").sum() == 2
    broken = sweep(
        ["svdn_table2"], preset, jobs=1, folder=tmp_path / "runs", progress=False, patch=4096
    )
    assert broken.state.str.startswith("failed: ").all()
