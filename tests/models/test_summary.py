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
