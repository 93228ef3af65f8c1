"""RADN: the region-adaptive dense network of Purohit and Rajagopalan (AAAI 2020).

    blurry -> space-to-depth 2 -> dense block 1 (k1) -> transition -> dense block 2 (k2)
           -> transition -> dense block 3 = A, at 1/8
    s_ji = exp(B_i . C_j) / sum_i exp(B_i . C_j)   self-attention: B key, C query, D value   (eq. 5)
    E_j = A_j + sum_i s_ji D_i                                                               (eq. 6)
    F'(l) = sum_p w_p F(l + l_p + dl_p(l))         in each of the six units of a module      (eq. 4)
    x = deconvolution(module(E)), deconvolution(module([x, k2])), deconvolution(module([x, k1]))
    output = blurry + reconstruction([x, pools of x over 32, 16, 8 and 4 pixels])

Equations 1 to 3, which motivate adaptive sampling, are in `deblurlib.theory`; the network of Table
2 is in `radn_baseline`.

Differs from the paper: it prints dense blocks of 12, 16 and 24 units and says that they start from
DenseNet-121, whose blocks have 6, 12 and 24. We use the latter: 12,732,167 parameters are 41 %
fewer than DMPHN's 21.7 M ("40 %"), against 25 % for the printed blocks (variant "units_12_16_24").
DenseNet's first pooling is left out so that three deconvolutions reach full resolution; the printed
38 ms then require more arithmetic than a Titan X can perform, unlike variant "fast", which pools.
Not printed, and therefore our choice: where the skips leave, decoder widths, ReLU without
normalisation, 4x4 deconvolutions, windows and widths of the context, layers that start at zero
(offsets, reconstruction), and the bottleneck of RADN1 and RADN2. The encoder starts from ImageNet
weights on request only: `pretrained.start_from_densenet121`. Code and weights were never released.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import DeformConv2d
from .attention import SelfAttention, attend, attention_map
from .densenet import DenseConfig, DenseEncoder
from .layers import Extras, pad_to_multiple
from .pretrained import start_from_densenet121
from .radn_modules import TAPS, DeformableConv, DenseModule, decoder_module, start_at_zero
from .spec import NetworkSpec, Timing

__all__ = [
    "RADN",
    "SPEC",
    "VARIANTS",
    "DeformableConv",
    "DenseModule",
    "RADNConfig",
    "SelfAttention",
    "attend",
    "attention_map",
]

LARGEST = 1024  # pixels: beyond, attention, which costs their square, costs more than margins
SCHEDULE: dict[str, object] = {
    "steps": 1_000_000,
    "batch": 16,
    "patch": 256,
    "lr": 1e-4,
    "lr_power": 0.0,
    "betas": (0.9, 0.999),
}


@dataclass(frozen=True, kw_only=True)
class RADNConfig(DenseConfig):
    """Configuration of a variant, in addition to that of its encoder.

    Attributes:
        freeze_norm: Freeze the batch statistics of the encoder during training.
        module: Modules of the decoder: "deformable", "plain", "wide" (plain, with as many
            parameters as deformable) or "bottleneck".
        module_units: Units per module.
        module_growth: Channels that a unit adds.
        module_width: Output channels of the three modules.
        up_width: Output channels of the three deconvolutions.
        context: Channels of each scale of the context.
        attention: Use self-attention.
        gamma: Scale the attended features by a learned factor that starts at 0, as in SAGAN.
        sa_impl: "chunked", "full" or "sdpa", with the same result; see `attention.attend`.
        ensemble: In eval mode, average over the eight flips and rotations: RADN(Final)+.
    """

    freeze_norm: bool = False
    module: str = "deformable"
    module_units: int = 6
    module_growth: int = 32
    module_width: tuple[int, int, int] = (256, 128, 64)
    up_width: tuple[int, int, int] = (128, 64, 32)
    context: int = 8
    attention: bool = True
    gamma: bool = False
    sa_impl: str = "chunked"
    ensemble: bool = False


# Table 1 of the paper, one control of ours, and alternative readings of the text
VARIANTS: dict[str, dict[str, object]] = {
    "radn1": {"module": "bottleneck", "attention": False},
    # the same network as radn1; it and all below start pretrained
    "radn2": {"module": "bottleneck", "attention": False},
    "radn3": {"module": "plain", "attention": False},
    "radn4": {"module": "plain"},
    # our control: as many parameters as final, without its adaptive positions
    "radn4_wide": {"module": "wide"},
    "final": {},
    "final_plus": {"ensemble": True},
    "fast": {"stem_pool": True},
    "lite_skips": {"light_skips": True},
    "units_12_16_24": {"units": (12, 16, 24)},
    "paper": {},
}

# The narrow width at which ablations are trained
SMALL: dict[str, object] = {
    "units": (2, 3, 4),
    "growth": 8,
    "stem": 16,
    "module_growth": 8,
    "module_width": (32, 16, 16),
    "up_width": (16, 16, 8),
    "context": 2,
}


def self_ensemble(network: Callable[[Tensor], Tensor], blurry: Tensor) -> Tensor:
    """Average a network over the eight flips and rotations of its input: RADN(Final)+.

    Args:
        network: (B, 3, H, W) -> the same shape.
        blurry: (B, 3, H, W).

    Returns:
        The mean of the outputs, each transformed back.
    """
    total = torch.zeros(())
    for output in eight_outputs(network, blurry):
        total = total.to(output) + output
    return total / 8


def eight_outputs(network: Callable[[Tensor], Tensor], blurry: Tensor) -> Iterator[Tensor]:
    """Apply a network to the eight flips and rotations of its input.

    Args:
        network: (B, 3, H, W) -> the same shape.
        blurry: (B, 3, H, W).

    Yields:
        The outputs, transformed back; the first belongs to the unchanged input.
    """
    for turns in range(4):
        turned = _rot90(blurry, turns)
        yield _rot90(network(turned), -turns)
        yield _rot90(network(turned.flip(3)).flip(3), -turns)


def _rot90(x: Tensor, turns: int) -> Tensor:
    """`x.rot90(turns, (2, 3))`, which ONNX lacks."""
    if turns % 2:
        return x.flip(3 if turns % 4 == 1 else 2).transpose(2, 3)
    return x.flip((2, 3)) if turns % 4 else x


def filter_stretch(offset: Tensor) -> Tensor:
    """Compute how far a module's filters are stretched sideways (Figure 7).

    This is the third column's dx minus the first's, averaged over rows and units; the paper does
    not say which unit the figure shows.

    Args:
        offset: One of the offsets of `RADN.extras`, (B, units, 18, h, w).

    Returns:
        (B, h, w), in feature pixels.
    """
    dx = torch.unflatten(offset[:, :, 1::2], 2, (3, 3))  # (B, units, row, column, h, w)
    return (dx[:, :, :, 2] - dx[:, :, :, 0]).mean((1, 2))


def offset_length(extras: Extras, strides: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
    """Compute the mean length of all offsets of the three modules (Figure 8).

    Args:
        extras: `RADN.extras` of B images.
        strides: Factors of the three modules: (1, 1, 1) for feature pixels, (8, 4, 2) for image
            pixels.

    Returns:
        (B).
    """
    pairs = [
        torch.unflatten(extras[f"offset{k}"], 2, (TAPS, 2)) for k in (1, 2, 3)
    ]  # (B, U, 9, 2, h, w)
    lengths = [
        n * pair.norm(dim=3).mean((1, 2, 3, 4)) for n, pair in zip(strides, pairs, strict=True)
    ]
    return torch.stack(lengths).mean(0)


class RADN(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 16."""

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = RADNConfig(**options)
        self.encoder = DenseEncoder(config)
        skip1, skip2, channels = self.encoder.channels
        widths = channels, config.up_width[0] + skip2, config.up_width[1] + skip1
        self.attention = (
            SelfAttention(channels, config.gamma, config.sa_impl) if config.attention else None
        )
        size = config.module_units, config.module_growth
        self.decoder = nn.ModuleList(
            decoder_module(config.module, size, *pair)
            for pair in zip(widths, config.module_width, strict=True)
        )
        pairs = zip(config.module_width, config.up_width, strict=True)
        self.up = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, stride=2, padding=1) for pair in pairs)
        self.context = Context(config.up_width[2], config.context)
        self.reconstruction = nn.Conv2d(
            config.up_width[2] + 4 * config.context, 12 if config.stem_pool else 3, 3, padding=1
        )
        for part in (self.encoder, self.decoder, self.up, self.context):
            part.apply(kaiming)
        start_at_zero(self, self.reconstruction)

    def forward(
        self, blurry: Tensor, return_extras: bool = False
    ) -> Tensor | tuple[Tensor, Extras]:
        """Deblur. With `return_extras`: (output, extras) of a single pass, also with `ensemble`."""
        if return_extras:
            return self.restore(blurry, keep=True)
        if self.config.ensemble and not self.training:
            return self_ensemble(lambda x: self.restore(x)[0], blurry)
        return self.restore(blurry)[0]

    def restore(self, blurry: Tensor, keep: bool = False) -> tuple[Tensor, Extras]:
        """Make one pass.

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].
            keep: Also return the extras.

        Returns:
            The output, and the extras, which are empty unless kept.
        """
        blurry, crop = pad_to_multiple(blurry, 16 if self.config.stem_pool else 8)
        k1, k2, x = self.encoder(blurry)  # at 1/2, 1/4, 1/8, or at half of that with stem_pool
        extras = {"features": x} if keep else {}
        if self.attention:
            attended = self.attention(x)
            x = x + attended  # Eq. (6)
            extras |= {"attended": attended} if keep else {}
        for level, (module, up, skip) in enumerate(
            zip(self.decoder, self.up, (None, k2, k1), strict=True), 1
        ):
            x, offsets = module(x if skip is None else torch.cat([x, skip], 1))
            x = F.relu(up(x))
            if keep and offsets:
                extras[f"offset{level}"] = torch.stack(offsets, 1)
        residual = self.reconstruction(self.context(x))
        if self.config.stem_pool:
            residual = F.pixel_shuffle(residual, 2)
        return crop(blurry + residual), extras

    def extras(self, blurry: Tensor) -> Extras:
        """Compute what the figures need.

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "features" A and "attended" R (B, C, h, w) at 1/8, so that eq. 6 is A + R, and
            "offset1" to "offset3" (B, units, 18, h, w), pairs (dy, dx) per tap in feature pixels
            (1 = 8, 4 and 2 image pixels; twice that with stem_pool). Parts that a variant lacks
            are left out. For eq. 5, pass the features to `attention.map`.
        """
        extras: Extras = self(blurry, return_extras=True)[1]
        return extras

    def train(self, mode: bool = True) -> "RADN":
        """Set training or evaluation mode; frozen batch statistics stay in evaluation mode.

        Args:
            mode: Train (True) or evaluate (False).

        Returns:
            The network itself.
        """
        super().train(mode)
        if self.config.freeze_norm:
            self.encoder.eval()
        return self


class Context(nn.Module):
    """The input and its averages over 32, 16, 8 and 4 pixels, each reduced by a 1x1 convolution."""

    windows = 32, 16, 8, 4

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in self.windows)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C + 4 width, h, w)."""
        # whole windows, so that nothing shifts
        whole, crop = pad_to_multiple(x, max(self.windows), "replicate")
        scales = [x]
        for n, layer in zip(self.windows, self.convolutions, strict=True):
            y = F.leaky_relu(
                layer(F.avg_pool2d(whole, n)), 0.2
            )  # a ReLU would die everywhere at once
            y = F.interpolate(y, whole.shape[-2:], mode="bilinear")
            scales.append(crop(y))
        return torch.cat(scales, 1)


def kaiming(module: nn.Module) -> None:
    """Set He-normal weights and zero biases, a choice of ours.

    Attention keeps PyTorch's smaller values, since eq. 5 has no 1/sqrt(d).

    Args:
        module: A part of the network; other layers are unchanged.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | DeformConv2d):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


SPEC = NetworkSpec(
    network=RADN,
    variants=VARIANTS,
    small=SMALL,
    margin=112,
    largest=LARGEST,
    exportable=True,
    schedule=SCHEDULE,
    start_pretrained=start_from_densenet121,
    pretrained_variants=("radn3", "radn4", "final", "radn4_wide"),  # radn2 is marked in its own row
    benchmark=(Timing(variant="final", width="small"), Timing(variant="final")),
)
