"""Damaged files in the folder of a run: each recovers by itself or is one sentence."""

import json
import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from deblurlib.models import create_model, load_model, save_model
from deblurlib.training import Experiment, checkpoints, fit, loop, runs

TINY = Experiment(
    variant="fd_og", size="small", scenes=1, scene_size=48, steps=4, batch=1, patch=32
)
CHOICE = {"progress": False, "device": "cpu"}
WHOLE_LOG = ['{"step": 2, "lr": 0.1, "pixel": 0.2}', '{"step": 4, "lr": 0.1, "pixel": 0.3}']


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, and one that was interrupted after three checkpoints."""
    folder = tmp_path_factory.mktemp("runs")
    finished = fit(TINY, folder=folder / "finished", **CHOICE)
    with pytest.MonkeyPatch.context() as patch:
        real = loop.learning_rate

        def rate(step, experiment):
            if step == 3:
                raise Stopped
            return real(step, experiment)

        patch.setattr(loop, "learning_rate", rate)
        with pytest.raises(Stopped):
            fit(TINY, folder=folder / "interrupted", checkpoint_every=1, **CHOICE)
    (folder / "finished" / TINY.hash / "log.jsonl").write_text("\n".join(WHOLE_LOG) + "\n")
    runs.write_marker(folder / "finished" / TINY.hash, TINY)
    return folder, finished


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def turn_into_folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "list": lambda path: path.write_text("[1, 2]\n"),
    "number": lambda path: path.write_text("5\n"),
    "text": lambda path: path.write_text('"x"\n'),
    "missing": lambda path: path.unlink(),
    "folder": turn_into_folder,
}
RECORD_DAMAGE = r"experiment\.json, the record of a training, is missing or damaged: restore it"
NOT_FILE = "is a folder, not a file of a training: remove it and train again"
CHANGED = "is missing or has changed since it was written: restore it, or delete the folder"
# file -> the sentence; None recovers, a sentence for one kind of damage goes before
FINISHED = {
    "experiment.json": {None: RECORD_DAMAGE, "folder": NOT_FILE},
    "model.safetensors": {None: "has changed since it was written: restore it, or delete",
                          "missing": "is missing: restore it, or delete", "folder": NOT_FILE},
    "model.json": {None: "the record of a network, is damaged: remove it",
                   "missing": CHANGED, "folder": NOT_FILE},
    "finished.json": {None: None, "folder": NOT_FILE},
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FINISHED)
def test_damage_to_a_finished_run(made, tmp_path, name, damage):
    folder, finished = made
    shutil.copytree(folder / "finished" / TINY.hash, tmp_path / TINY.hash)
    DAMAGE[damage](tmp_path / TINY.hash / name)
    sentence = FINISHED[name].get(damage, FINISHED[name][None])
    if sentence == CHANGED:
        with pytest.warns(UserWarning, match=rf"{name} {CHANGED}"):
            again = fit(TINY, folder=tmp_path, **CHOICE)
        assert again.cached and torch.equal(weights(again.model), weights(finished.model))
    elif sentence is None:
        again = fit(TINY, folder=tmp_path, **CHOICE)
        assert again.cached and torch.equal(weights(again.model), weights(finished.model))
    else:
        with pytest.raises(ValueError, match=sentence) as error:
            fit(TINY, folder=tmp_path, **CHOICE)
        assert name in str(error.value)


@pytest.mark.parametrize(
    "text, steps, warned",
    [
        ("", [], False),
        ("\n".join(WHOLE_LOG), [2, 4], False),  # a last line without its end
        (WHOLE_LOG[0] + '\n{"st', [2], False),  # a killed process
        ("\0\0\0\n" + "\n".join(WHOLE_LOG) + "\n", [2, 4], True),
        ('[1]\n5\n"x"\nnull\n{}\n{"step": "2"}\n' + WHOLE_LOG[1] + "\n", [4], True),
        ("\n".join([*WHOLE_LOG, *WHOLE_LOG]) + "\n", [2, 4], False),
        ("\n".join(reversed(WHOLE_LOG)) + "\n", [2, 4], False),
    ],
)
def test_what_is_whole_of_a_log_is_kept(made, tmp_path, text, steps, warned):
    shutil.copytree(made[0] / "finished" / TINY.hash, tmp_path / TINY.hash)
    (tmp_path / TINY.hash / "log.jsonl").write_text(text)
    runs.write_marker(tmp_path / TINY.hash, TINY)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert list(fit(TINY, folder=tmp_path, **CHOICE).log.step) == steps
    assert [str(each.message).split(" is ")[1] for each in found] == warned * [
        "damaged: its readable lines are kept."
    ]


def flip_digit(path):
    """Damage that leaves a file readable: one bit of its last digit."""
    content = path.read_bytes()
    place = max(content.rindex(bytes([digit])) for digit in b"0123456789" if digit in content)
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


@pytest.mark.parametrize("name", ["experiment.json", "log.jsonl", "model.json"])
def test_one_bit_of_a_finished_run_does_not_go_unnoticed(made, tmp_path, name):
    home = tmp_path / TINY.hash
    shutil.copytree(made[0] / "finished" / TINY.hash, home)
    flip_digit(home / name)
    with pytest.warns(UserWarning, match=rf"{name} {CHANGED}"):
        assert fit(TINY, folder=tmp_path, **CHOICE).cached


@pytest.mark.parametrize("line, told", [(2, True), (3, False)])  # step 4 is taken again
def test_a_changed_line_in_the_log_of_an_interrupted_run(tmp_path, monkeypatch, line, told):
    def stopped(trainer):
        raise Stopped

    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop.Trainer, "finish", stopped)
        fit(TINY, folder=tmp_path, checkpoint_every=3, **CHOICE)
    log = tmp_path / TINY.hash / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == 4
    changed = lines[line].replace('"pixel": 0.', '"pixel": 1.')
    log.write_text("".join([*lines[:line], changed, *lines[line + 1 :]]))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(TINY, folder=tmp_path, **CHOICE)
    sentence = "has changed since the checkpoint of step 3 was written: its readable lines are kept"
    assert [sentence in str(each.message) for each in found] == [True] * told
    assert (log.read_text().splitlines(keepends=True) == lines) != told


@pytest.mark.parametrize("damage", ["missing", "empty", "flipped", "digit"])
def test_the_marker_is_completed_by_the_next_call(made, tmp_path, damage):
    marker = tmp_path / TINY.hash / "finished.json"
    shutil.copytree(made[0] / "finished" / TINY.hash, marker.parent)
    before = marker.read_bytes()
    {**DAMAGE, "flipped": flip, "digit": flip_digit}[damage](marker)
    assert fit(TINY, folder=tmp_path, **CHOICE).cached
    assert marker.read_bytes() == before


def test_checkpoints_that_a_killed_process_left_are_removed(made, tmp_path):
    home = tmp_path / TINY.hash
    shutil.copytree(made[0] / "finished" / TINY.hash, home)
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        shutil.copy(made[0] / "interrupted" / TINY.hash / name, home)
    assert fit(TINY, folder=tmp_path, **CHOICE).cached
    assert not list(home.glob("checkpoint*"))


@pytest.mark.parametrize("damage", [*sorted(DAMAGE.keys() - {"folder"}), "flipped", "other"])
def test_a_damaged_checkpoint_is_replaced_by_the_previous_one(made, tmp_path, damage):
    folder, finished = made
    shutil.copytree(folder / "interrupted" / TINY.hash, tmp_path / TINY.hash)
    newest = tmp_path / TINY.hash / "checkpoint.pt"
    more = {"flipped": flip, "other": lambda path: torch.save({"model": 5, "step": "1"}, path)}
    {**DAMAGE, **more}[damage](newest)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        again = fit(TINY, folder=tmp_path, **CHOICE)
    assert torch.equal(weights(again.model), weights(finished.model)) and not again.cached
    told = [str(each.message) for each in found if "checkpoint" in str(each.message)]
    sentence = "is damaged: the training resumes at step 2 from checkpoint-previous.pt."
    assert len(told) == (damage != "missing") and all(sentence in each for each in told)
    assert not list((tmp_path / TINY.hash).glob("checkpoint*"))


def test_a_checkpoint_is_not_lost_while_the_damaged_one_is_replaced(made, tmp_path, monkeypatch):
    shutil.copytree(made[0] / "interrupted" / TINY.hash, tmp_path / TINY.hash)
    home = tmp_path / TINY.hash
    flip(home / "checkpoint.pt")
    with pytest.warns(UserWarning, match="resumes at step 2"):
        state = checkpoints.read_checkpoint(home, TINY)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.write_checkpoint(home, {**state, "step": 3})
    assert checkpoints.read_checkpoint(home, TINY)["step"] == 2


def test_two_damaged_checkpoints_and_a_folder_are_one_sentence(made, tmp_path):
    shutil.copytree(made[0] / "interrupted" / TINY.hash, tmp_path / TINY.hash)
    home = tmp_path / TINY.hash
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        flip(home / name)
    with pytest.raises(ValueError, match="no other checkpoint is intact: delete the folder"):
        fit(TINY, folder=tmp_path, **CHOICE)
    turn_into_folder(home / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is a folder, not a file"):
        fit(TINY, folder=tmp_path, **CHOICE)
    runs.clear(home)
    assert not list(home.iterdir())
    home.rmdir()
    home.write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not the folder of a training"):
        fit(TINY, folder=tmp_path, **CHOICE)


@pytest.mark.parametrize("missing", ["model.json", "finished.json", "experiment.json"])
def test_a_process_that_ends_between_two_files_costs_nothing(made, tmp_path, missing):
    """The files in the order they were written before: weights, then their description."""
    folder, finished = made
    home = tmp_path / TINY.hash
    shutil.copytree(folder / "interrupted" / TINY.hash, home)
    for name in {"model.safetensors", "model.json"} - {missing}:
        shutil.copy(folder / "finished" / TINY.hash / name, home)
    if missing == "experiment.json":
        (home / missing).unlink()
    assert not runs.is_finished(home)
    again = fit(TINY, folder=tmp_path, **CHOICE)
    assert not again.cached and torch.equal(weights(again.model), weights(finished.model))
    assert runs.is_finished(home) and fit(TINY, folder=tmp_path, **CHOICE).cached


def test_runs_from_before_there_were_markers_are_finished(made, tmp_path):
    folder, finished = made
    home = tmp_path / TINY.hash
    shutil.copytree(folder / "finished" / TINY.hash, home)
    (home / "finished.json").unlink()
    save_file(load_file(home / "model.safetensors"), home / "model.safetensors")  # no recipe in it
    assert runs.is_finished(home)
    assert torch.equal(weights(fit(TINY, folder=tmp_path, **CHOICE).model), weights(finished.model))
    (home / "finished.json").unlink()  # that call has written it
    shutil.copy(folder / "interrupted" / TINY.hash / "checkpoint.pt", home)
    assert not runs.is_finished(home)


def test_the_weights_of_a_variant_of_equal_shapes_are_refused(made, tmp_path):
    """svdn fd and fd_og have the same shapes and other activations."""
    folder, _ = made
    other = replace(TINY, variant="fd", steps=2)
    shutil.copytree(folder / "finished" / TINY.hash, tmp_path / other.hash)
    home = tmp_path / other.hash
    with pytest.raises(ValueError, match="is not the record of the finished training"):
        fit(other, folder=tmp_path, **CHOICE)
    record = json.loads((home / "experiment.json").read_text())
    (home / "experiment.json").write_text(json.dumps({**record, "hash": other.hash}))
    with pytest.raises(ValueError, match="holds weights of svdn fd_og small, not of this training"):
        fit(other, folder=tmp_path, **CHOICE)
    (home / "model.json").unlink()  # the weights themselves say whose they are
    with pytest.raises(ValueError, match="holds weights of svdn fd_og small, not of this training"):
        fit(other, folder=tmp_path, **CHOICE)


def test_the_checkpoint_of_another_training_is_refused(made, tmp_path):
    other = replace(TINY, variant="fd")
    shutil.copytree(made[0] / "interrupted" / TINY.hash, tmp_path / other.hash)
    with pytest.raises(ValueError, match=f"is the checkpoint of another training, {TINY.hash}"):
        fit(other, folder=tmp_path, **CHOICE)


def test_weights_alone_are_loaded_as_what_they_were_saved_as(tmp_path):
    path = save_model(create_model("svdn", "fd", size="small"), tmp_path / "w.safetensors", {})
    assert (
        path.read_bytes()
        == save_model(
            load_model("svdn", path), tmp_path / "again.safetensors", {"seconds": 5}
        ).read_bytes()
    )
    path.with_suffix(".json").unlink()
    assert load_model("svdn", path, "fd_og").recipe["variant"] == "fd"
    save_model(create_model("svdn", "fd_og", size="small"), tmp_path / "o.safetensors", {})
    shutil.copy(tmp_path / "o.json", tmp_path / "w.json")
    with pytest.raises(ValueError, match=r"w\.safetensors holds weights of svdn fd, but w\.json"):
        load_model("svdn", path)


@pytest.mark.parametrize("kind", [torch.int32, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_number_are_refused(tmp_path, kind):
    model = create_model("svdn", "fd", size="small")
    state = {name: value.to(kind) for name, value in model.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="instead of floating-point"):
        load_model("svdn", tmp_path / "w.pth", "fd", size="small")
    doubled = {name: value.double() for name, value in model.state_dict().items()}
    torch.save(doubled, tmp_path / "w.pth")
    again = load_model("svdn", tmp_path / "w.pth", "fd", size="small")
    assert torch.equal(weights(again), weights(model))
