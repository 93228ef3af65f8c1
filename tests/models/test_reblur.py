import json

import pytest
import torch
import torch.nn.functional as F

from deblurlib.models import count_macs, create_model, list_variants, load_model
from deblurlib.models.released import translate_reblur

PARAMETERS = {"paper": 998_802, "figure2": 997_497, "naive": 970_227}
PARTS = [880, 23_136, 92_352, 369_024, 368_960, 92_320, 23_120]
KERNELS = [1305, 2601, 5193, 10_377, 5193, 2601, 1305]


def make(variant="paper", **overrides):
    torch.manual_seed(0)
    return create_model("reblur", variant, **{"width": 4, **overrides})


def hollow(variant="paper", **overrides):
    with torch.device("meta"):
        return create_model("reblur", variant, **overrides)


def count(module):
    return sum(p.numel() for p in module.parameters())


def pair(*size):
    return torch.rand(2, *size, generator=torch.Generator().manual_seed(3)).unbind()


def test_every_variant_has_a_known_count():
    assert set(PARAMETERS) == set(list_variants("reblur"))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_counts(variant):
    assert count(hollow(variant)) == PARAMETERS[variant]
    assert count(create_model("reblur", variant, size="small")) < 400_000


def test_parameter_counts_by_part():
    model = hollow()
    assert [count(stage) for stage in model.stages] == PARTS and [
        count(kernel) for kernel in model.kernels
    ] == KERNELS
    assert count(model.tail) == 435 and len(model.state_dict()) == 54


@pytest.mark.parametrize("width, expected", [(8, 257_514), (6, 147_792), (4, 68_310), (2, 19_068)])
def test_parameter_counts_of_other_widths(width, expected):
    assert count(hollow(width=width)) == expected


@pytest.mark.parametrize("variant, giga", [("paper", 70.0 + 0.48), ("naive", 33.0)])
def test_macs_at_720p(variant, giga):
    """Two passes, seven kernel layers, and 0.48 of the filters themselves."""
    assert count_macs(hollow(variant), (720, 1280)) / 1e9 == pytest.approx(giga, rel=0.002)


def test_precision():
    model, (b, s) = make(), pair(1, 3, 24, 24)
    with torch.no_grad():
        single = model(b, s)
        with torch.autocast("cpu", torch.bfloat16):
            assert (model(b, s).float() - single).abs().max() < 0.05
        double = model.double()(b.double(), s.double())
    assert double.dtype == torch.float64 and (double - single).abs().max() < 1e-4


def test_official_initialisation_leaves_out_transposed_convolutions():
    spread = {
        init: make(init=init, width=8).stages[4][1].weight.std().item()
        for init in ("paper", "official")
    }
    assert (
        spread["paper"] == pytest.approx((2 / (9 * (64 + 32))) ** 0.5, rel=0.05)
        and spread["official"] < 0.8 * spread["paper"]
    )


# -------------------------------------------------------------------------------- the two branches


def test_the_picture_comes_from_the_sharp_input_alone():
    """With filters held at the centre tap the blurry picture has no influence; a white one cannot
    be turned dark."""
    model, (b, s) = make(), pair(1, 3, 32, 32)
    assert not torch.allclose(model(b, s), model(b.flip(-1), s), atol=1e-5)
    for kernel in model.kernels:
        torch.nn.init.zeros_(kernel.weight)
        torch.nn.init.constant_(kernel.bias, -1e4).data[4] = 0
    assert torch.equal(model(b, s), model(b.flip(-1), s)) and not torch.allclose(
        model(b, s), model(b, s.flip(-1)), atol=1e-4
    )


def test_skips_carry_filtered_features():
    model, (b, s) = make(), pair(1, 3, 32, 32)
    sums = []
    for i in (4, 5):
        model.stages[i].register_forward_hook(lambda _, inputs, out: sums.append(out))
    filters, features = model.extras(b, s).values()
    lower = sums[2:]  # the third and fourth call belong to the lower branch
    for out, at, skip in ((lower[0], 4, 2), (lower[1], 5, 1)):
        assert torch.allclose(features[at], by_unfold(out + features[skip], filters[at]), atol=1e-5)


def by_unfold(x, weights):
    patches = F.unfold(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3).view(
        *x.shape[:2], 9, *x.shape[2:]
    )
    return (patches * weights[:, None]).sum(2)


def test_filters_average():
    model, (b, s) = make(), pair(2, 3, 16, 24)
    extras = model.extras(b, s)
    assert [tuple(each.shape[1:]) for each in extras["filters"]] == [
        (9, 16 >> k, 24 >> k) for k in (0, 1, 2, 3, 2, 1, 0)
    ]
    assert all(
        each.min() > 0 and torch.allclose(each.sum(1), torch.ones(()), atol=1e-5)
        for each in extras["filters"]
    )
    assert [each.shape[1] for each in extras["features"]] == [4, 8, 16, 32, 16, 8, 4]
    assert (
        len(make("figure2").extras(b, s)["filters"]) == 6
        and make("naive").extras(b, s)["filters"] == []
    )
    assert torch.equal(model(b, s, return_extras=True)[0], model(b, s))


def test_the_gradient_reaches_the_deblurred_picture_through_frozen_weights():
    model, (b, d) = make().requires_grad_(False), pair(1, 3, 24, 24)
    F.mse_loss(model(b, d.requires_grad_()), b).backward()
    assert d.grad.abs().max() > 0 and all(p.grad is None for p in model.parameters())


# ---------------------------------------------------------------------------- the authors' weights


def released_state(w):
    """Random weights under the names and shapes of the authors' file."""
    shapes = {"head_conv.0": (w, 6), "tail": (3, w), "kernel_head_conv": (9, w)}
    for k in (1, 2, 3):
        small, large = w << (k - 1), w << k
        shapes |= {f"kernel_conv_{k}": (9, large), f"kernel_dconv_{k}": (9, small)}
        shapes |= {f"body_conv_{k}.0": (large, small), f"body_dconv_{k}.1": (large, small)}
        for i in (0, 2):
            shapes |= {
                f"body_conv_{k}.1.model.{i}": (large, large),
                f"body_dconv_{k}.0.model.{i}": (large, large),
            }
    generator, state = torch.Generator().manual_seed(2), {}
    for name, (a, b) in shapes.items():
        state[f"{name}.weight"] = (
            torch.randn(a, b, 3, 3, generator=generator) * (1 / (9 * b)) ** 0.5
        )
        transposed = name.startswith("body_dconv") and name.endswith(".1")
        state[f"{name}.bias"] = torch.randn(b if transposed else a, generator=generator) / 2
    return state


def released_forward(state, blurry, sharp):
    """The network written a second time, from the names of the authors' file, in [-1, 1]."""

    def conv(name, x, stride=1):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, 1)

    def leaky(x):
        return F.leaky_relu(x, 0.1)

    def block(name, x):
        return x + conv(f"{name}.model.2", leaky(conv(f"{name}.model.0", x)))

    def up(name, x):
        return F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 2, 1, 1)

    def run(x, change):
        head = change("kernel_head_conv", leaky(conv("head_conv.0", x)))
        down1 = change(
            "kernel_conv_1", leaky(block("body_conv_1.1", conv("body_conv_1.0", head, 2)))
        )
        down2 = change(
            "kernel_conv_2", leaky(block("body_conv_2.1", conv("body_conv_2.0", down1, 2)))
        )
        down3 = change(
            "kernel_conv_3", leaky(block("body_conv_3.1", conv("body_conv_3.0", down2, 2)))
        )
        up3 = change(
            "kernel_dconv_3", leaky(up("body_dconv_3.1", block("body_dconv_3.0", down3))) + down2
        )
        up2 = change(
            "kernel_dconv_2", leaky(up("body_dconv_2.1", block("body_dconv_2.0", up3))) + down1
        )
        return change("kernel_dconv_1", leaky(up("body_dconv_1.1", block("body_dconv_1.0", up2))))

    kernels = {}

    def predict(name, u):
        kernels[name] = conv(name, u).softmax(1)
        return u

    run(torch.cat([blurry, sharp], 1), predict)
    return conv(
        "tail", run(torch.cat([sharp, sharp], 1), lambda name, v: by_unfold(v, kernels[name]))
    )


@pytest.fixture
def released(tmp_path):
    state, path = released_state(4), tmp_path / "ReBlurringNet.pth"
    torch.save({"blurring_state_dict": state}, path)
    recipe = {"name": "reblur", "variant": "paper", "size": "full", "overrides": {"width": 4}}
    path.with_suffix(".json").write_text(json.dumps({"recipe": recipe}))
    return state, path


def test_released_weights_load_and_compute_what_they_did(released):
    state, path = released
    model, (b, s) = load_model("reblur", path), pair(2, 3, 24, 32)
    with torch.no_grad():
        expected = (released_forward(state, 2 * b - 1, 2 * s - 1) + 1) / 2
        assert expected.std() > 0.01 and torch.allclose(model(b, s), expected, atol=1e-5)


def test_released_names_cover_the_full_network():
    names = translate_reblur({"blurring_state_dict": released_state(16)})
    wanted = hollow().state_dict()
    assert set(names) == set(wanted) and all(names[k].shape == wanted[k].shape for k in wanted)


def test_released_weights_that_do_not_fit_are_named(released):
    state, path = released
    del state["kernel_dconv_3.bias"]
    torch.save({"blurring_state_dict": state | {"extra": torch.zeros(1)}}, path)
    with pytest.raises(
        ValueError,
        match=r"2 mismatches.*kernels.4.bias is missing; extra is not part of the network",
    ):
        load_model("reblur", path)
