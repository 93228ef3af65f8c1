"""What features know of the motion, on cases whose answer is known."""

import numpy as np
import pytest

from deblurlib.analysis import probes
from deblurlib.data import SceneDataset


def pixels(features, motion, scene):
    return probes.Pixels({"f": np.atleast_2d(features)}, {"m": motion}, scene)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_half_takes_means_of_four_pixels():
    array = np.arange(24.0).reshape(4, 6)
    assert probes.half(array).tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]
    assert probes.half(np.stack([array, -array], -1)).shape == (2, 3, 2)


def test_motion_has_a_length_and_an_axis():
    """Right and left are one axis; the length is that of the blur, not of the flow."""
    scene = SceneDataset("test", 1, 64, variant="blur").scene(0)
    still = np.zeros_like(scene.flow_next)
    for u, v, expected in (
        (3, 0, (5, 5, 0)),
        (-3, 0, (5, 5, 0)),
        (0, 2, (5, -5, 0)),
        (1, 1, (5, 0, 5)),
        (1, -1, (5, 0, -5)),
    ):
        flow = still + np.array([u, v], np.float32)
        moved = type(scene)(
            **{
                **vars(scene),
                "flow_next": flow,
                "flow_previous": -flow,
                "blur_extent": np.full_like(scene.blur_extent, 5),
            }
        )
        maps = probes.motion_maps(moved)
        assert np.allclose([values.mean() for values in maps.values()], expected, atol=1e-5), (u, v)
        assert all(values.shape == (32, 32) for values in maps.values())


def test_the_positive_control_holds_the_motion():
    found, exact = {}, {}
    dataset = SceneDataset("test", 4, 128, variant="blur", noise=0)
    for i in range(4):
        for name, values in probes.motion_maps(dataset.scene(i)).items():
            exact.setdefault(name, []).append(values.ravel())
        for name, values in zip(exact, probes.flow_by_dis(dataset.scene(i)), strict=True):
            found.setdefault(name, []).append(values.ravel())
    for name in exact:
        rho = np.corrcoef(np.concatenate(found[name]), np.concatenate(exact[name]))[0, 1]
        assert rho > 0.7, (name, rho)


def test_image_statistics_tell_directions_apart():
    stripes = np.tile(np.sin(np.arange(64) / 2), (64, 1))[..., None].repeat(
        3, -1
    )  # vary to the right only
    right, down, which = probes.image_statistics(stripes)[1:4, 8:-8, 8:-8].mean((1, 2))
    assert right > 0.1 and down == pytest.approx(0) and which > 0.8
    assert probes.image_statistics(stripes.swapaxes(0, 1))[3, 8:-8, 8:-8].mean() < -0.8


def test_rank_correlations(rng):
    target = rng.random(50)
    features = np.stack([np.exp(target), -(target**3), np.ones(50), rng.random(50)])
    assert np.allclose(probes.rank_correlations(features, target)[:3], [1, -1, 0])
    from scipy.stats import spearmanr

    assert probes.rank_correlations(features, target)[3] == pytest.approx(
        spearmanr(features[3], target).statistic
    )


def test_a_probe_is_judged_on_pixels_that_it_was_not_fitted_on(rng):
    def draw(noise):
        features = rng.standard_normal((3, 4000))
        return pixels(
            features,
            features[0] - 2 * features[2] + noise * rng.standard_normal(4000) + 7,
            np.zeros(4000, int),
        )

    fit, clean, noisy = draw(0), draw(0), draw(5**0.5)
    assert probes.probe(fit, clean, ["f"], "m", ridge=1e-6) > 0.999
    assert probes.probe(fit, noisy, ["f"], "m", ridge=1e-6) == pytest.approx(
        0.5, abs=0.05
    )  # half of its variance is noise
    noise = pixels(rng.standard_normal((200, 300)), rng.standard_normal(300), np.zeros(300, int))
    assert (
        probes.probe(noise, noise, ["f"], "m") > 0.4
    )  # what fitting and judging on the same pixels pretends
    unseen = pixels(rng.standard_normal((200, 300)), rng.standard_normal(300), np.zeros(300, int))
    assert probes.probe(noise, unseen, ["f"], "m") < 0


def test_within_a_scene_what_differs_between_scenes_is_gone(rng):
    scene = np.repeat([0, 1, 2], 100)
    between = scene + 0.0
    inside = rng.standard_normal(300)
    found = pixels(np.stack([between, inside]), between + inside, scene).within()
    assert np.allclose(found.features["f"][0], 0)
    assert np.allclose(found.motion["m"], found.features["f"][1])
    assert np.allclose([found.motion["m"][scene == k].mean() for k in range(3)], 0)


def test_sampling_keeps_features_and_motion_together():
    dataset = SceneDataset("test", 2, 64, variant="blur")
    features = {"length": lambda scene: probes.motion_maps(scene)["length"][None]}
    found = probes.sample_pixels(map(dataset.scene, range(2)), features, every=4)
    assert np.array_equal(found.features["length"][0], found.motion["length"])
    assert np.bincount(found.scene).tolist() == [64, 64] and set(found.motion) == set(
        probes.motion_maps(dataset.scene(0))
    )
