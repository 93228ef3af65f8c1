"""ASPDC's reblurring network (Huo, Masoumzadeh and Yang, CVPRW 2022, section 3.3).

    upper branch:  u_1..u_7 = encoder-decoder(blurry, sharp)   sees the blur, passes on filters only
                   k_i = Conv(u_i)                             a 3x3 filter per pixel at 7 stages
    lower branch:  v_1..v_7 = encoder-decoder(sharp, sharp)    same weights;
                                                               v_i <- dynamic filter of v_i with k_i
    reblurred = tail(v_7)                                      trained towards blurry        (eq. 6)

The output comes from the sharp input alone, and filters that are positive and sum to one can only
average it. Given both images directly (variant "naive"), an encoder-decoder learns to copy the
blurry one; `analysis.reblurring.identity_probes` tells the two cases apart. Averages can still
carry an image if what they average varies: see the probe "leak" after a long training.

Differs from the paper, by following the released code: seven filtered stages, including the head's,
against six in Figure 2a (`head_filter=False`); two skips; the decoder's ResBlock comes before its
deconvolution; filters pass through a softmax, and borders are reflected. Images are in [-1, 1]
inside. Xavier weights everywhere (`init="official"`: except in deconvolutions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..ops import dynamic_filter
from .aspdc import SCHEDULE, ResBlock, conv, initialise, leaky, up
from .layers import pad_to_multiple
from .released import translate_reblur
from .spec import NetworkSpec, Timing


@dataclass(frozen=True, kw_only=True)
class ReblurConfig:
    """Configuration of a variant.

    Attributes:
        width: Channels at full resolution, doubled at each of three strides.
        naive: One pass over both images, without filters.
        head_filter: Also filter after the first stage, as the released code does.
        init: "paper" or "official", see `aspdc.initialise`.
    """

    width: int = 16
    naive: bool = False
    head_filter: bool = True
    init: str = "paper"


VARIANTS: dict[str, dict[str, object]] = {
    "naive": {"naive": True},
    "figure2": {"head_filter": False},  # six filtered stages, as drawn
    "paper": {},
}


class Reblur(nn.Module):
    """Blurry and sharp (or deblurred) image -> the sharp one reblurred.

    Both are (B, 3, H, W) RGB in [0, 1], H, W >= 16. To train a deblurring network through it,
    freeze its parameters (`requires_grad_(False)`) and nothing else: the gradient must pass.
    """

    pictures = 2  # inputs of forward

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = ReblurConfig(**options)
        w = config.width
        self.stages = nn.ModuleList([nn.Sequential(conv(6, w), leaky())])
        for c in (w, 2 * w, 4 * w):
            self.stages.append(nn.Sequential(conv(c, 2 * c, stride=2), ResBlock(2 * c), leaky()))
        for c in (8 * w, 4 * w, 2 * w):
            self.stages.append(nn.Sequential(ResBlock(c), up(c, c // 2), leaky()))
        if not config.naive:
            channels = (w, 2 * w, 4 * w, 8 * w, 4 * w, 2 * w, w)
            self.kernels = nn.ModuleList(conv(c, 9) for c in channels[not config.head_filter :])
        self.tail = conv(w, 3)
        initialise(self, config.init)

    def forward(
        self, blurry: Tensor, sharp: Tensor, return_extras: bool = False
    ) -> Tensor | tuple[Tensor, dict[str, list[Tensor]]]:
        """Blur again. With `return_extras`: (output, extras), see `extras`."""
        (blurry, crop), (sharp, _) = (
            pad_to_multiple(2 * picture - 1, 8) for picture in (blurry, sharp)
        )
        features = self.encoder_decoder(torch.cat([blurry, sharp], 1))  # in this order
        logits: list[Tensor] = []
        if not self.config.naive:
            filtered = features[-len(self.kernels) :]
            logits = [kernel(u) for kernel, u in zip(self.kernels, filtered, strict=True)]
            features = self.encoder_decoder(torch.cat([sharp, sharp], 1), logits)
        output = crop((self.tail(features[-1]).to(blurry.dtype) + 1) / 2)
        if not return_extras:
            return output
        return output, {"filters": [each.softmax(1) for each in logits], "features": features}

    def encoder_decoder(self, x: Tensor, logits: Sequence[Tensor] = ()) -> list[Tensor]:
        """Run the encoder-decoder that all branches share.

        Args:
            x: (B, 6, H, W), two images in [-1, 1].
            logits: Logits (B, 9, h, w) of the filters for the last stages; none filters nothing.

        Returns:
            The features after each of the 7 stages.
        """
        features: list[Tensor] = []
        unfiltered = len(self.stages) - len(logits)  # the first ones
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in (4, 5):  # the skips: second downward to first upward stage, and first to second
                x = x + features[6 - i]
            if i >= unfiltered:
                x = dynamic_filter(x, logits[i - unfiltered])
            features.append(x)
        return features  # (B, w, H, W), (B, 2w, H/2, W/2), …, (B, 8w, H/8, W/8), …, (B, w, H, W)

    def extras(self, blurry: Tensor, sharp: Tensor) -> dict[str, list[Tensor]]:
        """Compute what the figures need.

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].
            sharp: The same shape.

        Returns:
            "filters", a list with a (B, 9, h, w) map of 3x3 filters, row after row, for each
            filtered stage; "features", the list of the lower branch's 7 maps (the naive network's:
            of its only pass).
        """
        extras: dict[str, list[Tensor]] = self(blurry, sharp, return_extras=True)[1]
        return extras


SPEC = NetworkSpec(
    network=Reblur,
    variants=VARIANTS,
    small={"width": 8},
    translate=translate_reblur,
    schedule=SCHEDULE,
    benchmark=(Timing(variant="paper", width="small"),),
)
