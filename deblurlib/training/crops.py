"""What a training sees: augmented crops of rendered scenes and of real pairs; item i depends on (seed, i) alone."""

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from ..data import PairedFolder, SceneDataset, augment, neighbour_flows, random_crop
from ..data.samples import Sample

if TYPE_CHECKING:
    from .experiment import Experiment


class TrainingCrops(Dataset):
    """Augmented crops, endless: item i draws its picture, window, flips, quarter turns and channel order from (seed, i)."""

    def __init__(self, experiment: "Experiment"):
        self.experiment = chosen = experiment
        options = {
            "seed": chosen.seed,
            "variant": chosen.blur,
            "photos": chosen.photos,
            "severity": chosen.severity,
        }
        self.scenes = remembered_scenes("train", chosen.scenes, chosen.scene_size, **options)
        self.real = None
        if chosen.real_share:
            pairs = PairedFolder(chosen.real, chosen.real_split, chosen.real_variant)
            self.real = Remembered(
                WithFlow(
                    pairs,
                    len(pairs) if chosen.real_frames is None else chosen.real_frames,
                    wanted=bool(chosen.position),
                )
            )

    def __len__(self):
        return self.experiment.steps * self.experiment.batch

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.experiment.seed, index, 2))
        source = self.real if rng.random() < self.experiment.real_share else self.scenes
        sample = source[int(rng.integers(len(source)))]
        return augment(random_crop(sample, self.experiment.patch, rng), rng)

    def blurry_loss(self, step: int) -> float:
        """Half the mean squared error of the blurred crops of a step, counted from 1: the pixel loss of returning the input."""
        batch = self.experiment.batch
        crops = [self[i] for i in range((step - 1) * batch, step * batch)]
        return float(np.mean([(crop.blurry - crop.sharp).square().mean() for crop in crops]) / 2)


class WithFlow(Dataset):
    """The first `count` samples of a data set, with DIS flow to their neighbours where it is wanted."""

    def __init__(self, dataset: Dataset, count: int, wanted: bool):
        self.dataset, self.count, self.wanted = dataset, count, wanted

    def __len__(self):
        return self.count

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        if not self.wanted:
            return sample
        return replace(
            sample,
            **dict(zip(("flow_previous", "flow_next"), neighbour_flows(sample), strict=True)),
        )


class Remembered(Dataset):
    """A data set whose items are made once and kept in memory: pictures in 8 bits, flows in half precision.

    The neighbouring frames are dropped: training needs their flow, not their pixels.
    """

    def __init__(self, dataset: Dataset):
        self.dataset, self.kept = dataset, {}

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        if index not in self.kept:
            sample = self.dataset[index]
            pictures = {
                name: (getattr(sample, name) * 255).round().to(torch.uint8)
                for name in ("blurry", "sharp")
            }
            flows = {name: getattr(sample, name) for name in ("flow_previous", "flow_next")}
            self.kept[index] = (
                sample.name,
                pictures,
                {k: v.half() for k, v in flows.items() if v is not None},
            )
        name, pictures, flows = self.kept[index]
        return Sample(
            name=name,
            **{k: v.float() / 255 for k, v in pictures.items()},
            **{k: v.float() for k, v in flows.items()},
        )


@lru_cache(maxsize=2)
def remembered_scenes(split, count, size, **options) -> Remembered:
    """Rendered scenes that all trainings of one process share, so that the rows of a table render them once."""
    return Remembered(SceneDataset(split, count, size, **options))
