"""What a training minimises: the loss terms of an experiment, weighted and by name."""

import torch
from torch import nn

from .. import losses
from ..data.samples import Sample
from .experiment import Experiment


class LossTerms(nn.Module):
    """L = L_pixel + lambda1 L_percep + lambda2 L_position (SVDN eq. 7) + lambda L_reblurring (ASPDC eq. 7), and the terms
    by name, unweighted. `network` is the reblurring one of the last term; it is frozen."""

    def __init__(self, experiment: Experiment, network: nn.Module | None = None):
        super().__init__()
        self.experiment = experiment
        self.perceptual = losses.PerceptualLoss() if experiment.perceptual else None
        self.network = network.requires_grad_(False) if network else None

    def forward(
        self, model: nn.Module, batch: Sample
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        chosen, extras = self.experiment, {}
        blurry, target = (batch.blurry, batch.sharp)
        if chosen.model == "reblur":
            output, target = model(blurry, batch.sharp), blurry
        elif chosen.position:
            output, extras = model(blurry, return_extras=True)
        else:
            output = model(blurry)
        output = output.float()
        terms = {"pixel": losses.pixel_loss(output, target)}
        if chosen.perceptual:
            terms["perceptual"] = self.perceptual(output, target)
        if chosen.position:
            offset = extras["offset"].float()
            flows = (
                chosen.exposure_scale * flow for flow in (batch.flow_previous, batch.flow_next)
            )
            flows = (losses.flow_to_features(flow, offset.shape[-2:]) for flow in flows)
            terms["position"] = losses.position_loss(offset, *flows, margin=chosen.margin)
        if chosen.consistency:
            terms["consistency"] = losses.pixel_loss(self.network(blurry, output), blurry)
        weights = {"pixel": 1.0} | {
            name: getattr(chosen, name) for name in ("perceptual", "position", "consistency")
        }
        total = sum(weights[name] * term for name, term in terms.items())
        return total, {name: term.detach() for name, term in terms.items()}
