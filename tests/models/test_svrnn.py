import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deblurlib.models import count_macs, create_model, list_variants, load_model
from deblurlib.models.pretrained import VGG16_LAYERS, copy_vgg16, start_from_vgg16
from deblurlib.models.released import SVRNN_LAYERS
from deblurlib.models.svrnn import Edited
from deblurlib.models.svrnn_bodies import ChainedRNNs, FusedRNNs, double
from deblurlib.ops import spatial_rnn

PARAMETERS = {
    "paper": 9_227_027,
    "released": 9_227_027,
    "no_skips": 8_594_531,
    "no_convs": 9_116_339,
    "no_rnns": 153_299,
    "weights_only": 7_899_427,
    "liu": 9_079_443,
    "no_image_skips": 9_184_355,
    "no_rnns_wide": 9_238_811,
    "p_averaged": 9_227_027,
    "p_constant": 264_403,
    "p_zero": 263_891,
    "p_sigmoid": 9_227_027,
    "conv2_act": 9_227_027,
    "transposed": 9_231_139,
    "residual": 9_227_027,
}
LAYERS = {  # Table 1: parameters, and the size of the output for a picture of 128 x 128
    "conv1": (5_824, 128),
    "conv2": (25_120, 64),
    "conv3": (1_792, 128),
    "conv4": (36_928, 128),
    "conv5": (73_856, 64),
    "conv6": (147_584, 64),
    "conv7": (295_168, 32),
    "conv8": (590_080, 32),
    "conv9": (590_080, 32),
    "conv10": (1_180_160, 16),
    "conv11": (2_359_808, 16),
    "conv12": (1_179_904, 16),
    "conv13": (589_952, 32),
    "conv14": (147_584, 32),
    "conv15": (590_080, 64),
    "conv16": (1_180_160, 64),
    "fuse.0": (36_896, 64),
    "fuse.1": (36_896, 64),
    "fuse.2": (36_896, 64),
    "fuse.3": (36_896, 64),
    "conv21": (82_960, 64),
    "conv22": (2_403, 128),
}


def count(module):
    return sum(p.numel() for p in module.parameters())


def hollow(variant="paper", **overrides):
    with torch.device("meta"):
        return create_model("svrnn", variant, **overrides)


def small(variant="paper", seed=0, **overrides):
    torch.manual_seed(seed)
    return create_model("svrnn", variant, size="small", **overrides).eval()


def test_every_variant_has_a_known_count():
    assert set(PARAMETERS) == set(list_variants("svrnn"))


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_counts(variant):
    assert count(hollow(variant)) == PARAMETERS[variant]
    assert count(hollow(variant, size="small")) < 400_000


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"body": "chains", "merge": "concatenate"}, 9_203_859),
        ({"body": "chains", "merge": "sum"}, 9_079_443),
        ({"body": "weight_network", "image_head": True}, 9_001_539),
    ],
)
def test_named_alternatives(options, expected):
    assert count(hollow(**options)) == expected


def test_layers_of_table_1():
    model, sizes = hollow(), {}
    layers = {
        name.removeprefix("weight_network.").removeprefix("body."): m
        for name, m in model.named_modules()
    }
    for name in LAYERS:
        layers[name].register_forward_hook(
            lambda _, __, y, name=name: sizes.update({name: y.shape[-1]})
        )
    model(torch.empty(1, 3, 128, 128, device="meta"))
    assert {name: (count(layers[name]), sizes[name]) for name in LAYERS} == LAYERS


def test_macs_at_720p():
    model = hollow()
    assert count_macs(model, (720, 1280)) / 1e9 == pytest.approx(756.0, rel=1e-3)
    assert count_macs(model.weight_network, (720, 1280)) / 1e9 == pytest.approx(689.6, rel=1e-3)


def test_odd_sizes_are_reflected():
    model, x = small(), torch.rand(1, 3, 21, 33)
    assert torch.equal(model(x), model(F.pad(x, (0, 7, 0, 3), mode="reflect"))[..., :21, :33])


def by_hand(model, image):
    """The released network as functions of its weights; the caffe resize is tested on its own."""
    weights = dict(model.named_parameters())

    def layer(name, x, stride=1):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)

    def vgg(number, x):
        return torch.relu(layer(f"weight_network.conv{number}", x))

    def resize(x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    conv1 = F.leaky_relu(layer("conv1", image), 0.1)
    conv2 = layer("conv2", conv1, stride=2)  # no activation
    conv6 = vgg(6, vgg(5, F.max_pool2d(vgg(4, vgg(3, image)), 2)))
    conv8 = vgg(8, vgg(7, F.max_pool2d(conv6, 2)))
    conv12 = vgg(12, vgg(11, vgg(10, F.max_pool2d(vgg(9, conv8), 2))))
    conv14 = vgg(14, vgg(13, torch.cat([conv8, resize(conv12)], 1)))
    p = torch.tanh(layer("weight_network.conv16", vgg(15, torch.cat([conv6, resize(conv14)], 1))))
    x, channels = conv2, conv2.shape[1]
    for rnn in range(4):
        lr, tb, rl, bt = p[:, 4 * channels * rnn : 4 * channels * (rnn + 1)].split(channels, 1)
        scans = [
            spatial_rnn(x, lr, "right"),
            spatial_rnn(x, rl, "left"),
            spatial_rnn(x, tb, "down"),
            spatial_rnn(x, bt, "up"),
        ]
        x = F.leaky_relu(layer(f"body.fuse.{rnn}", torch.cat(scans, 1)), 0.1)
    conv21 = F.leaky_relu(layer("conv21", torch.cat([conv2, x], 1)), 0.1)
    return layer("conv22", torch.cat([conv1, resize(conv21)], 1))


def test_network_equals_the_released_definition():
    model, image = small().double(), torch.rand(2, 3, 24, 32, dtype=torch.float64)
    assert torch.allclose(model(image), by_hand(model, image), atol=1e-12)


def test_conv2_and_residual_options():
    model, image = small(), torch.rand(1, 3, 16, 24)
    active, residual = small("conv2_act"), small("residual")
    assert torch.equal(
        active.extras(image)["before"], F.leaky_relu(model.extras(image)["before"], 0.1)
    )
    assert torch.allclose(residual(image), image + model(image))


def test_each_group_of_p_moves_an_impulse_its_own_way():
    """Groups of p: right, down, left, up; groups of the result: right, left, down, up."""
    rnns, seen = FusedRNNs(1), []
    rnns.fuse[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0]))
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    for group, (position, trail) in enumerate([(0, (2, 4)), (2, (4, 2)), (1, (2, 0)), (3, (0, 2))]):
        p = torch.zeros(1, 16, 5, 5)
        p[:, group] = 0.5
        rnns(x, p)
        scans = seen.pop()
        assert scans[position][2, 2] == 0.5 and scans[position][trail] == 0.125
        assert scans[position].count_nonzero() == 3
        assert all(torch.equal(scan, x[0, 0]) for k, scan in enumerate(scans) if k != position)


def test_without_weights_the_rnns_copy():
    """p = 0 in a trained network is the variant p_zero, the network without RNNs that gets four
    copies."""
    model, zero = small(), small("p_zero", seed=1)
    zero.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("weight_network")}
    )
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(model(x, edit_p=torch.zeros_like), zero(x)) and not torch.equal(
        model(x), zero(x)
    )
    assert torch.equal(Edited(model, torch.zeros_like)(x), zero(x))


def test_range_of_p():
    """tanh gives both signs, against the text; the sigmoid gives what the text says."""
    x = torch.rand(1, 3, 32, 32)
    p = small().extras(x)["p"]
    assert (
        p.shape == (1, 4, 4, 16, 16, 16)
        and 0.2 < (p < 0).float().mean() < 0.8
        and p.abs().max() < 1
    )
    assert torch.allclose(small("p_sigmoid").extras(x)["p"], (p.atanh()).sigmoid(), atol=1e-5)
    averaged = small("p_averaged").extras(x)["p"]
    assert torch.allclose(averaged, p.mean((-2, -1), keepdim=True).expand_as(p), atol=1e-6)


def reach(body, rnns):
    """Pixels of a 41 x 41 picture that the centre of the output sees."""
    for parameter in body.parameters():
        nn.init.constant_(parameter, 0.01)
    x = torch.rand(1, 1, 41, 41, dtype=torch.float64, requires_grad=True)
    p = torch.zeros(1, 4, 4, 41, 41, dtype=torch.float64)
    p[:, :rnns] = 0.9
    body.double()(x, p.flatten(1, 2))[0, 0, 20, 20].backward()
    return x.grad.count_nonzero().item()


def test_a_convolution_between_rnns_turns_a_cross_into_the_plane():
    """Figure 3: four scans see a cross, chained ones no more, and a fused pair everything."""
    assert reach(ChainedRNNs(1, "sum"), 1) == reach(ChainedRNNs(1, "sum"), 4) == 81
    assert reach(FusedRNNs(1), 2) == 1681


def test_chains_feed_their_own_next_scan():
    torch.manual_seed(0)
    x, p = torch.rand(2, 3, 6, 7), torch.rand(2, 48, 6, 7) - 0.5
    ends = []
    for group, direction in ((0, "right"), (2, "left"), (1, "down"), (3, "up")):
        h = x
        for rnn in range(4):
            h = spatial_rnn(h, p[:, 12 * rnn + 3 * group : 12 * rnn + 3 * group + 3], direction)
        ends.append(h)
    assert torch.equal(ChainedRNNs(3, "concatenate")(x, p), torch.cat(ends, 1))
    assert torch.equal(ChainedRNNs(3, "max")(x, p), torch.stack(ends).amax(0))
    assert torch.allclose(ChainedRNNs(3, "sum")(x, p), sum(ends))


def test_caffe_resize():
    """Even outputs copy, odd ones average, and the missing neighbour at the end is black."""
    ramp = double(torch.arange(4.0).expand(1, 2, 3, 4), "caffe")
    assert ramp.shape == (1, 2, 6, 8) and ramp[0, 1, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 1.5]
    ones = double(torch.ones(1, 1, 3, 3), "caffe")[0, 0]
    assert (
        ones[:-1, :-1].eq(1).all()
        and ones[-1, :-1].eq(0.5).all()
        and ones[:-1, -1].eq(0.5).all()
        and ones[-1, -1] == 0.25
    )
    middle = double(torch.arange(4.0).expand(1, 1, 4, 4))[0, 0, 0]
    assert middle.tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_initialisation_is_caffes():
    torch.manual_seed(0)
    model = create_model("svrnn", size="small")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            bound = (3 / (layer.in_channels * layer.kernel_size[0] ** 2)) ** 0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound and not layer.bias.any()


def write_blobs(path, model, **changed):
    """What pycaffe would write of a released network with the weights of `model`, dead recurrent
    blobs included."""
    blobs = {"rnn1_1.0": np.zeros((32, 32), np.float32)}
    for layer, released in SVRNN_LAYERS.items():
        module = model.get_submodule(layer)
        blobs |= {
            f"{released}.0": module.weight.detach().numpy(),
            f"{released}.1": module.bias.detach().numpy(),
        }
    np.savez(path, **{k: v for k, v in (blobs | changed).items() if v is not None})
    return path


def test_released_blobs_give_the_transposed_network(tmp_path):
    """The release is the same network working on transposed pictures: its import must undo the
    transposition exactly."""
    released, image = small("released"), torch.rand(1, 3, 24, 32, dtype=torch.float64)
    for parameter in released.parameters():
        nn.init.normal_(parameter, std=0.1)
    path = write_blobs(tmp_path / "blobs.npz", released)
    imported = load_model("svrnn", path, "released", size="small").double()
    released = released.double()
    assert torch.allclose(imported(image), released(image.mT).mT, rtol=1e-9)
    assert not torch.allclose(imported(image), released(image), atol=1e-2)


def test_blobs_that_do_not_fit_are_named(tmp_path):
    model = small("released")
    path = write_blobs(
        tmp_path / "blobs.npz",
        model,
        **{"convg4_3.1": None, "conv_rnn2.1": np.zeros(3, np.float32)},
    )
    with pytest.raises(
        ValueError,
        match=r"blobs.npz.*2 mismatches.*conv12.bias is missing.*fuse.1.bias has shape \(3,\)",
    ):
        load_model("svrnn", path, "released", size="small")
    path = write_blobs(
        path, model, **{"conv_rnn1.0": model.body.fuse[0].weight.detach().numpy().T}
    )  # MATLAB's order
    with pytest.raises(ValueError, match=r"conv_rnn1.0 has shape \(3, 3, 64, 16\)"):
        load_model("svrnn", path, "released", size="small")


def vgg16_layers():
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(1)
    features = make_layers(cfgs["D"][:12])  # up to conv4_2
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.bias, std=0.1)
    return features.eval()


@torch.no_grad()
def activations(model, image):
    seen = {}
    hooks = [
        getattr(model.weight_network, name).register_forward_hook(
            lambda _, __, y, name=name: seen.update({name: y})
        )
        for name in VGG16_LAYERS
    ]
    model(image)
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def test_vgg16_layers_give_torchvisions_activations():
    features, model, image = vgg16_layers(), create_model("svrnn"), torch.rand(1, 3, 32, 32)
    copy_vgg16(features, model, standardise=False)
    for name, found in activations(model, image).items():
        expected = features[: VGG16_LAYERS[name] + 1](image)
        assert torch.allclose(
            found,
            expected.relu() if isinstance(features[VGG16_LAYERS[name]], nn.ReLU) else expected,
        ), name
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    copy_vgg16(features, model)
    found, expected = activations(model, image)["conv3"], features[0]((image - mean) / std)
    assert torch.allclose(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5)
    assert not torch.allclose(
        found, expected, atol=1e-2
    )  # zero padding means black here, the mean there


def test_without_vgg16_weights_the_seed_decides(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    model = small()
    with caplog.at_level(logging.WARNING):
        assert start_from_vgg16(model) is False
    assert "seeded initialisation" in caplog.text and torch.equal(
        model.conv1.weight, small().conv1.weight
    )
    with pytest.raises(FileNotFoundError):
        start_from_vgg16(model, tmp_path / "vgg16.pth")
    with pytest.raises(ValueError, match="full width"):
        copy_vgg16(vgg16_layers(), model)


@torch.no_grad()
@pytest.mark.parametrize("variant", ["paper", "no_convs", "no_rnns", "weights_only", "p_constant"])
def test_precisions_and_memory_layouts(variant):
    model, x = small(variant), torch.rand(2, 3, 24, 40)
    expected = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        output, extras = model(x, return_extras=True)
    assert (output.float() - expected).abs().max() < 0.05
    assert (
        "p" not in extras or extras["p"].dtype == torch.float32
    )  # bfloat16 has no number between 0.996 and 1
    assert torch.allclose(model(x.to(memory_format=torch.channels_last)), expected, atol=1e-5)
    assert torch.allclose(model.double()(x.double()), expected.double(), atol=1e-5)
    assert torch.isfinite(model.bfloat16()(x.bfloat16())).all()


def test_unknown_words_list_the_known_ones():
    with pytest.raises(ValueError, match=r"no resize 'matlab'.*caffe"):
        create_model("svrnn", resize="matlab")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p_range", ["tanh", "sigmoid"])
def test_what_a_hook_saw_of_the_weight_network_stays(precision, p_range):
    network, seen = create_model("svrnn", "paper", size="small", p_range=p_range).eval(), []

    def hook(module, inputs, output):
        seen.append((output, output.clone()))

    network.weight_network.register_forward_hook(hook)
    with torch.no_grad(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        network(torch.rand(1, 3, 16, 16))
    ((held, then),) = seen
    assert torch.equal(held, then)
