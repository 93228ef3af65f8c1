"""The processes of a training: their device and precision, and their parts of each batch."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch.utils.data import DataLoader

from ..data import collate
from ..data.samples import Sample
from ..wording import counted
from .crops import TrainingCrops
from .experiment import Experiment
from .interrupts import leave_signals_to_training

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def batches_of(
    experiment: Experiment, start: int, workers: int, fabric: "Fabric"
) -> Iterator[Sample]:
    """Load this process's parts of the global batches.

    Args:
        experiment: The training.
        start: The first step.
        workers: Number of processes that render scenes.
        fabric: Device and processes.

    Returns:
        An iterator over the parts from that step on.

    Raises:
        ValueError: If the batch cannot be split evenly.
    """
    processes, parts, batch = fabric.world_size, experiment.accumulate, experiment.batch
    if batch % (processes * parts):
        raise ValueError(
            f"A batch of {batch} cannot be split over "
            f"{counted(processes, 'process', 'processes')} and {counted(parts, 'part')}: choose "
            "a multiple of their product."
        )
    first = start * batch + fabric.global_rank
    loader = DataLoader(
        TrainingCrops(experiment),
        batch // (processes * parts),
        sampler=range(first, experiment.steps * batch, processes),
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=leave_signals_to_training if workers else None,
    )
    ours = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    return iter(cast(Iterable[Sample], ours))


def fabric_for(device: str | torch.device, experiment: Experiment) -> "Fabric":
    """Choose device, precision and processes, as torchrun's environment gives them.

    Args:
        device: "auto", or a device; a GPU may have a number.
        experiment: Provides the precision.

    Returns:
        The launched Fabric.

    Raises:
        ValueError: If several processes were to share one GPU.
    """
    from lightning_fabric import Fabric  # takes seconds to import

    processes = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    accelerator, number = "auto", None
    if device != "auto":
        chosen = torch.device(device)
        accelerator, number = chosen.type, chosen.index if chosen.type == "cuda" else None
    if number is not None and processes > 1:
        raise ValueError(
            f"device is {device}, but {processes} processes share the training: "
            f"give the device {accelerator} without a number."
        )
    fabric = Fabric(
        accelerator=accelerator,
        precision=cast(Literal["32-true", "bf16-mixed"], experiment.precision),
        devices=local if number is None else [number],
        num_nodes=processes // local,
        strategy="ddp" if processes > 1 else "auto",
    )
    fabric.launch()
    return fabric
