"""Whole training steps of SVDN as a case of the operators' benchmark."""

import torch

from .cases import Case, ours
from .peers import NoOperator, torchvision_deform, with_deform


def training_cases(shapes, backends, device):
    """A whole step of training SVDN: with our operator, with torchvision's, and with none, which no operator can beat."""
    from ..data.samples import Sample

    for batch, size, width in shapes:
        pictures, flows = (
            torch.rand(2, batch, 3, size, size),
            8 * torch.randn(2, batch, 2, size, size),
        )
        sample = Sample(*pictures, flow_previous=flows[0], flow_next=flows[1]).to(device)
        contestants = {}
        for backend in backends:
            contestants |= ours(training_step(width, sample), [backend])
        for name, function in (
            ("torchvision", torchvision_deform),
            ("no operator", NoOperator.apply),
        ):
            contestants[name] = with_deform(function, training_step(width, sample))
        yield Case(
            "svdn training step",
            f"{batch}x3x{size}x{size} {width}",
            "forward+backward+Adam",
            contestants,
        )


def training_step(width, sample):
    """A function that takes a step of training SVDN on the sample and returns the gradients."""
    from ..training import Experiment, LossTerms, initial_model

    experiment = Experiment(size=width, position=1e-4)
    model = (
        initial_model(experiment)
        .to(sample.blurry.device, memory_format=torch.channels_last)
        .train()
    )
    for layer in (model.neck.ow1, model.neck.ow2[-1]):
        torch.nn.init.constant_(layer.bias, 0.3)  # points off the grid, as in a training
    optimizer, loss_terms = (
        torch.optim.Adam(model.parameters(), experiment.lr),
        LossTerms(experiment),
    )

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss, _ = loss_terms(model, sample)
        loss.backward()
        optimizer.step()
        return tuple(parameter.grad for parameter in model.parameters())

    return step
