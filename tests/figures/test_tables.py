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


def test_differences_stand_at_their_place_with_interval_and_printed_value():
    figure = figures.differences(
        ["a", "b"], [0.2, -0.1], [(0.1, 0.3), (-0.4, 0.2)], [0.5, np.nan], "base"
    )
    axis = figure.axes[0]
    points, printed = (
        next(line for line in axis.lines if line.get_marker() == marker) for marker in ("o", "D")
    )
    assert list(points.get_xdata()) == [0.2, -0.1] and list(printed.get_xdata())[:1] == [0.5]
    ends = [segment[:, 0].tolist() for segment in axis.collections[0].get_segments()]
    assert np.allclose(ends, [[0.1, 0.3], [-0.4, 0.2]])
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "a",
        "b",
    ] and "base" in axis.get_xlabel()


def test_counts_are_stacked_and_labelled():
    figure = figures.stacked_counts(
        pd.DataFrame({"yes": [3, 1], "no": [0, 2]}, index=["x", "y"]), "claims"
    )
    axis = figure.axes[0]
    widths = [[bar.get_width() for bar in container] for container in axis.containers]
    assert widths == [[3, 1], [0, 2]] and axis.containers[1][1].get_x() == 1
    assert [text.get_text() for text in axis.texts] == ["3", "1", "", "2"]


def test_bounds_and_printed_times_share_an_axis():
    table = pd.DataFrame(
        {"network": ["a"], "card": ["K"], "bound ms": [36.0], "printed ms": [10.0]}
    )
    axis = figures.printed_against_bound(table).axes[0]
    assert axis.containers[0][0].get_width() == 36 and axis.lines[0].get_xdata()[0] == 10


def test_networks_are_named_at_their_cost():
    axis = figures.against_cost(
        pd.DataFrame({"network": ["a", "b"], "GMAC": [1, 100], "gain": [0.5, 1]}), "GMAC", "gain"
    ).axes[0]
    assert [text.get_text() for text in axis.texts] == ["a", "b"] and axis.get_xscale() == "log"
