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
    first, second = shown(figures.pictures({"array": array, "tensor": tensor[None] + 0}, crop=(2, 3, 8, 10)))
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
