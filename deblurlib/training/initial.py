"""The untrained network that a training starts with."""

import torch
from torch import nn

from ..models import create_model, load_model, spec_of
from .experiment import Experiment


def initial_model(experiment: Experiment) -> nn.Module:
    """Create the untrained network of an experiment.

    Args:
        experiment: Provides the network and the seed.

    Returns:
        The network; its weights depend on the seed, not on torch's global generator.

    Raises:
        FileNotFoundError: If there is no such file of weights.
        ValueError: If the network or variant is unknown or has no ImageNet weights, or the
            weights belong to another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        model = create_model(
            experiment.model, experiment.variant, size=experiment.size, **dict(experiment.options)
        )
    if experiment.start_weights is not None:
        trained = load_model(
            experiment.model, experiment.start_weights, experiment.variant, size=experiment.size
        )
        if trained.recipe != model.recipe:
            raise ValueError(
                f"{experiment.start_weights} holds weights of {trained.recipe}, but the experiment "
                f"describes {model.recipe}: give weights of the same network."
            )
        model.load_state_dict(trained.state_dict())
    if experiment.pretrained:
        start_pretrained = spec_of(experiment.model).start_pretrained
        if start_pretrained is None:
            raise ValueError(f"{experiment.model} has no ImageNet weights to start from.")
        start_pretrained(model)
    return model
