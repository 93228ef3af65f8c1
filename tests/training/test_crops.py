"""What a training sees, measured before the network."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from deblurlib import training
from deblurlib.data import SceneDataset, collate, groups_of
from deblurlib.training import Experiment


def test_the_blurry_loss_of_a_step_is_what_a_network_starts_from():
    """RADN starts as the identity: its first loss is that of the blurred crops."""
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


@pytest.fixture
def pairs(tmp_path):
    """Two real pairs whose blurry pictures are uniform: 50 and 200."""
    folder = tmp_path / "train" / "A"
    for kind in ("blur", "sharp"):
        (folder / kind).mkdir(parents=True)
        for number, value in ((1, 50), (2, 200)):
            Image.new("RGB", (48, 48), (value,) * 3).save(folder / kind / f"{number:06}.png")
    return tmp_path


def test_a_crop_knows_its_photograph():
    few = Experiment(size="small", scenes=5, scene_size=64, patch=64, batch=4, steps=3)
    crops = training.TrainingCrops(few)
    scenes = SceneDataset("train", 5, 64, seed=few.seed, variant=few.blur, severity=few.severity)
    brightness = {  # a crop as large as its scene: flips, turns and channel order keep its mean
        round(float(scene.sharp.mean()), 3): scenes.photograph(i)
        for i, scene in ((i, scenes[i]) for i in range(5))
    }
    assert len(brightness) == 5 and len(set(brightness.values())) > 1
    found = groups_of(crops)
    assert found == [brightness[round(float(crops[i].sharp.mean()), 3)] for i in range(12)]
    assert groups_of(Subset(crops, [7, 2])) == [found[7], found[2]]


def test_a_crop_of_a_real_pair_knows_its_sequence(pairs):
    real = Experiment(
        size="small", scenes=2, scene_size=64, patch=32, real=str(pairs), real_share=1.0
    )
    assert set(groups_of(Subset(training.TrainingCrops(real), range(6)))) == {"A"}


def test_a_share_of_the_crops_comes_from_the_first_real_pairs(pairs):
    real = Experiment(
        size="small", scenes=2, scene_size=64, patch=32, real=str(pairs), real_share=1.0
    )

    def values(chosen):
        """The values of uniform crops; False for crops that are not uniform."""
        crops = training.TrainingCrops(chosen)
        blurry = [crops[i].blurry for i in range(12)]
        return {bool(x.std() < 1e-3) and round(float(x.mean()) * 255) for x in blurry}

    assert values(real) == {50, 200}
    assert values(replace(real, real_frames=1)) == {50}
    assert values(replace(real, real_share=0.0)) == {False}
    assert values(replace(real, real_share=0.5)) == {50, 200, False}


def test_real_pairs_have_flow_if_the_position_loss_needs_it(pairs):
    real = Experiment(patch=32, real=str(pairs), real_share=1.0, scenes=1, scene_size=64)
    assert training.TrainingCrops(real)[0].flow_next is None
    guided = training.TrainingCrops(replace(real, position=0.1))[0]
    assert guided.flow_next.shape == guided.flow_previous.shape == (2, 32, 32)


def test_scenes_are_those_of_the_experiment():
    """A crop as large as its scene is that scene, flipped, turned or with its colours permuted."""
    chosen = Experiment(scenes=1, scene_size=64, patch=64, seed=5, severity=0.25, blur="blur_gamma")
    scene = SceneDataset("train", 1, 64, seed=5, variant="blur_gamma", severity=0.25)[0]
    crops = training.TrainingCrops(chosen)
    wanted = scene.blurry.flatten().sort().values
    for i in range(4):
        assert torch.allclose(crops[i].blurry.flatten().sort().values, wanted, atol=1e-5)
    assert len({crops[i].blurry.numpy().tobytes() for i in range(8)}) > 1  # augmented


def test_crops_come_from_the_photographs_of_the_experiment(tmp_path):
    for number in range(10):
        Image.new("RGB", (640, 480), (0, 0, 255)).save(tmp_path / f"{number}.png")
    chosen = Experiment(scenes=1, scene_size=64, patch=64, photos=str(tmp_path), severity=0.0)
    crop = training.TrainingCrops(chosen)[0]
    assert crop.sharp.flatten(1).mean(1).max() > 0.5 > 0.4 > crop.sharp.mean()
