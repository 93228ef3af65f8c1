"""Deformable convolution: a convolution that samples its input at learned, fractional positions."""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torch.utils.flop_counter import register_flop_formula

from .backends import compiler, dispatch
from .substitution import current


def deform_conv2d(input, offset, weight, bias=None, stride=1, padding=0, dilation=1, mask=None):
    """Deformable convolution, modulated when a mask is given; same signature and results as torchvision's operator.

        out[n, o, p] = bias[o] + sum_{c, k} weight[o, c, k] * mask[n, k, p] * input[n, c, stride*p - padding + dilation*k + offset[n, k, p]]

    with bilinear interpolation between pixels and zeros outside the image.

    input (B, C, H, W); offset (B, 2*G*Kh*Kw, Ho, Wo), pairs (dy, dx) in pixels of the input, tap after tap, for each
    of G offset groups; weight (Co, C/groups, Kh, Kw); bias (Co); mask (B, G*Kh*Kw, Ho, Wo). Returns (B, Co, Ho, Wo) in
    the dtype and memory format of `input`; half precision is computed in float32. Differentiable once in every tensor.
    Raises ValueError or TypeError for shapes, dtypes or devices that do not fit.
    Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019, eq. 1; SVDN eq. 3; RADN section 3.2; ASPDC eq. 1.
    """  # noqa: E501
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    _check(input, offset, weight, bias, mask, stride, padding, dilation)
    return current("deform_conv2d", _deform_conv2d)(
        input, offset, weight, bias, mask, stride, padding, dilation
    )


def output_size(size, kernel, stride, padding, dilation):
    """Height and width of a convolution's output."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def _check(input, offset, weight, bias, mask, stride, padding, dilation):
    named = {"input": input, "offset": offset, "weight": weight, "bias": bias, "mask": mask}
    named = {name: tensor for name, tensor in named.items() if tensor is not None}
    for name, tensor in named.items():
        if not tensor.is_floating_point():
            raise TypeError(
                f"deform_conv2d: {name} is {tensor.dtype}; convert it to a floating-point dtype."
            )
        if tensor.device != input.device:
            raise ValueError(
                f"deform_conv2d: {name} is on {tensor.device} but input on {input.device}; move one."
            )
        dimensions = 1 if name == "bias" else 4
        if tensor.dim() != dimensions:
            raise ValueError(
                f"deform_conv2d: {name} has shape {tuple(tensor.shape)}; it needs {dimensions} dimensions."
            )
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise ValueError(
            f"deform_conv2d: stride {stride}, padding {padding}, dilation {dilation}; "
            "stride and dilation must be at least 1 and padding at least 0."
        )
    batch, channels, *size = input.shape
    outs, group_channels, *kernel = weight.shape
    taps = kernel[0] * kernel[1]
    if min(channels, outs, group_channels, taps) < 1:
        raise ValueError(
            f"deform_conv2d: input {tuple(input.shape)} and weight {tuple(weight.shape)} need at least one channel and one tap."
        )
    if channels % group_channels or outs % (channels // group_channels):
        raise ValueError(
            f"deform_conv2d: weight {tuple(weight.shape)} does not divide input {tuple(input.shape)} into groups; "
            "its second size must divide the input channels, and the number of groups its first size."
        )
    out_size = output_size(size, kernel, stride, padding, dilation)
    if min(*size, *out_size) < 1:
        raise ValueError(
            f"deform_conv2d: an input of {size[0]} x {size[1]} gives an output of {out_size[0]} x {out_size[1]}; "
            "enlarge the input or the padding."
        )
    groups = offset.shape[1] // (2 * taps)
    if groups < 1 or offset.shape[1] % (2 * taps) or channels % groups:
        raise ValueError(
            f"deform_conv2d: offset has {offset.shape[1]} channels; it needs 2 * {taps} for each offset group, "
            f"and the number of groups must divide the {channels} input channels."
        )
    for name, tensor, per_group in (("offset", offset, 2 * taps), ("mask", mask, taps)):
        if tensor is not None and tuple(tensor.shape) != (
            expected := (batch, per_group * groups, *out_size)
        ):
            raise ValueError(
                f"deform_conv2d: {name} has shape {tuple(tensor.shape)}; it must be {expected}."
            )
    if bias is not None and bias.shape[0] != outs:
        raise ValueError(
            f"deform_conv2d: bias has {bias.shape[0]} numbers; the weight has {outs} output channels."
        )


# ---------------------------------------------------------------------------------------- reference, in plain torch


def _corners(position, size):
    """The pixel before each fractional position, the fraction, and whether the position is inside (-1, size)."""
    inside = (position >= -1) & (position < size)
    position = position.clamp(-1, size)
    before = position.nan_to_num(-1).floor().clamp(max=size - 1)  # the fraction keeps a NaN
    return before.long(), position - before, inside


def _taps(input, offset, weight, mask, stride, padding, dilation):
    """For each tap: its slice of the mask and, at each output pixel, the four neighbours of the sampling point."""
    batch, channels, height, width = input.shape
    out_height, out_width = offset.shape[-2:]
    kernel_height, kernel_width = weight.shape[-2:]
    taps = kernel_height * kernel_width
    groups = offset.shape[1] // (2 * taps)
    offset = offset.view(batch, groups, taps, 2, out_height, out_width)
    ones = offset.new_ones(()).expand(batch, groups, taps, out_height, out_width)
    mask = ones if mask is None else mask.view(batch, groups, taps, out_height, out_width)
    row = (
        torch.arange(out_height, device=input.device, dtype=input.dtype)[:, None] * stride[0]
        - padding[0]
    )
    column = (
        torch.arange(out_width, device=input.device, dtype=input.dtype) * stride[1] - padding[1]
    )
    for tap in range(taps):
        y = row + tap // kernel_width * dilation[0] + offset[:, :, tap, 0]  # (B, G, Ho, Wo)
        x = column + tap % kernel_width * dilation[1] + offset[:, :, tap, 1]
        y0, fy, inside_y = _corners(y, height)
        x0, fx, inside_x = _corners(x, width)
        index = ((y0 + 1) * (width + 2) + x0 + 1).flatten(2)[
            :, :, None
        ]  # into the image with a border of one zero
        steps = (0, 1, width + 2, width + 3)
        corners = [(index + step).expand(-1, -1, channels // groups, -1) for step in steps]
        yield (
            tap,
            corners,
            fy[:, :, None],
            fx[:, :, None],
            inside_y,
            inside_x,
            mask[:, :, tap, None],
        )


def _bordered(input, groups):
    return nn.functional.pad(input, (1, 1, 1, 1)).reshape(
        input.shape[0], groups, input.shape[1] // groups, -1
    )


def _bilinear(corner_values, fy, fx):
    v00, v01, v10, v11 = corner_values
    return (1 - fy) * ((1 - fx) * v00 + fx * v01) + fy * ((1 - fx) * v10 + fx * v11)


def forward_torch(input, offset, weight, bias, mask, stride, padding, dilation):
    """The definition, tap by tap: sample the input, then add weight[:, :, tap] times the samples."""
    batch, channels, *_ = input.shape
    outs, group_channels, kernel_height, kernel_width = weight.shape
    size, groups = offset.shape[-2:], offset.shape[1] // (2 * kernel_height * kernel_width)
    image = _bordered(input, groups)
    matrices = weight.reshape(
        channels // group_channels, -1, group_channels, kernel_height * kernel_width
    )
    out = input.new_zeros(batch, matrices.shape[0], matrices.shape[1], math.prod(size))
    for tap, corners, fy, fx, _, _, m in _taps(
        input, offset, weight, mask, stride, padding, dilation
    ):
        values = [image.gather(3, corner).view(batch, groups, -1, *size) for corner in corners]
        samples = (m * _bilinear(values, fy, fx)).reshape(
            batch, -1, group_channels, math.prod(size)
        )
        out += matrices[..., tap] @ samples  # (B, groups, Co/groups, Ho*Wo)
    out = out.view(batch, outs, *size)
    return out if bias is None else out + bias[:, None, None]


def backward_torch(grad, input, offset, weight, mask, stride, padding, dilation):
    """Gradients of input, offset, weight, bias and mask (None without one), from that of the output."""
    batch, channels, height, width = input.shape
    outs, group_channels, kernel_height, kernel_width = weight.shape
    size, groups = offset.shape[-2:], offset.shape[1] // (2 * kernel_height * kernel_width)
    image = _bordered(input, groups)
    matrices = weight.reshape(
        channels // group_channels, -1, group_channels, kernel_height * kernel_width
    )
    grad_groups = grad.reshape(batch, matrices.shape[0], matrices.shape[1], -1)
    grad_image, grad_weight = torch.zeros_like(image), torch.zeros_like(matrices)
    grad_offset = offset.new_empty(batch, groups, kernel_height * kernel_width, 2, *size)
    grad_mask = (
        None if mask is None else mask.new_empty(batch, groups, kernel_height * kernel_width, *size)
    )
    for tap, corners, fy, fx, inside_y, inside_x, m in _taps(
        input, offset, weight, mask, stride, padding, dilation
    ):
        grad_samples = matrices[..., tap].mT @ grad_groups
        grad_samples = grad_samples.reshape(batch, groups, -1, *size)
        v00, v01, v10, v11 = (
            image.gather(3, corner).view(batch, groups, -1, *size) for corner in corners
        )
        value = _bilinear((v00, v01, v10, v11), fy, fx)
        slope_y = (1 - fx) * (v10 - v00) + fx * (v11 - v01)  # d value / d y
        slope_x = (1 - fy) * (v01 - v00) + fy * (v11 - v10)
        grad_offset[:, :, tap, 0] = inside_y * (m * grad_samples * slope_y).sum(2)
        grad_offset[:, :, tap, 1] = inside_x * (m * grad_samples * slope_x).sum(2)
        if grad_mask is not None:
            grad_mask[:, :, tap] = (grad_samples * value).sum(2)
        samples = (m * value).reshape(batch, -1, group_channels, math.prod(size))
        grad_weight[..., tap] = torch.einsum("bgop,bgcp->goc", grad_groups, samples)
        shares = ((1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx)
        for corner, share in zip(corners, shares, strict=True):
            grad_image.scatter_add_(3, corner, (m * share * grad_samples).flatten(3))
    grad_input = grad_image.view(batch, channels, height + 2, width + 2)[:, :, 1:-1, 1:-1]
    grad_mask = None if mask is None else grad_mask.view_as(mask)
    return (
        grad_input,
        grad_offset.view_as(offset),
        grad_weight.view_as(weight),
        grad.sum((0, 2, 3)),
        grad_mask,
    )


# ------------------------------------------------------------------------------------------------------- compiled C


def _channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def _dense(tensor):
    """Contiguous in either memory format."""
    return tensor if _channels_last(tensor) else tensor.contiguous()


def _geometry(input, out, offset, weight, stride, padding, dilation):
    kernel = tuple(weight.shape[-2:])
    groups = input.shape[1] // weight.shape[1], offset.shape[1] // (2 * kernel[0] * kernel[1])
    formats = _channels_last(input), _channels_last(out)
    window = *kernel, *stride, *padding, *dilation
    return *input.shape, *out.shape[1:], *window, *groups, *formats, torch.get_num_threads()


def _contiguous(*tensors):
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]


def forward_cpp(input, offset, weight, bias, mask, stride, padding, dilation):
    input, (offset, weight, bias, mask) = _dense(input), _contiguous(offset, weight, bias, mask)
    out = _empty_output(input, offset, weight)
    shape = _geometry(input, out, offset, weight, stride, padding, dilation)
    library = compiler.load("deform_conv", input.dtype)
    compiler.call(library, "deform_conv_forward", shape, input, offset, mask, weight, bias, out)
    return out


def backward_cpp(grad, input, offset, weight, mask, stride, padding, dilation):
    grad, input, (offset, weight, mask) = (
        _dense(grad),
        _dense(input),
        _contiguous(offset, weight, mask),
    )
    grads = [torch.empty_like(tensor) for tensor in (input, offset, weight)] + [
        weight.new_empty(weight.shape[0])
    ]
    grad_input, grad_offset, grad_weight, grad_bias = grads
    grad_mask = None if mask is None else torch.empty_like(mask)
    shape = _geometry(input, grad, offset, weight, stride, padding, dilation)
    results = grad_input, grad_offset, grad_mask, grad_weight, grad_bias
    library = compiler.load("deform_conv", input.dtype)
    compiler.call(
        library, "deform_conv_backward", shape, input, offset, mask, weight, grad, *results
    )
    return grad_input, grad_offset, grad_weight, grad_bias, grad_mask


# ----------------------------------------------------------------------------------------------------- registration


def _like(input, result):
    """The result in the dtype and memory format of the input."""
    memory = torch.channels_last if _channels_last(input) else torch.contiguous_format
    return result.to(input.dtype).contiguous(memory_format=memory)


def _empty_output(input, offset, weight):
    out = input.new_empty(input.shape[0], weight.shape[0], *offset.shape[-2:])
    return (
        torch.empty_like(out, memory_format=torch.channels_last) if _channels_last(input) else out
    )


dispatch.register("deform_conv", "torch", forward=forward_torch, backward=backward_torch)
dispatch.register("deform_conv", "cpp", forward=forward_cpp, backward=backward_cpp)


@dispatch.operator
def _deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> Tensor:
    if 0 in (input.shape[0], *weight.shape):
        return _empty_output(input, offset, weight)
    tensors = dispatch.widen(input, offset, weight, bias, mask)
    return _like(
        input,
        dispatch.implementation("deform_conv", tensors[0]).forward(
            *tensors, stride, padding, dilation
        ),
    )


@dispatch.operator
def _deform_conv2d_backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of input, offset, weight, bias and mask; those of an absent bias or mask are empty."""
    given = (input, offset, weight, bias, mask)
    if grad.numel() == 0:
        return tuple(
            tensor.zero_() for tensor in _empty_gradients(grad, *given, stride, padding, dilation)
        )
    tensors = dispatch.widen(grad, input, offset, weight, mask)
    grads = dispatch.implementation("deform_conv", tensors[1]).backward(
        *tensors, stride, padding, dilation
    )
    return tuple(
        weight.new_empty(0)
        if tensor is None
        else _like(input, value)
        if tensor is input
        else value.to(tensor.dtype).contiguous()
        for value, tensor in zip(grads, given, strict=True)
    )


@torch.library.register_fake("deblurlib::deform_conv2d")
def _(input, offset, weight, bias, mask, stride, padding, dilation):
    return _empty_output(input, offset, weight)


@torch.library.register_fake("deblurlib::deform_conv2d_backward")
def _empty_gradients(grad, input, offset, weight, bias, mask, stride, padding, dilation):
    def like(tensor):
        if tensor is None:
            return weight.new_empty(0)
        memory = (
            torch.channels_last
            if tensor is input and _channels_last(input)
            else torch.contiguous_format
        )
        return torch.empty_like(tensor, memory_format=memory)

    return tuple(like(tensor) for tensor in (input, offset, weight, bias, mask))


def _save_inputs(ctx, inputs, output):
    *tensors, ctx.stride, ctx.padding, ctx.dilation = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx, grad):
    tensors = ctx.saved_tensors
    grads = _deform_conv2d_backward(grad, *tensors, ctx.stride, ctx.padding, ctx.dilation)
    grads = [
        None if tensor is None else value for tensor, value in zip(tensors, grads, strict=True)
    ]
    return *grads, None, None, None


torch.library.register_autograd("deblurlib::deform_conv2d", _gradients, setup_context=_save_inputs)


@register_flop_formula(torch.ops.deblurlib.deform_conv2d)
def deform_conv2d_flops(input_shape, offset_shape, weight_shape, *args, out_shape=None, **kwargs):
    """Two operations for each product with the weight, as for a convolution; the interpolation is not counted."""
    batch, (height, width) = input_shape[0], offset_shape[-2:]
    return 2 * batch * height * width * math.prod(weight_shape)


@register_flop_formula(torch.ops.deblurlib.deform_conv2d_backward)
def deform_conv2d_backward_flops(
    grad_shape, input_shape, offset_shape, weight_shape, *args, out_shape=None, **kwargs
):
    """Two products of the forward's size: one for the input, offset and mask, one for the weight."""
    return 2 * deform_conv2d_flops(input_shape, offset_shape, weight_shape)


# ---------------------------------------------------------------------------------------------------------- modules


class DeformConv2d(nn.Module):
    """Deformable convolution layer; called with the input and its offsets (and a mask).

    Parameters and their initial values are those of `torch.nn.Conv2d`; `offset_channels` is the number of channels that
    the offsets need. Shapes, units and errors: see `deform_conv2d`.
    Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017, eq. 2.
    """

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        offset_groups=1,
    ):
        super().__init__()
        for name, number in (("in_channels", in_channels), ("out_channels", out_channels)):
            if number % groups:
                raise ValueError(
                    f"DeformConv2d: {name} {number} must be a multiple of groups {groups}."
                )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = _pair(kernel_size), _pair(stride)
        self.padding, self.dilation, self.offset_groups = (
            _pair(padding),
            _pair(dilation),
            offset_groups,
        )
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    @property
    def offset_channels(self):
        return 2 * self.offset_groups * math.prod(self.kernel_size)

    def reset_parameters(self):
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input, offset, mask=None):
        return deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )

    def extra_repr(self):
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"offset_groups={self.offset_groups}, bias={self.bias is not None}"
        )


class ModulatedDeformConv2d(DeformConv2d):
    """Deformable convolution layer that predicts its own offsets and mask from a guide, by default its input.

        raw = conv(guide); offset = raw[:, :2K]; mask = sigmoid(raw[:, 2K:])

    with K = offset_groups * taps. The predictor starts at zero: offset 0, mask 1/2, so the layer starts as half a plain
    convolution. `return_sampling=True` also returns (offset, mask) for figures and losses.
    Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019, section 3.2.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, *args, guide_channels=None, **kwargs
    ):
        super().__init__(in_channels, out_channels, kernel_size, *args, **kwargs)
        self.predictor = nn.Conv2d(
            guide_channels or in_channels,
            self.offset_channels // 2 * 3,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
        )
        nn.init.zeros_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)

    def forward(self, input, guide=None, return_sampling=False):
        raw = self.predictor(input if guide is None else guide)
        offset, mask = raw[:, : self.offset_channels], raw[:, self.offset_channels :].sigmoid()
        out = super().forward(input, offset, mask)
        return (out, (offset, mask)) if return_sampling else out
