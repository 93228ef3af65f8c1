"""What holds for the derivatives of all operators: their second order, and their precision."""

import pytest
import torch

from deblurlib import ops


def deform(input, offset, weight, bias, mask):
    return ops.deform_conv2d(input, offset, weight, bias, padding=1, mask=mask)


def plain_deform(input, offset, weight):
    return ops.deform_conv2d(input, offset, weight, stride=2, padding=1)


# operator -> it, and the shapes of its arguments
OPERATORS = {
    "deform_conv2d": (deform, [(1, 4, 3, 2), (1, 36, 3, 2), (2, 2, 3, 3), (2,), (1, 18, 3, 2)]),
    "without mask and bias": (plain_deform, [(1, 2, 3, 4), (1, 18, 2, 2), (2, 2, 3, 3)]),
    "spatial_rnn": (lambda x, p: ops.spatial_rnn(x, p, "left"), [(1, 2, 3, 4), (1, 2, 3, 4)]),
    "spatial_rnn_4way": (ops.spatial_rnn_4way, [(1, 1, 3, 4), (1, 4, 3, 4)]),
    "dynamic_filter": (ops.dynamic_filter, [(1, 2, 3, 4), (1, 9, 3, 4)]),
    "prelu": (ops.prelu, [(1, 2, 3, 4), (1,)]),
}
everywhere = pytest.mark.parametrize("name", OPERATORS)


def make(name, dtype=torch.float64):
    function, shapes = OPERATORS[name]
    random = torch.Generator().manual_seed(3)
    tensors = [0.7 * torch.randn(shape, generator=random, dtype=dtype) for shape in shapes]
    return function, [tensor.requires_grad_() for tensor in tensors]


@everywhere
def test_second_derivatives_equal_finite_differences(backend, name):
    function, tensors = make(name)
    assert torch.autograd.gradgradcheck(function, tuple(tensors), fast_mode=True)


@everywhere
def test_a_gradient_penalty_equals_finite_differences(backend, name):
    """Its derivative along a random direction, from a training loop's point of view."""
    function, tensors = make(name)

    def penalty(*values):
        loss = function(*values).square().sum()
        grads = torch.autograd.grad(loss, values, create_graph=True)
        return sum(grad.square().sum() for grad in grads)

    found = torch.autograd.grad(penalty(*tensors), tensors)
    random = torch.Generator().manual_seed(4)
    steps = [torch.randn(t.shape, generator=random, dtype=t.dtype) for t in tensors]
    along = sum((grad * step).sum() for grad, step in zip(found, steps, strict=True))
    moved = [
        penalty(
            *((t + size * s).detach().requires_grad_() for t, s in zip(tensors, steps, strict=True))
        )
        for size in (1e-6, -1e-6)
    ]
    slope = (moved[0] - moved[1]).item() / 2e-6
    assert along.item() == pytest.approx(slope, rel=1e-5)


def test_third_derivatives_and_inputs_that_depend_on_each_other(backend):
    x = make("spatial_rnn")[1][0]

    def first(x):
        y = ops.spatial_rnn(x, x.tanh(), "right").sin()
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0]

    assert torch.autograd.gradgradcheck(first, (x,), fast_mode=True)


def test_second_derivatives_of_an_empty_batch_are_empty(backend):
    x = torch.zeros(0, 2, 3, 4, requires_grad=True)
    (grad,) = torch.autograd.grad(
        ops.spatial_rnn(x, x.tanh(), "up").square().sum(), x, create_graph=True
    )
    (second,) = torch.autograd.grad(grad.sum(), x)
    assert second.shape == x.shape


@everywhere
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_does_not_reach_into_an_operator(backend, name, dtype):
    """The result is that of float32, and so are first and second derivatives."""
    function, tensors = make(name, torch.float32)

    def derivatives():
        out = function(*tensors)
        first = torch.autograd.grad(out.square().sum(), tensors, create_graph=True)
        second = torch.autograd.grad(sum(grad.square().sum() for grad in first), tensors)
        return [out, *first, *second]

    expected = derivatives()
    with torch.autocast("cpu", dtype):
        found = derivatives()
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)
