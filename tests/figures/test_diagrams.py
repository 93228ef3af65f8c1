"""Drawings of networks say what the networks say."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation

from deblurlib import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_network_draws_each_stage_at_its_resolution_and_what_it_reads():
    rows = [
        ("stem", "stem", 12, 64, 2, 12_288, "encoder", 0, ("blurry",)),
        ("dcn", "deform", 64, 64, 2, 500, "encoder", 1, ("stem",)),
        ("up", "up", 64, 32, 1, 1_500_000, "other", 0, ("stem", "dcn")),
    ]
    columns = ["part", "name", "in", "out", "scale", "parameters", "kind", "deformable", "reads"]
    stages = pd.DataFrame(rows, columns=columns)
    stages.attrs["restored"] = ("blurry", "up")
    axis = figures.network(stages).axes[0]
    shown = {text.get_text(): text.get_position() for text in axis.texts if text.get_text()}
    wanted = {"blurry\n3", "stem\n12→64", "up\n64→32", "12.3 k", "1.50 M", "1/2", "full"}
    assert wanted | {"restored\n3"} <= set(shown)
    assert (
        shown["stem\n12→64"][1] > shown["up\n64→32"][1] == shown["full"][1]
    )  # the axis points down
    arrows = {
        (round(float(a.xyann[0])), round(float(a.xy[0])))
        for a in axis.texts
        if isinstance(a, Annotation)
    }
    assert arrows == {(0, 1), (1, 2), (1, 3), (2, 3), (0, 4), (3, 4)}
    edges = [patch.get_linewidth() for patch in axis.patches]  # blurry, restored, then the parts
    assert len(edges) == 5 and edges.index(max(edges)) == 3 and edges.count(max(edges)) == 1
    words = [text.get_text() for text in axis.get_legend().get_texts()]
    assert words == ["encoder", "other", "with deformable convolutions"]


def test_dense_module_moves_the_taps_by_their_offsets_in_image_pixels():
    offset = np.zeros((18, 6, 6))
    offset[0], offset[1] = 2.0, 2.0  # the tap at the top left: everywhere down and right by 2
    offset[2 * 5, 2, 3], offset[2 * 5 + 1, 2, 3] = (
        1.0,
        -0.5,
    )  # the right tap of the middle row: down by 1, left by half
    figure = figures.dense_module(
        {"unit 1": 16, "1×1": 24}, offset, np.zeros((24, 24, 3)), (2, 3), stride=4
    )
    wiring, tensor, taps = figure.axes[:3]
    assert {"unit 1\n16", "1×1\n24"} <= set(texts(wiring))
    assert np.nanmin(tensor.images[0].get_array()) == -0.5 and tensor.images[0].get_clim() == (
        -2,
        2,
    )
    arrows = [(tuple(map(float, a.xyann)), tuple(map(float, a.xy))) for a in taps.texts]
    moved = [pair for pair in arrows if pair[0] != pair[1]]
    assert len(arrows) == 9 and moved == [((9.5, 5.5), (17.5, 13.5)), ((17.5, 9.5), (15.5, 13.5))]


def test_attention_tensors_names_every_shape():
    shapes = dict.fromkeys("BCDR", (128, 60)) | {
        "A": (128, 6, 10),
        "S": (60, 60),
        "E": (128, 6, 10),
    }
    shown = texts(figures.attention_tensors(shapes).axes[0])
    assert {"S\n60 × 60", "A\n128 × 6 × 10", "D\n128 × 60"} <= set(shown)
