"""What code written for torchvision's deform_conv2d relies on, beyond equal numbers."""

import inspect

import pytest
import torch
import torchvision

from deblurlib import ops

BOTH = pytest.mark.parametrize("library", [ops, torchvision.ops], ids=["deblurlib", "torchvision"])
INPUT = torch.rand(2, 6, 5, 4)
GOOD = {"offset": torch.rand(2, 24, 5, 5), "weight": torch.rand(2, 3, 3, 2), "padding": (1, 1)}


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": torch.rand(2, 2, 5, 5)},
        {"offset": torch.rand(2, 24, 4, 5)},
        {"offset": torch.rand(1, 24, 5, 5)},
        {"mask": torch.rand(2, 2, 5, 5)},
        {"mask": torch.rand(2, 12, 3, 3)},
        {"weight": torch.rand(2, 4, 3, 2)},
        {"bias": torch.rand(3)},
        {"input": INPUT.long()},
    ],
    ids=lambda wrong: " ".join(f"{name} {tuple(t.shape)}" for name, t in wrong.items()),
)
def test_arguments_that_do_not_fit_are_runtime_errors(library, wrong):
    assert library.deform_conv2d(INPUT, **GOOD).shape == (2, 2, 5, 5)
    with pytest.raises(RuntimeError):
        library.deform_conv2d(**{"input": INPUT, **GOOD, **wrong})


@BOTH
def test_messages_name_the_offset_by_the_same_words(library):
    layer = library.DeformConv2d(6, 2, (3, 2), stride=(2, 1), padding=(1, 0), groups=2)
    with pytest.raises(RuntimeError, match="the shape of the offset"):
        layer(INPUT, torch.rand(2, 2, 3, 3))


@BOTH
@pytest.mark.parametrize("channels", [(3, 4), (4, 3)])
def test_groups_that_do_not_divide_the_channels_are_value_errors(library, channels):
    with pytest.raises(ValueError):
        library.DeformConv2d(*channels, 3, groups=2)


@pytest.mark.parametrize("name", ["deform_conv2d", "DeformConv2d"])
def test_the_parameters_of_torchvision_are_accepted_in_its_order(name):
    ours, theirs = (
        list(inspect.signature(getattr(library, name)).parameters)
        for library in (ops, torchvision.ops)
    )
    assert ours[: len(theirs)] == theirs


def test_a_layer_takes_the_parameters_of_torchvisions():
    ours = ops.DeformConv2d(6, 2, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2)
    theirs = torchvision.ops.DeformConv2d(
        6, 2, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2
    )
    ours.load_state_dict(theirs.state_dict())
    size = theirs(INPUT[:, :, :, :3].new_zeros(2, 6, 9, 8), torch.zeros(2, 24, 4, 6)).shape
    image, offset, mask = torch.rand(2, 6, 9, 8), torch.rand(2, 24, 4, 6), torch.rand(2, 12, 4, 6)
    assert size == (2, 2, 4, 6)
    torch.testing.assert_close(ours(image, offset, mask), theirs(image, offset, mask))
