"""ASPDC's reblurring network (Huo, Masoumzadeh and Yang, CVPR Workshops 2022, section 3.3), and the one that collapses.

    upper branch:  u_1..u_7 = encoder-decoder(blurry, sharp)         sees the blur; hands on nothing but filters
                   k_i = Conv(u_i)                                   a 3x3 filter for each pixel, at each of 7 stages
    lower branch:  v_1..v_7 = encoder-decoder(sharp, sharp)          same weights; v_i <- dynamic filter of v_i with k_i
    reblurred = tail(v_7)                                            trained towards the blurry picture      (eq. 6)

The picture comes from the sharp input alone, and filters that are positive and sum to one can only average it. Given both
pictures directly ("naive"), an encoder-decoder learns to copy the blurry one; `identity_probes` tell the two apart.
Averages can carry a picture all the same, if what they average varies: see `identity_probes`, "leak", in a long training.

Differs from the paper, by following the released code: seven filtered stages, the head's too, against six in Figure 2a
(`head_filter=False`); two skips; the decoder's ResBlock stands before its deconvolution; filters pass a softmax, borders
are reflected. Pictures are in [-1, 1] inside. Xavier weights everywhere (`init="official"`: not in deconvolutions).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..ops import dynamic_filter
from .aspdc import SCHEDULE, ResBlock, conv, initialise, leaky, rename, up
from .layers import pad_to_multiple
from .spec import NetworkSpec, Timing


@dataclass(frozen=True)
class ReblurConfig:
    """What a variant is made of."""

    width: int = 16  # channels at full resolution, doubled at each of three strides
    naive: bool = False  # one pass over both pictures, no filters
    head_filter: bool = True
    init: str = "paper"  # or "official"


VARIANTS = {
    "naive": {"naive": True},
    "figure2": {"head_filter": False},  # six filtered stages, as drawn
    "paper": {},
}


def identity_probes(network, blurry, sharp) -> dict[str, float]:
    """Does a reblurring network R reblur, or copy? Means over at least two pairs (B, 3, H, W), PSNR in dB but for "leak".

    s' is the sharp picture of another pair, 0 stands for mid-grey.
    "reblurred"     R(b, s) against b: high for copying and for reblurring
    "other_blurry"  R(b, s') against b: high = copies b
    "other_sharp"   R(b, s') against s': high = uses its sharp input
    "grey"          R(b, 0) against b: high = copies b
    "leak"          correlation of the two over the pixels of a picture, in grey: high = shows b, however faintly
    "no_blur"       R(s, s) against s
    "unaided"       R(s, s) against b: no lower than "reblurred" = makes no use of b
    "baseline"      s against b: what doing nothing gives
    """
    if len(blurry) < 2:
        raise ValueError(
            "identity_probes swaps the sharp pictures of different pairs: give at least two pairs."
        )
    other = sharp.roll(1, 0)
    with torch.no_grad():
        swapped, unaided = network(blurry, other), network(sharp, sharp)
        from_grey = network(blurry, torch.full_like(sharp, 0.5))
        grey = [
            (picture - picture.mean((1, 2, 3), True)).mean(1).flatten(1)
            for picture in (from_grey, blurry)
        ]
        return {
            "reblurred": psnr(network(blurry, sharp), blurry),
            "other_blurry": psnr(swapped, blurry),
            "other_sharp": psnr(swapped, other),
            "grey": psnr(from_grey, blurry),
            "leak": F.cosine_similarity(*grey).mean().item(),
            "no_blur": psnr(unaided, sharp),
            "unaided": psnr(unaided, blurry),
            "baseline": psnr(sharp, blurry),
        }


def gradient_ratio(network, blurry, sharp, projections: int = 4, seed: int = 0) -> float:
    """|dR/ds| / |dR/db|, Frobenius norms of the Jacobians by random projections: near 0 if R copies the blurry picture."""
    generator = torch.Generator().manual_seed(seed)
    inputs = [picture.detach().clone().requires_grad_() for picture in (blurry, sharp)]
    output, energy = network(*inputs), torch.zeros(2, dtype=torch.float64)
    for _ in range(projections):
        direction = torch.randn(output.shape, generator=generator).to(output)
        gradients = torch.autograd.grad(output, inputs, direction, retain_graph=True)
        energy += torch.stack([gradient.double().square().sum().cpu() for gradient in gradients])
    return (energy[1] / energy[0]).sqrt().item()


def filter_radius(filters) -> torch.Tensor:
    """Rms radius in pixels of all filters of `Reblur.extras` run one after the other: (B, H, W).

    sqrt(sum_i scale_i^2 var_i): variances of filters in a row add up; scale_i = pixels a tap of stage i is wide.
    """
    down, right = (
        tap.flatten().to(filters[0])
        for tap in torch.meshgrid(*[torch.arange(-1, 2)] * 2, indexing="ij")
    )
    total, size = 0, filters[0].shape[-2:]
    for taps in filters:  # (B, 9, h, w)
        mean_square, *means = (
            torch.einsum("bkhw,k->bhw", taps, each) for each in (down**2 + right**2, down, right)
        )
        variance = mean_square - sum(mean.square() for mean in means)
        total = (
            total + (size[0] / taps.shape[-2]) ** 2 * F.interpolate(variance[:, None], size)[:, 0]
        )
    return total.clamp(min=0).sqrt()


def psnr(picture, reference) -> float:
    """Mean over the batch of 10 log10(1 / MSE), pictures in [0, 1]."""
    return (-10 * (picture.clamp(0, 1) - reference).square().mean((1, 2, 3)).log10()).mean().item()


def released_names(state: dict) -> dict:
    """The tensors of the authors' ReBlurringNet.pth under our names; any other state is returned as it is."""
    return (
        rename(state["blurring_state_dict"], RELEASED) if "blurring_state_dict" in state else state
    )


RELEASED = [
    (r"\.model\.", ".body."),  # inside a ResBlock
    (r"^head_conv\.", "stages.0."),
    (r"^body_conv_(\d)\.", r"stages.\1."),
    (r"^body_dconv_(\d)\.", lambda m: f"stages.{7 - int(m[1])}."),  # the decoder counts down
    (r"^kernel_head_conv\.", "kernels.0."),
    (r"^kernel_conv_(\d)\.", r"kernels.\1."),
    (r"^kernel_dconv_(\d)\.", lambda m: f"kernels.{7 - int(m[1])}."),
]


class Reblur(nn.Module):
    """Blurry and sharp (or deblurred) picture, each (B, 3, H, W) RGB in [0, 1], H, W >= 16 -> the sharp one reblurred.

    To train a deblurring network through it, switch its parameters off (`requires_grad_(False)`), and nothing else: the
    gradient has to pass. With `return_extras=True`: (output, dict), see `extras`.
    """

    pictures = 2  # inputs of forward
    translate = staticmethod(released_names)

    def __init__(self, **config):
        super().__init__()
        self.config = config = ReblurConfig(**config)
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

    def forward(self, blurry, sharp, return_extras=False):
        (blurry, crop), (sharp, _) = (
            pad_to_multiple(2 * picture - 1, 8) for picture in (blurry, sharp)
        )
        features, logits = self.encoder_decoder(torch.cat([blurry, sharp], 1)), []  # in this order
        if not self.config.naive:
            logits = [
                kernel(u)
                for kernel, u in zip(self.kernels, features[-len(self.kernels) :], strict=True)
            ]
            features = self.encoder_decoder(torch.cat([sharp, sharp], 1), logits)
        output = crop((self.tail(features[-1]) + 1) / 2)
        if not return_extras:
            return output
        return output, {"filters": [each.softmax(1) for each in logits], "features": features}

    def encoder_decoder(self, x, logits=()):
        """The features after each of the 7 stages; those that logits are given for are filtered before they flow on."""
        features, unfiltered = [], len(self.stages) - len(logits)  # the first ones
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in (4, 5):
                x = (
                    x + features[6 - i]
                )  # the skips: second downward to first upward stage, first to second
            if i >= unfiltered:
                x = dynamic_filter(x, logits[i - unfiltered])
            features.append(x)
        return features  # (B, w, H, W), (B, 2w, H/2, W/2), …, (B, 8w, H/8, W/8), …, (B, w, H, W)

    def extras(self, blurry, sharp) -> dict:
        """What the figures need: "filters", a list with a (B, 9, h, w) map of 3x3 filters, row after row, for each filtered
        stage; "features", the list of the lower branch's 7 maps (the naive network's: of its only pass)."""
        return self(blurry, sharp, return_extras=True)[1]


SPEC = NetworkSpec(
    network=Reblur,
    variants=VARIANTS,
    small={"width": 8},
    schedule=SCHEDULE,
    benchmark=(Timing(variant="paper", width="small"),),
)
