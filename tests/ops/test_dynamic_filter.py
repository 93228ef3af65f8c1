"""dynamic_filter against unfold and einsum, whose gradients autograd gives."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from deblurlib.ops import dynamic_filter

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}
SIZES = [
    (1, 1, 2, 2, 3),
    (2, 3, 5, 7, 3),
    (1, 2, 4, 4, 5),
    (2, 5, 37, 41, 3),
    (1, 2, 34, 70, 5),
    (1, 3, 3, 300, 3),
]
SIZES += [(1, 1, 6, 5, 1)]


def by_unfold(x, logits, kernel_size):
    padded = torch.nn.functional.pad(x, [kernel_size // 2] * 4, mode="reflect")
    patches = torch.nn.functional.unfold(padded, kernel_size).view(
        *x.shape[:2], kernel_size**2, *x.shape[2:]
    )
    return torch.einsum("bckhw,bkhw->bchw", patches, logits.softmax(1))


def make(batch, channels, height, width, kernel_size, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, height, width, generator=random, dtype=dtype)
    logits = 3 * torch.randn(batch, kernel_size**2, height, width, generator=random, dtype=dtype)
    return x.requires_grad_(), logits.requires_grad_(), kernel_size


def run(operator, x, logits, kernel_size):
    out = operator(x, logits, kernel_size)
    grad = (
        torch.linspace(-3, 3, out.numel(), dtype=torch.float64)
        .reshape(out.shape)
        .to(out.dtype)
        .cos()
    )
    return [out.detach(), *torch.autograd.grad(out, (x, logits), grad)]


def assert_close(found, expected, bound):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_unfold_and_einsum(backend, size, dtype):
    arguments = make(*size, dtype=dtype)
    assert_close(run(dynamic_filter, *arguments), run(by_unfold, *arguments), BOUND[dtype])


@pytest.mark.parametrize("scale", [0.0, 100.0, 1e6], ids=["a mean", "a choice", "extreme"])
def test_softmax_is_safe_for_logits_of_any_size(backend, scale):
    x, logits, size = make(1, 2, 9, 20, 3, torch.float32)
    found, expected = dynamic_filter(x, scale * logits, size), by_unfold(x, scale * logits, size)
    assert_close([found], [expected], 1e-5)


def test_a_logit_that_is_not_a_number_shows_in_the_output(backend):
    x, logits, size = (
        value.detach() if isinstance(value, torch.Tensor) else value
        for value in make(1, 2, 8, 40, 3)
    )
    logits[0, 4, 3, 5] = float("nan")
    out = dynamic_filter(x.float(), logits.float(), size)
    assert out[0, :, 3, 5].isnan().all() and out.isnan().sum() == 2


def test_gradcheck(backend):
    x, logits, size = make(1, 2, 3, 4, 3)
    torch.autograd.gradcheck(lambda x, logits: dynamic_filter(x, logits, size), (x, logits))


@pytest.mark.parametrize(
    "turn", [lambda t: t.to(memory_format=torch.channels_last), lambda t: t.mT.contiguous().mT]
)
def test_non_contiguous_input(backend, turn):
    arguments = make(2, 3, 9, 20, 3)
    found = run(lambda x, logits, size: dynamic_filter(turn(x), turn(logits), size), *arguments)
    assert_close(found, run(dynamic_filter, *arguments), 1e-12)


def test_empty_batch(backend):
    assert [tensor.shape[0] for tensor in run(dynamic_filter, *make(0, 2, 4, 5, 3))] == [0, 0, 0]


@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_results_do_not_depend_on_the_number_of_threads(backend):
    arguments, threads = make(2, 3, 70, 41, 3, torch.float32), torch.get_num_threads()
    torch.set_num_threads(1)
    expected = run(dynamic_filter, *arguments)
    torch.set_num_threads(3)
    found = run(dynamic_filter, *arguments)
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_half_precision_is_computed_in_float32(backend):
    x, logits, size = make(1, 2, 9, 20, 3, torch.bfloat16)
    found = run(dynamic_filter, x, logits, size)
    assert all(tensor.dtype == torch.bfloat16 for tensor in found)
    assert torch.equal(found[0], dynamic_filter(x.float(), logits.float(), size).bfloat16())


def test_opcheck_compile_and_flops(backend):
    x, logits, size = make(1, 2, 4, 5, 3, torch.float32)
    torch.library.opcheck(torch.ops.deblurlib.dynamic_filter, (x, logits, size))
    compiled = torch.compile(dynamic_filter, fullgraph=True, backend="aot_eager")
    assert_close(run(compiled, x, logits, size), run(dynamic_filter, x, logits, size), 1e-6)
    with FlopCounterMode(display=False) as counter:
        dynamic_filter(x, logits, size)
    assert counter.get_total_flops() == 2 * 9 * x.numel()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, logits: dynamic_filter(x, logits, 4), ValueError, "kernel_size is 4"),
        (lambda x, logits: dynamic_filter(x, logits, 5), ValueError, r"it must be \(1, 25, 4, 5\)"),
        (
            lambda x, logits: dynamic_filter(x[:, :, :1], logits[:, :, :1], 3),
            ValueError,
            "cannot be reflected",
        ),
        (lambda x, logits: dynamic_filter(x[0], logits), ValueError, "needs 4 dimensions"),
        (lambda x, logits: dynamic_filter(x.long(), logits), TypeError, "x is torch.int64"),
        (lambda x, logits: dynamic_filter(x, logits.to("meta")), ValueError, "logits is on meta"),
    ],
)
def test_wrong_arguments_get_one_clear_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(*make(1, 2, 4, 5, 3)[:2])
    assert str(caught.value).endswith(".")
