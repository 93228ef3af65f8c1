"""Spatially variant recurrence: a first-order linear filter along image lines, with a weight at every pixel."""

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .backends import compiler, dispatch
from .substitution import current

DIRECTIONS = (
    "right",
    "down",
    "left",
    "up",
)  # the order of the four groups of p in `spatial_rnn_4way`
RESULT_ORDER = ("right", "left", "down", "up")  # the order in which its results are concatenated


def spatial_rnn(x, p, direction):
    """Scan every line of an image with the recurrence of the spatially variant RNN.

        h[k] = (1 - p[k]) * x[k] + p[k] * h[k-1],    h[-1] = 0

    x, p (B, C, H, W); `direction` "right", "left", "down" or "up" is the way the scan moves. Returns h, of the shape
    and dtype of x; half precision is computed in float32. Gradients, by the reverse scan
    g[k] = dL/dh[k] + p[k+1] * g[k+1]: dL/dx[k] = (1 - p[k]) * g[k] and dL/dp[k] = g[k] * (h[k-1] - x[k]).
    Stable while |p| < 1, which the caller ensures (the network uses tanh); p is not checked. p >= 0 is a low-pass
    filter, p < 0 is needed to sharpen. Raises ValueError or TypeError for shapes, dtypes or a direction that does
    not fit.
    Source: SVRNN section 3.2, eq. 2 at order 1; the exact form is that of the authors' code.
    """
    _check(x, p, 1, "spatial_rnn")
    if direction not in DIRECTIONS:
        raise ValueError(
            f"spatial_rnn: direction is {direction!r}; choose one of {', '.join(DIRECTIONS)}."
        )
    return current("spatial_rnn", _spatial_rnn)(x, p, direction)


def spatial_rnn_4way(x, p):
    """The four scans of `spatial_rnn` over one input, fused so that the input is read from memory once.

    x (B, C, H, W); p (B, 4C, H, W), the weights of the scans right, down, left, up in this order.
    Returns (B, 4C, H, W): the results right, left, down, up in this order, which differs from that of p.
    Source: SVRNN, both orders as in the authors' released network.
    """
    _check(x, p, 4, "spatial_rnn_4way")
    return current("spatial_rnn", _spatial_rnn)(x, p, "all")


def spatial_rnn_associative(x, p, direction):
    """`spatial_rnn` by an associative scan in log2(length) steps, in plain differentiable torch, for teaching.

    A step h -> a*h + b is an affine map. Two steps are one, (a2, b2) after (a1, b1) = (a2*a1, a2*b1 + b2), and
    composition is associative, so distances 1, 2, 4, ... can be joined in turn.
    Source: Hillis and Steele, "Data parallel algorithms", CACM 1986.
    """
    _check(x, p, 1, "spatial_rnn_associative")
    a, b = _line_up(p, direction), _line_up((1 - p) * x, direction)
    distance = 1
    while distance < a.shape[-1]:
        earlier_a = torch.nn.functional.pad(
            a[..., :-distance], (distance, 0), value=1.0
        )  # the identity is (1, 0)
        earlier_b = torch.nn.functional.pad(b[..., :-distance], (distance, 0))
        a, b = a * earlier_a, a * earlier_b + b
        distance *= 2
    return _line_up(b, direction)


def _line_up(tensor, direction):
    """Turn the image so that the scan moves to the right; the same turn brings it back."""
    if direction in ("down", "up"):
        tensor = tensor.mT.flip(-2, -1) if direction == "up" else tensor.mT
    return tensor.flip(-1) if direction == "left" else tensor


def _check(x, p, scans, name):
    for label, tensor in (("x", x), ("p", p)):
        if not tensor.is_floating_point():
            raise TypeError(
                f"{name}: {label} is {tensor.dtype}; convert it to a floating-point dtype."
            )
        if tensor.dim() != 4:
            raise ValueError(
                f"{name}: {label} has shape {tuple(tensor.shape)}; it needs 4 dimensions (B, C, H, W)."
            )
    expected = (x.shape[0], scans * x.shape[1], *x.shape[2:])
    if tuple(p.shape) != expected:
        raise ValueError(
            f"{name}: p has shape {tuple(p.shape)}; for x {tuple(x.shape)} it must be {expected}."
        )
    if x.device != p.device:
        raise ValueError(f"{name}: p is on {p.device} but x on {x.device}; move one.")


# ---------------------------------------------------------------------------------------- reference, in plain torch


def scan_torch(x, p, direction):
    """The definition, one column at a time."""
    state, states = 0, []
    for x_k, p_k in zip(
        _line_up(x, direction).unbind(-1), _line_up(p, direction).unbind(-1), strict=True
    ):
        state = (1 - p_k) * x_k + p_k * state
        states.append(state)
    return _line_up(torch.stack(states, -1), direction)


def scan_backward_torch(grad, x, p, h, direction):
    """Gradients of x and p by the reverse scan."""
    grad, x, p, h = (_line_up(tensor, direction) for tensor in (grad, x, p, h))
    previous = torch.nn.functional.pad(h[..., :-1], (1, 0))  # h[k-1]
    carried, g = 0, []
    for grad_k, p_k in zip(reversed(grad.unbind(-1)), reversed(p.unbind(-1)), strict=True):
        g.append(grad_k + carried)
        carried = p_k * g[-1]
    g = torch.stack(g[::-1], -1)
    return _line_up((1 - p) * g, direction), _line_up(g * (previous - x), direction)


def forward_torch(x, p, direction):
    if direction != "all":
        return scan_torch(x, p, direction)
    results = {
        way: scan_torch(x, weights, way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    }
    return torch.cat([results[way] for way in RESULT_ORDER], 1)


def backward_torch(grad, x, p, h, direction):
    if direction != "all":
        return scan_backward_torch(grad, x, p, h, direction)
    results = dict(
        zip(RESULT_ORDER, zip(grad.chunk(4, 1), h.chunk(4, 1), strict=True), strict=True)
    )
    grads = [
        scan_backward_torch(results[way][0], x, weights, results[way][1], way)
        for way, weights in zip(DIRECTIONS, p.chunk(4, 1), strict=True)
    ]
    return sum(grad_x for grad_x, _ in grads), torch.cat([grad_p for _, grad_p in grads], 1)


# ------------------------------------------------------------------------------------------------------- compiled C


def _by_pixels(tensor):
    """Whether the channels of a pixel lie side by side, and the pixels line after line; they need not touch."""
    batch, channels, height, width = tensor.shape
    pixel = tensor.stride(3)
    return channels > 1 and tensor.stride() == (height * width * pixel, 1, width * pixel, pixel)


def _geometry(x, p, direction):
    return (
        *x.shape,
        (*DIRECTIONS, "all").index(direction),
        torch.get_num_threads(),
        x.stride(3),
        p.stride(3),
    )


def forward_cpp(x, p, direction):
    name = "spatial_rnn_forward_last"
    if not (_by_pixels(x) and _by_pixels(p)):
        x, p, name = x.contiguous(), p.contiguous(), "spatial_rnn_forward"
    h = _empty_result(x, p)
    compiler.call(compiler.load("spatial_rnn", x.dtype), name, _geometry(x, p, direction), x, p, h)
    return h


def backward_cpp(grad, x, p, h, direction):
    tensors = [tensor.contiguous() for tensor in (grad, x, p, h)]
    grads = torch.empty_like(tensors[1]), torch.empty_like(tensors[2])
    library = compiler.load("spatial_rnn", x.dtype)
    compiler.call(library, "spatial_rnn_backward", _geometry(x, p, direction), *tensors, *grads)
    return grads


# ----------------------------------------------------------------------------------------------------- registration


dispatch.register("spatial_rnn", "torch", forward=forward_torch, backward=backward_torch)
dispatch.register("spatial_rnn", "cpp", forward=forward_cpp, backward=backward_cpp)


def _memory_of_result(x, p):
    return torch.channels_last if _by_pixels(x) and _by_pixels(p) else torch.contiguous_format


def _empty_result(x, p):
    return torch.empty(
        p.shape, dtype=x.dtype, device=x.device, memory_format=_memory_of_result(x, p)
    )


@dispatch.operator
def _spatial_rnn(x: Tensor, p: Tensor, direction: str) -> Tensor:
    if p.numel() == 0:
        return _empty_result(x, p)
    tensors = dispatch.widen(x, p)
    h = dispatch.implementation("spatial_rnn", tensors[0]).forward(*tensors, direction)
    return h.to(x.dtype).contiguous(memory_format=_memory_of_result(x, p))


@dispatch.operator
def _spatial_rnn_backward(
    grad: Tensor, x: Tensor, p: Tensor, h: Tensor, direction: str
) -> tuple[Tensor, Tensor]:
    if p.numel() == 0:
        return x.new_empty(x.shape), p.new_empty(p.shape)
    tensors = dispatch.widen(grad, x, p, h)
    grad_x, grad_p = dispatch.implementation("spatial_rnn", tensors[0]).backward(
        *tensors, direction
    )
    return grad_x.to(x.dtype).contiguous(), grad_p.to(p.dtype).contiguous()


@torch.library.register_fake("deblurlib::spatial_rnn")
def _(x, p, direction):
    return _empty_result(x, p)


@torch.library.register_fake("deblurlib::spatial_rnn_backward")
def _(grad, x, p, h, direction):
    return x.new_empty(x.shape), p.new_empty(p.shape)


def _save(ctx, inputs, output):
    x, p, ctx.direction = inputs
    ctx.save_for_backward(x, p, output)


def _gradients(ctx, grad):
    return *_spatial_rnn_backward(grad, *ctx.saved_tensors, ctx.direction), None


torch.library.register_autograd("deblurlib::spatial_rnn", _gradients, setup_context=_save)


@register_flop_formula(torch.ops.deblurlib.spatial_rnn)
def spatial_rnn_flops(x_shape, p_shape, *args, out_shape=None, **kwargs):
    """A subtraction, a product and a sum for each number of the result."""
    return 3 * torch.Size(p_shape).numel()


@register_flop_formula(torch.ops.deblurlib.spatial_rnn_backward)
def spatial_rnn_backward_flops(grad_shape, x_shape, p_shape, *args, out_shape=None, **kwargs):
    """Two sums for g, a product to carry it, two operations for each gradient."""
    return 6 * torch.Size(p_shape).numel()
