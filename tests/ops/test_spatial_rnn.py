"""spatial_rnn against a loop over pixels by autograd, in every direction and at awkward sizes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from deblurlib.ops import spatial_rnn, spatial_rnn_4way, spatial_rnn_associative

DIRECTIONS = ("right", "left", "down", "up")
SIZES = [
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (1, 2, 16, 16),
    (1, 2, 17, 33),
    (1, 1, 40, 3),
    (1, 1, 1, 50),
    (3, 1, 35, 64),
]
BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}


def by_hand(x, p, direction):
    """The recurrence, one column or row at a time, recorded by autograd."""
    axis = 3 if direction in ("right", "left") else 2
    order = (
        range(x.shape[axis]) if direction in ("right", "down") else reversed(range(x.shape[axis]))
    )
    state, states = torch.zeros_like(x.select(axis, 0)), {}
    for k in order:
        state = (1 - p.select(axis, k)) * x.select(axis, k) + p.select(axis, k) * state
        states[k] = state
    return torch.stack([states[k] for k in sorted(states)], axis)


def by_hand_4way(x, p):
    right, down, left, up = p.chunk(4, 1)
    parts = [(right, "right"), (left, "left"), (down, "down"), (up, "up")]
    return torch.cat([by_hand(x, weights, direction) for weights, direction in parts], 1)


def make(size, scans=1, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=random, dtype=dtype)
    p = torch.randn(size[0], scans * size[1], *size[2:], generator=random, dtype=dtype).tanh()
    return x.requires_grad_(), p.requires_grad_()


def run(operator, x, p):
    out = operator(x, p)
    grad = (
        torch.linspace(-3, 3, out.numel(), dtype=torch.float64)
        .reshape(out.shape)
        .to(out.dtype)
        .cos()
    )
    return [out.detach(), *torch.autograd.grad(out, (x, p), grad)]


def assert_close(found, expected, bound):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= bound * b.abs().max().clamp(min=1)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_equals_the_recurrence(backend, direction, size, dtype):
    x, p = make(size, dtype=dtype)
    expected = run(lambda x, p: by_hand(x, p, direction), x, p)
    assert_close(run(lambda x, p: spatial_rnn(x, p, direction), x, p), expected, BOUND[dtype])


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_four_directions_equal_the_recurrence(backend, size, dtype):
    x, p = make(size, scans=4, dtype=dtype)
    assert_close(run(spatial_rnn_4way, x, p), run(by_hand_4way, x, p), BOUND[dtype])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_associative_scan_equals_the_recurrence(direction):
    x, p = make((2, 2, 9, 13))
    expected = run(lambda x, p: by_hand(x, p, direction), x, p)
    assert_close(run(lambda x, p: spatial_rnn_associative(x, p, direction), x, p), expected, 1e-12)


def test_transposed_input_with_the_groups_2_1_4_3_gives_the_transposed_result(backend):
    x, p = (tensor.detach() for tensor in make((1, 2, 6, 9), scans=4))
    right, down, left, up = p.chunk(4, 1)
    turned = spatial_rnn_4way(x.mT, torch.cat([down, right, up, left], 1).mT).mT
    a, b, c, d = turned.chunk(4, 1)
    assert torch.allclose(torch.cat([c, d, a, b], 1), spatial_rnn_4way(x, p))


def test_a_constant_line_rises_to_its_value_and_p_zero_copies(backend):
    x, p = torch.ones(1, 1, 1, 4), torch.full((1, 1, 1, 4), 0.5)
    assert spatial_rnn(x, p, "right").flatten().tolist() == [0.5, 0.75, 0.875, 0.9375]
    assert torch.equal(spatial_rnn(x, 0 * p, "up"), x)


def test_gradcheck(backend):
    torch.autograd.gradcheck(spatial_rnn_4way, make((1, 1, 3, 5), scans=4))


@pytest.mark.parametrize(
    "turn", [lambda t: t.to(memory_format=torch.channels_last), lambda t: t.mT.contiguous().mT]
)
def test_non_contiguous_input(backend, turn):
    x, p = make((2, 3, 9, 8), scans=4)
    assert_close(
        run(lambda x, p: spatial_rnn_4way(turn(x), turn(p)), x, p),
        run(spatial_rnn_4way, x, p),
        1e-12,
    )


@pytest.mark.parametrize("size", [(2, 3, 9, 8), (1, 16, 5, 70), (1, 19, 33, 1), (1, 2, 1, 40)])
def test_channels_last_memory_gives_channels_last_memory(backend, size):
    for scans, operator in [
        (4, spatial_rnn_4way),
        *((1, lambda x, p, way=way: spatial_rnn(x, p, way)) for way in DIRECTIONS),
    ]:
        x, p = make(size, scans)

        def turned(x, p, operator=operator):  # p as one of two halves, whose pixels do not touch
            both = torch.cat([torch.zeros_like(p), p], 1).to(memory_format=torch.channels_last)
            return operator(x.to(memory_format=torch.channels_last), both.chunk(2, 1)[1])

        assert turned(x, p).is_contiguous(memory_format=torch.channels_last)
        assert_close(run(turned, x, p), run(operator, x, p), 1e-12)


def test_opcheck_in_channels_last_memory(backend):
    x, p = (
        t.detach().to(memory_format=torch.channels_last).requires_grad_()
        for t in make((1, 3, 4, 5), 4, torch.float32)
    )
    torch.library.opcheck(torch.ops.deblurlib.spatial_rnn, (x, p, "all"))


def test_empty_batch(backend):
    x, p = make((0, 3, 4, 5), scans=4)
    assert [tensor.shape[0] for tensor in run(spatial_rnn_4way, x, p)] == [0, 0, 0]


@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_results_do_not_depend_on_the_number_of_threads(backend):
    x, p = make((2, 3, 33, 18), scans=4, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = run(spatial_rnn_4way, x, p)
    torch.set_num_threads(3)
    found = run(spatial_rnn_4way, x, p)
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_half_precision_is_computed_in_float32(backend):
    x, p = make((1, 2, 9, 20), dtype=torch.bfloat16)
    found = run(lambda x, p: spatial_rnn(x, p, "left"), x, p)
    assert all(tensor.dtype == torch.bfloat16 for tensor in found)
    assert torch.equal(found[0], spatial_rnn(x.float(), p.float(), "left").bfloat16())


def test_opcheck_compile_and_flops(backend):
    x, p = make((1, 2, 4, 5), scans=4, dtype=torch.float32)
    torch.library.opcheck(torch.ops.deblurlib.spatial_rnn, (x, p, "all"))
    compiled = torch.compile(spatial_rnn_4way, fullgraph=True, backend="aot_eager")
    assert_close(run(compiled, x, p), run(spatial_rnn_4way, x, p), 1e-6)
    with FlopCounterMode(display=False) as counter:
        spatial_rnn_4way(x, p)
    assert counter.get_total_flops() == 3 * p.numel()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, p: spatial_rnn(x, p, "east"), "direction is 'east'"),
        (lambda x, p: spatial_rnn(x, p[:, :1], "up"), "p has shape"),
        (lambda x, p: spatial_rnn_4way(x, p), r"it must be \(1, 8, 4, 5\)"),
        (lambda x, p: spatial_rnn(x[0], p, "up"), "x has shape"),
        (lambda x, p: spatial_rnn(x, p.to("meta"), "up"), "p is on meta"),
        (
            lambda x, p: spatial_rnn_associative(x, p[:, :2], "all"),
            "associative: direction is 'all'",
        ),
    ],
)
def test_wrong_arguments_get_one_clear_sentence(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call(*make((1, 2, 4, 5)))
    assert str(caught.value).endswith(".")


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"x is torch\.int64"):
        spatial_rnn(torch.ones(1, 1, 2, 2, dtype=torch.int64), torch.ones(1, 1, 2, 2), "up")
