"""Training crops: augmented crops of rendered scenes and of real pairs.

Item i depends on (seed, i) alone.
"""

import logging
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from ..data import SceneDataset, augment, groups_of, neighbour_flows, random_crop
from ..data.samples import Sample
from .experiment import Experiment
from .store import Memory, Store, pairs_bound, pairs_folder

logger = logging.getLogger(__name__)

SCENES_IN_MEMORY = 6 * 2**30  # bytes; a scene of 256 x 256 takes 0.9 MB
PAIRS_IN_MEMORY = 2**29  # bytes, for pairs that the cache on disk has no room for


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
            flow = bool(experiment.position)
            pairs = pairs.checked(
                experiment.real_frames,
                smallest=experiment.patch,
                moving=flow,
                skip_bad=experiment.skip_bad,
            )
            files = [pairs.files_of(i) for i in range(len(pairs))]
            self.real = Remembered(
                WithFlow(pairs, wanted=flow),
                Memory(PAIRS_IN_MEMORY),
                Store(pairs_folder(), pairs_bound(), files),
            )

    def __len__(self) -> int:
        return self.experiment.steps * self.experiment.batch

    def __getitem__(self, index: int) -> Sample:
        rng, source, number = self._drawn(index)
        packed = source.packed(number)
        return augment(_unpacked(random_crop(packed, self.experiment.patch, rng)), rng)

    def photograph(self, index: int) -> str:
        """Name the photograph of a crop's scene, or the sequence of its pair, for `groups_of`.

        Args:
            index: Number of the crop, from 0.

        Returns:
            The name, without rendering or reading the image.
        """
        _, source, number = self._drawn(index)
        return groups_of(Subset(source, [number]))[0]

    def _drawn(self, index: int) -> tuple[np.random.Generator, "Remembered", int]:
        """The generator of a crop, behind its first draws: the source and the image's number."""
        rng = np.random.default_rng((self.experiment.seed, index, 2))
        real = rng.random() < self.experiment.real_share
        source = self.real if real and self.real is not None else self.scenes
        return rng, source, int(rng.integers(len(source)))

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
    """The samples of a data set, with DIS flow to their neighbours if `wanted`.

    Args:
        dataset: The data set.
        wanted: Whether to compute the flow.
    """

    def __init__(self, dataset: Samples, wanted: bool) -> None:
        self.dataset, self.wanted = dataset, wanted

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        if not self.wanted:
            return sample
        previous, following = neighbour_flows(sample)
        return replace(sample, flow_previous=previous, flow_next=following)


class Remembered(Dataset[Sample]):
    """A data set whose items are computed once and kept on disk or in memory, within bounds.

    Images are kept in 8 bits, flows in half precision. Neighbouring frames are dropped: training
    needs their flow, not their pixels. An item that was not kept is computed again.

    Args:
        dataset: The data set.
        memory: Keeps what the disk does not.
        disk: Keeps the items; None for memory alone.
    """

    def __init__(self, dataset: Samples, memory: Memory, disk: Store | None = None) -> None:
        self.dataset, self.memory, self.disk = dataset, memory, disk
        self.warned = False

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return _unpacked(self.packed(index))

    def packed(self, index: int) -> Sample:
        """Return an item as it is kept.

        Args:
            index: Its number.

        Returns:
            The item, with images as uint8 and flows in half precision. If it is on disk, its values
            are read from there when they are used.

        Raises:
            ValueError: If it cannot be computed, or its files have changed.
        """
        found = self.memory.get(index)
        if found is None and self.disk is not None:
            found = self.disk.get(index)
        if found is not None:
            return found
        sample = _packed(self.dataset[index])
        if self.disk is None or not self.disk.put(index, sample):
            self._remember(index, sample)
        return sample

    def _remember(self, index: int, sample: Sample) -> None:
        if self.memory.put(index, sample) or self.warned:
            return
        self.warned = True
        if self.disk is not None:
            logger.warning("%s", self.disk.advice)
        else:
            logger.warning(
                "%d rendered scenes do not fit into %.2g GiB of memory and are rendered again, "
                "which is slow: use fewer or smaller ones.",
                len(self),
                self.memory.bound / 2**30,
            )


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
        ),
        Memory(SCENES_IN_MEMORY),
    )
