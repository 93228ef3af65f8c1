"""Signals during a training: when they count, and who handles them before and after."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch
from typer.testing import CliRunner

from deblurlib.cli.app import app
from deblurlib.training import fit, interrupts, loop
from deblurlib.training.interrupts import SIGNALS, Signals, Terminated
from deblurlib.training.processes import fabric_for
from tests.training.test_training import TINY, weights

CHOICE = {"progress": False, "device": "cpu"}


@pytest.fixture
def handled():
    """Installs a handler of SIGTERM that counts, as a host program might, and puts it back."""
    calls = []
    previous = signal.signal(signal.SIGTERM, lambda *_: calls.append(1))
    yield calls
    signal.signal(signal.SIGTERM, previous)


def signal_at(step, numbers, monkeypatch, pause=0.0):
    real = loop.learning_rate

    def rate(current, experiment):
        if current == step:
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(pause)
        return real(current, experiment)

    monkeypatch.setattr(loop, "learning_rate", rate)


def test_the_handlers_are_those_of_the_host_again(handled, monkeypatch, tmp_path):
    before = [signal.getsignal(number) for number in SIGNALS]
    fit(TINY, folder=tmp_path / "whole", **CHOICE)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    signal_at(5, [signal.SIGTERM], monkeypatch)
    with pytest.raises(Terminated, match="interrupted at step 6 of 12") as ended:
        fit(TINY, folder=tmp_path, **CHOICE)
    assert ended.value.exit_code == 143 and isinstance(ended.value, KeyboardInterrupt)
    assert [signal.getsignal(number) for number in SIGNALS] == before and not handled


def test_a_signal_that_is_delivered_twice_counts_once(handled, monkeypatch, tmp_path):
    signal_at(5, [signal.SIGTERM, signal.SIGTERM], monkeypatch)
    with pytest.raises(Terminated):
        fit(TINY, folder=tmp_path, **CHOICE)
    assert not handled and (tmp_path / TINY.hash / "checkpoint.pt").is_file()


def test_a_second_signal_ends_at_once_without_a_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr(interrupts, "SECONDS_OF_ONE_SIGNAL", 0.01)
    signal_at(5, [signal.SIGTERM, signal.SIGINT], monkeypatch, pause=0.02)
    with pytest.raises(KeyboardInterrupt) as ended:
        fit(TINY, folder=tmp_path, **CHOICE)
    assert not str(ended.value) and not (tmp_path / TINY.hash / "checkpoint.pt").exists()


def test_an_ignored_signal_stays_ignored(monkeypatch, tmp_path):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    signal_at(5, [signal.SIGHUP], monkeypatch)
    try:
        assert len(fit(TINY, folder=tmp_path, **CHOICE).log) == 1
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_a_signal_after_the_last_step_leaves_a_finished_run(monkeypatch, tmp_path):
    signal_at(11, [signal.SIGINT], monkeypatch)
    with pytest.raises(KeyboardInterrupt, match="after its last step: it is kept"):
        fit(TINY, folder=tmp_path, **CHOICE)
    assert fit(TINY, folder=tmp_path, **CHOICE).cached


def test_a_training_in_another_thread_installs_no_handlers(tmp_path):
    runs, seen = [], []

    def train():
        with Signals().noted() as signals:
            seen.append(signal.getsignal(signal.SIGINT) == signals._note)
        runs.append(fit(TINY, folder=tmp_path, **CHOICE))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [False] and len(runs) == 1


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_ends_with_one_sentence_and_the_code_of_its_signal(
    number, code, monkeypatch, tmp_path
):
    signal_at(2, [number], monkeypatch)
    options = ["--size", "small", "--steps", "4", "--batch", "1", "--checkpoint-every", "1"]
    arguments = ["train", "svdn", "--preset", "smoke", *options, "--results", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu"])
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1] == (
        "svdn paper small seed 0 was interrupted at step 3 of 4: "
        "run the same training again to resume it."
    )
    assert list(tmp_path.glob("runs/*/checkpoint.pt"))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_step_ends_the_command_as_ctrl_c_does(
    number, monkeypatch, tmp_path
):
    def interrupted(experiment):
        os.kill(os.getpid(), number)
        time.sleep(1)
        raise AssertionError("the signal is not obeyed")

    monkeypatch.setattr(loop, "initial_model", interrupted)
    handlers = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
    before = [signal.getsignal(number) for number in SIGNALS]
    try:
        result = CliRunner().invoke(app, ["train", "svdn", "--results", str(tmp_path)])
        assert [signal.getsignal(number) for number in SIGNALS] == before
    finally:
        for each, handler in zip(SIGNALS, handlers, strict=True):
            signal.signal(each, handler)
    assert result.exit_code == 128 + number
    assert result.stderr == "Interrupted: finished work is kept.\n"


def test_workers_leave_signals_to_the_training(monkeypatch, tmp_path):
    """A signal to the whole process group, as from a terminal or `timeout`."""
    real, number = loop.learning_rate, signal.SIGTERM

    def rate(current, experiment):
        if current == 5:
            for child in multiprocessing.active_children():
                os.kill(child.pid, number)
            os.kill(os.getpid(), number)
        return real(current, experiment)

    monkeypatch.setattr(loop, "learning_rate", rate)
    with pytest.raises(Terminated, match=r"at step [56] of 12"):
        fit(TINY, folder=tmp_path, workers=1, **CHOICE)
    monkeypatch.undo()
    alone = fit(TINY, folder=tmp_path / "alone", **CHOICE)
    assert torch.equal(weights(fit(TINY, folder=tmp_path, workers=1, **CHOICE)), weights(alone))


def test_a_checkpoint_is_written_after_some_seconds(monkeypatch, tmp_path):
    saved, real = [], loop.write_checkpoint
    monkeypatch.setattr(
        loop, "write_checkpoint", lambda at, state: saved.append(state["step"]) or real(at, state)
    )
    fit(TINY, folder=tmp_path, checkpoint_every=5, checkpoint_seconds=1e-9, **CHOICE)
    assert saved[:4] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="checkpoint_seconds is 0: give a positive number"):
        fit(TINY, folder=tmp_path, checkpoint_seconds=0)


@pytest.mark.parametrize(
    "device, devices", [("cuda:1", [1]), ("cuda", 1), ("cpu", 1), (torch.device("cuda", 0), [0])]
)
def test_the_number_of_a_device_counts(device, devices, monkeypatch):
    class Fabric:
        def __init__(self, **options):
            self.options = options

        def launch(self):
            pass

    monkeypatch.setattr("lightning_fabric.Fabric", Fabric)
    options = fabric_for(device, TINY).options
    assert options["devices"] == devices
    assert options["accelerator"] == torch.device(device).type
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    if isinstance(devices, list):
        with pytest.raises(ValueError, match="2 processes share the training: give the device cu"):
            fabric_for(device, TINY)


def test_a_failed_validation_leaves_the_network_in_training_mode(monkeypatch, tmp_path):
    from tests.training.test_trainer import trainer

    made = trainer(TINY, tmp_path)
    modules = [module.training for module in made.model.modules()]
    before = weights_of(made)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(made.model.module), "forward", stopped)
    with pytest.raises(KeyboardInterrupt):
        made.validate()
    assert [module.training for module in made.model.modules()] == modules and all(modules)
    assert torch.equal(weights_of(made), before)


def weights_of(made):
    return torch.cat([p.detach().flatten() for p in made.model.parameters()])
