"""The renderer: the motion that it reports is the one that it drew, and seeds always draw alike."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose
from torch.utils.data import Subset

from deblurlib.data import (
    SceneDataset,
    groups_of,
    layers,
    list_photographs,
    load_photograph,
    render_scene,
    scenes,
    warp,
)
from deblurlib.data.compositing import compose, to_picture
from deblurlib.evaluation import psnr

PICTURES = ("blurry", "sharp", "previous", "next")
THUMBNAILS = Path(__file__).with_name("thumbnails.json")


@pytest.fixture(scope="module")
def photo():
    return load_photograph(list_photographs("test")[0])


def fingerprint(scene):
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(v).tobytes() for v in vars(scene).values())
    ).hexdigest()


def thumbnails(variant):
    scene = SceneDataset("test", 3, 96, variant=variant).scene(2)
    maps = {name: getattr(scene, name) for name in (*PICTURES, "flow_next", "blur_extent")}
    return {
        name: np.round(cv2.resize(m, (6, 6), interpolation=cv2.INTER_AREA), 4).tolist()
        for name, m in maps.items()
    }


def masked_psnr(picture, sharp, mask):
    return float(-10 * np.log10(np.mean((picture.astype(np.float64) - sharp)[mask] ** 2)))


@pytest.fixture
def translation(monkeypatch):
    """Every motion becomes a shift by (8, 6) pixels a frame."""

    def path(rng, size, blur, exposure, centre=None):
        return lambda times, parallax=1.0: np.stack(
            [np.array([[1, 0, 8 * t], [0, 1, 6 * t], [0, 0, 1.0]]) for t in times]
        )

    monkeypatch.setattr(layers, "random_path", path)


# --------------------------------------------------------------------------------------------------
# Determinism


def test_the_same_to_the_bit_in_another_process_and_any_order():
    dataset = SceneDataset("train", 6, (72, 96), seed=11)
    forwards = [fingerprint(dataset.scene(i)) for i in range(6)]
    backwards = [fingerprint(dataset.scene(i)) for i in reversed(range(6))][::-1]
    program = (
        "import sys; sys.path.insert(0, 'tests/data'); "
        "from test_scenes import SceneDataset, fingerprint; "
        "print(fingerprint(SceneDataset('train', 100, (72, 96), seed=11).scene(4)))"
    )
    root = scenes.__file__.rsplit("/deblurlib/", 1)[0]
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert forwards == backwards
    assert forwards[4] == elsewhere.strip()
    assert len(set(forwards)) == 6


@pytest.mark.parametrize("variant", ["blur", "blur_gamma"])
def test_this_version_of_the_renderer_still_draws_what_trainings_were_made_with(variant):
    """Thumbnails, since processors round differently.

    To renew them: python -m tests.data.test_scenes.
    """
    kept = json.loads(THUMBNAILS.read_text())
    assert kept["version"] == scenes.RENDERER_VERSION
    for name, thumbnail in thumbnails(variant).items():
        assert_allclose(thumbnail, kept[variant][name], atol=2e-3, err_msg=name)


def test_seed_split_and_variant_all_count():
    def first(split="train", **options):
        return fingerprint(SceneDataset(split, 1, 64, **options).scene(0))

    assert (
        len({first(), first(seed=1), first("test"), first("validation"), first(variant="blur")})
        == 5
    )


def test_samples_hold_the_scene():
    dataset = SceneDataset("validation", 2, (64, 80), seed=4)
    scene, sample = dataset.scene(1), dataset[1]
    assert sample.name == "validation-4-00001" and len(dataset) == 2
    assert np.array_equal(sample.following.permute(1, 2, 0).numpy(), scene.next)
    assert np.array_equal(sample.flow_previous.permute(1, 2, 0).numpy(), scene.flow_previous)
    assert sample.blur_extent.shape == (1, 64, 80)
    with pytest.raises(IndexError, match="no scene 2: the data set has 2"):
        dataset[2]


# --------------------------------------------------------------------------------------------------
# Motion


def test_neighbours_fetched_along_the_exact_flow_are_the_sharp_frame():
    measured = []
    for scene in map(SceneDataset("test", 12, 160).scene, range(12)):
        for frame, flow, visible in (
            (scene.previous, scene.flow_previous, scene.visible_previous),
            (scene.next, scene.flow_next, scene.visible_next),
        ):
            broken = -flow, flow[..., ::-1]
            measured.append(
                [masked_psnr(warp(frame, f), scene.sharp, visible) for f in (flow, *broken)]
            )
    exact, opposite, swapped = np.mean(measured, 0)
    assert exact > 32
    assert opposite < exact - 10 and swapped < exact - 10, (
        "the measure must notice flows of the wrong sign or order"
    )


def test_hidden_points_are_marked(photo):
    scene = render_scene(photo, 5, 128, objects=3, severity=2, noise=0)
    warped = warp(scene.next, scene.flow_next)
    error = np.abs(warped - scene.sharp).mean(-1)
    assert 0.02 < (~scene.visible_next).mean() < 0.7
    assert error[~scene.visible_next].mean() > 3 * error[scene.visible_next].mean()
    ys, xs = np.indices((128, 128))
    ends = np.stack([xs, ys], -1) + scene.flow_next
    outside = ((ends < -0.5) | (ends > 127.5)).any(-1)
    assert not scene.visible_next[outside].any()


@pytest.mark.parametrize("exposure", [1.0, 0.5])
def test_a_pure_translation_has_its_length_as_blur_extent(photo, translation, exposure):
    scene = render_scene(photo, 1, (96, 112), objects=2, exposure=exposure)
    one_layer = scene.labels == 0  # objects move with the camera and by themselves: twice as far
    assert one_layer.any() and (~one_layer).any()
    assert_allclose(scene.blur_extent[one_layer], 10 * exposure, rtol=1e-4)
    assert_allclose(
        scene.flow_next[one_layer],
        np.broadcast_to([8, 6], scene.flow_next[one_layer].shape),
        atol=1e-4,
    )
    assert_allclose(scene.flow_previous, -scene.flow_next, atol=1e-3)
    assert scene.blur_extent[~one_layer].max() == pytest.approx(20 * exposure, rel=1e-4)


def test_a_translation_blurs_like_a_line_kernel(photo, translation, monkeypatch):
    monkeypatch.setattr(layers, "half_plane", lambda rng, shape: np.zeros(shape, np.float32))
    scene = render_scene(photo, 3, (120, 140), objects=0, variant="blur", noise=0)
    times = np.linspace(-0.5, 0.5, scene.subframes)
    shift = np.float32([8, 6])
    average = np.mean(
        [warp(scene.sharp, np.broadcast_to(-t * shift, (120, 140, 2))) for t in times], 0
    )
    inside = np.s_[16:-16, 16:-16]
    assert (
        psnr(average[inside], scene.blurry[inside])
        > 38
        > 30
        > psnr(scene.sharp[inside], scene.blurry[inside])
    )


def test_longer_motion_has_longer_blur_and_more_subframes(photo):
    calm, wild = (render_scene(photo, 2, 128, severity=severity) for severity in (0.3, 3))
    assert 8 < wild.blur_extent.mean() / calm.blur_extent.mean() < 12
    assert calm.subframes == 17 and wild.subframes >= wild.blur_extent.max()


# --------------------------------------------------------------------------------------------------
# Light


@pytest.mark.parametrize("variant", ["blur", "blur_gamma"])
def test_without_motion_nothing_is_blurred(photo, variant):
    scene = render_scene(photo, 8, 96, severity=0, noise=0, variant=variant, objects=3)
    assert np.abs(scene.blurry - scene.sharp).max() <= 1 / 255 + 1e-6
    assert (
        np.array_equal(scene.next, scene.sharp)
        and not scene.flow_next.any()
        and not scene.blur_extent.any()
    )
    assert scene.visible_next.all()


def test_the_sharp_frame_is_the_middle_of_the_exposure(photo):
    scene = render_scene(photo, 9, 96, exposure=1e-6, noise=0, objects=2, severity=1e-6)
    assert np.abs(scene.blurry - scene.sharp).max() <= 1 / 255 + 1e-6
    response = layers.STEPS ** np.float32(2.2)
    recipe = layers.Recipe((96, 96), objects=2, severity=1.0, exposure=1.0, response=response)
    drawn = layers.draw_layers(np.random.default_rng(9), photo, [photo], recipe)
    times = layers.subframe_times(drawn, recipe, 17)
    assert len(times) % 2 == 1 and times[len(times) // 2] == 0
    assert_allclose(times, -times[::-1])
    composed = [canvas.copy() for canvas in compose(drawn, times, (96, 96), [None] * len(times))]
    assert np.array_equal(
        to_picture(composed[len(times) // 2], 2.2), render_scene(photo, 9, 96, objects=2).sharp
    )


def test_variants_differ_in_light_alone(photo):
    plain, gamma = (render_scene(photo, 6, 128, variant=v, noise=0) for v in ("blur", "blur_gamma"))
    assert np.array_equal(plain.flow_next, gamma.flow_next) and np.array_equal(
        plain.labels, gamma.labels
    )
    assert psnr(plain.sharp, gamma.sharp) > 40
    difference = gamma.blurry - plain.blurry
    assert difference.mean() > 0.002 and np.percentile(difference, 1) > -0.02, (
        "light averaged in linear values is never darker"
    )
    with pytest.raises(ValueError, match="no variant 'gamma'"):
        render_scene(photo, 6, 64, variant="gamma")
    with pytest.raises(ValueError, match="no variant 'gamma'"):
        SceneDataset("test", 1, variant="gamma")


@pytest.mark.parametrize("exposure", [-0.5, 0.0, 1.5, float("nan")])
def test_the_exposure_is_a_share_of_the_frame_period(photo, exposure):
    with pytest.raises(ValueError, match=f"exposure is {exposure}: give a share"):
        render_scene(photo, 6, 64, exposure=exposure)


@pytest.mark.parametrize("size", [0, (64, 0)])
def test_a_scene_has_pixels(photo, size):
    with pytest.raises(ValueError, match="give at least 1 pixel per side"):
        render_scene(photo, 6, size)


def test_brightness_is_kept_in_the_values_that_were_averaged():
    gaps = {}
    for variant in ("blur", "blur_gamma"):
        pairs = list(
            map(
                SceneDataset("test", 12, 128, variant=variant, severity=0.5, noise=0).scene,
                range(12),
            )
        )
        for name, power in (("encoded", 1.0), ("linear", 2.2)):
            gaps[variant, name] = abs(
                np.mean([np.mean(s.blurry**power) - np.mean(s.sharp**power) for s in pairs])
            )
    assert (
        gaps["blur", "encoded"] < gaps["blur", "linear"]
        and gaps["blur_gamma", "linear"] < gaps["blur_gamma", "encoded"]
    )


def test_pictures_are_8_bit_and_in_range(photo):
    scene = render_scene(photo, 7, 96, noise=0.05)
    for name in PICTURES:
        picture = getattr(scene, name)
        assert picture.dtype == np.float32 and picture.min() >= 0 and picture.max() <= 1
        assert_allclose(picture * 255, np.rint(picture * 255), atol=1e-4)
    assert psnr(scene.blurry, render_scene(photo, 7, 96, noise=0.0).blurry) == pytest.approx(
        -20 * np.log10(0.05), abs=1.0
    )


# --------------------------------------------------------------------------------------------------
# Sizes and severity


@pytest.mark.parametrize("size", [(16, 16), (37, 211), (720, 1280)])
def test_any_size(photo, size):
    scene = render_scene(photo, 1, size, min_subframes=3, severity=0.3)
    assert all(getattr(scene, name).shape == (*size, 3) for name in PICTURES)
    assert scene.flow_next.shape == scene.flow_previous.shape == (*size, 2)
    assert scene.blur_extent.shape == scene.labels.shape == scene.visible_next.shape == size
    assert np.isfinite(scene.flow_next).all() and np.isfinite(scene.blur_extent).all()


@pytest.mark.parametrize("variant", ["blur", "blur_gamma"])
def test_test_scenes_are_as_blurry_as_gopro(variant):
    dataset = SceneDataset("test", 100, 256, variant=variant)
    assert 25 < np.mean([psnr(s.blurry, s.sharp) for s in map(dataset.scene, range(100))]) < 27


if __name__ == "__main__":
    THUMBNAILS.write_text(
        json.dumps(
            {"version": scenes.RENDERER_VERSION} | {v: thumbnails(v) for v in scenes.RESPONSE}
        )
    )


def test_a_scene_names_its_photograph_and_groups_are_photographs_or_sequences(monkeypatch):
    dataset, loaded = SceneDataset("test", 6, 32, photos="wide"), []
    monkeypatch.setattr(
        scenes, "load_photograph", lambda path: loaded.append(path) or load_photograph(path)
    )
    for i in range(6):
        loaded.clear()
        dataset.scene(i)
        assert Path(loaded[0]).stem == dataset.photograph(i)
    names = [dataset.photograph(i) for i in range(6)]
    assert groups_of(dataset) == names and len(set(names)) > 1
    assert groups_of(Subset(dataset, [4, 1])) == [names[4], names[1]]
    options = {"noise": 0.0, "severity": 0.5}  # change nothing about the choice
    assert groups_of(SceneDataset("test", 6, 32, photos="wide", **options)) == names
