"""What a training sees, measured before the network."""

import pytest

from deblurlib import training
from deblurlib.data import collate
from deblurlib.training import Experiment


def test_the_blurry_loss_of_a_step_is_what_a_network_starts_from():
    """RADN starts as the identity: its first logged loss, at a learning rate of zero, is that of the blurred crops."""
    tiny = Experiment(
        model="radn",
        size="small",
        scenes=2,
        scene_size=64,
        batch=2,
        patch=32,
        steps=3,
        lr=0.0,
        lr_end=0.0,
    )
    crops = training.TrainingCrops(tiny)
    batch = collate([crops[i] for i in (4, 5)])
    loss, _ = training.LossTerms(tiny)(training.initial_model(tiny), batch)
    assert crops.blurry_loss(3) == pytest.approx(loss.item(), rel=1e-5)
    assert crops.blurry_loss(2) != crops.blurry_loss(3)
