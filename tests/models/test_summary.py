import pytest
import torch
from torch import nn

from deblurlib.models import count_macs, count_parameters, create_model


@pytest.mark.parametrize("variant, giga", [("fd", 200.95), ("base", 179.96), ("dilated", 179.96)])
def test_macs_at_720p(variant, giga):
    assert count_macs(create_model("svdn", variant), (720, 1280)) / 1e9 == pytest.approx(giga, abs=0.01)


def test_macs_are_weights_times_positions():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    assert count_macs(layer, (10, 20)) == 3 * 8 * 9 * 200
    assert count_parameters(layer) == 3 * 8 * 9 + 8


def test_counting_leaves_the_network_as_it_was():
    model = create_model("svdn", size="small")
    before = model(torch.ones(1, 3, 16, 16))
    count_macs(model, (64, 64))
    assert next(model.parameters()).device.type == "cpu" and torch.equal(model(torch.ones(1, 3, 16, 16)), before)
