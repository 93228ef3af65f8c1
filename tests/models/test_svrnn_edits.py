"""Edits of a trained SVRNN that take one of its parts away."""

import torch

from deblurlib.models import create_model
from deblurlib.models.svrnn import with_averages


def test_averages_take_the_place_of_the_fusing_convolutions():
    torch.manual_seed(0)
    network = create_model("svrnn", size="small").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    averaging = with_averages(network)
    layer = averaging.body.fuse[0]
    x = torch.rand(1, layer.in_channels, 6, 6)
    assert torch.allclose(layer(x), x.unflatten(1, (4, -1)).mean(1), atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    picture = torch.rand(1, 3, 32, 32)
    assert not torch.allclose(averaging(picture), network(picture), atol=1e-3)
