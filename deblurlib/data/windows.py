"""A few central windows of a large data set: real pairs at the size of rendered scenes."""

import numpy as np
from torch.utils.data import Dataset

from .augment import crop
from .folders import PairedFolder
from .samples import Sample


class CentralWindows(Dataset[Sample]):
    """Samples spread evenly over a data set, each cut to its central window."""

    def __init__(self, dataset: PairedFolder, count: int, size: int) -> None:
        """Choose the samples.

        Args:
            dataset: The data set.
            count: How many samples; all of a smaller data set.
            size: Side of the window in pixels; smaller images stay whole.
        """
        self.dataset, self.size = dataset, size
        places = np.linspace(0, len(dataset) - 1, min(count, len(dataset)))
        self.indices = [int(place) for place in places.round()]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[self.indices[index]]
        whole = sample.blurry.shape[-2:]
        height, width = (min(self.size, n) for n in whole)
        return crop(sample, (whole[0] - height) // 2, (whole[1] - width) // 2, height, width)
