"""Dynamic filter: every pixel is filtered with a small kernel of its own."""

import math

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .backends import compiler, dispatch
from .reflection import fold_reflection
from .substitution import current


def dynamic_filter(x, logits, kernel_size=3):
    """Filter each pixel with its own K x K kernel, the softmax of its logits, reflecting the image at its borders.

        out[n, c, y, x] = sum_k softmax(logits[n, :, y, x])[k] * x[n, c, y + k // K - K // 2, x + k % K - K // 2]

    x (B, C, H, W); logits (B, K*K, H, W), taps row after row; K = `kernel_size`, odd; H and W larger than K // 2. All
    channels share the kernel of a pixel. Returns the shape and dtype of x; half precision is computed in float32.
    Differentiable once in x and logits. Raises ValueError or TypeError for shapes, dtypes or a size that do not fit.
    Source: Jia et al., "Dynamic filter networks", NIPS 2016, section 3; RADN, the dynamic filtering of its decoder.
    """
    for label, tensor in (("x", x), ("logits", logits)):
        if not tensor.is_floating_point():
            raise TypeError(
                f"dynamic_filter: {label} is {tensor.dtype}; convert it to a floating-point dtype."
            )
        if tensor.dim() != 4:
            raise ValueError(
                f"dynamic_filter: {label} has shape {tuple(tensor.shape)}; it needs 4 dimensions."
            )
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(
            f"dynamic_filter: kernel_size is {kernel_size}; it must be odd and positive."
        )
    expected = (x.shape[0], kernel_size**2, *x.shape[2:])
    if tuple(logits.shape) != expected:
        raise ValueError(
            f"dynamic_filter: logits has shape {tuple(logits.shape)}; it must be {expected}."
        )
    if min(x.shape[2:]) <= kernel_size // 2:
        raise ValueError(
            f"dynamic_filter: {x.shape[2]} x {x.shape[3]} pixels cannot be reflected by {kernel_size // 2}; "
            "enlarge the image or use a smaller kernel_size."
        )
    if x.device != logits.device:
        raise ValueError(
            f"dynamic_filter: logits is on {logits.device} but x on {x.device}; move one."
        )
    return current("dynamic_filter", _dynamic_filter)(x, logits, kernel_size)


# ---------------------------------------------------------------------------------------- reference, in plain torch


def _shifts(padded, size, kernel_size):
    """For each tap: its number and the view of the padded image that it multiplies."""
    for tap in range(kernel_size**2):
        y, x = divmod(tap, kernel_size)
        yield tap, padded[:, :, y : y + size[0], x : x + size[1]]


def forward_torch(x, logits, kernel_size):
    """The definition: K*K shifted images, each times its weight."""
    weights = logits.softmax(1)
    padded = torch.nn.functional.pad(x, [kernel_size // 2] * 4, mode="reflect")
    return sum(
        weights[:, tap, None] * shifted
        for tap, shifted in _shifts(padded, x.shape[2:], kernel_size)
    )


def backward_torch(grad, x, logits, kernel_size):
    """Gradients of x and logits, from that of the output."""
    weights, radius = logits.softmax(1), kernel_size // 2
    padded = torch.nn.functional.pad(x, [radius] * 4, mode="reflect")
    grad_padded, slope = torch.zeros_like(padded), torch.empty_like(weights)
    for tap, shifted in _shifts(padded, x.shape[2:], kernel_size):
        slope[:, tap] = (grad * shifted).sum(1)  # d loss / d weight
    for tap, shifted in _shifts(grad_padded, x.shape[2:], kernel_size):
        shifted += weights[:, tap, None] * grad
    grad_logits = weights * (slope - (weights * slope).sum(1, keepdim=True))
    return fold_reflection(fold_reflection(grad_padded, radius, 2), radius, 3), grad_logits


# ------------------------------------------------------------------------------------------------------- compiled C


def forward_cpp(x, logits, kernel_size):
    x, logits = x.contiguous(), logits.contiguous()
    out = torch.empty_like(x)
    shape = *x.shape, kernel_size, torch.get_num_threads()
    compiler.call(
        compiler.load("dynamic_filter", x.dtype), "dynamic_filter_forward", shape, x, logits, out
    )
    return out


def backward_cpp(grad, x, logits, kernel_size):
    tensors = [tensor.contiguous() for tensor in (grad, x, logits)]
    grads = torch.empty_like(tensors[1]), torch.empty_like(tensors[2])
    shape = *x.shape, kernel_size, torch.get_num_threads()
    compiler.call(
        compiler.load("dynamic_filter", x.dtype), "dynamic_filter_backward", shape, *tensors, *grads
    )
    return grads


# ----------------------------------------------------------------------------------------------------- registration


dispatch.register("dynamic_filter", "torch", forward=forward_torch, backward=backward_torch)
dispatch.register("dynamic_filter", "cpp", forward=forward_cpp, backward=backward_cpp)


@dispatch.operator
def _dynamic_filter(x: Tensor, logits: Tensor, kernel_size: int) -> Tensor:
    if x.numel() == 0:
        return x.new_empty(x.shape)
    tensors = dispatch.widen(x, logits)
    return (
        dispatch.implementation("dynamic_filter", tensors[0])
        .forward(*tensors, kernel_size)
        .to(x.dtype)
        .contiguous()
    )


@dispatch.operator
def _dynamic_filter_backward(
    grad: Tensor, x: Tensor, logits: Tensor, kernel_size: int
) -> tuple[Tensor, Tensor]:
    if x.numel() == 0:
        return x.new_empty(x.shape), logits.new_zeros(logits.shape)
    tensors = dispatch.widen(grad, x, logits)
    grad_x, grad_logits = dispatch.implementation("dynamic_filter", tensors[0]).backward(
        *tensors, kernel_size
    )
    return grad_x.to(x.dtype).contiguous(), grad_logits.to(logits.dtype).contiguous()


@torch.library.register_fake("deblurlib::dynamic_filter")
def _(x, logits, kernel_size):
    return x.new_empty(x.shape)


@torch.library.register_fake("deblurlib::dynamic_filter_backward")
def _(grad, x, logits, kernel_size):
    return x.new_empty(x.shape), logits.new_empty(logits.shape)


def _save(ctx, inputs, output):
    x, logits, ctx.kernel_size = inputs
    ctx.save_for_backward(x, logits)


def _gradients(ctx, grad):
    return *_dynamic_filter_backward(grad, *ctx.saved_tensors, ctx.kernel_size), None


torch.library.register_autograd("deblurlib::dynamic_filter", _gradients, setup_context=_save)


@register_flop_formula(torch.ops.deblurlib.dynamic_filter)
def dynamic_filter_flops(x_shape, logits_shape, kernel_size, *args, out_shape=None, **kwargs):
    """A product and a sum for each tap and number of the result; the softmax is not counted."""
    return 2 * kernel_size**2 * math.prod(x_shape)


@register_flop_formula(torch.ops.deblurlib.dynamic_filter_backward)
def dynamic_filter_backward_flops(
    grad_shape, x_shape, logits_shape, kernel_size, *args, out_shape=None, **kwargs
):
    """The forward's work twice: once for x, once for the logits."""
    return 2 * dynamic_filter_flops(x_shape, logits_shape, kernel_size)
