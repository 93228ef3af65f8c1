"""Which images of a data set resemble each other: statistics resample such groups first."""

from collections.abc import Sequence
from typing import Any


def groups_of(dataset: Any) -> list[str]:
    """Name the group of each image: the photograph of a scene or a crop, or the sequence of a
    frame.

    >>> class Frames:
    ...     names = ["GOPR0384_11_00/000001", "GOPR0384_11_00/000002", "alone"]
    ...     def __len__(self):
    ...         return len(self.names)
    >>> groups_of(Frames())
    ['GOPR0384_11_00', 'GOPR0384_11_00', 'alone']

    Args:
        dataset: Rendered scenes, training crops, a folder of pairs, or a data set made of one of
            them, its `dataset`; `indices` say which of its images, if it is a subset.

    Returns:
        One name per image, without reading any.
    """
    indices: Sequence[int] = range(len(dataset))
    while hasattr(dataset, "dataset"):
        if hasattr(dataset, "indices"):
            indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if hasattr(dataset, "photograph"):
        return [dataset.photograph(i) for i in indices]
    names = dataset.names
    return [names[i].rpartition("/")[0] or names[i] for i in indices]
