"""torch.fx records a call of an operator as one node."""

import pickle

import pytest
import torch

from deblurlib import ops


class Network(torch.nn.Module):
    """All operators in a row."""

    def __init__(self):
        super().__init__()
        self.modulated = ops.ModulatedDeformConv2d(3, 4, 3, padding=1)
        self.plain = ops.DeformConv2d(4, 4, 3, padding=1)
        self.activation = ops.PReLU()

    def forward(self, image, offset, p):
        features = self.plain(self.modulated(image), offset)
        features = ops.spatial_rnn_4way(features, p)
        features = ops.spatial_rnn(features, features.tanh(), direction="left")
        features = self.activation(features)
        return ops.dynamic_filter(features, offset[:, :9]), ops.sampling_points(offset)


def test_a_network_is_traced_and_pickled():
    torch.manual_seed(0)
    network = Network()
    pictures = torch.randn(1, 3, 6, 7), torch.randn(1, 18, 6, 7), torch.rand(1, 16, 6, 7)
    traced = torch.fx.symbolic_trace(network)
    called = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    for operator in (
        ops.deform_conv2d,
        ops.spatial_rnn,
        ops.spatial_rnn_4way,
        ops.dynamic_filter,
        ops.prelu,
        ops.sampling_points,
    ):
        assert operator in called
    for copy in (traced, pickle.loads(pickle.dumps(traced))):
        for found, expected in zip(copy(*pictures), network(*pictures), strict=True):
            assert torch.equal(found, expected)


def test_a_traced_operator_checks_its_arguments():
    traced = torch.fx.symbolic_trace(lambda x, p: ops.spatial_rnn(x, p, "up"))
    with pytest.raises(ValueError, match="p has shape"):
        traced(torch.ones(1, 2, 3, 4), torch.ones(1, 1, 3, 4))


def test_a_subclass_of_tensor_stays_one():
    class Picture(torch.Tensor):
        pass

    x = torch.randn(1, 1, 3, 4).as_subclass(Picture)
    out = ops.spatial_rnn(x, 0.5 * torch.ones(1, 1, 3, 4), "down")
    assert type(out) is Picture
    assert torch.equal(
        torch.Tensor(out), ops.spatial_rnn(torch.Tensor(x), 0.5 * torch.ones(1, 1, 3, 4), "down")
    )
