import pytest
import torch
from torch import nn

from deblurlib.models import create_model, list_variants
from deblurlib.ops import deform_conv2d, sampling_points

PARAMETERS = {
    "base": 720_623,
    "dilated": 720_623,
    "fd": 812_019,
    "fd_og": 812_019,
    "fd_rigid": 812_019,
    "no_concat": 701_427,
    "no_skip": 812_019,
    "paper": 812_019,
}
PARTS = {"stem": 37_731, "stages": 442_374, "fuse": 147_457, "head": 10_116}


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_every_variant_has_a_known_count():
    assert set(PARAMETERS) == set(list_variants("svdn"))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_counts(variant):
    assert count(create_model("svdn", variant)) == PARAMETERS[variant]
    assert count(create_model("svdn", variant, size="small")) < 400_000


@pytest.mark.parametrize("part", PARTS)
def test_parameter_counts_by_part(part):
    assert count(getattr(create_model("svdn"), part)) == PARTS[part]


@pytest.mark.parametrize(
    "option, expected", [({"fuse_stem": False}, 775_155), ({"stem_blocks": 2}, 830_452)]
)
def test_named_alternatives(option, expected):
    assert count(create_model("svdn", **option)) == expected


def test_odd_sizes_are_padded_not_resized():
    """A picture and its padded twin give the same output away from the border."""
    torch.manual_seed(0)
    model, x = create_model("svdn", "dilated", size="small").eval(), torch.rand(1, 3, 160, 161)
    with torch.no_grad():
        assert torch.allclose(model(x)[..., :60], model(x[..., :160])[..., :60], atol=1e-6)


@pytest.mark.parametrize("variant, reach", [("base", 73), ("dilated", 137)])
def test_receptive_field(variant, reach):
    """Measured by gradient, with positive weights so that nothing cancels."""
    model = create_model("svdn", variant, size="small").double()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.01)
    x = torch.rand(1, 3, 192, 192, dtype=torch.float64, requires_grad=True)
    model(x)[0, 0, 96, 96].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert (rows.max() - rows.min() + 1).item() == reach


def test_starts_as_half_a_plain_convolution():
    """Zero offsets and logits: the points lie on the 5x5 grid, and each mask is one half."""
    torch.manual_seed(0)
    model = create_model("svdn", size="small")
    extras = model.extras(torch.rand(1, 3, 32, 32))
    assert extras["offset"].abs().max() == 0 and extras["mask"].eq(0.5).all()
    x = torch.rand(1, 16, 16, 16)
    dcn = model.neck.dcn1
    plain = nn.functional.conv2d(x, dcn.weight, dcn.bias, padding=2)
    half = dcn(x, torch.zeros(1, 50, 16, 16), torch.full((1, 25, 16, 16), 0.5))
    assert torch.allclose(
        half - dcn.bias.view(1, -1, 1, 1), (plain - dcn.bias.view(1, -1, 1, 1)) / 2, atol=1e-5
    )


def test_second_sampling_depends_on_the_first_alone():
    """Eq. 5: changing the content feature changes the output, not ow2."""
    torch.manual_seed(0)
    neck = create_model("svdn", size="small").neck
    for layer in (neck.ow1, neck.ow2[-1]):
        nn.init.xavier_uniform_(layer.weight)
    blur, content = torch.rand(1, 16, 12, 12), torch.rand(1, 16, 12, 12)
    (y, e), (y_other, e_other) = neck(blur, content), neck(blur, content + 1)
    assert not torch.equal(y, y_other)
    assert torch.equal(e["offset2"], e_other["offset2"]) and torch.equal(
        e["mask2"], e_other["mask2"]
    )
    assert not torch.equal(e["offset2"], neck(blur + torch.rand_like(blur), content)[1]["offset2"])


def test_rigid_control_never_moves_its_points():
    torch.manual_seed(0)
    model = create_model("svdn", "fd_rigid", size="small")
    nn.init.normal_(model.neck.ow1.weight)
    extras = model.extras(torch.rand(1, 3, 32, 32))
    assert extras["offset"].abs().max() == 0 and extras["mask"].std() > 0


def test_without_the_global_skip_the_output_is_what_was_added():
    torch.manual_seed(0)
    whole, bare, x = (
        create_model("svdn", size="small"),
        create_model("svdn", "no_skip", size="small"),
        torch.rand(1, 3, 33, 40),
    )
    bare.load_state_dict(whole.state_dict())
    with torch.no_grad():
        assert torch.allclose(x + bare(x), whole(x), atol=1e-6)


def test_without_concatenation_only_the_last_features_go_on():
    torch.manual_seed(0)
    model, x = create_model("svdn", "no_concat", size="small"), torch.rand(1, 3, 32, 32)
    read = []
    model.fuse.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model.stages[-1].register_forward_hook(lambda _, inputs, output: read.append(output))
    model(x)
    assert torch.equal(*read)


def test_layout_of_offsets_by_a_unit_shift_on_a_ramp():
    """Offset channel 2t is down, 2t + 1 is right, and sampling_points says where that reads."""
    down, right = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    ramp = torch.stack([10 * down, right]).sum(0)[None, None]
    weight = torch.zeros(1, 1, 5, 5)
    weight[..., 2, 2] = 1
    for channel, step in ((24, 10.0), (25, 1.0)):
        offset = torch.zeros(1, 50, 9, 9)
        offset[:, channel] = 1
        assert (deform_conv2d(ramp, offset, weight, padding=2) - ramp)[
            0, 0, 4, 4
        ].item() == pytest.approx(step)
    points = sampling_points(torch.zeros(1, 50, 1, 1))[0, :, :, 0, 0]
    assert (
        points[:, 0].tolist() == [-2, -2]
        and points[:, 12].tolist() == [0, 0]
        and points[:, 4].tolist() == [2, -2]
    )
    offset = torch.zeros(1, 50, 1, 1)
    offset[0, 25] = 3  # the centre tap, 3 to the right
    assert sampling_points(offset)[0, :, 12, 0, 0].tolist() == [3, 0]
