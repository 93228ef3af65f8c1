import copy
import itertools
import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deblurlib.models import count_macs, count_parameters, create_model, list_variants
from deblurlib.models.pretrained import fold_stride, start_from_densenet121
from deblurlib.models.radn import (
    SMALL,
    Context,
    DeformableConv,
    SelfAttention,
    attend,
    attention_map,
    filter_stretch,
    offset_length,
    self_ensemble,
)

# parameters of the full and the small width, and 1e9 multiply-accumulates at 720 x 1280
RADN = {
    "radn1": (6_312_899, 91_763, 302.9),
    "radn2": (6_312_899, 91_763, 302.9),
    "radn3": (9_258_115, 148_939, 487.9),
    "radn4": (10_570_115, 152_331, 745.7),
    "radn4_wide": (12_737_108, 369_702, 891.9),
    "final": (12_732_167, 362_607, 891.0),
    "final_plus": (12_732_167, 362_607, None),
    "fast": (12_737_360, 363_912, 181.3),
    "lite_skips": (11_115_527, 305_807, 706.2),
    "units_12_16_24": (16_211_955, 362_607, 1260.3),
    "paper": (12_732_167, 362_607, 891.0),
}
BASELINE = {
    "conv6": (2_659_075, 167_107, 332.8),
    "conv6_sa": (2_679_715, 168_427, 334.0 + 477.8),
    "conv3_deform3": (2_721_337, 182_713, 336.4),
    "deform6": (2_783_599, 198_319, 340.0),
    "deform6_sa": (2_804_239, 199_639, 341.2 + 477.8),
    "paper": (2_804_239, 199_639, 341.2 + 477.8),
}
ROWS = [("radn", v, *row) for v, row in RADN.items()] + [
    ("radn_baseline", v, *row) for v, row in BASELINE.items()
]
NETWORKS = [row[:2] for row in ROWS]
ENCODER = {
    "conv0": 12_288,
    "norm0": 128,
    "denseblock1": 335_040,
    "transition1": 33_280,
    "denseblock2": 919_680,
    "transition2": 132_096,
    "denseblock3": 2_837_760,
    "norm3": 2_048,
}


def hollow(*arguments, **overrides):
    with torch.device("meta"):
        return create_model(*arguments, **overrides)


def small(name="radn", variant="paper", **overrides):
    """A small network after training, so to speak: nothing is left at zero, and offsets are a
    pixel or so."""
    torch.manual_seed(0)
    model = create_model(name, variant, size="small", **overrides)
    for part in model.modules():
        if isinstance(part, DeformableConv):
            nn.init.normal_(part.offset.weight, std=0.05)
            nn.init.uniform_(part.offset.bias, -1, 1)
    nn.init.normal_(model.reconstruction.weight, std=0.05)
    return model


# ----------------------------------------------------------------------------------- size and cost


def test_every_variant_has_a_known_count():
    assert set(RADN) == set(list_variants("radn")) and set(BASELINE) == set(
        list_variants("radn_baseline")
    )


@pytest.mark.parametrize("name, variant, full, narrow, giga", ROWS)
def test_parameters_and_macs(name, variant, full, narrow, giga):
    model = hollow(name, variant)
    assert count_parameters(model) == full
    assert count_parameters(hollow(name, variant, size="small")) == narrow < 400_000
    if giga:
        assert count_macs(model, (720, 1280)) / 1e9 == pytest.approx(giga, abs=0.1)
    else:  # the ensemble
        assert count_macs(model, (64, 64)) == 8 * count_macs(hollow("radn", "final"), (64, 64))


def test_parameter_counts_by_part():
    model = hollow("radn")
    assert {
        name: count_parameters(part) for name, part in model.encoder.named_children()
    } == ENCODER
    assert (
        count_parameters(model.encoder) == 4_272_320
        and sum(b.numel() for b in model.encoder.buffers()) == 53_528 + 6
    )
    assert [count_parameters(part) for part in model.decoder] == [3_292_652, 2_050_924, 1_113_132]
    assert [count_parameters(part) for part in model.up] == [524_416, 131_136, 32_800]
    rest = model.attention, model.context, model.reconstruction
    assert [count_parameters(part) for part in rest] == [1_312_000, 1_056, 1_731]


@pytest.mark.parametrize(
    "variant, expected",
    [("radn2", [690_944, 403_328, 255_168]), ("radn3", [2_219_456, 1_350_976, 724_224])],
)
def test_parameter_counts_of_the_other_modules(variant, expected):
    assert [count_parameters(part) for part in hollow("radn", variant).decoder] == expected


@pytest.mark.parametrize(
    "level, first, last",
    [
        (0, (1024, 165_906, 294_944), (1184, 191_826, 341_024)),
        (1, (640, 103_698, 184_352), (800, 129_618, 230_432)),
        (2, (320, 51_858, 92_192), (480, 77_778, 138_272)),
    ],
)
def test_units_are_dense(level, first, last):
    """Unit k sees n + 32k channels: the first and the last of six."""
    units = hollow("radn").decoder[level].units
    assert len(units) == 6
    for unit, (channels, offset, dcn) in ((units[0], first), (units[5], last)):
        assert unit.dcn.in_channels == channels
        assert (count_parameters(unit.offset), count_parameters(unit.dcn)) == (offset, dcn)


@pytest.mark.parametrize("size, tolerance", [("full", 0.001), ("small", 0.02)])
def test_wide_control_is_as_large_as_final(size, tolerance):
    wide, final = (count_parameters(hollow("radn", v, size=size)) for v in ("radn4_wide", "final"))
    assert wide == pytest.approx(final, rel=tolerance)


@pytest.mark.parametrize("growth, million", [(48, 15.12), (64, 17.72)])
def test_wider_modules_do_not_fit_the_printed_saving(growth, million):
    assert count_parameters(hollow("radn", module_growth=growth)) / 1e6 == pytest.approx(
        million, abs=0.005
    )


def test_printed_megabytes_are_decimal():
    """Table 2 prints 10.6, 10.7, 10.9, 11.2, 11.2; only the fourth misses, by 0.016."""
    sizes = [4 * full / 1e6 for full, *_ in list(BASELINE.values())[:5]]
    assert [round(size, 1) for size in sizes] == [10.6, 10.7, 10.9, 11.1, 11.2]
    assert 1 - count_parameters(hollow("radn")) / 21_700_000 == pytest.approx(
        0.413, abs=0.001
    )  # "40 % fewer" than DMPHN


# ------------------------------------------------------------------------------- forward, backward


@pytest.mark.parametrize("name, variant", NETWORKS)
def test_starts_as_the_identity(name, variant):
    x = torch.rand(1, 3, 16, 19)
    model = create_model(name, variant, size="small", sa_impl="sdpa").eval()
    assert torch.allclose(model(x), x, atol=1e-6 if variant == "final_plus" else 0)


@pytest.mark.parametrize(
    "name, variant, multiple",
    [("radn", "final", 8), ("radn", "fast", 16), ("radn_baseline", "paper", 4)],
)
def test_odd_sizes_are_reflected_and_cropped(name, variant, multiple):
    model, x = small(name, variant).eval(), torch.rand(1, 3, 35, 53)
    padded = F.pad(x, (0, -53 % multiple, 0, -35 % multiple), mode="reflect")
    with torch.no_grad():
        assert torch.equal(model(x), model(padded)[..., :35, :53])


@pytest.mark.parametrize("name", ["radn", "radn_baseline"])
def test_precisions(name):
    model, x = small(name).eval(), torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        single, double = model(x), copy.deepcopy(model).double()(x.double())
        assert double.dtype == torch.float64 and torch.allclose(single.double(), double, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            assert (model(x).float() - single).abs().max() < 0.05
        assert torch.allclose(model(x.to(memory_format=torch.channels_last)), single, atol=1e-5)


def test_frozen_norm():
    x = torch.rand(2, 3, 32, 32)
    for freeze in (False, True):
        model = create_model("radn", size="small", freeze_norm=freeze).train()
        model(x)
        assert torch.equal(model.encoder.norm0.running_mean, torch.zeros(SMALL["stem"])) == freeze


# mean residual of each colour in each quarter of a picture


# ---------------------------------------------------------------------------- the encoder's origin


@pytest.fixture(scope="module")
def densenet():
    """torchvision's DenseNet-121 with random weights and random batch statistics."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(3)
    network = torchvision.models.densenet121(weights=None).eval()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        ranges = {
            norm.weight: (0.5, 1.5),
            norm.bias: (-1, 1),
            norm.running_mean: (-1, 1),
            norm.running_var: (0.5, 2),
        }
        for tensor, (low, high) in ranges.items():
            nn.init.uniform_(tensor, low, high)
    return network


@pytest.fixture(scope="module")
def published(densenet, tmp_path_factory):
    """Its weights in a file with the names of the published one: denselayer1.norm.1 for norm1, no
    counters of batches."""
    path = tmp_path_factory.mktemp("weights") / "densenet121.pth"
    old = {}
    for key, value in densenet.state_dict().items():
        if "num_batches" not in key:
            new = re.sub("(norm|conv)([12])", r"\1.\2", key) if "denselayer" in key else key
            old[new] = value
    torch.save(old, path)
    return path


def test_stem_is_conv0():
    """A 7x7 of stride 2 equals a 4x4 on the pixels moved to channels, exactly, at even sizes."""
    weight, image = (
        torch.randn(5, 3, 7, 7, dtype=torch.float64),
        torch.randn(2, 3, 20, 26, dtype=torch.float64),
    )
    folded = fold_stride(weight)
    assert folded.shape == (5, 12, 4, 4) and folded.count_nonzero() == weight.numel()
    result = F.conv2d(F.pad(F.pixel_unshuffle(image, 2), (2, 1, 2, 1)), folded)
    assert torch.allclose(result, F.conv2d(image, weight, stride=2, padding=3), atol=1e-12)


@pytest.mark.parametrize("variant", ["paper", "fast"])
def test_encoder_equals_densenet121(densenet, published, variant):
    """From the image to the third transition's ReLU, skips included; "paper" without the
    pooling."""
    model = create_model("radn", variant).eval()
    assert start_from_densenet121(model, published)
    x, expected = torch.rand(1, 3, 32, 48), []
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        y = (x - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        for name, part in densenet.features.named_children():
            if name.startswith("transition"):
                expected.append(F.relu(part.norm(y)))
            y = part(y) if name != "pool0" or variant == "fast" else y
            if name == "transition3":
                break
        for ours, theirs in zip(model.encoder(x), expected, strict=True):
            assert (
                ours.shape == theirs.shape
                and (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
            )


def test_what_cannot_start_from_densenet121(published, tmp_path, monkeypatch, caplog):
    others = (
        ("radn", "units_12_16_24", "full"),
        ("radn", "paper", "small"),
        ("radn_baseline", "paper", "full"),
    )
    for name, variant, size in others:
        with pytest.raises(ValueError, match="6, 12 and 24"):
            start_from_densenet121(hollow(name, variant, size=size), published)
    with pytest.raises(FileNotFoundError, match=r"absent.pth"):
        start_from_densenet121(hollow("radn"), tmp_path / "absent.pth")
    torch.save({"features.conv0.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other.pth lacks features.norm0.weight: give"):
        start_from_densenet121(hollow("radn"), tmp_path / "other.pth")
    (tmp_path / "short.pth").write_bytes(published.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read"):
        start_from_densenet121(hollow("radn"), tmp_path / "short.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not start_from_densenet121(hollow("radn")) and "seeded initialisation" in caplog.text


def test_cached_weights_are_found(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "densenet121-a639ec97.pth").symlink_to(published)
    model = create_model("radn", "radn1")
    norm = torch.load(published, weights_only=True)["features.transition3.norm.weight"]
    assert start_from_densenet121(model) and torch.equal(model.encoder.norm3.weight, norm)


# ------------------------------------------------------------------------- dense deformable module


@pytest.fixture
def unit():
    torch.manual_seed(0)
    return DeformableConv(5, 4).double()


def sampled(unit, x, offset):
    """Eq. 4 by nine calls of grid_sample."""
    height, width = x.shape[-2:]
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    output = unit.dcn.bias.view(1, -1, 1, 1)
    for tap, (i, j) in enumerate(itertools.product((-1, 0, 1), repeat=2)):
        at_y, at_x = down + i + offset[:, 2 * tap], right + j + offset[:, 2 * tap + 1]
        grid = torch.stack([(2 * at_x + 1) / width - 1, (2 * at_y + 1) / height - 1], -1)
        samples = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
        output = output + torch.einsum(
            "oc,bchw->bohw", unit.dcn.weight[:, :, i + 1, j + 1], samples
        )
    return output


def test_equation_4(unit):
    x, offsets = torch.randn(2, 5, 9, 11, dtype=torch.float64), []
    nn.init.normal_(unit.offset.weight, std=0.3)
    result = unit(x, offsets)
    assert offsets[0].shape == (2, 18, 9, 11) and offsets[0].std() > 0.5
    assert torch.allclose(result, sampled(unit, x, offsets[0]), atol=1e-10)


def test_a_unit_without_offsets_is_a_convolution(unit):
    x = torch.randn(1, 5, 9, 11, dtype=torch.float64)
    nn.init.zeros_(unit.offset.weight)
    nn.init.zeros_(unit.offset.bias)
    assert torch.allclose(
        unit(x, []), F.conv2d(x, unit.dcn.weight, unit.dcn.bias, padding=1), atol=1e-12
    )


def test_offsets_of_a_shift_shift_the_picture(unit):
    """All taps moved by (dy, dx) = (2, -1): the convolution of the shifted picture."""
    x = torch.randn(1, 5, 12, 12, dtype=torch.float64)
    nn.init.zeros_(unit.offset.weight)
    unit.offset.bias.data = torch.tensor([2.0, -1.0] * 9, dtype=torch.float64)
    plain = F.conv2d(x, unit.dcn.weight, unit.dcn.bias, padding=1)
    assert torch.allclose(unit(x, [])[..., 2:8, 2:8], plain[..., 4:10, 1:7], atol=1e-12)


def test_extras():
    model, x = small().eval(), torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        output, extras = model(x, return_extras=True)
        assert torch.equal(output, model(x)) and set(model.extras(x)) == set(extras)
        shapes = {"features": (52, 4, 6), "attended": (52, 4, 6)}
        shapes |= {f"offset{k}": (6, 18, 32 // s, 48 // s) for k, s in ((1, 8), (2, 4), (3, 2))}
        assert {key: tuple(value.shape[1:]) for key, value in extras.items()} == shapes
        assert torch.equal(extras["attended"], model.attention(extras["features"]))
        stretch, length = filter_stretch(extras["offset2"]), offset_length(extras)
        assert stretch.shape == (2, 8, 12) and length.shape == (2,)
        assert set(small("radn", "radn2").eval().extras(x)) == {"features"}
        assert small("radn_baseline", "conv3_deform3").extras(x)["offset"].shape == (
            2,
            3,
            18,
            8,
            12,
        )


def test_figures_read_the_right_channels():
    offset = torch.zeros(1, 6, 9, 2, 4, 5)
    offset[:, :, [2, 5, 8], 1] = 3  # dx of the third column
    offset[:, :, [0, 3, 6], 1] = -1
    offset[:, :, :, 0] = torch.arange(9.0).view(9, 1, 1)  # no dy counts
    assert filter_stretch(offset.flatten(2, 3)).eq(4).all()
    offset[:, :, :, 0], offset[:, :, :, 1] = 3, 4
    extras = {f"offset{k}": offset.flatten(2, 3) for k in (1, 2, 3)}
    assert offset_length(extras).item() == pytest.approx(5)
    assert offset_length(extras, (8, 4, 2)).item() == pytest.approx(5 * 14 / 3)


@pytest.mark.parametrize(
    "variant, trunk",
    [("conv6", "cc cc cc"), ("conv3_deform3", "cd cd cd"), ("deform6", "dd dd dd")],
)
def test_which_trunk_layers_deform(variant, trunk):
    blocks = hollow("radn_baseline", variant).trunk
    kinds = [
        "".join("d" if isinstance(c, DeformableConv) else "c" for c in (b.conv1, b.conv2))
        for b in blocks
    ]
    assert " ".join(kinds) == trunk


# ---------------------------------------------------------------------------------- self-attention


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return SelfAttention(24).double()


def test_equations_5_and_6_in_loops(attention):
    a = torch.randn(1, 24, 3, 4, dtype=torch.float64)
    b, c, d = (
        layer(a)[0].flatten(1).detach()
        for layer in (attention.key, attention.query, attention.value)
    )
    s, n = attention.map(a)[0].detach(), 12
    r = torch.zeros(24, n, dtype=torch.float64)
    for j in range(n):
        total = sum(math.exp(b[:, i] @ c[:, j]) for i in range(n))
        for i in range(n):
            assert s[j, i].item() == pytest.approx(math.exp(b[:, i] @ c[:, j]) / total)
            r[:, j] += s[j, i] * d[:, i]
    assert torch.allclose(attention(a)[0].flatten(1), r, atol=1e-12)
    assert torch.allclose(attention.map(a, [5, 7])[0], s[[5, 7]])
    assert (
        torch.allclose(s.sum(1), torch.ones(n, dtype=torch.float64)) and s.sum(0).std() > 0.01
    )  # rows, not columns
    assert not torch.allclose(
        s, attention_map(b.T[None], c.T[None])[0]
    )  # queries and keys are not interchangeable


def test_attention_knows_no_place(attention):
    """Shuffled positions give the shuffled result; a constant picture attends to all places
    alike."""
    a, order = torch.randn(1, 24, 1, 30, dtype=torch.float64), torch.randperm(30)
    assert torch.allclose(attention(a[..., order]), attention(a)[..., order], atol=1e-10)
    assert torch.allclose(
        attention.map(a[..., :1].expand_as(a)), torch.full((30, 30), 1 / 30, dtype=torch.float64)
    )


@pytest.mark.parametrize("channels, depth", [(64, 8), (52, 6)])
def test_three_ways_to_attend_agree(channels, depth):
    query, key, value = (
        torch.randn(2, 45, depth),
        torch.randn(2, 45, depth),
        torch.randn(2, 45, channels),
    )
    expected = attend(query, key, value, "full")
    for other in ("chunked", "sdpa"):
        assert torch.allclose(attend(query, key, value, other), expected, atol=1e-5)
    assert torch.allclose(attend(query, key, value, "chunked", rows=7), expected, atol=1e-5)
    with pytest.raises(ValueError, match="no attention 'flash'"):
        attend(query, key, value, "flash")


@pytest.mark.parametrize("name", ["radn", "radn_baseline"])
def test_networks_do_not_depend_on_the_way(name):
    x = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        outputs = [small(name, sa_impl=impl).eval()(x) for impl in ("full", "chunked", "sdpa")]
    assert torch.allclose(outputs[0], outputs[1], atol=1e-5) and torch.allclose(
        outputs[0], outputs[2], atol=1e-4
    )


@pytest.mark.parametrize("name", ["radn", "radn_baseline"])
def test_attention_is_added(name):
    """Eq. 6 with D = 0 is the network without attention."""
    model, plain, x = (
        small(name).eval(),
        small(name, attention=False).eval(),
        torch.rand(1, 3, 24, 32),
    )
    plain.load_state_dict(
        {key: value for key, value in model.state_dict().items() if "attention" not in key}
    )
    with torch.no_grad():
        assert not torch.allclose(model(x), plain(x), atol=1e-4)
        nn.init.zeros_(model.attention.value.weight)
        nn.init.zeros_(model.attention.value.bias)
        assert torch.equal(model(x), plain(x))


def test_gamma_starts_without_attention():
    torch.manual_seed(0)
    attention, features = SelfAttention(16, gamma=True), torch.rand(1, 16, 4, 4)
    assert attention(features).abs().max() == 0
    nn.init.constant_(attention.gamma, 2)
    plain = SelfAttention(16)
    plain.load_state_dict(attention.state_dict(), strict=False)
    assert torch.allclose(attention(features), 2 * plain(features))
    assert count_parameters(hollow("radn", gamma=True)) == 12_732_168


# ------------------------------------------------------------------------------- context, ensemble


def test_context_is_not_shifted_by_odd_sizes():
    """Averages of a ramp, upsampled, are the ramp, away from the border, at a size that 32 does
    not divide."""
    context = Context(1, 1)
    for layer in context.convolutions:
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    down, right = torch.meshgrid(torch.arange(144.0), torch.arange(176.0), indexing="ij")
    scales = context((down + 2 * right)[None, None])
    assert scales.shape == (1, 5, 144, 176)
    for scale in scales[0, 1:]:
        assert torch.allclose(scale[16:112, 16:144], scales[0, 0, 16:112, 16:144], atol=1e-3)


def test_context_reads_all_four_windows():
    x = torch.zeros(1, 1, 64, 64)
    x[..., 0, 0] = 1
    context = Context(1, 1)
    for layer in context.convolutions:
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    assert torch.allclose(context(x)[0, 1:, 0, 0], 1 / torch.tensor([32.0, 16.0, 8.0, 4.0]) ** 2)


def test_self_ensemble_turns_back_all_eight():
    seen = []

    def network(x):
        seen.append(x.clone())
        return x

    x = torch.rand(1, 3, 4, 6)
    assert torch.allclose(self_ensemble(network, x), x, atol=1e-6)
    assert torch.equal(seen[0], x)
    assert len(seen) == 8 and not any(
        a.shape == b.shape and torch.equal(a, b) for a, b in itertools.combinations(seen, 2)
    )


def test_final_plus_is_the_ensemble_of_final_at_test_time():
    final, plus, x = (
        small("radn", "final").eval(),
        small("radn", "final_plus").eval(),
        torch.rand(1, 3, 24, 40),
    )
    with torch.no_grad():
        assert torch.allclose(plus(x), self_ensemble(final, x), atol=1e-6) and not torch.allclose(
            plus(x), final(x), atol=1e-4
        )
        assert torch.allclose(plus(x.flip(2)), plus(x).flip(2), atol=1e-5)  # it has the symmetries
        assert torch.equal(plus.train()(x), final.train()(x))
