"""A whole training step of SVDN, with our operator, with others, and with none."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import ops
from ..data.samples import Sample
from ..training import Experiment, LossTerms, initial_model
from .cases import Case, ours
from .peers import NoOperator, torchvision_deform

OFFSET_BIASES = ("neck.ow1.bias", "neck.ow2.3.bias")
Step = Callable[[], tuple[Tensor | None, ...]]


@dataclass(frozen=True, kw_only=True)
class Crops:
    """The batch of a training step.

    Attributes:
        batch: Number of crops.
        side: Their side in pixels.
        width: Width of the network, "small" or "full".
    """

    batch: int
    side: int
    width: str

    def __str__(self) -> str:
        return f"{self.batch}x3x{self.side}x{self.side} {self.width}"


def with_deform(function: Callable[..., Tensor], step: Step) -> Step:
    """Make a step compute deformable convolutions with another function.

    Args:
        function: Takes the place of the operator, as `ops.substitute` describes.
        step: Trains a network.

    Returns:
        A step with the same results, to the extent that both functions agree.
    """

    def call() -> tuple[Tensor | None, ...]:
        with ops.substitute(deform_conv2d=function):
            return step()

    return call


def training_step(width: str, sample: Sample) -> Step:
    """Make a step of training SVDN.

    Args:
        width: Width of the network, "small" or "full".
        sample: The batch; with flow, for the position loss.

    Returns:
        A function that takes one step and returns the gradients.
    """
    experiment = Experiment(size=width, position=1e-4)
    model = initial_model(experiment).to(sample.blurry.device).train()
    model = model.to(memory_format=torch.channels_last)
    for name in OFFSET_BIASES:
        nn.init.constant_(model.get_parameter(name), 0.3)  # points off the grid, as in a training
    optimizer = torch.optim.Adam(model.parameters(), experiment.lr)
    loss_terms = LossTerms(experiment)

    def step() -> tuple[Tensor | None, ...]:
        optimizer.zero_grad(set_to_none=True)
        loss, _ = loss_terms(model, sample)
        loss.backward()
        optimizer.step()
        return tuple(parameter.grad for parameter in model.parameters())

    return step


def training_cases(crops: Sequence[Crops], backends: Sequence[str], device: str) -> Iterator[Case]:
    """Make the cases of whole training steps.

    Args:
        crops: One case for each.
        backends: Backends of our operators.
        device: "cpu" or "cuda".

    Yields:
        Cases with our operator, torchvision's, and none, which no operator can beat.
    """
    for chosen in crops:
        size = (chosen.batch, 3, chosen.side, chosen.side)
        flow = (chosen.batch, 2, chosen.side, chosen.side)
        sample = Sample(
            blurry=torch.rand(size),
            sharp=torch.rand(size),
            flow_previous=8 * torch.randn(flow),
            flow_next=8 * torch.randn(flow),
        ).to(device)
        contestants: dict[str, Step] = {}
        for backend in backends:
            contestants |= ours(training_step(chosen.width, sample), [backend])
        for name, function in (
            ("torchvision", torchvision_deform),
            ("no operator", NoOperator.apply),
        ):
            contestants[name] = with_deform(function, training_step(chosen.width, sample))
        yield Case("svdn training step", str(chosen), "forward+backward+Adam", {**contestants})
