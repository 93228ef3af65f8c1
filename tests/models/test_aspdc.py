import json

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from deblurlib.models import count_macs, create_model, list_variants, load_model
from deblurlib.models.aspdc import ASPDCConfig, ASPDCModule, misread_by_mmcv
from deblurlib.models.released import translate_aspdc

TABLE_5 = {  # version: parameters, multiply-accumulates at 720p in units of 1e9
    "v1": (7_369_017, 463.8),
    "v2": (12_870_375, 780.4),
    "v3": (12_870_375, 780.4),
    "v4": (12_870_375, 780.4),
    "v5": (13_943_439, 842.2),
    "v6": (13_943_439, 842.2),
    "v7": (13_943_439, 842.2),
    "v8": (15_016_503, 903.9),
    "v9": (15_016_503, 903.9),
    "v10": (15_016_503, 903.9),
    "v11": (10_585_887, 649.0),
    "v12": (15_016_503, 903.9),
}
CONTROLS = {
    "v1_deep": 12_682_041,
    "v11_deep": 15_898_911,
    "v11_mean": 10_585_887,
    "v12_averaged": 15_016_503,
    "v1_flat": 7_369_017,
    "v1_plain": 7_306_755,
    "mmcv_flat": 15_016_503,
    "figure3": 13_245_495,
    "direct": 15_016_503,
    "paper": 15_016_503,
}
PARAMETERS = {version: parameters for version, (parameters, _) in TABLE_5.items()} | CONTROLS
TINY = {"width": 4, "n_modules": 2}


def make(variant="paper", **overrides):
    torch.manual_seed(0)
    return create_model("aspdc", variant, **{**TINY, **overrides})


def hollow(variant="paper", **overrides):
    with torch.device("meta"):
        return create_model("aspdc", variant, **overrides)


def count(module):
    return sum(p.numel() for p in module.parameters())


def scatter(model):
    """Random weights everywhere, so that offsets, masks and attention are neither zero nor even."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        scale = 1 if parameter.dim() == 1 else (1.5 / parameter[0].numel()) ** 0.5
        parameter.data.normal_(std=scale, generator=generator)
    return model.eval()


def test_every_variant_has_a_known_count():
    assert set(PARAMETERS) == set(list_variants("aspdc"))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_counts(variant):
    assert count(hollow(variant)) == PARAMETERS[variant]
    assert count(hollow(variant, width=8, n_modules=2)) <= 400_000
    assert count(create_model("aspdc", variant, size="small")) == count(
        hollow(variant, width=8, n_modules=2)
    )


@pytest.mark.parametrize(
    "width, n_modules, expected",
    [
        (16, 6, 3_914_295),
        (16, 2, 1_342_399),
        (12, 2, 775_295),
        (8, 6, 1_058_871),
        (8, 2, 362_559),
        (4, 2, 104_191),
    ],
)
def test_parameter_counts_of_other_sizes(width, n_modules, expected):
    assert count(hollow(width=width, n_modules=n_modules)) == expected


@pytest.mark.parametrize("n_modules", [1, 4, 6])
@pytest.mark.parametrize("n, variant", [(1, "v1"), (2, "v3"), (3, "v7"), (4, "v9")])
def test_parameter_counts_follow_a_formula(n_modules, n, variant):
    module = 885_504 + 157_961 + 178_715 * (n - 1) + (737_920 + 129 * n if n > 1 else 0)
    assert (
        count(hollow(variant, n_modules=n_modules))
        == 223_363 + 147_456 * n_modules + 128 + n_modules * module
    )


def test_parameter_counts_by_part():
    model = hollow()
    parts = {"head": 130_240, "body": 13_908_276, "dense": 884_864, "tail": 93_123}
    assert {part: count(getattr(model, part)) for part in parts} == parts and len(
        model.state_dict()
    ) == 298
    parts = {
        "blocks": 590_336,
        "pre": 147_584,
        "afim": 738_436,
        "fusion": 147_584,
        "branches": 694_106,
    }
    assert {part: count(getattr(model.body[5], part)) for part in parts} == parts
    assert [count(branch) for branch in model.body[0].branches] == [157_961] + 3 * [178_715]


@pytest.mark.parametrize("version", TABLE_5)
def test_macs_at_720p(version):
    assert count_macs(hollow(version), (720, 1280)) / 1e9 == pytest.approx(
        TABLE_5[version][1], abs=0.06
    )


def test_afim_may_see_the_branches_instead():
    model = scatter(make(afim_input="branches"))
    assert model.body[0].afim[0].in_channels == 4 * 16 and model(
        torch.rand(1, 3, 20, 20)
    ).shape == (1, 3, 20, 20)


def test_branches_may_be_a_list_as_in_json():
    branches = create_model("aspdc", **TINY, branches=[0, 3])
    assert branches.config.branches == [0, 3] and branches(torch.rand(1, 3, 21, 18)).shape == (
        1,
        3,
        21,
        18,
    )


def test_odd_sizes_are_padded_not_resized():
    """A picture and its padded twin give the same output away from the border."""
    model, x = (
        make("v12", width=2, n_modules=1).double(),
        torch.rand(1, 3, 64, 161, dtype=torch.float64),
    )
    with torch.no_grad():
        assert torch.allclose(model(x)[..., :60], model(x[..., :160])[..., :60], atol=1e-12)


def test_precision():
    model, x = scatter(make("paper")), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        double = model.double()(x.double())
        assert double.dtype == torch.float64
        single = model.float()(x)
        assert (single - double).abs().max() < 1e-4
        fresh = make("paper")
        with torch.autocast("cpu", torch.bfloat16):
            half = fresh(x)
        assert (half.float() - fresh(x)).abs().max() < 0.05


def test_channels_last_gives_the_same():
    model, x = scatter(make("paper")).double(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        expected = model(x)
        found = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert torch.allclose(found, expected, atol=1e-11)


def test_the_output_corrects_the_blurry_picture_unless_direct():
    x = torch.rand(1, 3, 16, 16)
    for variant, expected in (("paper", x), ("direct", torch.full_like(x, 0.5))):
        model = make(variant)
        for parameter in model.tail[-1].parameters():
            nn.init.zeros_(parameter)
        assert torch.allclose(model(x), expected, atol=1e-6)


# ---------------------------------------------------------------------- the module, equations 3, 4


def test_starts_as_half_a_plain_convolution():
    """Zero offsets and logits: the points lie on the 3x3 grid, and each mask is one half."""
    model = make()
    extras = model.extras(torch.rand(1, 3, 32, 32))
    assert extras["offset"].abs().max() == 0 and extras["mask"].eq(0.5).all()
    assert extras["points"][0, 0, 0, :, 0, 0, 0].tolist() == [-1, -1]
    r, branch = torch.rand(1, 16, 8, 8), model.body[0].branches[3]
    nn.init.normal_(branch.deform.bias)
    half = F.conv2d(r, branch.deform.weight / 2, branch.deform.bias, padding=1)
    assert torch.allclose(branch(r)[0], half, atol=1e-5)


@pytest.mark.parametrize(
    "init, transposed_is_xavier, predictors_start_at_zero",
    [
        ("zero", True, True),
        ("paper", True, False),
        ("official", False, False),
    ],
)
def test_initialisation(init, transposed_is_xavier, predictors_start_at_zero):
    model = make(init=init, width=8, n_modules=1)
    transposed, plain, branch = (
        model.tail[0].weight,
        model.body[0].pre[0].weight,
        model.body[0].branches[1],
    )

    def xavier(w):
        return (2 / (9 * (w.shape[0] + w.shape[1]))) ** 0.5

    assert plain.std().item() == pytest.approx(xavier(plain), rel=0.05)
    assert (abs(transposed.std().item() / xavier(transposed) - 1) < 0.05) == transposed_is_xavier
    assert branch.deform.weight.std().item() == pytest.approx(
        xavier(branch.deform.weight), rel=0.05
    )
    for layer in (branch.offset, branch.mask):
        assert layer.weight.any() != predictors_start_at_zero and not layer.bias.any()
    assert not branch.deform.bias.any() and model.body[0].fusion.bias.any()


def test_attention_sums_to_one_and_fuses_the_branches():
    module, x = scatter(ASPDCModule(8, ASPDCConfig())), torch.randn(2, 8, 12, 10)
    seen = {}
    module.afim.register_forward_hook(lambda _, inputs, a: seen.update(x=inputs[0], a=a))
    for i, branch in enumerate(module.branches):
        branch.register_forward_hook(
            lambda _, inputs, out, i=i: seen.update({f"r{i}": inputs[0], i: out[0]})
        )
    module.fusion.register_forward_hook(
        lambda _, inputs, out: seen.update(f_o=inputs[0], fused=out)
    )
    out, details = module(x)
    a = seen["a"]
    assert (
        a.shape == (2, 4, 12, 10) and (a.sum(1) - 1).abs().max() < 1e-6 and a.std() > 0.05
    )  # Eq. (4)
    assert torch.allclose(
        seen["f_o"], sum(a[:, i, None] * seen[i] for i in range(4)), atol=1e-6
    )  # Eq. (3)
    assert torch.equal(seen["x"], module.blocks(x)) and torch.equal(out, seen["x"] + seen["fused"])
    assert all(torch.equal(seen[f"r{i}"], module.pre(seen["x"])) for i in range(4))
    assert torch.allclose(
        details()["strength"][:, 2], (a[:, 2, None] * seen[2]).square().mean(1).sqrt(), atol=1e-6
    )


def test_attention_can_be_changed_from_outside():
    model, x = scatter(make()), torch.rand(1, 3, 32, 32)
    before = model(x)
    handle = model.body[-1].afim.register_forward_hook(lambda _, inputs, a: a.flip(1))
    assert not torch.allclose(model(x), before, atol=1e-4)
    handle.remove()
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("fusion, total", [("sum", 4), ("mean", 1), ("averaged", 1), ("afim", 1)])
def test_kinds_of_fusion(fusion, total):
    attention = scatter(make(fusion=fusion)).extras(torch.rand(1, 3, 32, 32))["attention"]
    assert attention.shape == (1, 2, 4, 8, 8) and torch.allclose(
        attention.sum(2), torch.tensor(float(total)), atol=1e-5
    )
    assert (attention.std((-1, -2)).max() > 1e-3) == (fusion == "afim")


def test_mean_is_a_quarter_of_sum():
    modules = [
        scatter(ASPDCModule(8, ASPDCConfig(fusion=fusion, figure3=True)))
        for fusion in ("mean", "sum")
    ]
    x = torch.rand(1, 8, 6, 6)
    assert torch.allclose(4 * modules[0](x)[0], modules[1](x)[0], atol=1e-5)


@pytest.mark.parametrize("i, reach", [(0, 3), (1, 3), (2, 5), (3, 9)])
def test_dilation_belongs_to_the_prediction_alone(i, reach):
    branch = make().body[0].branches[i]
    assert branch.deform.dilation == (1, 1) and branch.deform.padding == (1, 1)
    for layer in filter(None, (branch.offset, branch.mask)):
        nn.init.constant_(layer.weight, 0.01)
        r = torch.rand(1, 16, 21, 21, requires_grad=True)
        layer(r)[0, 0, 10, 10].backward()
        rows = r.grad.abs().sum((0, 1, 3)).nonzero()
        assert (rows.max() - rows.min() + 1).item() == reach and layer(r).shape[-2:] == r.shape[-2:]
    assert (branch.offset is None) == (i == 0)


def test_offsets_are_dy_dx_tap_after_tap():
    """A branch whose offsets are (2, -1) at every tap sees its input shifted by 2 up and 1
    right."""
    branch, r = make().body[0].branches[2], torch.rand(1, 16, 12, 12)
    with torch.no_grad():
        branch.offset.bias[0::2], branch.offset.bias[1::2] = 2.0, -1.0
    still = F.conv2d(r, branch.deform.weight / 2, padding=1)
    assert torch.allclose(branch(r)[0][..., 2:8, 3:9], still[..., 4:10, 2:8], atol=1e-5)
    with torch.no_grad():
        branch.offset.bias.zero_()[2 * 5 + 1] = (
            3.0  # the sixth tap reads three further to the right
        )
    weight = torch.zeros_like(branch.deform.weight)
    weight[..., 1, 2] = branch.deform.weight.data[..., 1, 2]
    moved = still + F.conv2d(r.roll(-3, -1) - r, weight / 2, padding=1)
    assert torch.allclose(branch(r)[0][..., 1:8], moved[..., 1:8], atol=1e-5)


def test_duplicate_branches_have_weights_of_their_own():
    branches = make("v9").body[0].branches
    assert len({branch.deform.weight.data_ptr() for branch in branches}) == 4
    assert [branch.mask.dilation[0] for branch in branches] == [1, 2, 2, 2]


def test_extras_tell_modules_and_branches_apart():
    model, x = scatter(make("v5")), torch.rand(2, 3, 32, 40)
    output, extras = model(x, return_extras=True)
    assert torch.equal(output, model(x))
    shapes = {"points": (2, 9), "offset": (18,), "mask": (9,), "attention": (), "strength": ()}
    assert {key: tuple(value.shape) for key, value in extras.items()} == {
        k: (2, 2, 3, *s, 8, 10) for k, s in shapes.items()
    }
    offset, (points_x, points_y) = extras["offset"][0, 1, 2], extras["points"][0, 1, 2]
    assert torch.allclose(points_x[5], 1 + offset[11]) and torch.allclose(points_y[5], offset[10])
    assert not extras["offset"][:, :, 0].any() and extras["offset"][:, :, 1:].std() > 0.1


def test_unknown_options_are_named():
    with pytest.raises(ValueError, match="no fusion 'max': choose one of afim, sum"):
        create_model("aspdc", fusion="max")


# ----------------------------------------------------------------- the mask as mmcv 1.3.9 reads it


def test_misread_mask_by_address():
    mask, out = torch.rand(2, 9, 4, 3), None
    memory = mask.flatten().tolist()
    out = misread_by_mmcv(mask, 6, 5, fill=7.0)
    for b in range(2):
        for k, y, x in ((0, 0, 0), (0, 1, 0), (3, 2, 4), (8, 5, 4), (2, 5, 1)):
            address = b * 9 * 4 * 3 + (k * 6 + y) * 5 + x
            assert out[b, k, y, x].item() == (memory[address] if address < len(memory) else 7.0)


@pytest.mark.parametrize(
    "size, past, right_tap, past_of_last_tap",
    [((64, 64), 2268, 0.69, 0.55), ((180, 320), 8964, 0.91, 0.16)],
)
def test_how_much_of_the_mask_is_misread(size, past, right_tap, past_of_last_tap):
    taps = torch.arange(9.0).view(1, 9, 1, 1).expand(1, 9, size[0] - 2, size[1] - 2)
    read = misread_by_mmcv(taps, *size, fill=-1.0)
    assert read.eq(-1).sum() == past and read[0, 8].eq(-1).double().mean().item() == pytest.approx(
        past_of_last_tap, abs=0.005
    )
    assert read.eq(torch.arange(9.0).view(9, 1, 1)).double().mean().item() == pytest.approx(
        right_tap, abs=0.006
    )


def test_flat_option_uses_it_and_padded_does_not():
    r = torch.rand(2, 16, 10, 8)
    branch = scatter(make("mmcv_flat", flat_fill=0.5)).body[0].branches[0]
    mask = F.conv2d(r, branch.mask.weight, branch.mask.bias).sigmoid()
    assert torch.equal(branch(r)[2], misread_by_mmcv(mask, 10, 8, 0.5))
    padded = scatter(make("paper")).body[0].branches[0]
    assert torch.allclose(padded(r)[2][..., 1:-1, 1:-1], mask, atol=1e-6)
    plain = scatter(make("v1_plain")).body[0].branches[0]
    assert plain.mask is None
    assert torch.allclose(
        plain(r)[0], F.conv2d(r, plain.deform.weight, plain.deform.bias, padding=1), atol=1e-5
    )


# ---------------------------------------------------------------------------- the authors' weights

GROUPS = [
    "en_res_group1",
    "en_res_group2",
    "en_res_group3",
    "de_res_group3",
    "de_res_group2",
    "de_res_group1",
]


def released_state(w):
    """Random weights under the names and shapes of the authors' files."""
    shapes, c = {}, 4 * w

    def add(name, shape):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    def add_block(name, channels):
        add(f"{name}.model.0", (channels, channels, 3, 3))
        add(f"{name}.model.2", (channels, channels, 3, 3))

    add("head.0", (w, 3, 3, 3))
    add_block("head.2", w)
    add_block("head.3", w)
    add("head.4", (2 * w, w, 3, 3))
    add("head.6", (c, 2 * w, 3, 3))
    for group in GROUPS:
        add_block(f"{group}_1.0", c)
        add_block(f"{group}_1.1", c)
        add(f"{group}_2.res_conv.0", (c, c, 3, 3))
        for i, prefix in enumerate(
            ["hallucination_d0"] + [f"hallucination_d{i}.hallucination_conv" for i in (1, 2, 3)]
        ):
            if i:
                add(f"{group}_2.{prefix}.p_conv", (18, c, 3, 3))
            add(f"{group}_2.{prefix}.m_conv", (9, c, 3, 3))
            add(f"{group}_2.{prefix}.dconv", (c, c, 3, 3))
        add(f"{group}_2.mask_conv.0", (c, c, 3, 3))
        add_block(f"{group}_2.mask_conv.2", c)
        add_block(f"{group}_2.mask_conv.3", c)
        add(f"{group}_2.mask_conv.4", (4, c, 1, 1))
        add(f"{group}_2.fusion_conv", (c, c, 3, 3))
    add("dense_conv.0", (c, 6 * c, 3, 3))
    for name, a, b in (("tail.0", c, 2 * w), ("tail.2", 2 * w, w)):
        add(name, (a, b, 3, 3))
        shapes[f"{name}.bias"] = (b,)
    add("tail.4", (3, w, 3, 3))
    generator = torch.Generator().manual_seed(2)
    scale = {
        name: 0.5 if len(shape) == 1 else (1.2 / (shape[1] * shape[2] ** 2)) ** 0.5
        for name, shape in shapes.items()
    }
    return {
        name: scale[name] * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }


def released_forward(state, x):
    """The network written a second time, from the names of the authors' files, in [-1, 1]; branch
    1's mask padded."""

    def conv(name, x, stride=1, d=1):
        weight = state[f"{name}.weight"]
        return F.conv2d(
            x,
            weight,
            state[f"{name}.bias"],
            stride,
            padding=d * (weight.shape[-1] // 2),
            dilation=d,
        )

    def leaky(x):
        return F.leaky_relu(x, 0.1)

    def block(name, x):
        return x + conv(f"{name}.model.2", leaky(conv(f"{name}.model.0", x)))

    def up(name, x):
        return F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 2, 1, 1)

    blurry, outputs = x, []
    x = block("head.3", block("head.2", leaky(conv("head.0", x))))
    x = leaky(conv("head.6", leaky(conv("head.4", x, 2)), 2))
    for group in GROUPS:
        x, g = block(f"{group}_1.1", block(f"{group}_1.0", x)), f"{group}_2"
        r, f = leaky(conv(f"{g}.res_conv.0", x)), []
        for i, d in enumerate((1, 1, 2, 4)):
            prefix = f"{g}.hallucination_d{i}" + (".hallucination_conv" if i else "")
            offset = (
                conv(f"{prefix}.p_conv", r, d=d) if i else r.new_zeros(len(r), 18, *r.shape[2:])
            )
            mask = conv(f"{prefix}.m_conv", r, d=d).sigmoid()
            weight, bias = state[f"{prefix}.dconv.weight"], state[f"{prefix}.dconv.bias"]
            f.append(torchvision.ops.deform_conv2d(r, offset, weight, bias, padding=1, mask=mask))
        a = block(f"{g}.mask_conv.3", block(f"{g}.mask_conv.2", leaky(conv(f"{g}.mask_conv.0", x))))
        a = conv(f"{g}.mask_conv.4", a).softmax(1)
        x = x + conv(f"{g}.fusion_conv", sum(a[:, i : i + 1] * f[i] for i in range(4)))
        outputs.append(x)
    x = leaky(up("tail.0", leaky(conv("dense_conv.0", torch.cat(outputs, 1)))))
    return blurry + conv("tail.4", leaky(up("tail.2", x)))


@pytest.fixture
def released(tmp_path):
    """A file as the authors wrote it, narrow, and the recipe that says so."""
    state, path = released_state(4), tmp_path / "DeblurringNet_FT.pth"
    torch.save({"epoch": 3, "deblurring_state_dict": state}, path)
    recipe = {"name": "aspdc", "variant": "paper", "size": "full", "overrides": {"width": 4}}
    path.with_suffix(".json").write_text(json.dumps({"recipe": recipe}))
    return state, path


def test_released_weights_load_and_compute_what_they_did(released):
    state, path = released
    with pytest.warns(UserWarning, match=r"mask of branch 1.*mmcv_flat"):
        model = load_model("aspdc", path).double()
    x = torch.rand(2, 3, 24, 32, dtype=torch.float64)
    expected = (
        released_forward({name: tensor.double() for name, tensor in state.items()}, 2 * x - 1) + 1
    ) / 2
    with torch.no_grad():
        assert (expected - x).std() > 0.1 and torch.allclose(model(x), expected, atol=1e-9)
    assert torch.equal(
        model.body[5].branches[3].offset.bias,
        state["de_res_group1_2.hallucination_d3.hallucination_conv.p_conv.bias"],
    )


def test_released_names_cover_the_full_network():
    with pytest.warns(UserWarning):
        names = translate_aspdc({"deblurring_state_dict": released_state(1)})
    assert set(names) == set(hollow("mmcv_flat").state_dict()) and len(names) == 298


def test_released_weights_that_do_not_fit_are_named(released):
    state, path = released
    del state["en_res_group2_2.fusion_conv.bias"]
    state["head.0.weight"] = torch.zeros(5, 3, 3, 3)
    torch.save({"deblurring_state_dict": state}, path)
    message = (
        r"does not fit.*2 mismatches.*body.1.fusion.bias is missing; "
        r"head.0.weight has shape \(5, 3, 3, 3\) instead of"
    )
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=message):
        load_model("aspdc", path)
