"""SVDN: the spatially variant deconvolution network of Yuan, Su and Ma (CVPR 2020).

    blurry -> backbone (one stride 2, dilations 1, 2, 4, concatenated) -> b, c
                                       b: blur feature, c: content feature
    ow1 = Conv(b)                      offsets and masks of dcn1                           (eq. 4)
    ow2 = Conv(f(Conv(f(ow1))))        offsets and masks of dcn2, from ow1 alone           (eq. 5)
    F[S] = 1/F[K]^2 . F[K] . F[B]      dcn1 stands for F[K], dcn2 for 1/F[K]^2             (eq. 3)
    output = blurry + head(dcn2(dcn1(c; ow1); ow2))

Optical flow guides the sampling points during training only.

Differs from the paper: it prints no channel counts (Figure 3 is a drawing); ours are inferred and
give 812,019 parameters = 3.10 MiB against the printed "3.1 MB" and "nearly 0.8M". Zero padding,
shared PReLU slopes, sigmoid masks, zero-initialised offset layers and the residual block of the
ablation's neck are also our choices.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..ops import DeformConv2d, PReLU, sampling_points
from .layers import Extras, pad_to_multiple
from .spec import NetworkSpec, Timing

TAPS = 25  # 5x5 sampling points (section 3.3)


@dataclass(frozen=True, kw_only=True)
class SVDNConfig:
    """Configuration of a variant.

    Attributes:
        width: Channels at full resolution; twice that at half resolution.
        dilations: Dilations of the three stages.
        neck: "deconvolution", "residual" (the ablation's) or "rigid" (deformable layers with all
            offsets fixed at zero).
        blocks: Residual blocks per stage.
        stem_blocks: Residual blocks before the stride.
        concatenate: Concatenate the features of all depths; False passes on the last ones only.
        fuse_stem: Include the downsampled feature in the concatenation.
        residual: Add the network's output to the blurry image.
        neck_activation: Put a PReLU between the two deformable convolutions.
    """

    width: int = 32
    dilations: tuple[int, int, int] = (1, 2, 4)
    neck: str = "deconvolution"
    blocks: int = 2
    stem_blocks: int = 1
    concatenate: bool = True
    fuse_stem: bool = True
    residual: bool = True
    neck_activation: bool = False


# Table 2 of the paper, column by column, and our controls
VARIANTS: dict[str, dict[str, object]] = {
    "base": {"dilations": (1, 1, 1), "neck": "residual"},
    "dilated": {"neck": "residual"},
    "fd": {},
    "fd_og": {},  # the same network as fd; the guidance is in the loss
    "fd_rigid": {"neck": "rigid"},  # equal parameters, no adaptive positions
    "no_concat": {"concatenate": False},  # without two choices that section 3.1 gives reasons for
    "no_skip": {"residual": False},
    "paper": {},
}


class SVDN(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 2."""

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = SVDNConfig(**options)
        full, half = config.width, 2 * config.width

        stem = [
            conv_prelu(3, full),
            *(ResidualBlock(full) for _ in range(config.stem_blocks)),
            conv_prelu(full, half, stride=2),
        ]
        self.stem = nn.Sequential(*stem)
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(half, dilation) for _ in range(config.blocks)))
            for dilation in config.dilations
        )
        self.joined = (
            slice(0 if config.fuse_stem else 1, None) if config.concatenate else slice(-1, None)
        )
        self.fuse = conv_prelu(half * len([self.stem, *self.stages][self.joined]), half)
        rigid, plain = config.neck == "rigid", config.neck == "residual"
        self.neck = (
            ResidualBlock(half)
            if plain
            else FeatureDeconvolution(full, rigid, config.neck_activation)
        )
        channels = half if plain else full
        self.head = nn.Sequential(
            nn.ConvTranspose2d(channels, full, 3, stride=2, padding=1, output_padding=1),
            PReLU(),
            nn.Conv2d(full, 3, 3, padding=1),
        )
        self.apply(xavier)
        if isinstance(self.neck, FeatureDeconvolution):
            self.neck.start_on_the_grid()

    def forward(
        self, blurry: Tensor, return_extras: bool = False
    ) -> Tensor | tuple[Tensor, Extras]:
        """Deblur. With `return_extras`: (output, extras), see `extras`; without the points."""
        x, crop = pad_to_multiple(blurry, 2)
        fused = self.fuse(self._backbone(x))  # (B, 2w, H/2, W/2)
        extras: Extras = {}
        if isinstance(self.neck, FeatureDeconvolution):
            deblurred, found = self.neck(*fused.chunk(2, 1))
            extras = found if return_extras else extras
            del found  # memory is scarcest in the head
        else:
            deblurred = self.neck(fused)
        del fused
        output = self.head(deblurred)  # (B, 3, H, W)
        output = crop(x + output if self.config.residual else output.to(x.dtype))
        return (output, extras) if return_extras else output

    def _backbone(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> the features of all depths, (B, 8w, H/2, W/2) in the paper's network."""
        features = [self.stem(x)]  # (B, 2w, H/2, W/2)
        for stage in self.stages:
            features.append(stage(features[-1]))
        return torch.cat(features[self.joined], 1)

    def extras(self, blurry: Tensor) -> Extras:
        """Compute what the figures need, in half-resolution feature pixels (1 = 2 image pixels).

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "points" (B, 2, 25, h, w) as (x, y) relative to the pixel, "offset" (B, 50, h, w) as
            (dy, dx) per tap, "mask" (B, 25, h, w), and the same of the second layer as "points2",
            "offset2", "mask2". Empty for the residual neck.
        """
        extras: Extras = self(blurry, return_extras=True)[1]
        points = {
            name.replace("offset", "points"): sampling_points(offset)
            for name, offset in extras.items()
            if name.startswith("offset")
        }
        return extras | points


class FeatureDeconvolution(nn.Module):
    """Two stacked 5x5 modulated deformable convolutions, steered by the blur feature (eq. 3-5)."""

    def __init__(self, channels: int, rigid: bool = False, activation: bool = False):
        super().__init__()
        self.rigid = rigid
        self.ow1 = nn.Conv2d(channels, 3 * TAPS, 3, padding=1)
        self.ow2 = nn.Sequential(
            PReLU(),
            nn.Conv2d(3 * TAPS, 3 * TAPS, 3, padding=1),
            PReLU(),
            nn.Conv2d(3 * TAPS, 3 * TAPS, 3, padding=1),
        )
        self.dcn1 = DeformConv2d(channels, channels, 5, padding=2)
        self.dcn2 = DeformConv2d(channels, channels, 5, padding=2)
        self.activation = PReLU() if activation else nn.Identity()

    def forward(self, blur: Tensor, content: Tensor) -> tuple[Tensor, Extras]:
        """Blur and content features (B, C, h, w) -> deblurred features, and the extras."""
        ow1 = self.ow1(blur)  # Eq. (4): (B, 75, h, w) = 50 offsets, 25 mask logits
        ow2 = self.ow2(ow1)  # Eq. (5)
        offset1, mask1 = self._sampling(ow1)
        offset2, mask2 = self._sampling(ow2)
        x = self.activation(self.dcn1(content, offset1, mask1))  # F[K] . F[B]
        x = self.dcn2(x, offset2, mask2)  # 1/F[K]^2 . …
        return x, {"offset": offset1, "mask": mask1, "offset2": offset2, "mask2": mask2}

    def _sampling(self, ow: Tensor) -> tuple[Tensor, Tensor]:
        offset, logits = torch.split(ow, [2 * TAPS, TAPS], 1)
        return offset * 0 if self.rigid else offset, logits.sigmoid()

    def start_on_the_grid(self) -> None:
        """Zero the last layer of both branches: points start on the 5x5 grid with masks of 1/2."""
        for layer in (self.ow1, self.ow2[-1]):
            assert isinstance(layer, nn.Conv2d)
            nn.init.zeros_(layer.weight)


class ResidualBlock(nn.Module):
    """x + Conv(PReLU(Conv(x))), no activation after the sum."""

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            conv_prelu(channels, channels, dilation=dilation),
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        y: Tensor = self.body(x)
        return x + y


def conv_prelu(
    in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Make a 3x3 convolution without bias, and a PReLU with one shared slope.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the kernel.
        dilation: Spacing of its taps.

    Returns:
        Both layers.
    """
    convolution = nn.Conv2d(
        in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False
    )
    return nn.Sequential(convolution, PReLU())


def xavier(module: nn.Module) -> None:
    """Set Xavier-uniform weights and zero biases (section 4.2; uniform is our choice).

    Args:
        module: A convolution, plain, transposed or deformable; other layers are unchanged.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | DeformConv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


SPEC = NetworkSpec(
    network=SVDN,
    variants=VARIANTS,
    small={"width": 16},
    exportable=True,
    schedule={  # section 4.2
        "steps": 131_438,
        "batch": 32,
        "patch": 256,
        "lr": 1e-3,
        "lr_end": 1e-6,
        "lr_power": 0.9,
        "betas": (0.9, 0.9),
        "perceptual": 0.01,
    },
    benchmark=(Timing(variant="fd_og"), Timing(variant="fd_og", precision="bf16")),
)
