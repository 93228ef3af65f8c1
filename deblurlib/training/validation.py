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


def validation_psnr(experiment: Experiment, network: nn.Module) -> float:
    """Measure a network.

    Args:
        experiment: Its training.
        network: The network; its mode is restored.

    Returns:
        Its mean PSNR in dB on the validation scenes.
    """
    scenes, values = validation_scenes(experiment), []
    for i in range(len(scenes)):
        pictures, target = task(network, scenes[i])
        values.append(psnr(predict(network, *pictures), target))
    return float(np.mean(values))
