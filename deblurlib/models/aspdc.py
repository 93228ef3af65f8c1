"""ASPDC: atrous spatial pyramid deformable convolution (Huo, Masoumzadeh and Yang, CVPRW 2022).

    z = 2 blurry - 1                                 images are in [-1, 1] inside the network
    x_0 = head(z)                                    2 ResBlocks, two strides of 2: 4w channels, H/4
    x_n = Module_n(x_(n-1)), n = 1..6:
        x   = two ResBlocks(x_(n-1)),  r = LeakyReLU(Conv(x))
        f_i = deformable convolution of r; offsets and mask predicted from r
              with dilation 0 (no offsets), 1, 2, 4
        f_o = sum_i a_i f_i,  a = softmax(AFIM(x))   sum_i a_i = 1 at every pixel         (eq. 3, 4)
        x_n = x + Conv(f_o)
    output = blurry + tail(dense(concatenation of x_1..x_6)) / 2

The dilations belong to the layers that predict offsets and masks; all branches sample an ordinary
3x3 grid plus offsets.

Differs from the paper, by following the released code: a convolution before the branches and
another with a skip after their sum (`figure3=True` drops both), a 1x1 last convolution in AFIM,
offsets and masks from two layers, LeakyReLU 0.1. AFIM sees x, never the f_i
(`afim_input="branches"`: their concatenation). Differs from the released code: there the mask of
branch 1 is not padded to the size of the features, and mmcv reads it misaligned
(`first_mask="mmcv_flat"`); here it is padded. Xavier weights everywhere, as the paper says, except
that the layers of offsets and masks start at zero (`init`: see `initialise`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import DeformConv2d, sampling_points
from .layers import Extras, pad_to_multiple
from .released import translate_aspdc
from .spec import NetworkSpec, Timing

TAPS = 9  # 3x3 sampling points


@dataclass(frozen=True, kw_only=True)
class ASPDCConfig:
    """Configuration of a variant; CHOICES lists the accepted words.

    Attributes:
        width: Channels at full resolution; four times that in the modules.
        n_modules: Number of modules.
        branches: Dilation of the layers that predict offsets and mask, per branch; 0 = no offsets.
        fusion: How branches are combined; "averaged" averages each of AFIM's maps over the image.
        afim_input: Input of AFIM: the features before the branches, or the branches.
        first_mask: Mask of the branch without offsets; "none" is a plain convolution.
        flat_fill: Value that "mmcv_flat" reads past the end of the mask.
        figure3: The module as drawn: nothing between ResBlocks and branches, nothing after the sum.
        blocks: ResBlocks per module.
        residual: Whether the network's output is added to the blurry image.
        init: See `initialise`.
    """

    width: int = 32
    n_modules: int = 6
    branches: tuple[int, ...] = (0, 1, 2, 4)
    fusion: str = "afim"
    afim_input: str = "module"
    first_mask: str = "padded"
    flat_fill: float = 0.0
    figure3: bool = False
    blocks: int = 2
    residual: bool = True
    init: str = "zero"

    def __post_init__(self) -> None:
        for option, known in CHOICES.items():
            if getattr(self, option) not in known:
                raise ValueError(
                    f"aspdc has no {option} {getattr(self, option)!r}: "
                    f"choose one of {', '.join(known)}."
                )


CHOICES = {
    "fusion": ("afim", "sum", "mean", "averaged"),
    "afim_input": ("module", "branches"),
    "first_mask": ("padded", "mmcv_flat", "none"),
    "init": ("zero", "paper", "official"),
}

# Where a variant differs from ASPDCConfig: v1 to v12 are the versions of the paper's Table 5, the
# others our controls.
VARIANTS: dict[str, dict[str, object]] = {
    "v1": {"branches": (0,), "fusion": "sum"},
    "v2": {"branches": (0, 1)},
    "v3": {"branches": (0, 2)},
    "v4": {"branches": (0, 4)},
    "v5": {"branches": (0, 1, 2)},
    "v6": {"branches": (0, 1, 4)},
    "v7": {"branches": (0, 2, 4)},
    "v8": {"branches": (0, 1, 1, 1)},
    "v9": {"branches": (0, 2, 2, 2)},
    "v10": {"branches": (0, 4, 4, 4)},
    "v11": {"fusion": "sum"},
    "v12": {},  # four branches with dilations 0, 1, 2, 4, fused by attention: the defaults
    # about the parameters of v2 to v4, no second branch
    "v1_deep": {"branches": (0,), "fusion": "sum", "blocks": 5},
    # more parameters than v12, no attention
    "v11_deep": {"fusion": "sum", "blocks": 5},
    # v12 with constant attention: its scale without its selectivity
    "v11_mean": {"fusion": "mean"},
    # v12's parameters, with attention that does not vary over the image
    "v12_averaged": {"fusion": "averaged"},
    "v1_flat": {"branches": (0,), "fusion": "sum", "first_mask": "mmcv_flat"},
    "v1_plain": {"branches": (0,), "fusion": "sum", "first_mask": "none"},
    "mmcv_flat": {"first_mask": "mmcv_flat"},  # most likely how the released weights were trained
    "figure3": {"figure3": True},
    "direct": {"residual": False},  # predicts the sharp image itself (section 3.2)
    "paper": {},
}


def misread_by_mmcv(mask: Tensor, height: int, width: int, fill: float = 0.0) -> Tensor:
    """Read an unpadded mask as mmcv 1.3.9 does.

        out[b] = 9 h w consecutive numbers starting at number 9 b (h-2)(w-2), `fill` past the end

    Rows and taps drift, and an image's mask runs on into that of the next image in the batch. On a
    GPU, memory past the end is undefined: try 0 and 0.5 as fill.

    Args:
        mask: (B, 9, h-2, w-2).
        height: h.
        width: w.
        fill: Value past the end of the mask.

    Returns:
        The mask as mmcv reads it, (B, 9, h, w).
    """
    batch, taps = mask.shape[:2]
    read, step = taps * height * width, mask[0].numel()
    memory = F.pad(mask.flatten(), (0, read), value=fill)
    return memory.unfold(0, read, step)[:batch].reshape(batch, taps, height, width)


def initialise(network: nn.Module, init: str) -> None:
    """Set Xavier-normal weights (section 4.2) and the released code's biases.

    Biases are zero in deformable layers and PyTorch's defaults elsewhere.

    Args:
        network: The whole network.
        init: Which layers: "paper" all of them; "zero" all but those that predict offsets and
            masks, which start at zero (points on the grid, masks of one half); "official" all but
            transposed convolutions, which keep PyTorch's defaults.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | DeformConv2d) or (
            isinstance(module, nn.ConvTranspose2d) and init != "official"
        ):
            nn.init.xavier_normal_(module.weight)
    for branch in network.modules():
        if isinstance(branch, Branch):
            if branch.deform.bias is not None:
                nn.init.zeros_(branch.deform.bias)
            for predictor in (branch.offset, branch.mask):
                if predictor is not None and predictor.bias is not None:
                    nn.init.zeros_(predictor.bias)
                if predictor is not None and init == "zero":
                    nn.init.zeros_(predictor.weight)


def conv(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the size, or halves it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: 1 or 2.
        dilation: Spacing of the taps.

    Returns:
        The layer.
    """
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation)


def up(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Make a 3x3 transposed convolution that doubles the size.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.

    Returns:
        The layer.
    """
    return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)


def leaky() -> nn.LeakyReLU:
    """Make the activation that both networks use throughout.

    Returns:
        A LeakyReLU of slope 0.1.
    """
    return nn.LeakyReLU(0.1)


class ASPDC(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 16."""

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = ASPDCConfig(**options)
        w = config.width
        self.head = nn.Sequential(
            conv(3, w),
            leaky(),
            ResBlock(w),
            ResBlock(w),
            conv(w, 2 * w, 2),
            leaky(),
            conv(2 * w, 4 * w, 2),
            leaky(),
        )
        self.body = nn.ModuleList(ASPDCModule(4 * w, config) for _ in range(config.n_modules))
        self.dense = nn.Sequential(conv(4 * w * config.n_modules, 4 * w), leaky())
        self.tail = nn.Sequential(up(4 * w, 2 * w), leaky(), up(2 * w, w), leaky(), conv(w, 3))
        initialise(self, config.init)

    def forward(
        self, blurry: Tensor, return_extras: bool = False
    ) -> Tensor | tuple[Tensor, Extras]:
        """Deblur. With `return_extras`: (output, extras), see `extras`."""
        padded, crop = pad_to_multiple(blurry, 4)
        x = self.head(2 * padded - 1)  # (B, 4w, H/4, W/4)
        outputs: list[Tensor] = []
        extras: list[Extras] = []
        for module in self.body:
            x, details = module(x)
            outputs.append(x)
            if return_extras:
                extras.append(details())
        dense = self.dense(torch.cat(outputs, 1))
        correction = self.tail(dense)  # (B, 3, H, W), in units of [-1, 1]
        correction = correction.to(padded.dtype)
        output = crop(padded + correction / 2 if self.config.residual else (correction + 1) / 2)
        if not return_extras:
            return output
        return output, {key: torch.stack([each[key] for each in extras], 1) for key in extras[0]}

    def extras(self, blurry: Tensor) -> Extras:
        """Compute what the figures need: M modules, N branches, in feature pixels (4 image pixels).

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "points" (B, M, N, 2, 9, h, w) as (x, y) relative to the pixel, "offset" (B, M, N, 18,
            h, w) as (dy, dx) per tap, "mask" (B, M, N, 9, h, w), "attention" a_i (B, M, N, h, w),
            "strength" (B, M, N, h, w) = rms over channels of a_i f_i.
        """
        extras: Extras = self(blurry, return_extras=True)[1]
        return extras


class ASPDCModule(nn.Module):
    """ResBlocks, then dilated branches summed with attention weights (Figure 3, eq. 3, 4).

    To intervene on the attention, register a forward hook on `.afim` that returns other maps
    (B, N, h, w).
    """

    def __init__(self, channels: int, config: ASPDCConfig):
        super().__init__()
        self.config = config
        self.blocks = nn.Sequential(*(ResBlock(channels) for _ in range(config.blocks)))
        self.pre = (
            nn.Identity() if config.figure3 else nn.Sequential(conv(channels, channels), leaky())
        )
        self.branches = nn.ModuleList(
            Branch(channels, dilation, config) for dilation in config.branches
        )
        n = len(config.branches)
        if config.fusion in ("afim", "averaged"):
            seen = channels * (n if config.afim_input == "branches" else 1)
            blocks = ResBlock(channels), ResBlock(channels)
            self.afim = nn.Sequential(
                conv(seen, channels), leaky(), *blocks, nn.Conv2d(channels, n, 1), nn.Softmax(1)
            )
        self.fusion = None if config.figure3 else conv(channels, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Callable[[], Extras]]:
        """(B, C, h, w) -> the same, and a function that makes the extras of this module."""
        x = self.blocks(x)
        r = self.pre(x)
        f, offset, mask = zip(*(branch(r) for branch in self.branches), strict=True)
        a = self.attention(x, f)  # (B, N, h, w), or (B, N, 1, 1)
        weighted = [a[:, i : i + 1] * f_i for i, f_i in enumerate(f)]
        f_o = sum(weighted[1:], weighted[0])  # Eq. (3)

        def details() -> Extras:
            strength = torch.stack([f_i.square().mean(1).sqrt() for f_i in f], 1) * a
            return {
                "points": torch.stack([sampling_points(each) for each in offset], 1),
                "offset": torch.stack(offset, 1),
                "mask": torch.stack(mask, 1),
                "attention": a.expand_as(strength),
                "strength": strength,
            }

        return f_o if self.fusion is None else x + self.fusion(f_o), details

    def attention(self, x: Tensor, f: Sequence[Tensor]) -> Tensor:
        """Eq. (4): maps that sum to one at each pixel; all ones with fusion="sum".

        Args:
            x: The features after the ResBlocks, (B, C, h, w).
            f: Outputs of the N branches, (B, C, h, w) each.

        Returns:
            (B, N, h, w), or (B, N, 1, 1) if they do not vary over the image.
        """
        if self.config.fusion in ("sum", "mean"):
            share = 1 / len(f) if self.config.fusion == "mean" else 1
            return x.new_full((1, len(f), 1, 1), share).expand(len(x), -1, -1, -1)
        a: Tensor = self.afim(torch.cat(list(f), 1) if self.config.afim_input == "branches" else x)
        return a.mean((2, 3), keepdim=True) if self.config.fusion == "averaged" else a


class Branch(nn.Module):
    """Modulated 3x3 deformable convolution that predicts its offsets and mask.

    The predicting layers have the given dilation; 0 means no offsets.
    """

    def __init__(self, channels: int, dilation: int, config: ASPDCConfig):
        super().__init__()
        self.config, self.flat = config, dilation == 0 and config.first_mask == "mmcv_flat"
        self.offset = (
            nn.Conv2d(channels, 2 * TAPS, 3, padding=dilation, dilation=dilation)
            if dilation
            else None
        )
        spacing = max(dilation, 1)
        padding = 0 if self.flat else spacing
        mask = nn.Conv2d(channels, TAPS, 3, padding=padding, dilation=spacing)
        self.mask = None if dilation == 0 and config.first_mask == "none" else mask
        self.deform = DeformConv2d(channels, channels, 3, padding=1)  # its own dilation is always 1

    def forward(self, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features r (B, C, h, w) -> f_i (B, C, h, w), offset (B, 18, h, w), mask (B, 9, h, w)."""
        batch, _, height, width = r.shape
        offset = self.offset(r) if self.offset else r.new_zeros(batch, 2 * TAPS, height, width)
        mask = self.mask(r).sigmoid() if self.mask else r.new_ones(batch, TAPS, height, width)
        if self.flat:
            mask = misread_by_mmcv(mask, height, width, self.config.flat_fill)
        return self.deform(r, offset, mask), offset, mask


class ResBlock(nn.Module):
    """x + Conv(LeakyReLU(Conv(x))): no activation after the sum, no normalisation."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), leaky(), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        y: Tensor = self.body(x)
        return x + y


SCHEDULE: dict[str, object] = {  # section 4.2; also used by the reblurring network
    "steps": 2_457_000,
    "batch": 6,
    "patch": 256,
    "lr": 1e-4,
    "halve_every": 351_000,
    "betas": (0.9, 0.999),
    "eps": 1e-18,
}
SPEC = NetworkSpec(
    network=ASPDC,
    variants=VARIANTS,
    small={"width": 8, "n_modules": 2},
    translate=translate_aspdc,
    margin=112,
    exportable=True,
    schedule=SCHEDULE,
    benchmark=(Timing(variant="v12", width="small"), Timing(variant="v12")),
)
