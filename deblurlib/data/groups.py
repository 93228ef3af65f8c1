"""Which images of a data set resemble each other: statistics resample such groups first."""

from typing import Any


def groups_of(dataset: Any) -> list[str]:
    """Name the group of each image: the photograph of a scene, or the sequence of a frame.

    >>> class Frames:
    ...     names = ["GOPR0384_11_00/000001", "GOPR0384_11_00/000002", "alone"]
    >>> groups_of(Frames())
    ['GOPR0384_11_00', 'GOPR0384_11_00', 'alone']

    Args:
        dataset: Rendered scenes, a folder of pairs, or a subset of either with its `dataset` and
            `indices`.

    Returns:
        One name per image, without reading any.
    """
    if hasattr(dataset, "indices"):
        names = groups_of(dataset.dataset)
        return [names[i] for i in dataset.indices]
    if hasattr(dataset, "photograph"):
        return [dataset.photograph(i) for i in range(len(dataset))]
    return [name.rpartition("/")[0] or name for name in dataset.names]
