"""The untrained network that a training starts with."""

import torch
from torch import nn

from ..models import create_model, spec_of
from .experiment import Experiment


def initial_model(experiment: Experiment) -> nn.Module:
    """Create the untrained network of an experiment.

    Args:
        experiment: Provides the network and the seed.

    Returns:
        The network; its weights depend on the seed, not on torch's global generator.

    Raises:
        ValueError: If the network or variant is unknown, or has no ImageNet weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        model = create_model(
            experiment.model, experiment.variant, size=experiment.size, **dict(experiment.options)
        )
    if experiment.pretrained:
        start_pretrained = spec_of(experiment.model).start_pretrained
        if start_pretrained is None:
            raise ValueError(f"{experiment.model} has no ImageNet weights to start from.")
        start_pretrained(model)
    return model
