import inspect
import math

import numpy as np
import pytest
import torch
import torchvision

from deblurlib import losses
from deblurlib.data import Sample
from deblurlib.ops import sampling_points
from deblurlib.training import Experiment, LossTerms

# (x, y, u, v) -> (printed Algorithm 1, truth), worked out by hand
VECTORS = [
    ((1, 0, 4, 0), 1, 0),
    ((2, 1, 4, 0), 2, 1),
    ((2, 1, 4, 3), 1, 0.4),
    ((0, 2, 0, 3), 2, 0),
    ((0, 5, 0, 3), 5, 2),
    ((5, 0, 4, 0), 5, 1),
    ((1, 5, 0, 3), 5**0.5, 5**0.5),
    ((3, 0, 0, 4), 3, 3),
]


def brute_force(points, ends, samples=4001):
    t = torch.linspace(0, 1, samples, dtype=points.dtype).view(-1, 1, 1)
    return (points - t * ends).norm(dim=-1).amin(0)


@pytest.mark.parametrize("case, printed, true", VECTORS)
def test_worked_vectors(case, printed, true):
    x, y, u, v = map(float, case)
    points, ends = torch.tensor([x, y]), torch.tensor([u, v])
    assert losses.point_segment_distance(points, ends).item() == pytest.approx(true, abs=1e-5)
    assert losses.printed_algorithm_1(points, ends).item() == pytest.approx(printed, abs=1e-5)


@pytest.mark.parametrize("kind", ["general", "vertical", "horizontal", "zero"])
def test_distance_equals_brute_force(kind):
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(500, 2, generator=generator, dtype=torch.float64) * 12 - 6
    ends = torch.rand(500, 2, generator=generator, dtype=torch.float64) * 16 - 8
    ends = ends * torch.tensor(
        {"general": [1, 1], "vertical": [0, 1], "horizontal": [1, 0], "zero": [0, 0]}[kind]
    )
    error = (losses.point_segment_distance(points, ends) - brute_force(points, ends)).abs()
    assert (
        error.max() < 1.5e-3 and error.mean() < 1e-5
    )  # half a step of the samples where a point lies on the segment


def test_printed_algorithm_is_wrong_as_often_as_stated():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(4000, 2, generator=generator) * 12 - 6
    ends = torch.rand(4000, 2, generator=generator) * 16 - 8
    off = (
        losses.printed_algorithm_1(points, ends) - losses.point_segment_distance(points, ends)
    ).abs() > 0.01
    assert 0.45 < off.float().mean() < 0.53


def test_gradient_is_finite_everywhere_and_right():
    points = torch.tensor(
        [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [9.0, 9.0], [0.0, 2.0]],
        dtype=torch.float64,
        requires_grad=True,
    )
    for end in ([0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [-2.0, 5.0]):
        losses.point_segment_distance(
            points, torch.tensor(end, dtype=torch.float64)
        ).sum().backward()
    assert torch.isfinite(points.grad).all()
    away = torch.tensor(
        [[2.0, 1.3], [-3.0, 0.5], [0.3, 7.0]], dtype=torch.float64, requires_grad=True
    )
    end = torch.tensor([4.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: losses.point_segment_distance(p, end), away)


def test_unmoved_grid_has_the_mean_distance_of_a_5x5_grid_to_a_horizontal_line():
    offsets, flow = torch.zeros(1, 50, 4, 6), torch.zeros(1, 2, 4, 6)
    flow[:, 0] = 6
    distance = losses.position_distance(offsets, flow, -flow)
    assert distance.mean().item() == pytest.approx((2 + 1 + 0 + 1 + 2) / 5, abs=1e-4)
    zero = torch.zeros_like(flow)
    assert losses.position_distance(offsets, zero, zero).amax().item() == pytest.approx(
        8**0.5, abs=1e-4
    )


def test_offsets_are_dy_dx_and_flows_are_right_down():
    offsets, flow = torch.zeros(1, 50, 1, 1), torch.zeros(1, 2, 1, 1)
    flow[:, 0] = 30  # motion to the right
    centre = 12
    offsets[:, 2 * centre + 1] = 20  # the centre tap moves right: it stays on the segment
    assert losses.position_distance(offsets, flow, -flow)[0, centre].item() == pytest.approx(
        0, abs=1e-4
    )
    offsets[:, 2 * centre : 2 * centre + 2] = torch.tensor([20.0, 0.0]).view(
        1, 2, 1, 1
    )  # now down: 20 away
    assert losses.position_distance(offsets, flow, -flow)[0, centre].item() == pytest.approx(
        20, abs=1e-4
    )


def test_margin_is_a_floor_and_frees_the_points_within_it():
    offsets = torch.zeros(1, 50, 2, 2, requires_grad=True)
    flow = torch.zeros(1, 2, 2, 2)
    flow[:, 0] = 6
    loss = losses.position_loss(offsets, flow, -flow, margin=2.01)
    assert loss.item() == pytest.approx(2.01)
    loss.backward()
    assert offsets.grad.abs().max() == 0
    flow = flow.requires_grad_()
    losses.position_loss(offsets, flow, -flow, margin=0.5).backward()
    assert offsets.grad.abs().max() > 0 and flow.grad is None  # flow carries no gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_position_distance_is_that_of_point_and_segment_with_its_gradient(dtype):
    random = torch.Generator().manual_seed(0)
    offsets = torch.randn(2, 50, 7, 9, generator=random, dtype=dtype)
    offsets = offsets.to(memory_format=torch.channels_last).requires_grad_()
    previous, following = 4 * torch.randn(2, 2, 2, 7, 9, generator=random, dtype=dtype)
    previous[:, :, 0] = following[:, :, 0] = 0
    previous[:, 0, 1], following[:, 1, 1] = 0, 0
    points = sampling_points(offsets).movedim(1, -1)
    expected = torch.minimum(
        *(
            losses.point_segment_distance(points, flow.movedim(1, -1)[:, None])
            for flow in (previous, following)
        )
    )
    found = losses.position_distance(offsets, previous, following)
    assert torch.equal(found, expected)
    weights = torch.randn(found.shape, generator=random, dtype=dtype)
    a, b = (torch.autograd.grad((d * weights).sum(), offsets)[0] for d in (found, expected))
    bound = 1e-3 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(a, b, rtol=bound, atol=bound)


def test_wrong_resolution_is_one_sentence():
    with pytest.raises(ValueError, match="flow_to_features"):
        losses.position_loss(
            torch.zeros(1, 50, 4, 4), torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
        )
    with pytest.raises(ValueError, match="no half-resolution map"):
        losses.flow_to_features(torch.zeros(1, 2, 8, 8), (8, 8))


def test_flow_to_features_halves_the_vectors_and_centres_on_even_pixels():
    x = torch.arange(16.0).expand(1, 1, 12, 16)
    flow = torch.cat([x, torch.zeros_like(x)], 1)
    half = losses.flow_to_features(flow, (6, 8))
    assert half.shape == (1, 2, 6, 8)
    assert torch.allclose(half[0, 0, 2, 1:], torch.arange(2.0, 16, 2) / 2)
    assert losses.flow_to_features(torch.ones(1, 2, 13, 17), (7, 9)).eq(0.5).all()


def test_psnr_loss_is_the_mean_negative_psnr_per_image():
    output = torch.zeros(2, 3, 4, 4)
    sharp = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    assert losses.psnr_loss(output, sharp, floor=0.0).item() == pytest.approx(-30.0)  # 20 and 40 dB
    floored = 10 * np.log10([1e-2 + 1e-4, 2e-4]).mean()
    assert losses.psnr_loss(output, sharp).item() == pytest.approx(floored, rel=1e-5)


def test_pixel_loss_is_half_the_mse():
    output, sharp = torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), 0.3)
    assert losses.pixel_loss(output, sharp).item() == pytest.approx(0.02)


def test_perceptual_loss_against_torchvision_layers(tmp_path):
    torch.manual_seed(3)
    network = torchvision.models.vgg16(weights=None)
    torch.save(network.state_dict(), tmp_path / "vgg.pth")
    loss = losses.PerceptualLoss(layer=12, weights=tmp_path / "vgg.pth")
    assert sum(p.numel() for p in loss.features.parameters()) == 1_145_408
    a, b = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    preprocess = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms(
        crop_size=32, resize_size=32
    )
    with torch.no_grad():
        fa, fb = (network.features[:13](preprocess(x)) for x in (a, b))
        assert loss(a, b).item() == pytest.approx(((fa - fb) ** 2).mean().item() / 2, rel=1e-4)
        assert loss(a, a).item() == 0
    assert not any(p.requires_grad for p in loss.parameters())


def test_missing_vgg_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="perceptual weight to 0"):
        losses.PerceptualLoss()
    first, second = losses.vgg16_features("random"), losses.vgg16_features("random")
    assert torch.equal(first[0].weight, second[0].weight)
    assert math.isfinite(
        losses.PerceptualLoss(weights="random")(
            torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
        ).item()
    )


def test_consistency_loss_by_hand_and_its_gradient():
    torch.manual_seed(0)
    deblurred, sharp, blurry = torch.rand(3, 2, 3, 8, 8).unbind()
    deblurred.requires_grad_()
    reblurred = 0.5 * deblurred + 0.5 * blurry  # stands for R(I_b, I_d)
    first, second = (
        4 * (deblurred - sharp).square().mean(),
        4 * (reblurred - blurry).square().mean(),
    )  # in [-1, 1]
    loss = losses.consistency_loss(deblurred, sharp, reblurred, blurry, weight=0.3)
    assert loss.item() == pytest.approx((first + 0.3 * second).item())
    assert losses.consistency_loss(deblurred, sharp, reblurred, blurry).item() == pytest.approx(
        (first + 0.1 * second).item()
    )
    (found,) = torch.autograd.grad(loss, deblurred, retain_graph=True)
    (expected,) = torch.autograd.grad(
        first + 0.3 * second, deblurred
    )  # both terms reach the deblurred picture
    assert torch.allclose(found, expected, atol=1e-7)


def tuning(weight):
    """A fine-tuning step: the objective, a deblurring and a reblurring network, and a batch."""
    torch.manual_seed(1)
    model, network = Scale(0.9), Scale(0.7)
    batch = Sample(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8))
    tuned = Experiment(reblur=Experiment(model="reblur"), consistency=weight)
    return LossTerms(tuned, network), model, network, batch


class Scale(torch.nn.Module):
    """Mixes its inputs, and scales them."""

    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, *pictures):
        return self.factor * sum(pictures) / len(pictures)


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0])
def test_training_minimises_the_consistency_loss_to_the_last_bit(weight):
    objective, model, network, batch = tuning(weight)
    total, terms = objective(model, batch)
    (by_training,) = torch.autograd.grad(total, [model.factor])
    restored = model(batch.blurry)
    again = network(batch.blurry, restored)
    loss = losses.consistency_loss(restored, batch.sharp, again, batch.blurry, weight=weight)
    (by_loss,) = torch.autograd.grad(loss, [model.factor])
    assert torch.equal(8 * total, loss) and torch.equal(8 * by_training, by_loss)
    assert terms["consistency"].item() == pytest.approx(
        ((again - batch.blurry) ** 2).mean().item() / 2
    )


def test_training_and_the_consistency_loss_share_equations_6_and_7(monkeypatch):
    objective, model, _, batch = tuning(0.5)
    pictures = (batch.blurry, batch.sharp, batch.blurry, batch.blurry)
    monkeypatch.setattr(losses, "reblurring_loss", lambda reblurred, blurry: torch.tensor(64.0))
    assert objective(model, batch)[1]["consistency"] == 64
    alone = losses.consistency_loss(*pictures, weight=0)
    assert losses.consistency_loss(*pictures, weight=0.5) == alone + 64
    monkeypatch.setattr(losses, "weighted_sum", lambda terms, weights: torch.tensor(3.0))
    assert objective(model, batch)[0] == 3 and losses.consistency_loss(*pictures) == 6


def test_imagenet_scale_of_the_consistency_loss():
    for channel, factor in ((0, 4.77), (1, 4.98), (2, 4.94), (slice(None), 4.90)):
        sharp, deblurred = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
        deblurred[:, channel] = 0.2
        plain, scaled = (
            losses.consistency_loss(deblurred, sharp, sharp, sharp, imagenet_scale=s)
            for s in (False, True)
        )
        assert scaled.item() / plain.item() == pytest.approx(factor, abs=0.005)


def test_the_printed_algorithm_line_by_line():
    """Numbers for which every term of its lines 1, 3, 5 and 6 counts."""
    points, ends = (
        torch.rand(200, 2, dtype=torch.float64) * 9 - 4,
        torch.rand(200, 2).double() * 8 - 3,
    )
    for (x, y), (u, v), found in zip(
        points.tolist(), ends.tolist(), losses.printed_algorithm_1(points, ends), strict=True
    ):
        foot = (u * v * y + v * v * x) / (u * u + v * v)
        if min(u, 0) <= foot <= max(u, 0):
            wanted = abs(u * x - v * y) / math.hypot(u, v)
        else:
            wanted = min(math.hypot(x, y), math.hypot(x - u, y - v))
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize("size", [(9, 10), (10, 9), (12, 12)])
def test_flow_to_features_averages_three_by_three_pixels_around_even_ones(size):
    flow = torch.rand(1, 2, *size, generator=torch.manual_seed(0), dtype=torch.float64)
    rows, columns = ((n + 1) // 2 for n in size)
    found = losses.flow_to_features(flow, (rows, columns))
    for i in range(rows):
        for j in range(columns):
            near = [
                flow[0, :, min(max(2 * i + a, 0), size[0] - 1), min(max(2 * j + b, 0), size[1] - 1)]
                for a in (-1, 0, 1)
                for b in (-1, 0, 1)
            ]
            assert torch.allclose(found[0, :, i, j], sum(near) / 9 / 2)


def test_flow_to_features_allows_a_size_of_one_pixel_less():
    flow = torch.ones(1, 2, 12, 20)
    for size in [(6, 10), (5, 10), (6, 9)]:
        assert losses.flow_to_features(flow, size).shape[-2:] == size
    for size in [(4, 10), (7, 10), (6, 8), (6, 11)]:
        with pytest.raises(ValueError, match=r"size \(12, 20\) has no half-resolution map"):
            losses.flow_to_features(flow, size)


def test_the_margin_of_the_position_loss_is_one_pixel():
    offsets, flows = torch.randn(1, 50, 4, 4), torch.randn(2, 1, 2, 4, 4)
    assert losses.position_loss(offsets, *flows) == losses.position_loss(offsets, *flows, margin=1)
    assert losses.position_loss(offsets, *flows) != losses.position_loss(offsets, *flows, margin=2)


def test_the_perceptual_loss_ends_at_conv3_2():
    defaults = inspect.signature(losses.PerceptualLoss.__init__).parameters
    assert defaults["layer"].default == 12 and defaults["weights"].default == "cached"
    assert torchvision.models.vgg16().features[12].out_channels == 256  # conv3_2, before its ReLU
