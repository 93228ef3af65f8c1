"""deform_conv2d against torchvision's operator, its gradients, and what torch makes of it."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deblurlib import ops
from deblurlib.ops import deform_conv2d
from deblurlib.ops.deform_conv import output_size

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}
# batch, channels, out channels, height, width,
# kernel, stride, padding, dilation, groups, offset groups
CASES = {
    "svdn": (2, 32, 32, 24, 27, 5, 1, 2, 1, 1, 1),
    "radn": (1, 64, 32, 13, 15, 3, 1, 1, 1, 1, 1),
    "aspdc": (1, 16, 16, 17, 16, 3, 1, 5, 5, 1, 1),
    "groups": (2, 8, 12, 11, 9, 3, 1, 1, 1, 4, 1),
    "offset groups": (2, 12, 5, 9, 11, 3, 1, 1, 1, 1, 3),
    "groups that interleave": (1, 12, 4, 8, 9, 3, 1, 1, 1, 2, 3),
    "stride and dilation": (3, 6, 7, 16, 18, 3, 2, 2, 2, 1, 1),
    "uneven": (1, 3, 2, 10, 12, (1, 3), (2, 1), (0, 2), (1, 3), 1, 1),
    "one pixel": (1, 20, 33, 1, 1, 3, 1, 1, 1, 1, 1),
    "many images": (19, 4, 4, 5, 6, 3, 1, 1, 1, 1, 1),
    "tall": (1, 4, 4, 90, 40, 3, 1, 1, 1, 1, 1),
}


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def make(case, dtype=torch.float32, mask=True, bias=True, spread=2.0, seed=0):
    (
        batch,
        channels,
        outs,
        height,
        width,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        offset_groups,
    ) = case
    kernel, stride, padding, dilation = map(pair, (kernel, stride, padding, dilation))
    size, taps = (
        output_size((height, width), kernel, stride, padding, dilation),
        kernel[0] * kernel[1],
    )
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random, dtype=dtype)

    return {
        "input": normal(batch, channels, height, width),
        "offset": spread * normal(batch, 2 * offset_groups * taps, *size),
        "weight": normal(outs, channels // groups, *kernel),
        "bias": normal(outs) if bias else None,
        "mask": normal(batch, offset_groups * taps, *size).sigmoid() if mask else None,
        **{"stride": stride, "padding": padding, "dilation": dilation},
    }


def run(operator, arguments):
    """The output and every gradient."""
    arguments = {
        name: value.detach().requires_grad_() if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    out = operator(**arguments)
    grad = (
        torch.linspace(-1, 1, out.numel(), dtype=torch.float64)
        .reshape(out.shape)
        .to(out.dtype)
        .cos()
    )
    tensors = [value for value in arguments.values() if isinstance(value, torch.Tensor)]
    return [out.detach(), *torch.autograd.grad(out, tensors, grad)]


def distance(found, expected):
    """Largest difference over all results, each relative to its largest number."""
    return max(
        ((a - b).abs().max() / b.abs().max().clamp(min=1e-30)).item()
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    ("mask", "bias"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_equals_torchvision(backend, case, dtype, mask, bias):
    arguments = make(case, dtype, mask, bias)
    assert (
        distance(run(deform_conv2d, arguments), run(torchvision_deform_conv2d, arguments))
        <= BOUND[dtype]
    )


@pytest.mark.parametrize(
    "spread", [0.0, 0.5, 300.0], ids=["whole pixels", "small", "mostly outside"]
)
def test_equals_torchvision_for_offsets_of_any_size(backend, spread):
    arguments = make(CASES["tall"], torch.float64, spread=spread)
    assert (
        distance(run(deform_conv2d, arguments), run(torchvision_deform_conv2d, arguments)) <= 1e-10
    )


def test_edges_of_the_image_equal_torchvision(backend):
    """Points exactly on -1, 0, height - 1 and height, where the bilinear formula has its kinks."""
    arguments = make((1, 4, 3, 6, 6, 1, 1, 0, 1, 1, 1), torch.float64)
    steps = torch.tensor([-2.0, -1.0, -0.5, 0.0, 5.0, 5.5, 6.0, 7.0], dtype=torch.float64)
    points = torch.cartesian_prod(steps, steps).T.reshape(1, 2, 8, 8)
    pixels = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij"))
    for y in (0, 2):
        for x in (0, 2):
            arguments["offset"] = (points[..., y : y + 6, x : x + 6] - pixels).contiguous()
            found, expected = (
                run(deform_conv2d, arguments),
                run(torchvision_deform_conv2d, arguments),
            )
            assert distance(found, expected) <= 1e-10


@pytest.mark.parametrize("broken", [1e30, float("inf"), float("-inf")])
def test_absurd_offsets_sample_nothing(backend, broken):
    arguments = make(CASES["one pixel"])
    arguments["offset"] = torch.full_like(arguments["offset"], broken)
    out, grad_input, *_ = run(deform_conv2d, arguments)
    assert torch.equal(out.flatten(), arguments["bias"])
    assert not grad_input.any()


def test_an_offset_that_is_not_a_number_shows_in_the_output(backend):
    arguments = make(CASES["svdn"])
    arguments["offset"][1, 7, 3, 4] = float("nan")
    out = deform_conv2d(**arguments)
    assert out[1, :, 3, 4].isnan().all() and out.isnan().sum() == 32


@pytest.mark.parametrize(
    "case", [(1, 6, 2, 3, 4, 2, 1, 0, 1, 2, 3), (2, 3, 2, 4, 5, (1, 3), (2, 1), (0, 2), 1, 1, 1)]
)
def test_gradcheck(backend, case):
    arguments = make(case, torch.float64)
    tensors = {k: v.requires_grad_() for k, v in arguments.items() if isinstance(v, torch.Tensor)}
    rest = {k: v for k, v in arguments.items() if k not in tensors}
    torch.autograd.gradcheck(
        lambda *values: deform_conv2d(**dict(zip(tensors, values, strict=True)), **rest),
        tuple(tensors.values()),
    )


@pytest.mark.parametrize("case", ["svdn", "tall", "many images"])
@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
@pytest.mark.parametrize("narrow", [False, True], ids=["float32", "bfloat16"])
def test_results_do_not_depend_on_the_number_of_threads(backend, case, narrow):
    arguments, threads = make(CASES[case]), torch.get_num_threads()
    results = []
    if narrow:
        arguments["input"] = arguments["input"].bfloat16().to(memory_format=torch.channels_last)
    for count in (1, 2, 2, 3, 5):
        torch.set_num_threads(count)
        results.append(run(deform_conv2d, arguments))
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_memory_format_of_the_input_is_kept_and_changes_nothing(backend):
    arguments = make(CASES["svdn"])
    expected = run(deform_conv2d, arguments)
    arguments["input"] = arguments["input"].to(memory_format=torch.channels_last)
    found = run(deform_conv2d, arguments)
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert found[1].is_contiguous(memory_format=torch.channels_last)
    assert distance(found, expected) < 1e-6


NARROW = ("input", "offset", "weight", "bias", "mask")


@pytest.mark.parametrize("case", ["svdn", "tall", "uneven", "many images"])
@pytest.mark.parametrize(
    "narrow",
    [NARROW, ("input", "offset", "mask"), ("input",), ("offset",), ("weight",), ("input", "mask")],
    ids=" ".join,
)
def test_bfloat16_is_as_precise_as_its_numbers(backend, case, narrow):
    """The result is that of float64 on the same numbers, but for the rounding of the result.

    Parts of larger channels-last tensors, as networks pass them under autocast.
    """
    arguments = make(CASES[case])
    for name, value in arguments.items():
        if isinstance(value, torch.Tensor) and value.dim() == 4 and name != "weight":
            larger = torch.cat([value, value], 1).to(memory_format=torch.channels_last)
            arguments[name] = larger[:, : value.shape[1]]
        if name in narrow:
            arguments[name] = arguments[name].bfloat16()
    exact = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    found, expected = run(deform_conv2d, arguments), run(deform_conv2d, exact)
    assert found[0].dtype == arguments["input"].dtype
    tensors = [value for value in arguments.values() if isinstance(value, torch.Tensor)]
    assert [grad.dtype for grad in found[1:]] == [tensor.dtype for tensor in tensors]
    # the upstream gradient is rounded as well
    assert distance(found, expected) <= 2**-7


def test_parts_of_channels_last_tensors_keep_their_format(backend):
    arguments = make(CASES["svdn"])
    expected = run(deform_conv2d, arguments)
    formats = {}
    for name in ("input", "offset", "mask"):
        larger = torch.cat([arguments[name], arguments[name]], 1)
        larger = larger.to(memory_format=torch.channels_last)
        formats[name] = larger[:, : arguments[name].shape[1]].requires_grad_()
    out = deform_conv2d(**{**arguments, **formats})
    grads = torch.autograd.grad(out, formats.values(), torch.ones_like(out))
    for tensor in (out, *grads):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    arguments |= {name: part.detach() for name, part in formats.items()}
    assert distance(run(deform_conv2d, arguments), expected) < 1e-6


def test_non_contiguous_tensors(backend):
    arguments = make(CASES["svdn"])
    expected = run(deform_conv2d, arguments)
    for name in ("input", "offset", "weight", "mask"):
        arguments[name] = arguments[name].mT.contiguous().mT
    assert not arguments["input"].is_contiguous()
    assert distance(run(deform_conv2d, arguments), expected) < 1e-6


def test_empty_batch(backend):
    out, grad_input, _, grad_weight, *_ = run(deform_conv2d, make((0, *CASES["svdn"][1:])))
    assert out.shape == (0, 32, 24, 27) and grad_input.shape[0] == 0
    assert not grad_weight.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(backend, dtype):
    arguments = make(CASES["svdn"])
    half = {k: v.to(dtype) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    wide = {k: v.float() if isinstance(v, torch.Tensor) else v for k, v in half.items()}
    found, expected = run(deform_conv2d, half), run(deform_conv2d, wide)
    assert all(tensor.dtype == dtype for tensor in found)
    assert torch.equal(found[0], expected[0].to(dtype))


def test_autocast_takes_bfloat16_features_and_float32_parameters(backend):
    layer = ops.ModulatedDeformConv2d(8, 8, 3, padding=1)
    with torch.autocast("cpu", torch.bfloat16):
        features = torch.nn.functional.conv2d(torch.randn(1, 8, 9, 9), torch.randn(8, 8, 1, 1))
        out = layer(features)
    assert features.dtype == out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("mask", "bias"), [(True, True), (False, False)])
def test_opcheck(backend, mask, bias):
    arguments = make(CASES["uneven"], mask=mask, bias=bias)
    tensors = [arguments[k] for k in ("input", "offset", "weight", "bias", "mask")]
    window = [list(arguments[k]) for k in ("stride", "padding", "dilation")]
    for tensor in tensors:
        if tensor is not None:
            tensor.requires_grad_()
    torch.library.opcheck(torch.ops.deblurlib.deform_conv2d, (*tensors, *window))


def test_export_and_fake_tensors_keep_the_memory_format():
    layer = ops.ModulatedDeformConv2d(4, 4, 3, padding=1).eval()
    image = torch.randn(1, 4, 8, 8).to(memory_format=torch.channels_last)
    program = torch.export.export(layer, (image,))
    assert any("deform_conv2d" in str(node.target) for node in program.graph.nodes)
    assert torch.allclose(program.module()(image), layer(image))


def test_compiles_as_one_graph():
    layer = ops.ModulatedDeformConv2d(4, 4, 3, padding=1)
    image = torch.randn(2, 4, 8, 9, requires_grad=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    out, expected = compiled(image), layer(image)
    assert torch.allclose(out, expected)
    (grad,) = torch.autograd.grad(out.sum(), image)
    (expected_grad,) = torch.autograd.grad(expected.sum(), image)
    assert torch.allclose(grad, expected_grad)


def test_flops_equal_those_of_a_convolution():
    arguments = make(CASES["svdn"])
    with FlopCounterMode(display=False) as found:
        run(deform_conv2d, arguments)
    image, weight = arguments["input"].requires_grad_(), arguments["weight"].requires_grad_()
    with FlopCounterMode(display=False) as expected:
        torch.nn.functional.conv2d(image, weight, padding=2).sum().backward()
    assert found.get_total_flops() == expected.get_total_flops() > 0


def test_plain_layer_with_zero_offsets_is_a_convolution(backend):
    layer = ops.DeformConv2d(4, 6, 3, padding=1)
    image = torch.randn(2, 4, 7, 8)
    expected = torch.nn.functional.conv2d(image, layer.weight, layer.bias, padding=1)
    assert torch.allclose(
        layer(image, torch.zeros(2, layer.offset_channels, 7, 8)), expected, atol=1e-6
    )


def test_modulated_layer_starts_as_half_a_convolution(backend):
    layer = ops.ModulatedDeformConv2d(4, 6, 3, padding=1, bias=False)
    image = torch.randn(2, 4, 7, 8)
    out, (offset, mask) = layer(image, return_sampling=True)
    assert not offset.any() and torch.all(mask == 0.5)
    assert torch.allclose(
        out, torch.nn.functional.conv2d(image, layer.weight, padding=1) / 2, atol=1e-6
    )


def test_a_frozen_weight_gets_no_gradient_and_the_offset_still_does(backend):
    arguments = make(CASES["svdn"])
    arguments["offset"].requires_grad_()
    deform_conv2d(**arguments).sum().backward()
    assert arguments["offset"].grad.any() and arguments["weight"].grad is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"offset": torch.zeros(2, 49, 24, 27)},
            ValueError,
            r"the shape of the offset is \(2, 49, 24, 27\)",
        ),
        (
            {"offset": torch.zeros(2, 50, 23, 27)},
            ValueError,
            r"offset has shape .* it must be \(2, 50, 24, 27\)",
        ),
        (
            {"mask": torch.zeros(2, 24, 24, 27)},
            ValueError,
            r"mask has shape .* it must be \(2, 25, 24, 27\)",
        ),
        ({"bias": torch.zeros(31)}, ValueError, "bias has 31 numbers"),
        ({"weight": torch.zeros(32, 30, 5, 5)}, ValueError, "does not divide input"),
        (
            {"weight": torch.zeros(32, 32, 5)},
            ValueError,
            "weight has shape .* it needs 4 dimensions",
        ),
        (
            {"input": torch.zeros(2, 32, 24, 27, dtype=torch.uint8)},
            TypeError,
            "input is torch.uint8",
        ),
        ({"padding": 0, "input": torch.zeros(2, 32, 4, 4)}, ValueError, "an output of 0 x 0"),
        ({"stride": 0}, ValueError, "stride"),
        (
            {"mask": torch.zeros(2, 25, 24, 27, device="meta")},
            ValueError,
            "mask is on meta but input is on cpu",
        ),
    ],
)
def test_wrong_arguments_get_one_clear_sentence(change, error, words):
    with pytest.raises(error, match=f"^deform_conv2d: .*{words}.*") as caught:
        deform_conv2d(**{**make(CASES["svdn"]), **change})
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
