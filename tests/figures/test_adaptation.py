"""What the plots of lesson 5 show is what they are given."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from deblurlib import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_maps_of_one_unit_share_a_scale_and_signed_ones_are_even_around_zero():
    flat = lambda value: np.full((4, 6), value)  # noqa: E731
    columns = {
        "motion": ("pixels", [flat(1.0), np.full((2, 3), 7.0)]),  # of another size
        "blurred": ("places", [flat(0.1), flat(-0.4)]),
        "sharp": ("places", [flat(0.2), flat(0.3)]),
    }
    figure = figures.maps_beside_pictures(
        {"a": np.zeros((4, 6, 3)), "b": np.ones((4, 6, 3))}, columns
    )
    images = [axis.images[0] for axis in figure.axes if axis.images][: 2 * 4]
    limits = [image.get_clim() for image in images]
    assert limits[1] == limits[5] == (0, 7)
    assert {*limits[2:4], *limits[6:8]} == {(-0.4, 0.4)}
    assert [image.get_array()[0, 0] for image in images[5:]] == [7.0, -0.4, 0.3]


def test_crops_show_the_window_that_is_drawn_in():
    picture = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    figure = figures.overview_and_crops(
        [(picture, (2, 3, 8, 10), {"one": picture, "two": 1 - picture})]
    )
    whole, one, two = figure.axes
    assert np.array_equal(one.images[0].get_array(), picture[2:10, 3:13])
    assert np.allclose(two.images[0].get_array(), 1 - picture[2:10, 3:13])
    frame = whole.patches[0]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((2.5, 1.5), 10, 8)


def test_the_worst_window_is_where_the_error_is():
    target = np.zeros((40, 60, 3), np.float32)
    output = target.copy()
    output[20:28, 44:52] = 1
    assert figures.worst_window(output, target, 8) == (20, 44, 8, 8)
    assert figures.worst_window(target, target, 40) == (0, 0, 40, 40)


def test_attention_rows_mark_the_place_that_reads():
    figure = figures.attention_rows(
        np.zeros((32, 40, 3)), {(1, 2): np.ones((4, 5)), (3, 0): 2 * np.ones((4, 5))}, stride=8
    )
    picture, first, second = figure.axes[:3]
    assert [line.get_xydata().tolist() for line in picture.lines] == [[[19.5, 11.5]], [[3.5, 27.5]]]
    assert first.lines[0].get_xydata().tolist() == [[2, 1]] and second.lines[
        0
    ].get_xydata().tolist() == [[0, 3]]
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 2)


def test_bounds_lead_from_the_printed_time_and_labels_keep_apart():
    rows = [("X1", 30.0, 40), ("X2", 30.05, 50), ("other", 29.0, 900), ("untimed", 31.0, None)]
    table = pd.DataFrame(rows, columns=["model", "psnr_db", "runtime_ms"])
    axis = figures.accuracy_against_time(table, "X", {"X2": 200}).axes[0]
    assert [[50, 30.05], [200, 30.05]] in [line.get_xydata().tolist() for line in axis.lines]
    heights = {text.get_text(): text.get_position()[1] for text in axis.texts}
    assert set(heights) == {"X1", "X2", "other"} and heights["X2"] - heights["X1"] >= 0.29
