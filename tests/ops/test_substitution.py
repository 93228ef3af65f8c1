"""substitute: other functions in the place of the operators, also within networks."""

import io

import pytest
import torch
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deblurlib import ops


def by_torchvision(input, offset, weight, bias, mask, stride, padding, dilation):
    assert [type(pair) for pair in (stride, padding, dilation)] == [tuple] * 3
    return torchvision_deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask)


def test_a_layer_is_computed_and_differentiated_by_the_substitute():
    layer, image = ops.ModulatedDeformConv2d(4, 6, 3, padding=1), torch.randn(2, 4, 7, 8)
    torch.nn.init.normal_(layer.predictor.weight)
    expected = layer(image)
    (expected_grad,) = torch.autograd.grad(expected.sum(), layer.weight)
    calls = []

    def counted(*arguments):
        calls.append(len(arguments))
        return by_torchvision(*arguments)

    with ops.substitute(deform_conv2d=counted):
        out = layer(image)
    assert calls == [8] and out.grad_fn.name() != expected.grad_fn.name()
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), layer.weight)[0], expected_grad)
    layer(image)
    assert calls == [8]


def test_the_other_operators_name_their_way_and_their_kernel():
    x, seen = torch.randn(1, 2, 5, 6), []

    def note(*arguments):
        seen.append(arguments[2])
        return arguments[0]

    with ops.substitute(spatial_rnn=note, dynamic_filter=note, prelu=lambda x, weight: x):
        assert ops.prelu(x, torch.ones(1)) is x
        assert ops.spatial_rnn(x, x, "left") is x
        assert ops.spatial_rnn_4way(x, torch.cat([x] * 4, 1)) is x
        assert ops.dynamic_filter(x, torch.randn(1, 9, 5, 6)) is x
    assert seen == ["left", "all", 3]


def test_blocks_nest_and_end_with_an_error():
    x = torch.randn(1, 2, 5, 6)
    expected = ops.spatial_rnn(x, x, "up")
    with ops.substitute(spatial_rnn=lambda *_: 1):
        with pytest.raises(KeyError), ops.substitute(spatial_rnn=lambda *_: 2):
            assert ops.spatial_rnn(x, x, "up") == 2
            raise KeyError
        with ops.substitute(dynamic_filter=lambda *_: 3):
            assert ops.spatial_rnn(x, x, "up") == 1
        assert ops.spatial_rnn(x, x, "up") == 1
    assert torch.equal(ops.spatial_rnn(x, x, "up"), expected)


def test_the_arguments_are_checked_as_ever():
    with (
        ops.substitute(spatial_rnn=lambda *_: 1),
        pytest.raises(ValueError, match="direction is 'east'"),
    ):
        ops.spatial_rnn(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), "east")


def test_onnx_traces_the_substitute():
    onnx = pytest.importorskip("onnx")

    def plain_convolution(input, offset, weight, bias, mask, stride, padding, dilation):
        return torch.nn.functional.conv2d(input, weight, bias, stride, padding, dilation)

    layer, file = ops.ModulatedDeformConv2d(2, 3, 3, padding=1).eval(), io.BytesIO()
    with ops.substitute(deform_conv2d=plain_convolution):
        torch.onnx.export(layer, (torch.zeros(1, 2, 6, 6),), file, dynamo=False)
    model = onnx.load_from_string(file.getvalue())
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert "Conv" in {node.op_type for node in model.graph.node}
