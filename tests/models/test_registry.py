import os
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from deblurlib.models import create_model, list_models, list_variants, load_model, save_model
from deblurlib.models.registry import NETWORKS


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(1)
    model = create_model("svdn", "dilated", size="small", blocks=1).eval()
    return model, save_model(model, tmp_path / "weights.safetensors", {"steps": 0})


def test_saved_and_loaded_networks_give_the_same_output(saved):
    model, path = saved
    again, x = load_model("svdn", path), torch.rand(1, 3, 24, 32)
    assert again.recipe == model.recipe and torch.equal(again(x), model(x))


def test_half_precision_files_load_as_single(saved, tmp_path):
    model, path = saved
    half = save_model(model, tmp_path / "half.safetensors", {}, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    assert next(load_model("svdn", half).parameters()).dtype == torch.float32


def test_pth_files_load_as_tensors_only(saved, tmp_path):
    model, _ = saved
    torch.save({"state_dict": model.state_dict()}, tmp_path / "w.pth")
    again = load_model("svdn", _with_recipe(tmp_path / "w.pth", model))
    assert torch.equal(again.head[0].weight, model.head[0].weight)


def _with_recipe(path, model):
    save_model(model, path.with_suffix(".safetensors"), {})
    path.with_suffix(".safetensors").unlink()
    return path


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_pickle_is_never_executed(tmp_path):
    target = tmp_path / "exploded"
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Bomb(str(target))))
    with pytest.raises(ValueError, match=r"w.pth"):
        load_model("svdn", tmp_path / "w.pth")
    assert not target.exists()


def test_wrong_files_get_one_sentence(saved, tmp_path):
    _, path = saved
    path.with_suffix(".json").unlink()
    save_file(load_file(path), tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match=r"does not fit.*stages"):
        load_model("svdn", tmp_path / "bare.safetensors")  # without a recipe: the full network
    (tmp_path / "short.safetensors").write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        load_model("svdn", tmp_path / "short.safetensors")
    with pytest.raises(FileNotFoundError, match="give the path"):
        load_model("svdn", tmp_path / "absent.safetensors")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = create_model("svdn", size="small")
    torch.nn.init.constant_(model.head[-1].weight, float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        load_model("svdn", save_model(model, tmp_path / "w.safetensors", {}))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: create_model("svdm"), "no model 'svdm'.*svdn"),
        (lambda: create_model("svdn", "fdd"), "no variant 'fdd'.*fd_og"),
        (lambda: create_model("svdn", size="tiny"), "no size 'tiny'"),
        (lambda: create_model("svdn", widht=3), "cannot be built"),
        (lambda: list_variants("x"), "no model 'x'"),
    ],
)
def test_unknown_names_list_the_known_ones(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_same_seed_same_weights():
    for name in list_models():
        torch.manual_seed(5)
        first = create_model(name)
        torch.manual_seed(5)
        assert all(
            map(torch.equal, first.state_dict().values(), create_model(name).state_dict().values())
        )


@pytest.mark.parametrize(
    "translate, message",
    [
        (lambda state: state["no such layer"], "KeyError: 'no such layer'"),
        (lambda state: state.tensors, "AttributeError: .*'tensors'"),
        (lambda state: state + 1, "TypeError: "),
    ],
)
def test_a_broken_translation_is_reported_while_our_own_files_load(
    saved, tmp_path, monkeypatch, translate, message
):
    model, path = saved
    monkeypatch.setitem(NETWORKS, "svdn", replace(NETWORKS["svdn"], translate=translate))
    assert torch.equal(load_model("svdn", path).head[0].weight, model.head[0].weight)
    theirs = tmp_path / "theirs.pth"
    torch.save({"convg1_1": torch.zeros(3)}, theirs)
    with pytest.raises(ValueError, match=rf"theirs.pth cannot be translated to SVDN \({message}"):
        load_model("svdn", theirs)


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>", b"", b"PK\3\4cut"],
    ids=["pointer", "page", "empty", "cut"],
)
def test_a_file_that_is_no_checkpoint_is_not_said_to_hold_more_than_tensors(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights.pth cannot be read as weights \(\w+\): give"):
        load_model("svrnn", path)


def test_a_damaged_file_of_the_authors_is_reported(tmp_path):
    path = tmp_path / "DeblurringNet_NF.pth"
    torch.save({"deblurring_state_dict": None}, path)
    with (
        pytest.warns(UserWarning, match="misaligned"),
        pytest.raises(
            ValueError, match=r"cannot be translated to ASPDC .* as its authors published"
        ),
    ):
        load_model("aspdc", path)
