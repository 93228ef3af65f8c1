"""Training crops: augmented crops of rendered scenes and of real pairs.

Item i depends on (seed, i) alone.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from ..data import SceneDataset, augment, neighbour_flows, random_crop
from ..data.samples import Sample
from .experiment import Experiment


class Samples(Protocol):
    """A data set with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class TrainingCrops(Dataset[Sample]):
    """The training crops of an experiment, as many as its steps need.

    Item i draws its image, window, flips, quarter turns and channel order from (seed, i).

    Args:
        experiment: Provides the seed, the data and the size of the crops.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.scenes = remembered_scenes(
            "train",
            experiment.scenes,
            experiment.scene_size,
            seed=experiment.seed,
            variant=experiment.blur,
            photos=experiment.photos,
            severity=experiment.severity,
            camera=experiment.camera,
        )
        self.real: Remembered | None = None
        pairs = experiment.pairs if experiment.real_share else None
        if pairs is not None:
            count = len(pairs) if experiment.real_frames is None else experiment.real_frames
            self.real = Remembered(WithFlow(pairs, count, wanted=bool(experiment.position)))

    def __len__(self) -> int:
        return self.experiment.steps * self.experiment.batch

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.experiment.seed, index, 2))
        real = rng.random() < self.experiment.real_share
        source = self.real if real and self.real is not None else self.scenes
        sample = source[int(rng.integers(len(source)))]
        return augment(random_crop(sample, self.experiment.patch, rng), rng)

    def blurry_loss(self, step: int) -> float:
        """Compute the pixel loss of a step's unchanged blurry crops.

        Args:
            step: The step, counted from 1.

        Returns:
            Half the mean squared error of the step's blurry crops.
        """
        batch = self.experiment.batch
        errors = []
        for i in range((step - 1) * batch, step * batch):
            crop = self[i]
            assert crop.sharp is not None
            errors.append((crop.blurry - crop.sharp).square().mean())
        return float(np.mean(errors) / 2)


class WithFlow(Dataset[Sample]):
    """The first samples of a data set, with DIS flow to their neighbours if `wanted`.

    Args:
        dataset: The data set.
        count: Number of samples.
        wanted: Whether to compute the flow.
    """

    def __init__(self, dataset: Samples, count: int, wanted: bool) -> None:
        self.dataset, self.count, self.wanted = dataset, count, wanted

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        if not self.wanted:
            return sample
        previous, following = neighbour_flows(sample)
        return replace(sample, flow_previous=previous, flow_next=following)


class Remembered(Dataset[Sample]):
    """A data set whose items are computed once and kept in memory.

    Images are kept in 8 bits, flows in half precision. Neighbouring frames are dropped: training
    needs their flow, not their pixels.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Samples) -> None:
        self.dataset = dataset
        self.kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self.kept:
            self.kept[index] = _packed(self.dataset[index])
        return _unpacked(self.kept[index])


PICTURES, FLOWS = ("blurry", "sharp"), ("flow_previous", "flow_next")


def _packed(sample: Sample) -> Sample:
    tensors = sample.tensors()
    pictures = {name: (tensors[name] * 255).round().to(torch.uint8) for name in PICTURES}
    flows = {name: tensors[name].half() for name in FLOWS if name in tensors}
    return Sample(name=sample.name, **pictures, **flows)


def _unpacked(sample: Sample) -> Sample:
    tensors = sample.tensors()
    pictures = {name: tensors[name].float() / 255 for name in PICTURES}
    flows = {name: tensors[name].float() for name in FLOWS if name in tensors}
    return Sample(name=sample.name, **pictures, **flows)


@lru_cache(maxsize=2)
def remembered_scenes(
    split: str,
    count: int,
    size: int,
    *,
    seed: int,
    variant: str,
    severity: float,
    photos: str | None = None,
    camera: str | None = None,
) -> Remembered:
    """Return rendered scenes that all trainings of a process share.

    Args:
        split: Split of the photographs, such as "train".
        count: Number of scenes.
        size: Side of a scene in pixels.
        seed: Determines the scenes.
        variant: "blur" or "blur_gamma".
        severity: Factor on every motion.
        photos: Folder of sharp photographs; None uses the bundled ones.
        camera: Name of a camera model; None for none.

    Returns:
        The scenes; each is rendered when it is first used.
    """
    return Remembered(
        SceneDataset(
            split,
            count,
            size,
            seed=seed,
            variant=variant,
            photos=photos,
            severity=severity,
            camera=camera,
        )
    )
