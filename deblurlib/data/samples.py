"""What every data set here gives: one Sample an image, and how samples become batches."""

from dataclasses import dataclass, fields

import numpy as np
import torch


@dataclass
class Sample:
    """One blurry picture and what is known about it; what is unknown is None. Batched samples gain a first dimension B.

    blurry, sharp, previous, following: (3, H, W) float32 RGB in [0, 1]. flow_previous, flow_next: (2, H, W), (u, v) =
    (right, down) in pixels, from the sharp frame to its neighbours. blur_extent: (1, H, W) in pixels.
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
        """The fields that hold a tensor, by name."""
        return {
            f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), torch.Tensor)
        }

    def to(self, device) -> "Sample":
        """The same sample on another device."""
        return Sample(
            name=self.name,
            **{k: v.to(device, non_blocking=True) for k, v in self.tensors().items()},
        )


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """(H, W, C) float array -> (C, H, W) float32 tensor; uint8 is divided by 255, uint16 by 65535."""
    if array.dtype in (np.uint8, np.uint16):
        array = array / np.float32(np.iinfo(array.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float32))


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """(C, H, W) tensor -> (H, W, C) float32 array."""
    return np.moveaxis(tensor.detach().cpu().float().numpy(), 0, -1)


def collate(samples: list[Sample]) -> Sample:
    """Stack samples of equal size into a batch; a field that one of them lacks is None."""
    shared = set.intersection(*(set(s.tensors()) for s in samples))
    return Sample(
        name=[s.name for s in samples],
        **{k: torch.stack([getattr(s, k) for s in samples]) for k in shared},
    )
