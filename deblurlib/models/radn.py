"""RADN: the region-adaptive dense network of Purohit and Rajagopalan (AAAI 2020): sampling and attention that adapt to blur.

    blurry -> space-to-depth 2 -> dense block 1 (k1) -> transition -> block 2 (k2) -> transition -> block 3 = A, at 1/8
    s_ji = exp(B_i . C_j) / sum_i exp(B_i . C_j)            self-attention: B key, C query, D value          (eq. 5)
    E_j = A_j + sum_i s_ji D_i                                                                               (eq. 6)
    F'(l) = sum_p w_p F(l + l_p + dl_p(l))                  in each of the six units of a dense deformable module (eq. 4)
    x = deconvolution(module(E)), deconvolution(module([x, k2])), deconvolution(module([x, k1]))
    output = blurry + reconstruction([x, pools of x over 32, 16, 8 and 4 pixels])

Equations 1 to 3, the reason for adaptive sampling, are in `deblurlib.theory`. `Baseline` is the network of Table 2.

Differs from the paper: it prints dense blocks of 12, 16 and 24 units that it says start from DenseNet-121, whose blocks have
6, 12 and 24; we take these, and 12,732,167 parameters are 41 % fewer than DMPHN's 21.7 M ("40 %"), against 25 % for the
printed ones (variant "units_12_16_24"). DenseNet's first pooling is left out, so that three deconvolutions reach the full size;
its printed 38 ms then needs more arithmetic than a Titan X has, unlike variant "fast", which pools. Not printed, so ours: where
the skips leave, decoder widths, ReLU without normalisation, 4x4 deconvolutions, windows and widths of the context, layers that
start at zero (offsets, reconstruction), and the bottleneck of RADN1 and RADN2. The encoder starts from ImageNet on request
only: `pretrained.start_from_densenet121`. Code and weights were never released.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ..ops import DeformConv2d
from .layers import pad_to_multiple
from .pretrained import start_from_densenet121
from .spec import NetworkSpec, Timing

TAPS = 9  # 3x3 sampling points


@dataclass(frozen=True)
class RADNConfig:
    """What a variant is made of."""

    units: tuple[int, int, int] = (6, 12, 24)  # of the dense blocks
    growth: int = 32  # channels that a unit of the encoder adds
    stem: int = 64
    stem_pool: bool = (
        False  # DenseNet's first max-pooling: all of the network works at half the resolution
    )
    light_skips: bool = (
        False  # skip connections leave after the transitions (fewer channels) instead of before
    )
    freeze_norm: bool = False  # batch statistics of the encoder stay as they are in training
    module: str = "deformable"  # of the decoder; or "plain", "wide" (plain, with deformable's parameters), "bottleneck"
    module_units: int = 6
    module_growth: int = 32
    module_width: tuple[int, int, int] = (256, 128, 64)
    up_width: tuple[int, int, int] = (128, 64, 32)
    context: int = 8  # channels of each scale
    attention: bool = True
    gamma: bool = False  # a learned factor of the attended features that starts at 0, as in SAGAN
    sa_impl: str = "chunked"  # or "full", "sdpa": same result, see `attend`
    ensemble: bool = False  # in eval mode, average over the eight flips and rotations: RADN(Final)+


# Table 1 of the paper, a control that it lacks, and the readings of its text that differ
VARIANTS = {
    "radn1": {"module": "bottleneck", "attention": False},
    "radn2": {
        "module": "bottleneck",
        "attention": False,
    },  # the same network as radn1; it and all below start pretrained
    "radn3": {"module": "plain", "attention": False},
    "radn4": {"module": "plain"},
    "radn4_wide": {
        "module": "wide"
    },  # our control: as many parameters as final, without its adaptive positions
    "final": {},
    "final_plus": {"ensemble": True},
    "fast": {"stem_pool": True},
    "lite_skips": {"light_skips": True},
    "units_12_16_24": {"units": (12, 16, 24)},
    "paper": {},
}

# The narrow width on which ablations are trained
SMALL = {
    "units": (2, 3, 4),
    "growth": 8,
    "stem": 16,
    "module_growth": 8,
    "module_width": (32, 16, 16),
    "up_width": (16, 16, 8),
    "context": 2,
}


@dataclass(frozen=True)
class BaselineConfig:
    """What a row of Table 2 is made of."""

    width: int = 32  # channels at full resolution
    deformable: int = 6  # of the six trunk layers: 0, 3 (the second of each block) or 6
    attention: bool = True
    gamma: bool = False
    sa_impl: str = "chunked"


# Table 2 of the paper, row by row
BASELINE_VARIANTS = {
    "conv6": {"deformable": 0, "attention": False},
    "conv6_sa": {"deformable": 0},
    "conv3_deform3": {"deformable": 3, "attention": False},
    "deform6": {"attention": False},
    "deform6_sa": {},
    "paper": {},
}


def attend(query, key, value, impl="chunked", rows=None):
    """Σ_i s_ji D_i of eq. 6, the softmax of eq. 5 over i, without the usual 1/√d: (B, N, d), (B, N, d), (B, N, C) -> (B, N, C).

    "full" holds all N x N weights at once; "chunked" holds those of `rows` positions j, by default 64 MB of them;
    "sdpa" is PyTorch's fused attention, with the C channels dealt to heads of d that share their query and key.
    """
    if impl == "full" or torch.onnx.is_in_onnx_export():  # ONNX has no loop over chunks
        return attention_map(query, key) @ value  # (B, N, N) @ (B, N, C)
    if impl == "chunked":
        rows = rows or max(1, 2**24 // key.shape[1])
        return torch.cat([attention_map(some, key) @ value for some in query.split(rows, 1)], 1)
    if impl != "sdpa":
        raise ValueError(f"There is no attention {impl!r}: choose 'full', 'chunked' or 'sdpa'.")
    channels, depth = value.shape[2], query.shape[2]
    heads = (
        F.pad(value, (0, -channels % depth)).unflatten(2, (-1, depth)).transpose(1, 2)
    )  # (B, heads, N, d)
    query, key = (x.unsqueeze(1).expand_as(heads) for x in (query, key))
    attended = F.scaled_dot_product_attention(query, key, heads.contiguous(), scale=1.0)
    return attended.transpose(1, 2).flatten(2)[..., :channels]


def attention_map(query, key):
    """Eq. (5): S[j, i], each row j a softmax over the positions i that it reads; (B, J, d), (B, N, d) -> (B, J, N)."""
    return (query @ key.transpose(1, 2)).softmax(-1)


def self_ensemble(network, blurry):
    """The mean of a network's outputs for the eight flips and rotations of its input, each turned back: RADN(Final)+."""
    return sum(eight_outputs(network, blurry)) / 8


def eight_outputs(network, blurry):
    """Those outputs, one after the other; the first is that of the input as it is."""
    for turns in range(4):
        turned = blurry.rot90(turns, (2, 3))
        yield network(turned).rot90(-turns, (2, 3))
        yield network(turned.flip(3)).flip(3).rot90(-turns, (2, 3))


def filter_stretch(offset):
    """Figure 7: how far a module's filters are stretched sideways, in feature pixels; (B, units, 18, h, w) -> (B, h, w).

    The third column's dx minus the first's, averaged over rows and units (which of them the figure shows is not printed).
    """
    dx = offset[:, :, 1::2].unflatten(2, (3, 3))  # (B, units, row, column, h, w)
    return (dx[:, :, :, 2] - dx[:, :, :, 0]).mean((1, 2))


def offset_length(extras, strides=(1, 1, 1)):
    """Figure 8: the mean length of all offsets of the three modules, in feature pixels, or with strides (8, 4, 2) in pixels of
    the picture: (B)."""
    pairs = [
        extras[f"offset{k}"].unflatten(2, (TAPS, 2)) for k in (1, 2, 3)
    ]  # (B, units, 9, 2, h, w)
    return torch.stack(
        [n * pair.norm(dim=3).mean((1, 2, 3, 4)) for n, pair in zip(strides, pairs, strict=True)]
    ).mean(0)


class RADN(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> the same, any H, W >= 16. With `return_extras=True`: (output, dict), see `extras`."""

    def __init__(self, **config):
        super().__init__()
        self.config = config = RADNConfig(**config)
        self.encoder = DenseEncoder(config)
        skip1, skip2, channels = self.encoder.channels
        widths = channels, config.up_width[0] + skip2, config.up_width[1] + skip1
        self.attention = (
            SelfAttention(channels, config.gamma, config.sa_impl) if config.attention else None
        )
        self.decoder = nn.ModuleList(
            decoder_module(config, *pair) for pair in zip(widths, config.module_width, strict=True)
        )
        pairs = zip(config.module_width, config.up_width, strict=True)
        self.up = nn.ModuleList(nn.ConvTranspose2d(*pair, 4, stride=2, padding=1) for pair in pairs)
        self.context = Context(config.up_width[2], config.context)
        self.reconstruction = nn.Conv2d(
            config.up_width[2] + 4 * config.context, 12 if config.stem_pool else 3, 3, padding=1
        )

        for part in (self.encoder, self.decoder, self.up, self.context):
            part.apply(kaiming)
        start_at_zero(self)

    def forward(self, blurry, return_extras=False):
        if return_extras:
            return self.restore(blurry, keep=True)
        if self.config.ensemble and not self.training:
            return self_ensemble(lambda x: self.restore(x)[0], blurry)
        return self.restore(blurry)[0]

    def restore(self, blurry, keep=False):
        """One pass: (output, extras), the extras empty unless kept."""
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

    def extras(self, blurry) -> dict:
        """What the figures need: "features" A and "attended" R (B, C, h, w) at 1/8, so that eq. 6 is A + R, and "offset1" to
        "offset3" (B, units, 18, h, w), pairs (dy, dx) a tap in feature pixels (1 = 8, 4 and 2 image pixels; twice that with
        stem_pool). What a variant lacks is left out. For eq. 5, pass the features to `attention.map`."""
        return self(blurry, return_extras=True)[1]

    def train(self, mode=True):
        super().train(mode)
        if self.config.freeze_norm:
            self.encoder.eval()
        return self


class DenseEncoder(nn.Module):
    """The first three blocks of DenseNet-121 under torchvision's names, on an image with its pixels moved to channels."""

    def __init__(self, config):
        super().__init__()
        self.pool, self.light_skips = config.stem_pool, config.light_skips
        self.register_buffer(
            "mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False
        )  # of ImageNet
        self.register_buffer(
            "std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False
        )
        self.conv0 = nn.Conv2d(12, config.stem, 4, bias=False)
        self.norm0 = nn.BatchNorm2d(config.stem)
        self.denseblock1 = DenseBlock(config.stem, config.units[0], config.growth)
        self.transition1 = Transition(self.denseblock1.channels)
        self.denseblock2 = DenseBlock(self.transition1.channels, config.units[1], config.growth)
        self.transition2 = Transition(self.denseblock2.channels)
        self.denseblock3 = DenseBlock(self.transition2.channels, config.units[2], config.growth)
        self.norm3 = nn.BatchNorm2d(self.denseblock3.channels)
        skips = (
            (self.denseblock1, self.denseblock2)
            if not self.light_skips
            else (self.norm0, self.transition1)
        )
        self.channels = [
            getattr(part, "channels", config.stem) for part in (*skips, self.denseblock3)
        ]

    def forward(self, image):
        x = F.pixel_unshuffle(
            (image - self.mean) / self.std, 2
        )  # (B, 12, H/2, W/2), channel 4c + 2dy + dx
        stem = F.relu(
            self.norm0(self.conv0(F.pad(x, (2, 1, 2, 1))))
        )  # the 7x7 of stride 2, see fold_stride
        stem = F.max_pool2d(stem, 3, stride=2, padding=1) if self.pool else stem
        k1, x1 = self.transition1(self.denseblock1(stem))  # (B, 256, H/2, W/2), (B, 128, H/4, W/4)
        k2, x2 = self.transition2(self.denseblock2(x1))  # (B, 512, H/4, W/4), (B, 256, H/8, W/8)
        x3 = F.relu(self.norm3(self.denseblock3(x2)))  # (B, 1024, H/8, W/8)
        return (stem, x1, x3) if self.light_skips else (k1, k2, x3)


class DenseBlock(nn.Sequential):
    """Units that each see the output of all before them."""

    def __init__(self, channels, units, growth):
        super().__init__()
        self.channels = channels + units * growth
        for k in range(units):
            self.add_module(f"denselayer{k + 1}", DenseUnit(channels + k * growth, growth))


class DenseUnit(nn.Module):
    """[x, Conv3x3(ReLU(BN(Conv1x1(ReLU(BN(x))))))], the 1x1 to four times the growth."""

    def __init__(self, channels, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    """Half the channels at half the size; also returns the normalised input, which the skip connections take."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels // 2
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x):
        x = F.relu(self.norm(x))
        return x, F.avg_pool2d(self.conv(x), 2)


class SelfAttention(nn.Module):
    """R_j = Σ_i s_ji D_i: each position gathers from all others what eq. 5 finds alike (the sum with A is the network's)."""

    def __init__(self, channels, gamma=False, impl="chunked"):
        super().__init__()
        self.impl = impl
        self.key = nn.Conv2d(channels, channels // 8, 1)  # W_b
        self.query = nn.Conv2d(channels, channels // 8, 1)  # W_c
        self.value = nn.Conv2d(channels, channels, 1)  # W_d
        self.gamma = nn.Parameter(torch.zeros(())) if gamma else None

    def forward(self, features):
        query, key, value = (
            tokens(layer(features)) for layer in (self.query, self.key, self.value)
        )
        attended = (
            attend(query, key, value, self.impl).transpose(1, 2).reshape(features.shape)
        )  # (B, C, h, w)
        return attended if self.gamma is None else self.gamma * attended

    def map(self, features, positions=slice(None)):
        """Rows of eq. 5's S, all or those of some positions j = row * width + column: (B, C, h, w) -> (B, J, h * w)."""
        return attention_map(tokens(self.query(features))[:, positions], tokens(self.key(features)))


def tokens(x):
    """(B, C, h, w) -> (B, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def decoder_module(config, channels, out_channels):
    """What a variant has in place of a dense deformable module."""
    if config.module == "bottleneck":
        return BottleneckModule(channels, 2 * config.module_growth, out_channels)
    if config.module not in ("deformable", "plain", "wide"):
        raise ValueError(
            f"There is no module {config.module!r}: choose 'deformable', 'plain', 'wide' or 'bottleneck'."
        )
    arguments = channels, config.module_units, config.module_growth, out_channels
    if config.module == "wide":
        arguments = channels, config.module_units, matched_growth(*arguments), out_channels
    return DenseModule(*arguments, deformable=config.module == "deformable")


def matched_growth(channels, units, growth, out_channels):
    """The growth that gives a plain module as many parameters as the deformable one, as nearly as whole channels allow."""

    def parameters(growth, extra):
        last = channels + units * growth
        return (
            sum((9 * (channels + k * growth) + 1) * (growth + extra) for k in range(units))
            + (last + 1) * out_channels
        )

    target = parameters(growth, 2 * TAPS)
    return min(range(growth, growth + 2 * TAPS), key=lambda wide: abs(parameters(wide, 0) - target))


class DenseModule(nn.Module):
    """Dense deformable module (Figure 3): six units that each see the output of all before them, then a 1x1 convolution.
    Returns the result and the offsets of each unit; plain convolutions have none."""

    def __init__(self, channels, units, growth, out_channels, deformable=True):
        super().__init__()
        self.units = nn.ModuleList(
            convolution(channels + k * growth, growth, deformable) for k in range(units)
        )
        self.reduce = nn.Conv2d(channels + units * growth, out_channels, 1)

    def forward(self, x):
        offsets = []
        for unit in self.units:
            x = torch.cat([x, F.relu(unit(x, offsets))], 1)
        return F.relu(self.reduce(x)), offsets


class BottleneckModule(nn.Module):
    """What RADN1 and RADN2 have instead: one unit of DenseNet, then the same 1x1 convolution."""

    def __init__(self, channels, growth, out_channels):
        super().__init__()
        self.unit = DenseUnit(channels, growth)
        self.reduce = nn.Conv2d(channels + growth, out_channels, 1)

    def forward(self, x):
        return F.relu(self.reduce(self.unit(x))), []


def convolution(channels, out_channels, deformable):
    """A 3x3 convolution, deformable or not; call it with the input and a list to which deformable ones add their offsets."""
    return (DeformableConv if deformable else PlainConv)(channels, out_channels)


class DeformableConv(nn.Module):
    """Eq. (4): a 3x3 convolution whose nine taps read at offsets that another one finds in the same input."""

    def __init__(self, channels, out_channels):
        super().__init__()
        self.offset = nn.Conv2d(channels, 2 * TAPS, 3, padding=1)
        self.dcn = DeformConv2d(channels, out_channels, 3, padding=1)

    def forward(self, x, offsets):
        offsets.append(self.offset(x))  # (B, 18, h, w): (dy, dx) for each tap, row after row
        return self.dcn(x, offsets[-1])


class PlainConv(nn.Conv2d):
    """A 3x3 convolution that is called like a deformable one."""

    def __init__(self, channels, out_channels):
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x, offsets):
        return super().forward(x)


class Context(nn.Module):
    """The input and its averages over windows of 32, 16, 8 and 4 pixels, each reduced by a 1x1 convolution."""

    windows = 32, 16, 8, 4

    def __init__(self, channels, width):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in self.windows)

    def forward(self, x):
        height, width = x.shape[-2:]
        whole = F.pad(
            x, (0, -width % 32, 0, -height % 32), mode="replicate"
        )  # whole windows, so that nothing shifts
        scales = [
            layer(F.avg_pool2d(whole, n))
            for n, layer in zip(self.windows, self.convolutions, strict=True)
        ]
        scales = [
            F.leaky_relu(y, 0.2) for y in scales
        ]  # a ReLU would be dead for all positions or for none
        scales = [
            F.interpolate(y, whole.shape[-2:], mode="bilinear")[..., :height, :width]
            for y in scales
        ]
        return torch.cat([x, *scales], 1)


class Baseline(nn.Module):
    """Table 2's network: SRN (Tao et al., CVPR 2018) at one scale, without recurrence, all filters 3x3; sizes as printed.
    Six trunk layers at a quarter of the size are plain or deformable; attention comes before them. Called like `RADN`."""

    def __init__(self, **config):
        super().__init__()
        self.config = config = BaselineConfig(**config)
        if config.deformable not in (0, 3, 6):
            raise ValueError(
                f"Of the six trunk layers {config.deformable} cannot be deformable: choose 0, 3 or 6."
            )
        w = config.width
        strides = (3, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2)
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.ReLU(), *residual_blocks(b))
            for a, b, stride in strides
        )
        self.bottom = nn.Sequential(
            nn.Conv2d(4 * w, 4 * w, 3, padding=1), nn.ReLU()
        )  # in place of the recurrent cell
        self.attention = (
            SelfAttention(4 * w, config.gamma, config.sa_impl) if config.attention else None
        )
        self.trunk = nn.ModuleList(residual_blocks(4 * w, config.deformable // 3))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(n, n // 2, 3, 2, 1, output_padding=1) for n in (4 * w, 2 * w)
        )
        self.decoder = nn.ModuleList(nn.Sequential(*residual_blocks(n)) for n in (2 * w, w))
        self.reconstruction = nn.Conv2d(w, 3, 3, padding=1)

        start_at_zero(
            self
        )  # the rest keeps PyTorch's values: He-normal ones grow with every residual block

    def forward(self, blurry, return_extras=False):
        x, crop = pad_to_multiple(blurry, 4)
        padded, skips, offsets = x, [], []
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

    def extras(self, blurry) -> dict:
        """As `RADN.extras`: "features", "attended" and "offset" (B, deformable layers, 18, h, w), in quarter-size pixels."""
        return self(blurry, return_extras=True)[1]


def residual_blocks(channels, deformable=0):
    """Three blocks of SRN; the last `deformable` of the two layers of each are deformable."""
    return [ResidualBlock(channels, deformable) for _ in range(3)]


class ResidualBlock(nn.Module):
    """x + Conv(ReLU(Conv(x))), no activation after the sum."""

    def __init__(self, channels, deformable):
        super().__init__()
        self.conv1 = convolution(channels, channels, deformable == 2)
        self.conv2 = convolution(channels, channels, deformable >= 1)

    def forward(self, x, offsets=None):
        offsets = [] if offsets is None else offsets
        return x + self.conv2(F.relu(self.conv1(x, offsets)), offsets)


def kaiming(module):
    """He-normal weights and zero biases (not printed; attention keeps PyTorch's smaller ones, since eq. 5 has no 1/√d)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | DeformConv2d):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def start_at_zero(network):
    """Zero what predicts offsets, and the last layer: filters start on the plain grid, the network as the identity."""
    layers = [module.offset for module in network.modules() if isinstance(module, DeformableConv)]
    for layer in (*layers, network.reconstruction):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)


_SCHEDULE = {
    "steps": 1_000_000,
    "batch": 16,
    "patch": 256,
    "lr": 1e-4,
    "lr_power": 0.0,
    "betas": (0.9, 0.999),
}
_LARGEST = 768  # attention costs the square of the number of pixels
SPEC = NetworkSpec(
    network=RADN,
    variants=VARIANTS,
    small=SMALL,
    margin=112,
    largest=_LARGEST,
    exportable=True,
    schedule=_SCHEDULE,
    start_pretrained=start_from_densenet121,
    pretrained_variants=("radn3", "radn4", "final", "radn4_wide"),  # like radn2, whose row says so
    benchmark=(Timing(variant="final", width="small"), Timing(variant="final")),
)
BASELINE_SPEC = NetworkSpec(
    network=Baseline,
    variants=BASELINE_VARIANTS,
    small={"width": 8},
    margin=112,
    largest=_LARGEST,
    exportable=True,
    schedule=_SCHEDULE,
)
