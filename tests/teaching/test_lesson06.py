"""The exercises of notebook 06 give reasons, and its figures show what they are given."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import rankdata, spearmanr

from deblurlib import figures, teaching
from deblurlib.models.aspdc import misread_by_mmcv


def softmax(logits, axis=0):
    e = np.exp(logits - logits.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def fuse(f, logits):
    return (f * softmax(logits)[:, None]).sum(0)


def naive_fuse(f, logits):
    with np.errstate(all="ignore"):
        return (f * (np.exp(logits) / np.exp(logits).sum(0))[:, None]).sum(0)


def source(k, y, x, height, width):
    address = (k * height + y) * width + x
    if address >= 9 * (height - 2) * (width - 2):
        return None
    row, column = divmod(address, width - 2)
    return (*divmod(row, height - 2), column)


def exchanged(k, y, x, height, width):
    address = (k * height + y) * width + x
    inside = address < 9 * (height - 2) * (width - 2)
    return np.unravel_index(address, (9, width - 2, height - 2)) if inside else None


def surprise(a, b, correlation=spearmanr, absolute=True, shifts=None):
    shifts = shifts or list(np.ndindex(a.shape))
    rho = np.array([correlation(a.ravel(), np.roll(b, s, (0, 1)).ravel())[0] for s in shifts])
    here = correlation(a.ravel(), b.ravel())[0]
    return np.mean((np.abs(rho) >= abs(here) - 1e-9) if absolute else (rho >= here - 1e-9))


def shuffled(a, b):
    rng, here = np.random.default_rng(0), abs(spearmanr(a.ravel(), b.ravel())[0])
    return np.mean(
        [abs(spearmanr(a.ravel(), rng.permutation(b.ravel()))[0]) >= here for _ in range(100)]
    )


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1], None


@pytest.mark.parametrize(
    ("exercise", "answer", "passes", "reason"),
    [
        ("06.1", fuse, True, "compete"),
        ("06.1", naive_fuse, False, "overflows"),
        ("06.1", lambda f, logits: (f * logits[:, None]).sum(0), False, "logits themselves"),
        (
            "06.1",
            lambda f, logits: (f * np.exp(logits)[:, None]).sum(0),
            False,
            "divide by their sum",
        ),
        (
            "06.1",
            lambda f, logits: (f * softmax(logits, (1, 2))[:, None]).sum(0),
            False,
            "pixels compete",
        ),
        ("06.1", lambda f, logits: (f * softmax(logits, 2)[:, None]).sum(0), False, "columns"),
        ("06.1", lambda f, logits: (f * softmax(logits, 1)[:, None]).sum(0), False, "rows"),
        ("06.1", lambda f, logits: (f / (1 + np.exp(-logits))[:, None]).sum(0), False, "sigmoid"),
        ("06.1", lambda f, logits: fuse(f, logits) / 4, False, "four times too small"),
        (
            "06.1",
            lambda f, logits: (f * (logits == logits.max(0))[:, None]).sum(0),
            False,
            "winner",
        ),
        ("06.1", lambda f, logits: f * softmax(logits)[:, None], False, "not (4, 3, 5, 6)"),
        ("06.1", lambda f, logits: fuse(f, 2 * logits), False, "values are off"),
        ("06.2", source, True, "came next in memory"),
        ("06.2", lambda k, y, x, height, width: (k, y, x), False, "laid down row by row for 4 x 3"),
        (
            "06.2",
            lambda k, y, x, h, w: source(k, y, x, h, w) or (8, h - 3, w - 3),
            False,
            "return None",
        ),
        (
            "06.2",
            lambda k, y, x, h, w: source(k, y, x, h, w) if k < 4 else None,
            False,
            "not past the end",
        ),
        ("06.2", exchanged, False, "swapped"),
        (
            "06.2",
            lambda k, y, x, h, w: source(k, y, x, h, w) and source(k, y, x, h, w)[::-1],
            False,
            "number",
        ),
        ("06.3", surprise, True, "Keep the smoothness"),
        ("06.3", lambda a, b: surprise(a, b, pearson), False, "Spearman"),
        ("06.3", lambda a, b: surprise(a, b, absolute=False), False, "absolute"),
        (
            "06.3",
            lambda a, b: surprise(a, b, shifts=list(np.ndindex(a.shape))[1:]),
            False,
            "one of the shifts",
        ),
        ("06.3", shuffled, False, "no longer smooth"),
        ("06.3", lambda a, b: 1 - surprise(a, b), False, "*less*"),
        (
            "06.3",
            lambda a, b: surprise(a, b, shifts=[(i, 0) for i in range(len(a))]),
            False,
            "all 168 shifts",
        ),
        ("06.3", lambda a, b: 2.0, False, "between 0 and 1"),
    ],
)
def test_checks_give_the_reason(exercise, answer, passes, reason):
    verdict = teaching.check(exercise, answer)
    assert verdict.passed == passes and reason in verdict.reason, verdict


def test_the_address_of_the_exercise_is_the_one_of_the_library():
    mask = torch.rand(1, 9, 5, 3)
    read = misread_by_mmcv(mask, 7, 5, fill=-1)
    for at in np.ndindex(9, 7, 5):
        there = source(*at, 7, 5)
        assert read[(0, *at)] == (-1 if there is None else mask[(0, *there)])


def test_ranks_make_spearman():
    a, b = np.random.default_rng(0).random((2, 40))
    assert np.corrcoef(rankdata(a), rankdata(b))[0, 1] == pytest.approx(spearmanr(a, b).statistic)


# --------------------------------------------------------------------------------------------------
# ----------- figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_diagram_has_its_boxes_and_arrows():
    boxes = {"a": (0, 0, "first"), "b": (1, 0, "second"), "c": (2, 1, "third")}
    figure = figures.diagram(boxes, [("a", "b"), ("b", "c", 0.3)], ylim=(-3, 3))
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts if text.get_text()] == [
        "first",
        "second",
        "third",
    ]
    arrows = [text for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 2 and axis.get_ylim() == (-3, 3)
    assert (arrows[1].xyann, arrows[1].xy) == ((1, 0), (2, 1))


def test_reach_grids_fill_the_cells_that_are_not_zero():
    field = np.zeros((5, 5))
    field[0, 4] = field[2, 2] = 0.1
    figure = figures.reach_grids({"row": {"one": field, "two": np.zeros((5, 5))}})
    one, two = figure.axes
    assert (
        sorted(patch.get_xy() for patch in one.patches) == [(-0.5, -0.5), (1.5, -2.5)]
        and not two.patches
    )
    assert one.get_title() == "one" and one.get_ylabel() == "row"


def test_branch_points_are_drawn_in_image_pixels_as_large_as_their_mask():
    points, masks = np.zeros((2, 2, 9, 6, 8)), np.zeros((2, 9, 6, 8))
    points[1, 0, :, 2, 3], points[1, 1, :, 2, 3] = np.arange(9), -1  # right, down in cells
    masks[1, 8] = 1
    figure = figures.branch_points(
        np.zeros((24, 32, 3)), points, masks, {"here": (2, 3)}, ["one", "two"]
    )
    drawn = figure.axes[1].collections[0]
    assert drawn.get_offsets().tolist() == [[12 + 4 * k, 4] for k in range(9)]
    assert np.argmax(drawn.get_sizes()) == 8 and np.ptp(drawn.get_sizes()[:8]) == 0
    assert figure.axes[1].get_title() == "two" and figure.axes[0].get_ylabel() == "here"


def test_attention_maps_share_one_scale():
    maps = np.stack([np.full((4, 5), value) for value in (0.1, 0.2, 0.3, 0.4)])
    figure = figures.attention_maps(
        [(np.zeros((16, 20, 3)), np.ones((16, 20)), maps)] * 2, ["a", "b", "c", "d"], highest=0.5
    )
    scales = [
        axis.images[0].get_clim()
        for axis in figure.axes[:12]
        if axis.images[0].get_array().shape == (4, 5)
    ]
    assert scales == [(0, 0.5)] * 8 and figure.axes[5].get_title() == "d"


def test_size_and_quality_labels_every_row():
    table = pd.DataFrame(
        {
            "size": [1.0, 2.0, 3.0],
            "quality": [4.0, 5.0, 6.0],
            "name": ["x", "y", "z"],
            "kind": [1, 2, 1],
        }
    )
    axis = figures.size_and_quality(table, "size", "quality", "name", "kind").axes[0]
    assert {(text.get_text(), *text.xy) for text in axis.texts} == {
        ("x", 1, 4),
        ("y", 2, 5),
        ("z", 3, 6),
    }
    assert [line.get_xdata().tolist() for line in axis.lines] == [[1, 3], [2]]
