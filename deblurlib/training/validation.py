"""Measurements during a training, on rendered scenes of the validation photographs."""

import numpy as np
from torch import nn

from ..evaluation import predict, psnr, task
from .crops import Remembered, remembered_scenes
from .experiment import Experiment


def validation_scenes(experiment: Experiment) -> Remembered:
    """Return the scenes that a training is measured on.

    Args:
        experiment: Provides their blur, severity and camera.

    Returns:
        Eight scenes.
    """
    return remembered_scenes(
        "validation",
        8,
        128,
        seed=0,
        variant=experiment.blur,
        severity=experiment.severity,
        camera=experiment.camera,
    )


def validation_psnr(experiment: Experiment, network: nn.Module | None = None) -> float:
    """Measure a network, or what it starts from.

    Args:
        experiment: Its training.
        network: The network; its mode is restored. None measures the blurry images
            against the sharp ones.

    Returns:
        The mean PSNR in dB on the validation scenes.
    """
    scenes, values = validation_scenes(experiment), []
    for i in range(len(scenes)):
        if network is None:
            blurry, sharp = scenes[i].blurry, scenes[i].sharp
            assert sharp is not None
            values.append(psnr(blurry, sharp))
        else:
            pictures, target = task(network, scenes[i])
            values.append(psnr(predict(network, *pictures), target))
    return float(np.mean(values))
