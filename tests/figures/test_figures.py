import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from deblurlib import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def shown(figure):
    return [axis.images[0].get_array() for axis in figure.axes if axis.images]


def test_pictures_of_any_kind_are_shown_alike_and_cropped_alike():
    array = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    first, second = shown(
        figures.pictures({"array": array, "tensor": tensor[None] + 0}, crop=(2, 3, 8, 10))
    )
    assert np.array_equal(first, second) and np.array_equal(first, array[2:10, 3:13])


def test_flow_colours_tell_direction_and_length():
    flow = np.zeros((1, 4, 2), np.float32)
    flow[0, 1:, 0] = 1, 2, -2
    still, slow, fast, back = figures.flow_picture(flow, longest=2)[0]
    assert np.ptp(still) == 0 and np.ptp(fast) > np.ptp(slow) > 0
    assert not np.allclose(fast, back)


def test_sampling_points_are_drawn_in_image_pixels():
    points = np.zeros((2, 25, 8, 8))
    points[0, :, 3, 4] = np.arange(25)  # feature pixels to the right
    flow = np.ones((8, 8, 2))
    figure = figures.sampling_points(np.zeros((16, 16, 3)), points, [flow, -flow], {"spot": (3, 4)})
    x, y = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 25).get_data()
    assert list(x) == [8 + 2 * k for k in range(25)] and set(y) == {6}
    ends = {tuple(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2}
    assert ends == {(8, 10), (8, 6)}


def test_distance_error_has_a_scale_that_is_even_around_zero():
    figure = figures.distance_error(np.array([[0.0, 3.0], [-1.0, 0.5]]), 6, np.array([4.0, 2.0]))
    assert figure.axes[0].images[0].get_clim() == (-3, 3)


def test_receptive_fields_grey_out_exact_zeros_and_count_the_rest():
    field = np.zeros((5, 5))
    field[2] = 1, 10, 100, 10, 1
    figure = figures.receptive_fields({"cross": field, "plane": field + 1e-30})
    cross, plane = shown(figure)[:2]
    assert (
        cross.mask.sum() == 20
        and cross[2].tolist() == [-2, -1, 0, -1, -2]
        and not np.any(plane.mask)
    )
    titles = [axis.get_title() + axis.get_title("left") for axis in figure.axes[:2]]
    assert titles == ["cross\n5 of 25", "plane\n25 of 25"]


def test_signed_maps_share_one_even_scale():
    values = {"a": np.full((4, 4), 0.5), "b": np.full((4, 4), -0.1)}
    figure = figures.signed_maps(values, {"picture": np.zeros((4, 4, 3))}, limit=0.7, columns=2)
    images = [axis.images[0] for axis in figure.axes if axis.images]
    assert [image.get_clim() for image in images[1:3]] == [(-0.7, 0.7)] * 2 and images[
        0
    ].get_array().shape == (4, 4, 3)


def test_svrnn_is_drawn_from_its_table():
    from deblurlib.analysis.svrnn_table1 import table_1
    from deblurlib.models import create_model

    torch.manual_seed(0)
    table = table_1(create_model("svrnn", size="small"))
    axis = figures.svrnn(table).axes[0]
    written = [text.get_text() for text in axis.texts]
    assert set(table.layer) <= set(written) and len(axis.patches) == len(table)
    arcs = [
        text
        for text in axis.texts
        if "connectionstyle" in (getattr(text, "arrowprops", None) or {})
    ]
    assert len(arcs) == table.concatenate.notna().sum() == 4


def test_descent_draws_the_way_and_marks_its_steps():
    path = np.array([[0, 0], [0.5, 0.5], [1, 0.0]])
    axis = figures.descent(lambda alpha, beta: (alpha - 1) ** 2 + beta**2, path, marks=(1,)).axes[0]
    assert np.array_equal(np.transpose(axis.lines[0].get_data()), path)
    assert (
        np.array_equal(np.transpose(axis.lines[1].get_data()), path[[1]])
        and axis.texts[0].get_text() == "step 1"
    )


def test_difference_maps_share_a_scale():
    maps = {"large": np.full((4, 4), 9.0), "small": np.ones((4, 4))}
    figure = figures.difference_maps({"picture": np.zeros((4, 4, 3))}, maps, "grey levels")
    assert [axis.images[0].get_clim() for axis in figure.axes[1:3]] == [(0, 9), (0, 9)]


def test_local_filters_shows_the_filter_over_a_pixel_at_every_resolution():
    fine, coarse = np.zeros((9, 8, 8)), np.zeros((9, 4, 4))
    fine[1, 5, 2] = coarse[3, 2, 1] = 1  # pixel (5, 2) lies in (2, 1) of the coarse map
    figure = figures.local_filters([fine, coarse], {"spot": (5, 2)})
    assert [np.unravel_index(image.argmax(), (3, 3)) for image in shown(figure)[:2]] == [
        (0, 1),
        (1, 0),
    ]
    assert [axis.get_title() + axis.get_title("left") for axis in figure.axes[:2]] == [
        "1 tap = 1 px",
        "1 tap = 2 px",
    ]
