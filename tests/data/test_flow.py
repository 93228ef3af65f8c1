"""Optical flow against motion that is known exactly."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from deblurlib.data import (
    Sample,
    SceneDataset,
    dis_flow,
    end_point_error,
    farneback_flow,
    neighbour_flows,
    to_tensor,
    warp,
)

INSIDE = np.s_[32:-32, 32:-32]


@pytest.fixture(scope="module")
def noise():
    """Detail of every size, as in photographs: a coarse-to-fine search begins with the coarse."""
    white = np.random.default_rng(0).standard_normal((224, 288, 3), dtype=np.float32)
    values = sum(
        sigma * gaussian_filter(white, (sigma, sigma, 0), mode="wrap")
        for sigma in (1.5, 3, 6, 12, 24)
    )
    return (values - values.min()) / (values.max() - values.min())


def shifted(picture, u, v):
    return np.roll(picture, (v, u), axis=(0, 1))  # what was at (x, y) is at (x + u, y + v)


def inner_error(flow, u, v):
    return end_point_error(flow[INSIDE], np.broadcast_to(np.float32([u, v]), flow[INSIDE].shape))


def test_dis_finds_a_shift(noise):
    assert inner_error(dis_flow(noise, shifted(noise, 7, -3)), 7, -3) < 0.1
    assert inner_error(dis_flow(noise, shifted(noise, 24, 10)), 24, 10) < 0.1


def test_farneback_finds_small_shifts_and_loses_large_ones(noise):
    assert inner_error(farneback_flow(noise, shifted(noise, 3, -2)), 3, -2) < 0.05
    assert inner_error(farneback_flow(noise, shifted(noise, 24, 10)), 24, 10) > 1


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
def test_every_preset_and_every_form_of_picture(noise, preset):
    second = shifted(noise, 5, 2)
    expected = dis_flow(noise, second, preset)
    assert expected.shape == (224, 288, 2) and expected.dtype == np.float32
    assert inner_error(expected, 5, 2) < 0.3
    eight_bit = [np.rint(p * 255).astype(np.uint8) for p in (noise, second)]
    assert np.array_equal(dis_flow(*eight_bit, preset), expected)
    assert np.array_equal(dis_flow(to_tensor(noise), to_tensor(second), preset), expected)
    assert np.array_equal(
        dis_flow(np.moveaxis(noise, -1, 0), np.moveaxis(second, -1, 0), preset), expected
    )
    assert np.array_equal(
        dis_flow(*((p.astype(np.uint16) * 257) for p in eight_bit), preset), expected
    )


def test_flow_does_not_depend_on_the_number_of_threads(noise):
    flows, before = [], cv2.getNumThreads()
    for threads in (1, 3):
        cv2.setNumThreads(threads)
        flows.append(dis_flow(noise, shifted(noise, 7, -3)))
    cv2.setNumThreads(before)
    assert np.array_equal(*flows)


def test_warp_fetches_the_second_frame_into_the_first(noise):
    second, flow = (
        shifted(noise, 6, -4),
        np.broadcast_to(np.float32([6, -4]), (*noise.shape[:2], 2)),
    )
    assert np.allclose(warp(second, flow)[INSIDE], noise[INSIDE], atol=1e-6)
    assert not np.allclose(warp(second, flow[..., ::-1])[INSIDE], noise[INSIDE], atol=0.05)
    as_tensors = warp(to_tensor(second), to_tensor(flow))
    assert np.array_equal(as_tensors, warp(second, flow))
    assert warp(np.rint(second * 255).astype(np.uint8), flow).dtype == np.uint8
    with pytest.raises(ValueError, match="give both the same size"):
        warp(second, flow[:10])


def test_warp_interpolates_between_pixels():
    ramp = np.arange(20, dtype=np.float32)[None, :, None].repeat(16, 0).repeat(3, 2) / 20
    half = np.zeros((16, 20, 2), np.float32)
    half[..., 0] = 0.5
    assert np.allclose(warp(ramp, half)[:, :-1], ramp[:, :-1] + 0.5 / 20, atol=1e-6)


def test_end_point_error():
    exact = np.zeros((4, 5, 2))
    flow = exact + np.array([3.0, 4.0])
    mask = np.zeros((4, 5), bool)
    assert end_point_error(flow, exact) == 5
    assert np.isnan(end_point_error(flow, exact, mask))
    flow[0, 0], mask[0, :2] = (0, 1), True
    assert end_point_error(flow, exact, mask) == 3
    assert end_point_error(torch.from_numpy(flow).permute(2, 0, 1), exact, mask) == 3


def test_dis_beats_farneback_where_scenes_move_far():
    long = {"dis": [], "farneback": []}
    for scene in map(SceneDataset("test", 12, 192).scene, range(12)):
        far = (np.hypot(*np.moveaxis(scene.flow_next, -1, 0)) > 15) & scene.visible_next
        if far.sum() > 500:
            long["dis"].append(
                end_point_error(dis_flow(scene.sharp, scene.next), scene.flow_next, far)
            )
            long["farneback"].append(
                end_point_error(farneback_flow(scene.sharp, scene.next), scene.flow_next, far)
            )
    assert len(long["dis"]) >= 3
    assert np.mean(long["dis"]) < 0.5 * np.mean(long["farneback"])


def test_neighbour_flows_and_the_ends_of_a_sequence(noise):
    sharp, previous, following = (
        to_tensor(p) for p in (noise, shifted(noise, -5, 1), shifted(noise, 8, 3))
    )
    to_previous, to_next = neighbour_flows(Sample(sharp, sharp, previous, following))
    assert inner_error(to_previous.permute(1, 2, 0).numpy(), -5, 1) < 0.1
    assert inner_error(to_next.permute(1, 2, 0).numpy(), 8, 3) < 0.1
    first = neighbour_flows(Sample(sharp, sharp, None, following))
    assert torch.equal(first[1], to_next) and torch.equal(first[0], -to_next)
    last = neighbour_flows(Sample(sharp, sharp, previous, None))
    assert torch.equal(last[0], to_previous) and torch.equal(last[1], -to_previous)
    with pytest.raises(ValueError, match="no sharp neighbouring frame"):
        neighbour_flows(Sample(sharp, sharp, name="alone"))


def test_bad_input_is_refused(noise):
    with pytest.raises(ValueError, match="no DIS preset 'best'"):
        dis_flow(noise, noise, "best")
    with pytest.raises(ValueError, match="equal size"):
        dis_flow(noise, noise[:100])
    with pytest.raises(ValueError, match="at least 16 x 16"):
        farneback_flow(noise[:8], noise[:8])


def test_warp_repeats_the_edge_outside_the_picture():
    picture = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
    far = np.zeros((4, 5, 2), np.float32)
    far[..., 0] = 9
    assert (warp(picture, far) == picture[:, -1:]).all()
    far[..., 0], far[..., 1] = 0, -9
    assert (warp(picture, far) == picture[:1]).all()


def test_farneback_runs_with_opencvs_usual_settings(noise):
    grey = np.rint(255 * noise.mean(-1)).astype(np.uint8)
    first, second = grey[:200, :200], grey[2:202, 2:202]
    usual = cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    found = farneback_flow(first, second)
    assert found.dtype == np.float32 and np.array_equal(found, usual)
    levels = cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 1, 15, 3, 5, 1.2, 0)
    assert np.array_equal(farneback_flow(first, second, levels=1), levels)
    assert not np.array_equal(levels, usual)


def test_neighbour_flows_use_the_preset(noise):
    frames = [to_tensor(noise[i : 90 + i, i : 90 + i]) for i in (0, 3, 6)]
    sample = Sample(frames[1], frames[1], previous=frames[0], following=frames[2])
    for preset in ("ultrafast", "medium"):
        wanted = to_tensor(dis_flow(frames[1], frames[0], preset))
        assert torch.equal(neighbour_flows(sample, preset)[0], wanted)
    assert not torch.equal(wanted, neighbour_flows(sample, "ultrafast")[0])


def test_the_end_point_error_of_a_flow_with_channels_first():
    flow, exact = np.zeros((2, 3, 4)), torch.zeros(2, 3, 4)
    exact[0], exact[1] = 3, 4
    assert end_point_error(flow, exact) == 5
    assert end_point_error(flow, exact, [[0, 1, 0, 0], [0] * 4, [0] * 4]) == 5
    assert np.isnan(end_point_error(flow, exact, np.zeros((3, 4))))


def test_sizes_are_told_as_width_by_height():
    with pytest.raises(ValueError, match="The image is 40 x 30 and the flow 20 x 10"):
        warp(np.zeros((30, 40, 3)), np.zeros((10, 20, 2)))


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "u2", "i4"])
def test_warp_is_bilinear_to_the_last_digits_for_every_array(dtype, channels):
    rng, shape = np.random.default_rng(0), (20, 24, *([channels] if channels else []))
    dtype = np.dtype(dtype)
    picture = rng.random(shape) if dtype.kind == "f" else rng.integers(0, 200, shape)
    picture = picture.astype(dtype)
    warped = warp(picture, np.full((20, 24, 2), 0.3, np.float32))
    assert warped.dtype == dtype and warped.shape == shape
    a, b = picture[:-1].astype(float), picture[1:].astype(float)
    rows = 0.7 * a + 0.3 * b
    expected = 0.7 * rows[:, :-1] + 0.3 * rows[:, 1:]
    error = np.abs(warped[:-1, :-1] - expected).max()
    assert error < {"f": {2: 1e-3, 4: 2e-6, 8: 2e-6}}.get(dtype.kind, {}).get(dtype.itemsize, 0.51)


@pytest.mark.parametrize("estimate", [dis_flow, farneback_flow])
def test_flow_refuses_floats_of_another_scale(noise, estimate):
    with pytest.raises(ValueError, match=r"A frame has values from .* scale floats"):
        estimate(noise * 255, noise * 255)
    with pytest.raises(ValueError, match="convert it to uint8"):
        estimate((noise * 255).astype(int), (noise * 255).astype(int))


def test_flows_that_broadcast_are_refused():
    with pytest.raises(ValueError, match="give both the same size"):
        end_point_error(np.zeros((4, 4, 2)), np.zeros((1, 4, 2)))
