"""The precision that deblurring computes in."""

import numpy as np
import pytest
import torch
from torch import nn

import deblurlib
from deblurlib.inference import precision
from deblurlib.inference.precision import AGREEMENT, choose_precision
from deblurlib.models import load_model, provenance


class Seen(nn.Module):
    """Remembers what its convolution computed in."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        nn.init.dirac_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        y = self.conv(x)
        self.dtype = y.dtype
        return y.float()


IMAGE = np.full((20, 20, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ("asked", "agreement", "hardware", "expected"),
    [
        ("auto", None, True, torch.float32),
        ("auto", AGREEMENT - 1, True, torch.float32),
        ("auto", AGREEMENT, True, torch.bfloat16),
        ("auto", AGREEMENT, False, torch.float32),
        ("fp32", AGREEMENT, True, torch.float32),
        ("bf16", None, False, torch.bfloat16),
    ],
)
def test_auto_is_bf16_only_where_it_is_fast_and_agrees(
    asked, agreement, hardware, expected, monkeypatch
):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: hardware)
    network = Seen()
    if agreement is not None:
        network.bf16_agreement_db = agreement
    deblurlib.deblur(IMAGE, network, precision=asked)
    assert network.dtype == expected


def test_an_unknown_precision_is_one_sentence():
    with pytest.raises(ValueError, match=r"precision is 'fp16': choose one of auto, fp32, bf16\."):
        deblurlib.deblur(IMAGE, Seen(), precision="fp16")


@pytest.mark.parametrize("name", ["svdn", "svrnn", "radn", "aspdc"])
def test_the_recorded_agreement_holds(name):
    size = "full" if name == "svdn" else "small"
    network = load_model(name, size=size)
    recorded = provenance(name, size)["bf16_agreement_db"]
    assert network.bf16_agreement_db == recorded >= AGREEMENT
    assert precision.agreement(network) == pytest.approx(recorded, abs=3)


def test_weights_without_a_record_compute_in_float32(tmp_path):
    network = load_model("aspdc", size="small")
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    mine = load_model("aspdc", tmp_path / "mine.pth", size="small")
    assert choose_precision("auto", mine) == "fp32"
