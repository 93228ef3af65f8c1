"""Sliders: moving one changes the figure, and the figure that is stored is the same one."""

import io
import threading
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ipywidgets import FloatSlider, Image
from PIL import Image as Picture

from deblurlib import figures, theory
from deblurlib.analysis import probes
from deblurlib.book import widgets
from deblurlib.models import create_model


@pytest.fixture(autouse=True)
def closed():
    yield
    assert plt.get_fignums() == []  # whoever moves a slider for an hour must not collect figures
    plt.close("all")


def svdn_like():
    rng = np.random.default_rng(0)
    points, flow = 3 * rng.standard_normal((2, 25, 16, 20)), np.ones((16, 20, 2))
    return widgets.sampling_points(rng.random((32, 40, 3)), points, (flow, -flow), row=8, column=10)


def svrnn_like():
    torch.manual_seed(0)
    return widgets.reach(
        torch.rand(3, 16, 24), {"RNN": create_model("svrnn", size="small")}, row=8, column=12
    )


PICTURE = np.random.default_rng(1).random((32, 32))
EXPLORERS = {
    "camera_path": (widgets.camera_path, {"length": 21, "angle": 90, "turn": 0, "constant": 1e-3}),
    "ringing": (lambda: widgets.ringing(np.repeat([0.2, 0.9, 0.4], 20)), {"radius": 1.1}),
    "noise_and_constant": (
        lambda: widgets.noise_and_constant(PICTURE, theory.line_kernel(5)),
        {"noise": 0.1, "constant": 1e-4},
    ),
    "sampling_points": (svdn_like, {"row": 20, "column": 30}),
    "reach": (svrnn_like, {"row": 2, "column": 3}),
    "before_after": (lambda: widgets.before_after(PICTURE, 1 - PICTURE), {"share": 0.1}),
}


def shown(explorer):
    (image,) = [child for child in explorer.children if isinstance(child, Image)]
    return image.value


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_changes_the_figure_and_moving_it_back_brings_it_back(name):
    make, values = EXPLORERS[name]
    explorer = make()
    assert set(explorer.sliders) == set(values) and set(explorer.sliders.values()) < set(
        explorer.children
    )
    first = shown(explorer)
    assert Picture.open(io.BytesIO(first)).size > (300, 100)
    for slider, value in values.items():
        before = explorer.sliders[slider].value
        explorer.sliders[slider].value = value
        assert shown(explorer) != first, slider
        explorer.sliders[slider].value = before
        assert shown(explorer) == first, slider


@pytest.mark.parametrize("name", EXPLORERS)
def test_the_figure_that_stands_still_is_the_one_below_the_sliders(name):
    explorer = EXPLORERS[name][0]()
    assert figures.as_png(explorer.figure()) == shown(explorer)


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_slider_can_go_to_both_its_ends(name):
    explorer = EXPLORERS[name][0]()
    for slider in explorer.sliders.values():
        base = getattr(slider, "base", None)
        for end in (slider.min, slider.max):
            slider.value = base**end if base else end


def test_sliders_that_move_in_several_threads_draw_one_after_the_other():
    at_work, most = [], []

    def draw(value):
        at_work.append(value)
        most.append(len(at_work))
        time.sleep(0.02)
        at_work.remove(value)
        return figures.before_and_after(PICTURE, PICTURE, value)

    explorers = [widgets.Explorer(draw, value=FloatSlider(k / 10, max=1)) for k in range(4)]
    threads = [threading.Thread(target=explorer.redraw) for explorer in explorers]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert len(most) == 8 and max(most) == 1


def test_a_figure_below_sliders_is_none_that_the_inline_backend_shows_and_closes(monkeypatch):
    from matplotlib_inline import backend_inline

    before = plt.get_backend()
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    monkeypatch.setattr(backend_inline.show, "_draw_called", False)
    try:
        with plt.ion():
            widgets.before_after(PICTURE, PICTURE)
            assert not backend_inline.show._draw_called and plt.isinteractive()
    finally:
        plt.switch_backend(before)


def test_an_arc_is_a_line_without_a_turn_and_as_long_with_one():
    line, arc = theory.arc_kernel(15, 30), theory.arc_kernel(15, 30, 360)
    assert theory.principal_angle(line)[0] == pytest.approx(
        30, abs=1
    ) and line.sum() == pytest.approx(1)
    assert (
        theory.principal_angle(arc)[1] < 0.3 < theory.principal_angle(line)[1]
    )  # a full circle has no direction
    assert theory.arc_kernel(15).sum(0)[1:-1] == pytest.approx(1 / 15, abs=0.01)
    assert theory.support_radius(arc) == pytest.approx(15 / (2 * np.pi), abs=1.5)


def test_the_zeros_follow_the_slider_and_the_inverse_rings_more_near_the_circle():
    explorer = widgets.ringing(np.repeat([0.2, 0.9, 0.4, 0.6], 30))
    errors = []
    for radius in (0.6, 0.95, 1.1):
        explorer.sliders["radius"].value = radius
        figure = explorer.figure()
        assert f"largest |z| = {radius:.2f}" in figure.axes[0].get_title() + figure.axes[
            0
        ].get_title("left")
        sharp, _, recovered = (line.get_ydata() for line in figure.axes[1].lines)
        errors.append(np.abs(recovered - sharp).max())
        plt.close(figure)
    assert errors[0] < 0.02 < errors[1] < errors[2]


def test_reach_is_the_gradient_of_one_pixel_and_of_no_other():
    class Shift(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return self.weight * x.roll((1, 2), (2, 3))

    field = probes.reach(Shift(), torch.rand(3, 6, 8), 4, 5)
    assert np.argwhere(field).tolist() == [[3, 3]] and field[3, 3] == pytest.approx(2 * 3)
    with torch.inference_mode(False), torch.no_grad():
        assert probes.reach(Shift(), torch.rand(3, 6, 8), 4, 5).any()


def test_before_and_after_meet_at_the_line():
    figure = figures.before_and_after(np.zeros((4, 10)), np.ones((4, 10)), 0.3)
    assert figure.axes[0].images[0].get_array()[0].tolist() == [0] * 3 + [1] * 7
    plt.close(figure)
