"""Layers of deformable convolution."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .checks import pair
from .deform_conv import deform_conv2d


class DeformConv2d(nn.Module):
    """Deformable convolution layer, called with an input and its offsets (and a mask).

    The parameters and their initial values are those of `torch.nn.Conv2d`; the signature is that of
    torchvision's layer. Shapes, units and errors of a call are those of `deform_conv2d`.

    Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017, eq. 2.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        kernel_size: Taps, one number or (vertical, horizontal).
        stride: Step in pixels, one number or (vertical, horizontal).
        padding: Zeros on each side in pixels, one number or (vertical, horizontal).
        dilation: Distance between taps in pixels, one number or (vertical, horizontal).
        groups: Groups of channels that are convolved separately.
        bias: Whether a number is learned that is added to each output channel.
        offset_groups: Groups of input channels with separate offsets.

    Raises:
        ValueError: If `groups` does not divide `in_channels` and `out_channels`.
    """

    def __init__(  # noqa: PLR0913  # the signature of torchvision's layer
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Iterable[int],
        stride: int | Iterable[int] = 1,
        padding: int | Iterable[int] = 0,
        dilation: int | Iterable[int] = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
    ) -> None:
        super().__init__()
        for name, number in (("in_channels", in_channels), ("out_channels", out_channels)):
            if number % groups:
                raise ValueError(
                    f"DeformConv2d: {name} is {number}; it must be a multiple of groups, {groups}."
                )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.padding = pair(padding)
        self.dilation = pair(dilation)
        self.groups = groups
        self.offset_groups = offset_groups
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    @property
    def offset_channels(self) -> int:
        """Number of channels that the offsets need."""
        return 2 * self.offset_groups * math.prod(self.kernel_size)

    def reset_parameters(self) -> None:
        """Initialise the parameters as `torch.nn.Conv2d` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the layer.

        Args:
            input: Images, (B, in_channels, H, W).
            offset: Pairs (dy, dx) in pixels, (B, offset_channels, Ho, Wo).
            mask: A factor for each tap, (B, offset_channels / 2, Ho, Wo), or None for one.

        Returns:
            (B, out_channels, Ho, Wo).
        """
        return deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )

    def extra_repr(self) -> str:
        """The arguments of the layer, for `print`.

        Returns:
            Names and values, separated by commas.
        """
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, offset_groups={self.offset_groups}, "
            f"bias={self.bias is not None}"
        )


class ModulatedDeformConv2d(DeformConv2d):
    """Deformable convolution layer that predicts its own offsets and mask from a guide.

        raw = conv(guide); offset = raw[:, :2K]; mask = sigmoid(raw[:, 2K:])

    with K = offset_groups * taps. The predictor starts at zero, hence with offset 0 and mask 1/2:
    the layer starts as half a plain convolution.

    Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019, section 3.2.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        kernel_size: Taps, one number or (vertical, horizontal).
        stride: Step in pixels, one number or (vertical, horizontal).
        padding: Zeros on each side in pixels, one number or (vertical, horizontal).
        dilation: Distance between taps in pixels, one number or (vertical, horizontal).
        groups: Groups of channels that are convolved separately.
        bias: Whether a number is learned that is added to each output channel.
        offset_groups: Groups of input channels with separate offsets.
        guide_channels: Channels of the guide; None for those of the input.
    """

    def __init__(  # noqa: PLR0913  # the signature of torchvision's layer, and the guide
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Iterable[int],
        stride: int | Iterable[int] = 1,
        padding: int | Iterable[int] = 0,
        dilation: int | Iterable[int] = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
        *,
        guide_channels: int | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            offset_groups,
        )
        self.predictor = nn.Conv2d(
            in_channels if guide_channels is None else guide_channels,
            self.offset_channels // 2 * 3,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
        )
        nn.init.zeros_(self.predictor.weight)
        if self.predictor.bias is not None:
            nn.init.zeros_(self.predictor.bias)

    def forward(  # type: ignore[override]  # predicts what the plain layer is given
        self, input: Tensor, guide: Tensor | None = None, return_sampling: bool = False
    ) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
        """Predict offsets and mask, and apply the layer.

        Args:
            input: Images, (B, in_channels, H, W).
            guide: (B, guide_channels, H, W) that offsets and mask are predicted from, or None for
                the input.
            return_sampling: Whether to also return offsets and mask, for figures and losses.

        Returns:
            (B, out_channels, Ho, Wo), or that and the pair (offset, mask).
        """
        raw = self.predictor(input if guide is None else guide)
        offset, mask = raw[:, : self.offset_channels], raw[:, self.offset_channels :].sigmoid()
        out = super().forward(input, offset, mask)
        return (out, (offset, mask)) if return_sampling else out
