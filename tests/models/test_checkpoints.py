"""Weights in the files of trainers: found below their names and prefixes, averages first."""

import json
import logging

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from deblurlib.models import create_model, from_pretrained, load_model, save_model
from deblurlib.models.weights import list_weights, sha256_of, shipped_weights

SMALL = {"size": "small"}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("svdn", **SMALL)


def other(network):
    return {name: value + 1 for name, value in network.state_dict().items()}


def prefixed(prefix, state):
    return {f"{prefix}{name}": value for name, value in state.items()}


LAYOUTS = {
    "plain": lambda s, o: s,
    "DataParallel": lambda s, o: prefixed("module.", s),
    "compiled": lambda s, o: prefixed("_orig_mod.", s),
    "compiled and parallel": lambda s, o: prefixed("module._orig_mod.", s),
    "compiled part": lambda s, o: {
        name.replace(".", "._orig_mod.", 1): value for name, value in s.items()
    },
    "attribute": lambda s, o: prefixed("model.", s),
    "BasicSR": lambda s, o: {"params": s},
    "BasicSR with average": lambda s, o: {"params": o, "params_ema": s},
    "timm": lambda s, o: {"state_dict": o, "state_dict_ema": s, "epoch": 3, "arch": "svdn"},
    "timm, parallel": lambda s, o: {"state_dict": prefixed("module.", s), "optimizer": {}},
    "Lightning": lambda s, o: {
        "state_dict": prefixed("model.", s) | {"loss.weight": torch.ones(2)},
        "pytorch-lightning_version": "2.5",
        "hyper_parameters": {"lr": 1e-3},
    },
    "Lightning with average": lambda s, o: {
        "state_dict": prefixed("net.", o) | prefixed("ema_net.", s)
    },
    "nested": lambda s, o: {"model": {"state_dict": s}, "step": 7},
    "AveragedModel": lambda s, o: {"n_averaged": torch.tensor(4)} | prefixed("module.", s),
    "GAN": lambda s, o: {"net_g": s, "net_d": {"layer": torch.ones(1)}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_found_in_the_files_of_trainers(network, tmp_path, layout, caplog):
    state = network.state_dict()
    path = tmp_path / "w.pth"
    torch.save(LAYOUTS[layout](state, other(network)), path)
    with caplog.at_level(logging.WARNING):
        loaded = load_model("svdn", path, **SMALL).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    said = "averaged weights" in caplog.text
    assert said == (layout in ("BasicSR with average", "timm"))


@pytest.mark.parametrize(
    "content, reason",
    [
        ({"params": {"layer": torch.ones(3)}}, "does not fit this network"),
        ({"epoch": 3, "optimizer": {"lr": 1.0}}, "holds something other than named dense tensors"),
        ({"ema": {"shadow_params": [torch.ones(3)]}}, "holds something other than named dense"),
        ([torch.ones(3)], "holds something other than named dense tensors"),
    ],
)
def test_a_file_without_the_weights_is_refused_with_the_reason(tmp_path, content, reason):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=reason):
        load_model("svdn", tmp_path / "w.pth", **SMALL)


def test_what_is_missing_below_a_prefix_is_named(network, tmp_path):
    state = prefixed("model.", network.state_dict())
    missing = sorted(state)[3]
    del state[missing]
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"{missing.removeprefix('model.')} is missing"):
        load_model("svdn", tmp_path / "w.pth", **SMALL)


def test_our_own_checkpoint_is_loaded_as_the_network_of_its_training(tmp_path):
    torch.manual_seed(0)
    network = create_model("radn", **SMALL)  # has batch statistics, which are not averaged
    average = AveragedModel(network)
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(1)
    torch.save(
        {
            "model": network.state_dict(),
            "average": average.state_dict(),
            "optimizer": {"state": {}, "param_groups": []},
            "step": 7,
        },
        tmp_path / "checkpoint.pt",
    )
    record = {"experiment": {"model": "radn", "variant": "paper", "size": "small", "options": []}}
    (tmp_path / "experiment.json").write_text(json.dumps(record))
    loaded = load_model("radn", tmp_path / "checkpoint.pt")
    for name, value in loaded.named_parameters():
        assert torch.equal(value, average.module.get_parameter(name))
    for name, value in loaded.named_buffers():
        assert torch.equal(value, network.get_buffer(name)), name
    with pytest.raises(ValueError, match=r"checkpoint\.pt holds weights of radn, not of svdn"):
        load_model("svdn", tmp_path / "checkpoint.pt")
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(ValueError, match="the record of a training, is damaged"):
        load_model("radn", tmp_path / "checkpoint.pt")


def test_a_lost_record_is_replaced_by_that_inside_the_weights(network, tmp_path):
    save_model(network, tmp_path / "model.safetensors", {})
    (tmp_path / "model.json").unlink()
    assert from_pretrained(tmp_path).recipe["size"] == "small"


def test_a_name_means_the_shipped_size(monkeypatch):
    rows = {row["weights"]: row for row in list_weights()}
    assert rows
    for name, row in rows.items():
        path = shipped_weights(row["model"], row["size"])
        assert (path.stem, sha256_of(path)) == (name, row["sha256"])
        sizes = {r["size"] for r in rows.values() if r["model"] == row["model"]}
        assert load_model(row["model"]).recipe["size"] == ("full" if "full" in sizes else "small")
