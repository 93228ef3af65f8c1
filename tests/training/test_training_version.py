"""An equal Experiment trains as it did when TRAINING_VERSION was last raised.

Digests of ten steps are stored in digests.json, for each version. They are losses and norms, which
differ between processors only by rounding. `python -m tests.training.test_training_version` writes
those of the present version that are missing or differ. The perceptual loss has random features.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deblurlib import losses
from deblurlib.training import Experiment, crops, experiment, initial_model, loop, processes
from deblurlib.training.loop import Trainer

STORED = Path(__file__).with_name("digests.json")
BASE = Experiment(
    variant="dilated", size="small", scenes=2, scene_size=48, steps=10, batch=2, patch=32
)
REBLUR = replace(BASE, model="reblur", variant="paper")
CASES = {
    "svdn": BASE,
    "svdn position": replace(BASE, variant="fd_og", position=1e-2),
    "svdn psnr": replace(BASE, psnr=1e-2),
    "svdn perceptual": replace(BASE, perceptual=1.0),
    "svdn consistency": replace(BASE, reblur=REBLUR, consistency=0.5),
    "svdn options": replace(
        BASE, bias_lr=2.0, clip=0.02, ema=0.9, warmup=3, weight_decay=1e-3, decay_from=0.3
    ),
    "svrnn": replace(BASE, model="svrnn", variant="paper"),
    "radn": replace(BASE, model="radn", variant="final"),
    "radn_baseline": replace(BASE, model="radn_baseline", variant="deform6_sa"),
    "aspdc": replace(BASE, model="aspdc", variant="v12", halve_every=5),
    "reblur": REBLUR,
}
HINT = (
    "raise TRAINING_VERSION in deblurlib/training/experiment.py and run "
    "`python -m tests.training.test_training_version` to store the new digests"
)


def norm(network):
    return float(sum(p.detach().double().square().sum() for p in network.parameters()) ** 0.5)


def digest(chosen, folder):
    """Ten steps in numbers: the losses, the initial weights, and how they moved."""
    reblurring = None if chosen.reblur is None else loop.initial_model(chosen.reblur)
    network, start = loop.initial_model(chosen), loop.initial_model(chosen)
    fabric = processes.fabric_for("cpu", chosen)
    with pytest.MonkeyPatch.context() as patch:  # ImageNet weights are not everywhere
        features = losses.vgg16_features
        patch.setattr(losses, "vgg16_features", lambda weights: features("random"))
        made = Trainer(chosen, folder, fabric, network, reblurring, 0)
    steps = [made.step()["loss"].item() for _ in range(chosen.steps)]
    found = {"losses": steps, "initial": [norm(start)]}
    with torch.no_grad():
        final = made.final_network()
        for after, before in zip(final.parameters(), start.parameters(), strict=True):
            before.sub_(after)
    return {**found, "moved": [norm(start)]}


def differences(stored, found):
    """The entries that differ by more than 0.1 %."""
    return [key for key in stored if not np.allclose(found[key], stored[key], rtol=1e-3, atol=0)]


def stored_digest(case):
    return json.loads(STORED.read_text())[str(experiment.TRAINING_VERSION)][case]


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_are_those_of_this_version(case, tmp_path):
    other = differences(stored_digest(case), digest(CASES[case], tmp_path))
    assert not other, f"{case} trains otherwise ({', '.join(other)}): {HINT}"


def test_the_version_enters_the_hash_unless_it_is_the_first(monkeypatch):
    first = BASE.hash
    assert first == "49bb3257c185"
    monkeypatch.setattr(experiment, "TRAINING_VERSION", 2)
    assert BASE.hash != first


def slower(patch):
    real = loop.learning_rate
    patch.setattr(loop, "learning_rate", lambda *arguments: 0.1 * real(*arguments))


def other_betas(patch):
    real = loop.adam
    patch.setattr(loop, "adam", lambda net, chosen: real(net, replace(chosen, betas=(0.9, 0.999))))


def other_initialisation(patch):
    def twice(chosen):
        network = initial_model(chosen)
        with torch.no_grad():
            next(network.parameters()).mul_(1.5)
        return network

    patch.setattr(loop, "initial_model", twice)


def no_augmentation(patch):
    patch.setattr(crops, "augment", lambda sample, rng: sample)


def other_order(patch):
    real = crops.TrainingCrops.__getitem__
    patch.setattr(
        crops.TrainingCrops, "__getitem__", lambda self, index: real(self, len(self) - 1 - index)
    )


def other_floor(patch):
    real = losses.psnr_loss
    patch.setattr(losses, "psnr_loss", lambda output, sharp: real(output, sharp, floor=1e-3))


def other_layer(patch):
    real = losses.PerceptualLoss
    patch.setattr(losses, "PerceptualLoss", lambda: real(layer=14))


PLANTS = {
    "svdn": [slower, other_betas, other_initialisation, no_augmentation, other_order],
    "svdn psnr": [other_floor],
    "svdn perceptual": [other_layer],
}


@pytest.mark.parametrize(
    "case, plant", [(case, plant) for case, plants in PLANTS.items() for plant in plants]
)
def test_a_planted_change_is_noticed(case, plant, monkeypatch, tmp_path):
    plant(monkeypatch)
    assert differences(stored_digest(case), digest(CASES[case], tmp_path))


if __name__ == "__main__":
    import tempfile

    versions = json.loads(STORED.read_text()) if STORED.is_file() else {}
    stored = versions.setdefault(str(experiment.TRAINING_VERSION), {})
    for name, chosen in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            found = digest(chosen, Path(folder))
        if name not in stored or differences(stored[name], found):
            stored[name] = {key: [float(f"{v:.6g}") for v in each] for key, each in found.items()}
            sys.stdout.write(f"{name} is new.\n")
    STORED.write_text(json.dumps(versions, indent=1) + "\n")
