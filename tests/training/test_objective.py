"""The terms of the training loss, each with its weight."""

import pytest
import torch
from torch import nn

from deblurlib import losses
from deblurlib.data import Sample
from deblurlib.models import create_model
from deblurlib.training import Experiment, LossTerms


class Distance(nn.Module):
    """Stands for the loss on VGG-16's features, whose weights need a download."""

    def forward(self, output, sharp):
        return 3 * (output - sharp).abs().mean() + sharp.mean()


@pytest.fixture
def batch():
    blurry, sharp = torch.rand(2, 1, 3, 32, 32, generator=torch.manual_seed(0))
    return Sample(blurry, sharp)


def test_the_perceptual_loss_compares_the_output_with_the_sharp_image(monkeypatch, batch):
    monkeypatch.setattr(losses, "PerceptualLoss", Distance)
    model = create_model("svdn", "base", size="small")
    total, terms = LossTerms(Experiment(variant="base", perceptual=0.25))(model, batch)
    with torch.no_grad():
        output = model(batch.blurry)
    assert terms["perceptual"] == Distance()(output, batch.sharp)
    assert terms["pixel"] == losses.pixel_loss(output, batch.sharp)
    assert total.item() == pytest.approx((terms["pixel"] + 0.25 * terms["perceptual"]).item())
    assert set(LossTerms(Experiment(variant="base"))(model, batch)[1]) == {"pixel"}


def test_the_psnr_loss_may_replace_the_pixel_loss(batch):
    model = create_model("svdn", "base", size="small")
    total, terms = LossTerms(Experiment(variant="base", pixel=0.0, psnr=0.5))(model, batch)
    assert set(terms) == {"pixel", "psnr_loss"}
    assert total.item() == pytest.approx(0.5 * terms["psnr_loss"].item())
    assert terms["psnr_loss"] == losses.psnr_loss(model(batch.blurry), batch.sharp)


def test_the_reblurring_network_is_frozen_and_needed():
    reblur = Experiment(model="reblur")
    experiment = Experiment(model="aspdc", variant="v12", consistency=0.1, reblur=reblur)
    network = create_model("reblur", size="small")
    LossTerms(experiment, network)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ValueError, match=r"^The consistency loss needs the reblurring network"):
        LossTerms(experiment)


def test_a_reblurring_network_sees_both_images_and_aims_at_the_blurry_one(batch):
    model = create_model("reblur", size="small")
    total, terms = LossTerms(Experiment(model="reblur"))(model, batch)
    assert total == terms["pixel"]
    assert terms["pixel"] == losses.pixel_loss(model(batch.blurry, batch.sharp), batch.blurry)
