"""Augmented pictures and motion stay consistent: the warp that held before must hold after."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deblurlib.data import Sample, SceneDataset, augment, collate, crop, random_crop, warp
from deblurlib.data.augment import (
    flip_horizontally,
    flip_vertically,
    permute_channels,
    quarter_turn,
)


@pytest.fixture(scope="module")
def sample():
    return SceneDataset("test", 4, (96, 128), seed=3, objects=1, noise=0)[2]


def warp_error(sample):
    """Distance of the neighbours, fetched along the flows, from the sharp frame, inside borders."""
    sharp = sample.sharp.numpy()
    errors = [
        np.abs(np.moveaxis(warp(frame, flow), -1, 0) - sharp)[:, 24:-24, 24:-24].mean()
        for frame, flow in (
            (sample.previous, sample.flow_previous),
            (sample.following, sample.flow_next),
        )
    ]
    return np.array(errors)


def moving_point(u, v):
    """A sample of 8 x 9 whose one bright pixel, at row 2 and column 5, moves by (u, v).

    Its blur extent marks that pixel, too.
    """
    sharp, following = torch.zeros(3, 8, 9), torch.zeros(3, 8, 9)
    sharp[:, 2, 5], following[:, 2 + v, 5 + u] = 1, 1
    flow = torch.tensor([u, v], dtype=torch.float32).reshape(2, 1, 1).expand(2, 8, 9).clone()
    return Sample(
        sharp.clone(),
        sharp,
        following=following,
        flow_next=flow,
        blur_extent=sharp[:1].clone(),
        name="point",
    )


@pytest.mark.parametrize(
    "change",
    [flip_horizontally, flip_vertically, quarter_turn, lambda s: quarter_turn(flip_vertically(s))],
)
def test_vectors_turn_with_the_pixels(change):
    moved = change(moving_point(2, 1))
    (y, x), (y2, x2) = (
        np.argwhere(frame[0].numpy())[0] for frame in (moved.sharp, moved.following)
    )
    assert tuple(moved.flow_next[:, y, x].tolist()) == (x2 - x, y2 - y)
    assert moved.blur_extent[0, y, x] == 1


def test_quarter_turn_is_numpy_rot90(sample):
    assert np.array_equal(quarter_turn(sample).sharp[0].numpy(), np.rot90(sample.sharp[0].numpy()))
    four = quarter_turn(quarter_turn(quarter_turn(quarter_turn(sample))))
    assert all(
        torch.equal(four.tensors()[name], tensor) for name, tensor in sample.tensors().items()
    )


def test_every_augmentation_keeps_the_warp(sample):
    before, seen = warp_error(sample), set()
    for seed in range(40):
        changed = augment(sample, np.random.default_rng(seed))
        assert warp_error(changed) == pytest.approx(before, abs=0.002)
        seen.add((changed.sharp.shape, *changed.sharp[:, 10, 20].tolist()))
    assert before.max() < 0.02
    assert len(seen) > 20, "of 48 equally likely outcomes, 40 draws must show more than 20"
    wrong = replace(sample, flow_next=-sample.flow_next, flow_previous=-sample.flow_previous)
    assert (warp_error(wrong) > 4 * before).all(), "the measure must notice flows of the wrong sign"


def test_augment_is_decided_by_the_generator(sample):
    first, second = (augment(sample, np.random.default_rng(5)) for _ in range(2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.tensors().values(), second.tensors().values(), strict=True)
    )


def test_channels_move_together(sample):
    changed = permute_channels(sample, [2, 0, 1])
    for name in ("blurry", "sharp", "previous", "following"):
        assert torch.equal(getattr(changed, name), getattr(sample, name)[[2, 0, 1]])
    assert changed.flow_next is sample.flow_next and changed.blur_extent is sample.blur_extent


def test_works_on_batches_and_on_bare_pictures(sample):
    batch = quarter_turn(collate([sample, sample]))
    assert torch.equal(batch.flow_next[1], quarter_turn(sample).flow_next)
    bare = augment(Sample(sample.blurry, name="bare"), np.random.default_rng(0))
    assert bare.sharp is None and bare.name == "bare"


def test_crops_cut_the_same_window(sample):
    window = crop(sample, 10, 20, 32, 48)
    for name, tensor in sample.tensors().items():
        assert torch.equal(getattr(window, name), tensor[..., 10:42, 20:68])
    places = {
        random_crop(sample, (90, 120), np.random.default_rng(i)).sharp[0, 0, 0].item()
        for i in range(30)
    }
    assert len(places) > 10
    assert random_crop(sample, (96, 128), np.random.default_rng(0)).sharp.shape == (3, 96, 128)


@pytest.mark.parametrize("window", [(80, 0, 32, 32), (-1, 0, 8, 8), (0, 100, 8, 32)])
def test_a_window_outside_is_refused(sample, window):
    with pytest.raises(ValueError, match="does not fit"):
        crop(sample, *window)
    with pytest.raises(ValueError, match="does not fit"):
        random_crop(sample, 97, np.random.default_rng(0))


def test_each_symmetry_and_channel_order_is_equally_likely():
    marked = torch.zeros(3, 4, 4)
    marked[0, 0, 1], marked[1, 0, 1], marked[2, 0, 1] = 1, 2, 3  # no symmetry maps (0, 1) to itself
    seen = {}
    for seed in range(1200):
        changed = augment(Sample(marked, marked), np.random.default_rng(seed)).sharp
        row, column = (int(n) for n in changed.sum(0).nonzero()[0])
        key = (row, column, tuple(changed[:, row, column].int().tolist()))
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 8 * 6
    assert min(seen.values()) > 5 and max(seen.values()) < 50  # 25 on average
