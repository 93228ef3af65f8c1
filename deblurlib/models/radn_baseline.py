"""The network of RADN's Table 2: SRN (Tao et al., CVPR 2018) reduced to one scale.

It has no recurrence, and all filters are 3x3.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SelfAttention
from .layers import Extras, pad_to_multiple
from .radn import LARGEST, SCHEDULE
from .radn_modules import convolution, start_at_zero
from .spec import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Configuration of a row of Table 2.

    Attributes:
        width: Channels at full resolution.
        deformable: Number of deformable layers among the six of the trunk: 0, 3 (the second of
            each block) or 6.
        attention: Use self-attention before the trunk.
        gamma: Scale the attended features by a learned factor that starts at 0, as in SAGAN.
        sa_impl: See `attention.attend`.
    """

    width: int = 32
    deformable: int = 6
    attention: bool = True
    gamma: bool = False
    sa_impl: str = "chunked"

    def __post_init__(self) -> None:
        if self.deformable not in (0, 3, 6):
            raise ValueError(
                f"deformable is {self.deformable}: choose 0, 3 or 6 of the six trunk layers."
            )


# Table 2 of the paper, row by row
VARIANTS: dict[str, dict[str, object]] = {
    "conv6": {"deformable": 0, "attention": False},
    "conv6_sa": {"deformable": 0},
    "conv3_deform3": {"deformable": 3, "attention": False},
    "deform6": {"attention": False},
    "deform6_sa": {},
    "paper": {},
}


class Baseline(nn.Module):
    """Six trunk layers at a quarter of the size, plain or deformable, with attention before them.

    Sizes are as printed.

    (B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 16.
    """

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = BaselineConfig(**options)
        w = config.width
        strides = (3, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2)
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.ReLU(), *residual_blocks(b))
            for a, b, stride in strides
        )
        # in place of the recurrent cell
        self.bottom = nn.Sequential(nn.Conv2d(4 * w, 4 * w, 3, padding=1), nn.ReLU())
        self.attention = (
            SelfAttention(4 * w, config.gamma, config.sa_impl) if config.attention else None
        )
        self.trunk = nn.ModuleList(residual_blocks(4 * w, config.deformable // 3))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(n, n // 2, 3, 2, 1, output_padding=1) for n in (4 * w, 2 * w)
        )
        self.decoder = nn.ModuleList(nn.Sequential(*residual_blocks(n)) for n in (2 * w, w))
        self.reconstruction = nn.Conv2d(w, 3, 3, padding=1)
        # the rest keeps PyTorch's values: He-normal ones grow with every residual block
        start_at_zero(self, self.reconstruction)

    def forward(
        self, blurry: Tensor, return_extras: bool = False
    ) -> Tensor | tuple[Tensor, Extras]:
        """Deblur. With `return_extras`: (output, extras), see `extras`."""
        x, crop = pad_to_multiple(blurry, 4)
        padded = x
        skips: list[Tensor] = []
        offsets: list[Tensor] = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        x = self.bottom(x)  # (B, 4w, H/4, W/4)
        extras = {"features": x}
        if self.attention:
            extras["attended"] = self.attention(x)
            x = x + extras["attended"]  # Eq. (6)
        for block in self.trunk:
            x = block(x, offsets)
        for up, level, skip in zip(self.up, self.decoder, (skips[1], skips[0]), strict=True):
            x = level(F.relu(up(x)) + skip)
        output = crop(padded + self.reconstruction(x))
        if offsets and return_extras:
            extras["offset"] = torch.stack(offsets, 1)
        return (output, extras) if return_extras else output

    def extras(self, blurry: Tensor) -> Extras:
        """Compute what the figures need, as `RADN.extras`.

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "features", "attended" and "offset" (B, deformable layers, 18, h, w), in quarter-size
            pixels.
        """
        extras: Extras = self(blurry, return_extras=True)[1]
        return extras


def residual_blocks(channels: int, deformable: int = 0) -> "list[ResidualBlock]":
    """Make the three blocks of a stage of SRN.

    Args:
        channels: Channels of input and output.
        deformable: How many of the two layers of each block are deformable, counted from the end.

    Returns:
        Three blocks.
    """
    return [ResidualBlock(channels, deformable) for _ in range(3)]


class ResidualBlock(nn.Module):
    """x + Conv(ReLU(Conv(x))), no activation after the sum."""

    def __init__(self, channels: int, deformable: int):
        super().__init__()
        self.conv1 = convolution(channels, channels, deformable == 2)
        self.conv2 = convolution(channels, channels, deformable >= 1)

    def forward(self, x: Tensor, offsets: list[Tensor] | None = None) -> Tensor:
        """(B, C, h, w) -> the same; deformable layers append their offsets to the list."""
        offsets = [] if offsets is None else offsets
        y: Tensor = self.conv2(F.relu(self.conv1(x, offsets)), offsets)
        return x + y


SPEC = NetworkSpec(
    network=Baseline,
    variants=VARIANTS,
    small={"width": 8},
    margin=112,
    largest=LARGEST,
    exportable=True,
    schedule=SCHEDULE,
)
