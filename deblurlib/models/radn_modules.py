"""The modules of RADN's decoder: dense deformable ones, and their replacements in Table 1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import DeformConv2d
from .densenet import DenseUnit

TAPS = 9  # 3x3 sampling points


def decoder_module(kind: str, size: tuple[int, int], channels: int, out_channels: int) -> nn.Module:
    """Make a dense deformable module or its replacement in a variant.

    Args:
        kind: "deformable", "plain", "wide" (plain, with as many parameters as deformable) or
            "bottleneck".
        size: (units, channels that each unit adds).
        channels: Channels of the input.
        out_channels: Channels of the output.

    Returns:
        A module that returns its output and a list of offsets.

    Raises:
        ValueError: If the kind is unknown.
    """
    units, growth = size
    if kind == "bottleneck":
        return BottleneckModule(channels, 2 * growth, out_channels)
    if kind not in ("deformable", "plain", "wide"):
        raise ValueError(
            f"There is no module {kind!r}: choose 'deformable', 'plain', 'wide' or 'bottleneck'."
        )
    if kind == "wide":
        growth = matched_growth(channels, units, growth, out_channels)
    deformable = kind == "deformable"
    return DenseModule(channels, units, growth, out_channels, deformable=deformable)


def matched_growth(channels: int, units: int, growth: int, out_channels: int) -> int:
    """Find the growth at which a plain module has as many parameters as a deformable one.

    The counts agree as closely as whole channels allow.

    Args:
        channels: Channels of the module's input.
        units: Units of the module.
        growth: Growth of the deformable module.
        out_channels: Channels of the module's output.

    Returns:
        The growth of the plain module.
    """

    def parameters(growth: int, extra: int) -> int:
        last = channels + units * growth
        dense = sum((9 * (channels + k * growth) + 1) * (growth + extra) for k in range(units))
        return dense + (last + 1) * out_channels

    target = parameters(growth, 2 * TAPS)
    return min(range(growth, growth + 2 * TAPS), key=lambda wide: abs(parameters(wide, 0) - target))


class DenseModule(nn.Module):
    """Dense deformable module (Figure 3): six densely connected units, then a 1x1 convolution."""

    def __init__(
        self, channels: int, units: int, growth: int, out_channels: int, deformable: bool = True
    ):
        super().__init__()
        self.units = nn.ModuleList(
            convolution(channels + k * growth, growth, deformable) for k in range(units)
        )
        self.reduce = nn.Conv2d(channels + units * growth, out_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and the offsets of each unit; plain convolutions have none."""
        offsets: list[Tensor] = []
        for unit in self.units:
            x = torch.cat([x, F.relu(unit(x, offsets))], 1)
        return F.relu(self.reduce(x)), offsets


class BottleneckModule(nn.Module):
    """RADN1 and RADN2's module: one unit of DenseNet, then the same 1x1 convolution."""

    def __init__(self, channels: int, growth: int, out_channels: int):
        super().__init__()
        self.unit = DenseUnit(channels, growth)
        self.reduce = nn.Conv2d(channels + growth, out_channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output, and no offsets."""
        return F.relu(self.reduce(self.unit(x))), []


def convolution(channels: int, out_channels: int, deformable: bool) -> "DeformableConv | PlainConv":
    """Make a 3x3 convolution, deformable or not.

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        deformable: Read at predicted offsets.

    Returns:
        A module that is called with the input and a list; deformable ones append their offsets to
        the list.
    """
    return (DeformableConv if deformable else PlainConv)(channels, out_channels)


class DeformableConv(nn.Module):
    """Eq. (4): a 3x3 convolution whose taps read at offsets predicted from the same input."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.offset = nn.Conv2d(channels, 2 * TAPS, 3, padding=1)
        self.dcn = DeformConv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, offsets: list[Tensor]) -> Tensor:
        """(B, C, h, w) -> (B, out_channels, h, w); appends (B, 18, h, w), (dy, dx) per tap, row
        after row.
        """
        offsets.append(self.offset(x))
        output: Tensor = self.dcn(x, offsets[-1])
        return output


class PlainConv(nn.Conv2d):
    """A 3x3 convolution with the call signature of a deformable one."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, offsets: list[Tensor] | None = None) -> Tensor:
        """(B, C, h, w) -> (B, out_channels, h, w); the list is unchanged."""
        return super().forward(x)


def start_at_zero(network: nn.Module, last: nn.Conv2d) -> None:
    """Zero the offset layers and the last layer.

    Filters then start on the regular grid, and the network starts as the identity.

    Args:
        network: The network, whose deformable layers are found.
        last: Its layer that predicts output - blurry.
    """
    layers = [module.offset for module in network.modules() if isinstance(module, DeformableConv)]
    for layer in (*layers, last):
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
