"""The objective of a training: the weighted sum of its loss terms."""

import torch
from torch import nn

from .. import losses
from ..data.samples import Sample
from ..evaluation import task
from .experiment import Experiment


class LossTerms(nn.Module):
    """The loss of an experiment.

    L = L_pixel + lambda1 L_percep + lambda2 L_position (SVDN eq. 7) + lambda L_reblurring (ASPDC
    eq. 7); the weight of L_pixel is 1 unless the experiment changes it, and L_PSNR may be added. Of
    images in [0, 1], L_pixel + lambda L_reblurring is an eighth of
    `losses.consistency_loss`.

    Args:
        experiment: Provides the weights of the terms, the margin and the exposure scale.
        network: The reblurring network of the last term; it is frozen.

    Raises:
        ValueError: If the experiment has a consistency loss and `network` is not given.
    """

    def __init__(self, experiment: Experiment, network: nn.Module | None = None) -> None:
        super().__init__()
        if experiment.consistency and network is None:
            raise ValueError("The consistency loss needs the reblurring network: give network.")
        self.experiment = experiment
        self.perceptual = losses.PerceptualLoss() if experiment.perceptual else None
        self.network = None if network is None else network.requires_grad_(False)

    def forward(
        self, model: nn.Module, batch: Sample
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the loss of a batch.

        Args:
            model: The network in training.
            batch: Blurry and sharp images (B, 3, H, W), with flow for the position loss.

        Returns:
            The loss, and its terms by name: detached and without their weights.
        """
        chosen = self.experiment
        assert batch.sharp is not None, "training crops have a sharp image"
        pictures, target = task(model, batch)
        extras: dict[str, torch.Tensor] = {}
        if chosen.position:
            output, extras = model(*pictures, return_extras=True)
        else:
            output = model(*pictures)
        output = output.float()
        terms = {"pixel": losses.pixel_loss(output, target)}
        if chosen.psnr:
            terms["psnr_loss"] = losses.psnr_loss(output, target)
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual(output, target)
        if chosen.position:
            terms["position"] = self._position(extras["offset"].float(), batch)
        if chosen.consistency:
            assert self.network is not None
            reblurred = self.network(batch.blurry, output)
            terms["consistency"] = losses.reblurring_loss(reblurred, batch.blurry)
        weights = {
            "pixel": chosen.pixel,
            "psnr_loss": chosen.psnr,
            "perceptual": chosen.perceptual,
            "position": chosen.position,
            "consistency": chosen.consistency,
        }
        total = losses.weighted_sum(terms, weights)
        return total, {name: term.detach() for name, term in terms.items()}

    def _position(self, offset: torch.Tensor, batch: Sample) -> torch.Tensor:
        assert batch.flow_previous is not None and batch.flow_next is not None
        height, width = offset.shape[-2:]
        previous, following = (
            losses.flow_to_features(self.experiment.exposure_scale * flow, (height, width))
            for flow in (batch.flow_previous, batch.flow_next)
        )
        return losses.position_loss(offset, previous, following, margin=self.experiment.margin)
