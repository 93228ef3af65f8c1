"""The encoder of RADN: three dense blocks of DenseNet-121 under torchvision's names."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..losses import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class DenseConfig:
    """The parts of RADN's configuration that shape its encoder.

    Attributes:
        units: Number of units in each of the three dense blocks.
        growth: Channels that a unit adds.
        stem: Channels before the first block.
        stem_pool: Keep DenseNet's first max-pooling, so the whole network works at half the
            resolution.
        light_skips: Skip connections leave after the transitions (fewer channels), not before.
    """

    units: tuple[int, int, int] = (6, 12, 24)
    growth: int = 32
    stem: int = 64
    stem_pool: bool = False
    light_skips: bool = False


class DenseEncoder(nn.Module):
    """The first three blocks of DenseNet-121, applied to an image after space-to-depth.

    The attribute `channels` holds the channel counts of the two skip connections and the output.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: DenseConfig):
        super().__init__()
        self.pool, self.light_skips = config.stem_pool, config.light_skips
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.conv0 = nn.Conv2d(12, config.stem, 4, bias=False)
        self.norm0 = nn.BatchNorm2d(config.stem)
        self.denseblock1 = DenseBlock(config.stem, config.units[0], config.growth)
        self.transition1 = Transition(self.denseblock1.channels)
        self.denseblock2 = DenseBlock(self.transition1.channels, config.units[1], config.growth)
        self.transition2 = Transition(self.denseblock2.channels)
        self.denseblock3 = DenseBlock(self.transition2.channels, config.units[2], config.growth)
        self.norm3 = nn.BatchNorm2d(self.denseblock3.channels)
        skips = (
            (config.stem, self.transition1.channels)
            if config.light_skips
            else (self.denseblock1.channels, self.denseblock2.channels)
        )
        self.channels = (*skips, self.denseblock3.channels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> skips at 1/2 and 1/4, features at 1/8 (`stem_pool`: half)."""
        x = F.pixel_unshuffle((image - self.mean) / self.std, 2)  # (B, 12, H/2, W/2): 4c + 2dy + dx
        stem = self.norm0(self.conv0(F.pad(x, (2, 1, 2, 1))))  # 7x7 of stride 2, see fold_stride
        stem = F.relu(stem)
        stem = F.max_pool2d(stem, 3, stride=2, padding=1) if self.pool else stem
        k1, x1 = self.transition1(self.denseblock1(stem))  # (B, 256, H/2, W/2), (B, 128, H/4, W/4)
        k2, x2 = self.transition2(self.denseblock2(x1))  # (B, 512, H/4, W/4), (B, 256, H/8, W/8)
        x3 = F.relu(self.norm3(self.denseblock3(x2)))  # (B, 1024, H/8, W/8)
        return (stem, x1, x3) if self.light_skips else (k1, k2, x3)


class DenseBlock(nn.Sequential):
    """Units that each see the output of all before them."""

    def __init__(self, channels: int, units: int, growth: int):
        super().__init__()
        self.channels = channels + units * growth
        for k in range(units):
            self.add_module(f"denselayer{k + 1}", DenseUnit(channels + k * growth, growth))


class DenseUnit(nn.Module):
    """[x, Conv3x3(ReLU(BN(Conv1x1(ReLU(BN(x))))))], the 1x1 to four times the growth."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C + growth, h, w)."""
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    """Half the channels at half the size; also returns the normalised input for the skips."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels // 2
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> the same normalised, and (B, C / 2, h / 2, w / 2)."""
        x = F.relu(self.norm(x))
        return x, F.avg_pool2d(self.conv(x), 2)
