"""Samples, the items of every data set, and batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass
class Sample:
    """One blurry image and everything known about it; unknown fields are None.

    Batched samples gain a first dimension B.

    Attributes:
        blurry: (3, H, W) float32 RGB in [0, 1].
        sharp: (3, H, W), the ground truth.
        previous: (3, H, W), the sharp frame before it.
        following: (3, H, W), the sharp frame after it.
        name: Name of the image; of a batch, the list of names.
        flow_previous: (2, H, W), (u, v) = (right, down) in pixels, from `sharp` to `previous`.
        flow_next: (2, H, W), the same from `sharp` to `following`.
        blur_extent: (1, H, W), path length during the exposure in pixels.
    """

    blurry: torch.Tensor
    sharp: torch.Tensor | None = None
    previous: torch.Tensor | None = None
    following: torch.Tensor | None = None
    name: str | list[str] = ""
    flow_previous: torch.Tensor | None = None
    flow_next: torch.Tensor | None = None
    blur_extent: torch.Tensor | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """Collect the known fields.

        Returns:
            The fields that hold a tensor, by name.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: v for name, v in values.items() if isinstance(v, torch.Tensor)}

    def to(self, device: str | torch.device) -> "Sample":
        """Copy the sample to a device.

        Args:
            device: The device.

        Returns:
            The same sample with its tensors on that device.
        """
        moved = {k: v.to(device, non_blocking=True) for k, v in self.tensors().items()}
        return Sample(name=self.name, **moved)


def to_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Convert an image or a flow to a tensor.

    Args:
        array: (H, W, C), float, or uint8 or uint16, which are divided by 255 or 65535.

    Returns:
        (C, H, W) float32.
    """
    if array.dtype in (np.uint8, np.uint16):
        array = array / np.float32(np.iinfo(array.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float32))


def to_array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Convert a tensor to an image or a flow.

    Args:
        tensor: (C, H, W), on any device.

    Returns:
        (H, W, C) float32.
    """
    return np.moveaxis(tensor.detach().cpu().float().numpy(), 0, -1)


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples into a batch.

    Args:
        samples: Samples of equal size.

    Returns:
        A sample whose tensors have a first dimension B; a field that any of them lacks is None.
    """
    shared = set.intersection(*(set(sample.tensors()) for sample in samples))
    stacked = {name: torch.stack([getattr(s, name) for s in samples]) for name in shared}
    return Sample(name=[str(sample.name) for sample in samples], **stacked)
