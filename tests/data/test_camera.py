"""The camera of rendered scenes: each option does one thing, and the motion stays exact."""

import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from deblurlib.data import (
    Camera,
    SceneDataset,
    list_photographs,
    load_photograph,
    render_scene,
    warp,
)
from deblurlib.data import camera as cameras
from deblurlib.evaluation import psnr

KEPT = Path(__file__).with_name("camera_thumbnails.json")
PICTURES = ("blurry", "sharp", "previous", "next")


@pytest.fixture(scope="module")
def photo():
    return load_photograph(list_photographs("test")[0])


def render(photo, size=96, seed=3, variant="blur_gamma", **options):
    camera = options.pop("camera", None)
    return render_scene(photo, seed, size, variant=variant, noise=0, camera=camera, **options)


def fingerprint(scene):
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(v).tobytes() for v in vars(scene).values())
    ).hexdigest()


def shots(camera, count=400):
    return [cameras.draw_shot(camera, cameras.camera_random(i)) for i in range(count)]


def thumbnails():
    dataset = SceneDataset("test", 8, 96, variant="blur", camera="real")
    return [
        {
            name: np.round(
                cv2.resize(getattr(scene, name), (6, 6), interpolation=cv2.INTER_AREA), 4
            ).tolist()
            for name in (*PICTURES, "flow_next", "blur_extent")
        }
        for scene in map(dataset.scene, range(8))
    ]


def high_frequencies(picture):
    grey = picture.mean(-1)
    return np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()


def test_a_camera_without_options_changes_nothing(photo):
    for seed in range(4):
        for variant in ("blur", "blur_gamma"):
            bare, with_camera = (
                render(photo, seed=seed, variant=variant, camera=camera)
                for camera in (None, Camera())
            )
            assert fingerprint(bare) == fingerprint(with_camera)


def test_the_real_camera_still_draws_what_trainings_were_made_with():
    kept = json.loads(KEPT.read_text())
    assert kept["version"] == cameras.CAMERA_VERSION
    for now, then in zip(thumbnails(), kept["scenes"], strict=True):
        for name, thumbnail in now.items():
            assert_allclose(thumbnail, then[name], atol=4e-3, err_msg=name)


def test_scenes_with_a_camera_do_not_depend_on_their_order():
    dataset = SceneDataset("train", 6, (72, 96), seed=11, camera="real")
    forwards = [fingerprint(dataset.scene(i)) for i in range(6)]
    backwards = [fingerprint(dataset.scene(i)) for i in reversed(range(6))][::-1]
    assert forwards == backwards and len(set(forwards)) == 6


def test_one_option_leaves_the_draws_of_the_others_alone():
    real = cameras.CAMERAS["real"]
    for field in fields(Camera):
        changed = replace(real, **{field.name: getattr(Camera(), field.name)})
        touched = {
            f.name
            for a, b in zip(shots(real, 60), shots(changed, 60), strict=True)
            for f in fields(a)
            if getattr(a, f.name) != getattr(b, f.name)
        }
        assert touched <= {
            "still": {"severity"},
            "averaged": {"frames", "shutter"},
            "highlights": {"highlight"},
            "reduced": {"reduction"},
            "jpeg": {"codec", "quality"},
            "video": {"codec", "quality"},
            "jpeg_quality": {"quality"},
            "video_quality": {"quality"},
        }.get(field.name, {field.name}), field.name


def test_shares_and_ranges_are_drawn_as_stated():
    camera = Camera(
        still=0.25, severity=(0.5, 2), averaged=0.5, linear=0.75, reduced=0.3, jpeg=0.2, video=0.6
    )
    drawn = shots(camera, 2000)
    shares = {
        "still": np.mean([s.severity == 0 for s in drawn]),
        "averaged": np.mean([s.frames is not None for s in drawn]),
        "linear": np.mean([s.linear for s in drawn]),
        "reduced": np.mean([s.reduction > 1 for s in drawn]),
        "jpeg": np.mean([s.codec == "jpeg" for s in drawn]),
        "video": np.mean([s.codec == "video" for s in drawn]),
    }
    for name, share in shares.items():
        assert share == pytest.approx(getattr(camera, name), abs=0.04), name
    moving = [s.severity for s in drawn if s.severity]
    assert 0.5 <= min(moving) < 0.52 and 1.95 < max(moving) <= 2
    assert np.median(moving) == pytest.approx(1.0, abs=0.06)  # of a log-uniform distribution
    assert {s.frames for s in drawn} == {None, *cameras.AVERAGED_FRAMES}
    reductions = [s.reduction for s in drawn if s.reduction > 1]
    assert np.mean(reductions) == pytest.approx(1.5, abs=0.05) and max(reductions) > 1.95


def test_a_still_scene_is_not_blurred(photo):
    scene = render(photo, camera=Camera(still=1.0))
    assert np.array_equal(scene.blurry, scene.sharp) and np.array_equal(scene.sharp, scene.next)
    assert not scene.blur_extent.any() and not scene.flow_next.any() and scene.subframes == 1


def test_the_shutter_shortens_the_blur_and_not_the_motion(photo):
    whole, half = (render(photo, camera=Camera(shutter=(s, s)), objects=2) for s in (1.0, 0.4))
    assert half.blur_extent.mean() == pytest.approx(0.4 * whole.blur_extent.mean(), rel=0.02)
    speed = [np.linalg.norm(s.flow_next, axis=-1).mean() for s in (whole, half)]
    assert 0.6 < speed[1] / speed[0] < 1.6
    assert psnr(half.blurry, half.sharp) > psnr(whole.blurry, whole.sharp) + 2


def test_severity_is_a_factor_on_the_motion(photo):
    calm, wild = (render(photo, camera=Camera(severity=(s, s))) for s in (0.5, 2.0))
    assert wild.blur_extent.mean() == pytest.approx(4 * calm.blur_extent.mean(), rel=0.1)
    assert fingerprint(calm) == fingerprint(render(photo, severity=0.5))


def test_averaged_frames_leave_gaps(photo):
    scene = render(photo, seed=5, camera=Camera(averaged=1.0), severity=4, objects=0)
    smooth = render(photo, seed=5, severity=4, objects=0)
    assert scene.subframes in cameras.AVERAGED_FRAMES and smooth.subframes > 20
    assert high_frequencies(scene.blurry) > 1.5 * high_frequencies(smooth.blurry)
    assert_allclose(cameras.averaged_times(7, 0.7), np.arange(-3, 4) / 10)


@pytest.mark.parametrize("linear", [True, False])
def test_the_camera_chooses_the_values_that_are_averaged(photo, linear):
    expected = render(photo, variant="blur_gamma" if linear else "blur")
    other = render(photo, variant="blur" if linear else "blur_gamma", camera=Camera(linear=linear))
    assert fingerprint(expected) == fingerprint(other)


def test_a_sensor_clips_the_sum_and_an_average_of_frames_the_summands():
    lamp = np.zeros((96, 96, 3), np.uint8) + np.uint8(20)
    lamp[44:50, 44:50] = 255
    options = {"objects": 0, "severity": 1.5, "textures": [lamp]}
    brightness = {}
    for variant in ("blur", "blur_gamma"):
        for white in (1.0, 4.0):
            scene = render_scene(
                lamp,
                8,
                48,
                variant=variant,
                noise=0,
                camera=Camera(highlights=(white, white)),
                **options,
            )
            brightness[variant, white] = scene.blurry.astype(float).sum()
            assert scene.sharp.max() <= 1 and scene.blurry.max() <= 1
    assert brightness["blur_gamma", 4.0] > 1.02 * brightness["blur_gamma", 1.0]
    assert brightness["blur", 4.0] == pytest.approx(brightness["blur", 1.0], rel=0.01)


def test_the_noise_has_the_variance_of_poisson_plus_gaussian():
    rng = np.random.default_rng(0)
    for level in (0.0, 0.04, 0.5):
        light = np.full((200, 200, 4), level, np.float32)
        noisy = cameras.expose(light, 2.2, 1000.0, rng)
        assert np.array_equal(noisy[..., 3], light[..., 3])
        variance = level / 1000 + (cameras.READ_NOISE / 1000) ** 2
        values = noisy[..., :3]
        if level:
            assert values.mean() == pytest.approx(level, rel=0.01)
            assert values.var() == pytest.approx(variance, rel=0.05)
        else:  # half of the noise lies below black and is clipped
            assert (values**2).mean() == pytest.approx(variance / 2, rel=0.05)
        encoded = cameras.expose(np.float32(light ** (1 / 2.2)), 1.0, 1000.0, rng)[..., :3] ** 2.2
        if level:
            assert encoded.var() == pytest.approx(variance, rel=0.05)


def test_noise_falls_with_light_and_spares_the_sharp_image(photo):
    clean = render(photo)
    errors = []
    for electrons in (500.0, 5000.0, 1e7):
        scene = render(photo, camera=Camera(electrons=(electrons, electrons)))
        assert np.array_equal(scene.sharp, clean.sharp) and np.array_equal(scene.next, clean.next)
        errors.append(psnr(scene.blurry, clean.blurry))
    assert errors[0] < errors[1] - 7 and errors[2] > 50


def test_optics_soften_every_frame(photo):
    clean, soft = render(photo), render(photo, camera=Camera(softness=(1.0, 1.0)))
    for name in PICTURES:
        before, after = (high_frequencies(getattr(s, name)) for s in (clean, soft))
        assert after < 0.9 * before, name
    assert np.array_equal(clean.flow_next, soft.flow_next)
    assert np.abs(clean.sharp.mean() - soft.sharp.mean()) < 2e-3


@pytest.mark.parametrize("size", [(96, 128), (37, 53)])
def test_a_reduced_scene_is_the_same_scene(photo, size):
    clean = render(photo, size, objects=2)
    finer = render(photo, size, objects=2, camera=Camera(reduced=1.0, reduction=(1.9, 1.9)))
    for name in ("flow_previous", "flow_next", "labels", "visible_next", "visible_previous"):
        assert np.array_equal(getattr(clean, name), getattr(finer, name)), name
    assert_allclose(clean.blur_extent, finer.blur_extent, rtol=1e-3)
    for name in PICTURES:
        assert psnr(getattr(clean, name), getattr(finer, name)) > 28, name
        assert not np.array_equal(getattr(clean, name), getattr(finer, name)), name


def test_the_flow_of_a_reduced_scene_leads_to_the_neighbouring_frame(photo):
    scene = render(photo, 160, camera=Camera(reduced=1.0, reduction=(1.7, 1.7)))
    back = warp(scene.next, scene.flow_next)
    mask = scene.visible_next
    moved, still = (np.square(p - scene.sharp)[mask].mean() for p in (back, scene.next))
    assert moved < still / 4


def test_compression_costs_more_at_lower_quality_and_spares_the_sharp_image(photo):
    clean = render(photo)
    for codec in ("jpeg", "video"):
        errors = []
        for quality in (40, 95):
            options = {codec: 1.0, f"{codec}_quality": (quality, quality)}
            scene = render(photo, camera=Camera(**options))
            assert np.array_equal(scene.sharp, clean.sharp)
            assert_allclose(scene.blurry * 255, np.rint(scene.blurry * 255), atol=1e-4)
            errors.append(psnr(scene.blurry, clean.blurry))
        assert 25 < errors[0] < errors[1] - 3, codec


def test_video_smooths_the_edges_of_blocks(photo):
    smooth = cv2.GaussianBlur(photo[:128, :160].astype(np.float32) / 255, (0, 0), 3)
    picture = np.rint(smooth * 255).astype(np.float32) / 255
    seams = {}
    for codec in ("jpeg", "video"):
        result = cameras.compress(picture, codec, 20)
        steps = np.abs(np.diff(result, axis=1)).mean((0, 2))
        seams[codec] = steps[7::8].mean() / steps.mean()
    assert seams["jpeg"] > 1.2 * seams["video"]
    assert cameras.compress(picture, "none", 20) is picture


def test_deblocking_spares_the_edges_of_the_scene():
    """Black and white meet at the edge of a block: the step is of the scene, not of the codec."""
    picture = np.zeros((32, 32, 3), np.float32)
    picture[:, 16:] = 1
    result = cameras.compress(picture, "video", 90)
    assert (result[:, 16] - result[:, 15]).min() > 0.95


def test_the_real_camera_is_the_named_one_and_others_are_refused(photo):
    named, given = (render(photo, camera=camera) for camera in ("real", cameras.CAMERAS["real"]))
    assert fingerprint(named) == fingerprint(given)
    with pytest.raises(ValueError, match="no camera 'reel': choose one of real"):
        render(photo, camera="reel")
    with pytest.raises(ValueError, match="no camera 'reel'"):
        SceneDataset("test", 1, 32, camera="reel")


def test_the_real_camera_spans_no_blur_to_strong_blur():
    dataset = SceneDataset("train", 60, 128, variant="blur", camera="real")
    scores = [psnr(s.blurry, s.sharp) for s in map(dataset.scene, range(60))]
    assert min(scores) < 24 and max(scores) > 38 and 26 < np.median(scores) < 33


if __name__ == "__main__":
    KEPT.write_text(json.dumps({"version": cameras.CAMERA_VERSION, "scenes": thumbnails()}) + "\n")
