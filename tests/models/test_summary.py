import pytest
import torch
from torch import nn

from deblurlib.models import count_macs, count_parameters, create_model, list_parts


@pytest.mark.parametrize("variant, giga", [("fd", 200.95), ("base", 179.96), ("dilated", 179.96)])
def test_macs_at_720p(variant, giga):
    assert count_macs(create_model("svdn", variant), (720, 1280)) / 1e9 == pytest.approx(
        giga, abs=0.01
    )


def test_macs_are_weights_times_positions():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    assert count_macs(layer, (10, 20)) == 3 * 8 * 9 * 200
    assert count_parameters(layer) == 3 * 8 * 9 + 8


def test_counting_leaves_the_network_as_it_was():
    model = create_model("svdn", size="small")
    before = model(torch.ones(1, 3, 16, 16))
    count_macs(model, (64, 64))
    assert next(model.parameters()).device.type == "cpu" and torch.equal(
        model(torch.ones(1, 3, 16, 16)), before
    )


def test_parts_add_up_and_know_their_scale():
    model = create_model("radn", size="small")
    levels = [f"{kind}.{k}" for k in range(3) for kind in ("decoder", "up")]
    names = ["encoder", "attention", *levels, "context", "reconstruction"]
    parts = list_parts(model, (64, 96), names).set_index("part")
    assert parts.parameters.sum() == count_parameters(model) and parts.macs.sum() == count_macs(
        model, (64, 96)
    )
    assert (
        parts.scale.to_dict() | {"decoder.1": 4, "up.2": 1} == parts.scale.to_dict()
        and parts.scale["attention"] == 8
    )
    transition = list_parts(model, (64, 96), ["encoder.transition1"]).iloc[0]
    channels = model.encoder.transition1.conv.weight.shape
    assert (transition["out"], transition["in"], transition.scale) == (*channels[:2], 4)
    assert next(model.parameters()).device.type == "cpu" and not model.encoder._forward_hooks


def test_parts_know_what_they_read():
    names = ["stem", "stages.0", "stages.1", "stages.2", "fuse", "head"]
    neck = ["neck.ow1", "neck.ow2", "neck.dcn1", "neck.dcn2"]
    model = create_model("svdn", size="small")
    parts = list_parts(model, (32, 48), names[:-1] + neck + names[-1:]).set_index("part")
    assert parts.reads.to_dict() == {
        "stem": ("blurry",),
        "stages.0": ("stem",),
        "stages.1": ("stages.0",),
        "stages.2": ("stages.1",),
        "fuse": ("stem", "stages.0", "stages.1", "stages.2"),
        "neck.ow1": ("fuse",),
        "neck.ow2": ("neck.ow1",),
        "neck.dcn1": ("fuse", "neck.ow1"),
        "neck.dcn2": ("neck.ow2", "neck.dcn1"),
        "head": ("neck.dcn2",),
    }
    assert parts.attrs["restored"] == ("blurry", "head")
    assert parts.deformable[parts.deformable > 0].to_dict() == {"neck.dcn1": 1, "neck.dcn2": 1}
    direct = create_model("svdn", "no_skip", size="small")
    assert list_parts(direct, (32, 48), ["head"]).attrs["restored"] == ("head",)
    last = create_model("svdn", "no_concat", size="small")
    found = list_parts(last, (32, 48), names).set_index("part")
    assert found.reads["fuse"] == ("stages.2",)


@pytest.mark.parametrize("name", ["svrnn", "svdn", "radn", "aspdc"])
def test_the_data_of_every_network_flows_from_the_picture_to_the_result(name):
    model = create_model(name, size="small")
    called = [
        f"{part}.{i}" if isinstance(child, nn.ModuleList) else part
        for part, child in model.named_children()
        for i in range(len(child) if isinstance(child, nn.ModuleList) else 1)
    ]
    parts = list_parts(model, (64, 96), called)
    read = {source for sources in [*parts.reads, parts.attrs["restored"]] for source in sources}
    assert read == {"blurry", *parts.part} and all(parts.reads)
