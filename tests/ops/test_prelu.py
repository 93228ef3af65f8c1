"""prelu against torch's own function, whose gradients autograd gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deblurlib import ops
from deblurlib.models import create_model
from deblurlib.ops import prelu

SHAPES = [(1,), (7,), (3, 5), (2, 3, 5, 7), (1, 4, 40, 41), (2, 32, 33, 65)]
FORMATS = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.mT.contiguous().mT,
    "sliced": lambda x: torch.cat([x, x], 1)[:, ::2],
    "expanded": lambda x: x[:, :1].expand(x.shape),
}


def make(shape, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)
    x.view(-1)[::5] = 0  # where the gradient is the slope's
    grad = torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)
    return x.requires_grad_(), torch.full((1,), 0.3, dtype=dtype, requires_grad=True), grad


def run(function, x, weight, grad):
    out = function(x, weight)
    return out.detach(), *torch.autograd.grad(out, (x, weight), grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_torch(backend, shape, dtype):
    tensors = make(shape, dtype)
    out, grad_x, grad_weight = run(prelu, *tensors)
    expected, expected_grad, _ = run(F.prelu, *tensors)
    assert torch.equal(out, expected) and torch.equal(grad_x, expected_grad)
    exact = run(F.prelu, *(tensor.detach().double().requires_grad_() for tensor in tensors))[2]
    terms = (tensors[0] * tensors[2]).double().abs().sum()
    assert grad_weight.dtype == dtype
    # the rounding of the result, and float32's of each term
    bound = torch.finfo(dtype).eps * exact.abs() + (1e-15 if dtype.itemsize == 8 else 1e-7) * terms
    assert (grad_weight.double() - exact).abs() <= bound


@pytest.mark.parametrize("turn", FORMATS.values(), ids=FORMATS)
def test_memory_formats_are_kept(backend, turn):
    x, weight, grad = make((2, 3, 9, 20))
    moved = turn(x.detach()).requires_grad_()
    for upstream in (grad, torch.ones(()).double().expand(grad.shape)):
        found, expected = run(prelu, moved, weight, upstream), run(F.prelu, moved, weight, upstream)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    assert found[0].stride() == found[1].stride() == torch.empty_like(moved).stride()


def test_numbers_that_are_not_finite_go_where_torch_has_them(backend):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-40]).repeat(20)
    for dtype in (torch.float32, torch.bfloat16):
        tensors = x.to(dtype).requires_grad_(), torch.full((1,), 0.3, requires_grad=True)
        found = prelu(*tensors)
        expected = F.prelu(tensors[0].float(), tensors[1]).to(dtype)
        assert torch.equal(found.nan_to_num(7), expected.nan_to_num(7))
        assert torch.autograd.grad(found.sum(), tensors[1])[0].isnan()


def test_bfloat16_is_rounded_to_the_nearest(backend):
    """Over all numbers of bfloat16, and also where the product is a tie or not normal."""
    x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.bfloat16)
    for slope in (0.25, 0.3, 1 + 2**-8, 1e-3):
        weight = torch.full((1,), slope)
        expected = torch.where(x > 0, x.float(), weight * x.float()).bfloat16()
        found = prelu(x, weight)
        assert torch.equal(found.isnan(), expected.isnan())
        assert torch.equal(found.nan_to_num(7), expected.nan_to_num(7))


def test_under_autocast_the_result_has_the_dtype_of_the_input(backend):
    x, weight, grad = make((2, 3, 9, 20), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert prelu(x, weight).dtype == torch.float32
        out = prelu(x.bfloat16(), weight)
    assert out.dtype == torch.bfloat16
    found = torch.autograd.grad(out, (x, weight), grad.bfloat16())
    assert [tensor.dtype for tensor in found] == [torch.float32] * 2


def test_gradcheck(backend):
    x, weight, _ = make((2, 3, 4, 5))
    smooth = x.detach().where(x.abs() > 1e-3, 1).requires_grad_()
    torch.autograd.gradcheck(prelu, (smooth, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_results_do_not_depend_on_the_number_of_threads(backend, dtype):
    tensors, threads = make((2, 3, 170, 241), dtype), torch.get_num_threads()
    torch.set_num_threads(1)
    expected = run(prelu, *tensors)
    for count in (2, 3, 8):
        torch.set_num_threads(count)
        found = run(prelu, *tensors)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    torch.set_num_threads(threads)


def test_an_empty_tensor(backend):
    out, grad_x, grad_weight = run(prelu, *make((0, 3, 4, 5)))
    assert out.shape == grad_x.shape == (0, 3, 4, 5) and grad_weight.tolist() == [0]


@pytest.mark.parametrize("turn", FORMATS.values(), ids=FORMATS)
def test_opcheck(backend, turn):
    x, weight, _ = make((2, 3, 4, 5))
    arguments = turn(x.detach()).requires_grad_(), weight
    torch.library.opcheck(torch.ops.deblurlib.prelu, arguments)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_compilers_and_tracers_see_the_operator_of_torch():
    layer, x = ops.PReLU(), make((2, 3, 4, 5), torch.float32)[0]
    expected = layer(x)
    exported = torch.export.export(layer, (x,))
    assert torch.ops.aten.prelu.default in {node.target for node in exported.graph.nodes}
    traced = torch.jit.trace(layer, x)
    assert "prelu" in {node.kind().removeprefix("aten::") for node in traced.graph.nodes()}
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for function in (exported.module(), traced, compiled):
        assert torch.equal(function(x), expected)


def test_elsewhere_than_on_a_cpu_it_is_the_function_of_torch():
    x, weight = torch.zeros(2, 3, device="meta"), torch.zeros(1, device="meta", requires_grad=True)
    assert "PreluKernel" in prelu(x, weight).grad_fn.name()
    half = prelu(x.bfloat16(), weight)
    assert half.shape == x.shape and half.dtype == torch.bfloat16


def test_the_layer_stands_in_for_that_of_torch():
    layer, x = ops.PReLU(), make((2, 3, 4, 5), torch.float32)[0]
    assert isinstance(layer, nn.PReLU) and repr(layer) == repr(nn.PReLU())
    assert layer.weight.tolist() == [0.25] and ops.PReLU(0.5).weight.tolist() == [0.5]
    other = nn.PReLU()
    nn.init.constant_(other.weight, -2)
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer(x), other(x))
    assert "deblurlib" in type(layer(x).grad_fn).__name__


def test_svdn_computes_its_activations_with_it():
    model = create_model("svdn", "fd_og", size="small")
    seen = []
    with ops.substitute(prelu=lambda x, weight: seen.append(weight) or F.prelu(x, weight)):
        model(torch.rand(1, 3, 8, 8))
    slopes = [layer for layer in model.modules() if isinstance(layer, nn.PReLU)]
    assert len(seen) == len(slopes) == 13
    assert len({id(weight) for weight in seen}) == 13


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, weight: prelu(x, weight.expand(3)), ValueError, r"weight has shape \(3,\)"),
        (lambda x, weight: prelu(x.long(), weight), TypeError, "x is torch.int64"),
        (lambda x, weight: prelu(x, weight.to("meta")), ValueError, "weight is on meta"),
    ],
)
def test_wrong_arguments_get_one_clear_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(*make((1, 3, 4, 5))[:2])
    assert str(caught.value).endswith(".")
