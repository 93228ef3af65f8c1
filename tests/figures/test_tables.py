from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from deblurlib import figures
from deblurlib.analysis.verdicts import VERDICTS


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


def test_counts_are_stacked_and_labelled_in_the_colours_of_their_verdicts():
    figure = figures.verdict_counts(
        pd.DataFrame({"reproduced": [3, 1], "contradicted": [0, 2]}, index=["x", "y"]), "claims"
    )
    axis = figure.axes[0]
    widths = [[bar.get_width() for bar in container] for container in axis.containers]
    assert widths == [[3, 1], [0, 2]] and axis.containers[1][1].get_x() == 1
    assert [text.get_text() for text in axis.texts] == ["3", "1", "", "2"]
    colours = [to_hex(container[0].get_facecolor()) for container in axis.containers]
    assert colours == ["#009e73", "#d55e00"]


def test_every_verdict_has_a_colour_of_its_own():
    assert tuple(figures.VERDICT_COLOURS) == VERDICTS
    assert len(set(figures.VERDICT_COLOURS.values())) == len(VERDICTS)


def test_every_claim_is_a_box_in_the_colour_of_its_verdict():
    claims = pd.DataFrame(
        {
            "paper": ["svdn"] * 2 + ["radn"],
            "id": ["S1", "S2", "R1"],
            "verdict": ["reproduced", "contradicted", "reproduced"],
        }
    )
    axis = figures.claims_at_a_glance(claims).axes[0]
    boxes = [to_hex(box.get_facecolor()) for box in axis.patches]
    assert boxes == ["#009e73", "#d55e00", "#009e73"]
    assert [text.get_text() for text in axis.texts] == ["S1", "S2", "R1", "SVDN", "RADN"]
    assert axis.patches[2].get_y() > axis.patches[0].get_y() + 1  # a block of its own
    keys = [text.get_text() for text in axis.get_legend().get_texts()]
    assert keys == ["reproduced: 2", "contradicted: 1"]


def test_bounds_and_printed_times_share_an_axis():
    table = pd.DataFrame(
        {"network": ["a"], "card": ["K"], "bound ms": [36.0], "printed ms": [10.0]}
    )
    axis = figures.printed_against_bound(table).axes[0]
    assert axis.containers[0][0].get_width() == 36 and axis.lines[0].get_xdata()[0] == 10


def test_networks_are_named_at_their_cost_and_no_name_covers_another():
    close = {
        "network": ["first", "second", "third"],
        "GMAC": [1, 1.01, 100],
        "gain": [0.5, 0.505, 1],
    }
    figure = figures.against_cost(pd.DataFrame(close), "GMAC", "gain")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == close["network"]
    assert axis.get_xscale() == "log"
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axis.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_all_trainings_of_a_table_stand_on_its_line_beside_the_printed_differences():
    axis = figures.dots_beside_printed(
        {"a": [0.1, -0.1], "b": [3.0]}, {"a": [0.5, np.nan], "b": []}
    ).axes[0]
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    printed = [line for line in axis.lines if line.get_marker() == "D"]
    assert [list(line.get_xdata()) for line in dots] == [[0.1, -0.1], [3.0]]
    assert next(iter(printed[0].get_xdata())) == 0.5 and len(printed[1].get_xdata()) == 0
    assert [round(line.get_ydata()[0]) for line in dots] == [0, 1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
