"""SVRNN: the spatially variant recurrent network of Zhang et al. (CVPR 2018), Figure 4 and Table 1.

    blurry -> conv1 -> conv2                  features at half resolution
    blurry -> conv3 ... conv16 -> tanh = p    weights per pixel: 4 RNNs x 4 directions x 32 channels
    h[k] = (1 - p[k]) * x[k] + p[k] * h[k-1]  an RNN along one line: eq. (2) with one tap per step
    conv2 -> rnn1 -> conv17 -> rnn2 -> conv18 -> rnn3 -> conv19 -> rnn4 -> conv20
    output = conv22(conv1 | resize1(conv21(conv2 | conv20)))        a | b: concatenation, skip links

Differs from the paper, where we follow the authors' released network: conv2 has no activation
(`conv2_act=True` adds it); p lies in (-1, 1) instead of the printed 0 to 1, as it must, since
p >= 0 cannot sharpen (`p_range="sigmoid"`); the recurrence is not printed; Table 1 prints rnn1
twice. We have 9,227,027 parameters = 36.91 MB; the printed 37.1 MB fits the Caffe file, which holds
33,280 values that nothing uses. Our choices: bilinear resizing with half-pixel centres
(`resize="caffe"` for the release's, which darkens the last row and column), padding to multiples of
8 by reflection, and the builds of Table 4, each of which the paper describes in one sentence. conv3
to conv11 start from VGG-16 on request only: `pretrained.start_from_vgg16`. Load the authors'
weights with `load_model("svrnn", "blobs.npz", "released")`; see `released.translate_svrnn`.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Extras, pad_to_multiple
from .pretrained import start_from_vgg16
from .released import translate_svrnn
from .spec import NetworkSpec, Timing
from .svrnn_bodies import RNNS, ChainedRNNs, Convolutions, FusedRNNs, conv, double, leaky

CHOICES = {
    "body": ("rnns", "chains", "convs", "weight_network"),
    "merge": ("conv20", "concatenate", "sum", "max"),
    "skips": ("all", "weights", "none"),
    "p": ("predicted", "averaged", "constant", "zero"),
    "p_range": ("tanh", "sigmoid"),
    "resize": ("bilinear", "caffe", "transposed"),
}


@dataclass(frozen=True, kw_only=True)
class SVRNNConfig:
    """Configuration of a variant; CHOICES lists the accepted words.

    Attributes:
        width: Channels of conv1 and conv21; the RNNs filter twice as many.
        vgg: Channels of conv3; deeper layers have 2, 4 and 8 times as many.
        body: "chains" has no convolutions between RNNs, "convs" has no RNNs, "weight_network" has
            neither.
        merge: How the four chains become one feature.
        widen: Widen conv17 to conv20 by the parameters of the removed RNNs.
        image_head: For the weight network alone: map 512 channels directly to the image.
        skips: Skip links; "weights" keeps only those inside the weight network.
        conv2_act: Put an activation after conv2.
        p: "averaged" over the image, or "constant": learned, one per channel.
        p_range: Function that limits p.
        resize: "transposed" is resize1 as a learned 4x4 transposed convolution.
        residual: Predict output - blurry.
    """

    width: int = 16
    vgg: int = 64
    body: str = "rnns"
    merge: str = "conv20"
    widen: bool = False
    image_head: bool = False
    skips: str = "all"
    conv2_act: bool = False
    p: str = "predicted"
    p_range: str = "tanh"
    resize: str = "bilinear"
    residual: bool = False

    def __post_init__(self) -> None:
        for option, words in CHOICES.items():
            if getattr(self, option) not in words:
                raise ValueError(
                    f"SVRNN has no {option} {getattr(self, option)!r}: "
                    f"choose one of {', '.join(words)}."
                )


VARIANTS: dict[str, dict[str, object]] = {
    "paper": {},
    "released": {"resize": "caffe"},  # for the authors' weights
    # Table 4
    "no_skips": {"skips": "none"},
    "no_convs": {"body": "chains"},
    "no_rnns": {"body": "convs"},
    "weights_only": {"body": "weight_network"},
    # how Liu et al. (ECCV 2016) connect RNNs: chains, and the largest of the four directions
    "liu": {"body": "chains", "merge": "max"},
    # our controls
    "no_image_skips": {"skips": "weights"},
    "no_rnns_wide": {"body": "convs", "widen": True},  # as many parameters as the paper's network
    "p_averaged": {"p": "averaged"},  # equal parameters, spatially invariant
    "p_constant": {"p": "constant"},
    "p_zero": {"p": "zero"},
    "p_sigmoid": {"p_range": "sigmoid"},
    "conv2_act": {"conv2_act": True},
    "transposed": {"resize": "transposed"},
    "residual": {"residual": True},
}


def caffe_xavier(module: nn.Module) -> None:
    """Initialise by Caffe's Xavier rule: weights uniform in ±sqrt(3 / fan_in), zero biases.

    Args:
        module: A convolution; other layers are unchanged.
    """
    if isinstance(module, nn.Conv2d):
        bound = (3 / module.weight[0].numel()) ** 0.5
        nn.init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def widened(channels: int, vgg: int) -> int:
    """Find the inner channels w of conv17 to conv20 that make up for removed RNNs.

    They solve 18 w^2 + 18 channels w = parameters of the RNNs.

    Args:
        channels: Channels that the RNNs filter.
        vgg: Channels of conv3.

    Returns:
        The inner channels.
    """
    with torch.device("meta"):
        parts = WeightNetwork(vgg, 4 * RNNS * channels), FusedRNNs(channels)
    target = sum(parameter.numel() for part in parts for parameter in part.parameters())
    return round(math.sqrt(channels**2 / 4 + target / 18) - channels / 2)


class SVRNN(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 8."""

    def __init__(self, **options: Any):
        super().__init__()
        self.config = config = SVRNNConfig(**options)
        full, half, alone = config.width, 2 * config.width, config.body == "weight_network"
        self.image_skips = config.skips == "all" and not alone

        if not alone:
            self.conv1, self.conv2 = conv(11, 3, full), conv(7, full, half, stride=2)
            self.body = self._make_body(half)
        if alone or (config.body != "convs" and config.p in ("predicted", "averaged")):
            out = half if alone and not config.image_head else 4 * RNNS * half
            self.weight_network = WeightNetwork(
                config.vgg, out, config.skips != "none", config.resize
            )
        if config.p == "constant":
            self.constant = nn.Parameter(torch.zeros(1, 4 * RNNS * half, 1, 1))
        if not config.image_head:
            deblurred = (
                4 * half if config.body == "chains" and config.merge == "concatenate" else half
            )
            self.conv21 = conv(9, deblurred + half * self.image_skips, full)
        if config.resize == "transposed" and not config.image_head:
            self.learned_resize1 = nn.ConvTranspose2d(full, full, 4, stride=2, padding=1)
        self.conv22 = conv(
            5, 4 * RNNS * half if config.image_head else full + full * self.image_skips, 3
        )
        self.apply(caffe_xavier)

    def _make_body(self, channels: int) -> nn.Module:
        if self.config.body == "rnns":
            return FusedRNNs(channels)
        if self.config.body == "chains":
            return ChainedRNNs(channels, self.config.merge)
        inner = widened(channels, self.config.vgg) if self.config.widen else channels
        return Convolutions(channels, inner)

    def forward(
        self,
        blurry: Tensor,
        return_extras: bool = False,
        edit_p: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Extras]:
        """Deblur. With `return_extras`: (output, extras), see `extras`.

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].
            return_extras: Also return the extras.
            edit_p: A function of p (B, 512, h, w), for probes of a trained network: `lambda p: 0 *
                p` removes the RNNs.

        Returns:
            (B, 3, H, W), or that and the extras.
        """
        x, crop = pad_to_multiple(blurry, 8)
        extras: Extras = {}
        if self.config.body == "weight_network":
            output = self._deblur_with_weight_network(x)
        else:
            conv1 = leaky(self.conv1(x))  # (B, 16, H, W)
            conv2 = self.conv2(conv1)  # (B, 32, H/2, W/2)
            conv2 = leaky(conv2) if self.config.conv2_act else conv2
            p = None if self.config.body == "convs" else self.rnn_weights(x)  # (B, 512, H/2, W/2)
            p = edit_p(p) if edit_p and p is not None else p
            conv20 = self.body(conv2, p)  # (B, 32, H/2, W/2)
            joined = torch.cat([conv2, conv20], 1) if self.image_skips else conv20
            conv21 = leaky(self.conv21(joined))  # (B, 16, H/2, W/2)
            resize1 = self._resize1(conv21)  # (B, 16, H, W)
            joined = torch.cat([conv1, resize1], 1) if self.image_skips else resize1
            output = self.conv22(joined)  # (B, 3, H, W)
            extras = {"before": conv2, "after": conv20}
            extras |= {} if p is None else {"p": torch.unflatten(p, 1, (RNNS, 4, -1))}
        output = crop(x + output if self.config.residual else output.to(x.dtype))
        return (output, extras) if return_extras else output

    def extras(self, blurry: Tensor) -> Extras:
        """Compute what the figures need, at half resolution (1 = 2 image pixels).

        Args:
            blurry: (B, 3, H, W) RGB in [0, 1].

        Returns:
            "p" (B, 4, 4, 32, h, w), RNN by direction (right, down, left, up) by channel; "before"
            and "after" (B, 32, h, w), the features around the RNNs (conv2, conv20). No "p" without
            RNNs; empty for the weight network alone.
        """
        extras: Extras = self(blurry, return_extras=True)[1]
        return extras

    def rnn_weights(self, x: Tensor) -> Tensor:
        """Compute p in single precision or better.

        In half precision tanh soon rounds to 1, and p = 1 ignores the input.

        Args:
            x: The image, (B, 3, H, W), padded to multiples of 8.

        Returns:
            p, (B, 512, H/2, W/2).
        """
        half = x.shape[2] // 2, x.shape[3] // 2
        if self.config.p == "zero":
            return x.new_zeros(len(x), 4 * RNNS * 2 * self.config.width, *half)
        if self.config.p == "constant":
            made: Tensor = self.constant.expand(len(x), -1, *half)
        else:
            made = self.weight_network(x)
        p = made.to(torch.promote_types(made.dtype, torch.float32))
        # a copy, the largest tensor of all, is changed in place; hooks may hold the original
        out = p if p is not made and not torch.is_grad_enabled() else None
        p = (torch.sigmoid if self.config.p_range == "sigmoid" else torch.tanh)(p, out=out)
        return p.mean((2, 3), keepdim=True).expand_as(p) if self.config.p == "averaged" else p

    def _deblur_with_weight_network(self, x: Tensor) -> Tensor:
        """Table 4, "weights generation": conv16 without tanh feeds the reconstruction."""
        features = self.weight_network(x)
        if self.config.image_head:
            features = double(F.relu(features), self.config.resize)
        else:
            features = self._resize1(leaky(self.conv21(features)))
        output: Tensor = self.conv22(features)
        return output

    def _resize1(self, x: Tensor) -> Tensor:
        if self.config.resize != "transposed":
            return double(x, self.config.resize)
        output: Tensor = self.learned_resize1(x)
        return output


class Edited(nn.Module):
    """A network whose RNN weights pass through `edit`; it shares the network's parameters.

    `edit` maps p (B, 16 C, h, w) to the same shape. `Edited(network, torch.zeros_like)` removes
    the RNNs.
    """

    def __init__(self, network: SVRNN, edit: Callable[[Tensor], Tensor]):
        super().__init__()
        self.network, self.edit = network, edit

    def forward(self, blurry: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> the same."""
        output: Tensor = self.network(blurry, edit_p=self.edit)
        return output


def with_averages(network: SVRNN) -> SVRNN:
    """Replace the convolutions behind the RNNs by plain averages of the four directions.

    Args:
        network: A network with four fusing convolutions, conv17 to conv20; it is not changed.

    Returns:
        A copy.
    """
    averaging = copy.deepcopy(network)
    layers: Any = averaging.body.fuse
    for layer in layers:
        nn.init.zeros_(layer.bias)
        nn.init.zeros_(layer.weight)
        channels = layer.out_channels
        layer.weight.data[:, :, 1, 1] = (
            torch.eye(channels, device=layer.weight.device).repeat(1, 4) / 4
        )
    return averaging


class WeightNetwork(nn.Module):
    """conv3 to conv16: a U-shaped network whose first nine layers are those of VGG-16.

    Its output is at half resolution, before the tanh.
    """

    def __init__(self, vgg: int, out: int, skips: bool = True, resize: str = "bilinear"):
        super().__init__()
        self.skips, self.resize = skips, resize
        self.conv3, self.conv4 = conv(3, 3, vgg), conv(3, vgg, vgg)
        self.conv5, self.conv6 = conv(3, vgg, 2 * vgg), conv(3, 2 * vgg, 2 * vgg)
        self.conv7, self.conv8 = conv(3, 2 * vgg, 4 * vgg), conv(3, 4 * vgg, 4 * vgg)
        self.conv9 = conv(3, 4 * vgg, 4 * vgg)
        self.conv10, self.conv11 = conv(3, 4 * vgg, 8 * vgg), conv(3, 8 * vgg, 8 * vgg)
        self.conv12 = conv(3, 8 * vgg, 4 * vgg)
        self.conv13 = conv(3, 4 * vgg + 4 * vgg * skips, 2 * vgg)
        self.conv14 = conv(3, 2 * vgg, 2 * vgg)
        self.conv15 = conv(3, 2 * vgg + 2 * vgg * skips, 4 * vgg)
        self.conv16 = conv(3, 4 * vgg, out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 512, H/2, W/2)."""
        conv4 = self.conv4(self.conv3(x).relu()).relu()  # (B, 64, H, W)
        conv6 = self.conv6(self.conv5(F.max_pool2d(conv4, 2)).relu()).relu()  # (B, 128, H/2, W/2)
        conv8 = self.conv8(self.conv7(F.max_pool2d(conv6, 2)).relu()).relu()  # (B, 256, H/4, W/4)
        conv9 = self.conv9(conv8).relu()
        conv10 = self.conv10(F.max_pool2d(conv9, 2)).relu()
        conv11 = self.conv11(conv10).relu()  # (B, 512, H/8, W/8)
        conv12 = self.conv12(conv11).relu()  # (B, 256, H/8, W/8)
        conv13 = self.conv13(self._join(conv8, conv12)).relu()
        conv14 = self.conv14(conv13).relu()  # (B, 128, H/4, W/4)
        conv15 = self.conv15(self._join(conv6, conv14)).relu()
        conv16: Tensor = self.conv16(conv15)  # (B, 512, H/2, W/2)
        return conv16

    def _join(self, skip: Tensor, x: Tensor) -> Tensor:
        x = double(x, self.resize)
        return torch.cat([skip, x], 1) if self.skips else x


_VALUES = 3 * 128 * 128  # the released code's loss sums over this many values, ours is their mean
SPEC = NetworkSpec(
    network=SVRNN,
    variants=VARIANTS,
    small={"width": 8, "vgg": 8},
    translate=translate_svrnn,
    margin=224,
    schedule={
        "steps": 200_000,
        "batch": 20,
        "patch": 128,
        "lr": 1e-4,
        "lr_end": 0.0,
        "lr_power": 2.0,
        "betas": (0.9, 0.999),
        "eps": 1e-8 / _VALUES,
        "weight_decay": 1e-6 / _VALUES,
        "clip": 5000 / _VALUES,
        "bias_lr": 2.0,
        "pretrained": True,
    },
    # Without it, a short training would be spent on learning the image itself.
    short_schedule={"options": (("residual", True),)},
    start_pretrained=start_from_vgg16,
    benchmark=(Timing(variant="paper", width="small"), Timing(variant="paper")),
)
