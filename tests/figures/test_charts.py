"""What a training curve shows is what the record of the weights says."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from deblurlib import figures
from deblurlib.models import provenance


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


RECORD = {
    "variant": "paper",
    "stages": [{"steps": 8000, "batch": 4, "patch": 64}, {"steps": 6000, "batch": 3, "patch": 96}],
    "validation_psnr_db": {"2000": 25.0, "4000": 25.5, "6000": 25.4},
}


def test_the_curve_of_the_last_stage_stands_behind_the_steps_of_the_stages_before_it():
    axis = figures.training_curve(RECORD).axes[0]
    curve = next(line for line in axis.lines if len(line.get_xdata()) == 3)
    assert list(curve.get_xdata()) == [10_000, 12_000, 14_000]
    assert list(curve.get_ydata()) == [25.0, 25.5, 25.4]
    assert axis.patches[0].get_width() == 8000  # the stage without a curve
    assert [text.get_text() for text in axis.texts] == ["stage 1: 4 × 64²", "stage 2: 3 × 96²"]
    assert axis.get_title(loc="left") == "last stage: 25.00 to 25.40 dB"


@pytest.mark.parametrize(
    ("name", "size"),
    [("svrnn", "small"), ("svdn", "full"), ("radn", "small"), ("aspdc", "small")],
)
def test_every_shipped_network_has_a_curve_that_ends_with_its_steps(name, size):
    record = provenance(name, size)
    axis = figures.training_curve(record).axes[0]
    assert max(line.get_xdata()[-1] for line in axis.lines) == record["steps"]


def test_a_record_without_a_curve_is_told_so():
    with pytest.raises(ValueError, match="record of paper has no validation_psnr_db"):
        figures.training_curve({**RECORD, "validation_psnr_db": {}})


def test_magnitudes_stand_in_a_grid_on_one_scale():
    maps = {str(n): np.full((4, 6), float(n)) for n in range(5)}
    figure = figures.magnitudes(maps, "change", columns=3)
    images = [axis.images[0] for axis in figure.axes[:5]]
    assert [image.get_array()[0, 0] for image in images] == [0, 1, 2, 3, 4]
    assert {image.get_clim() for image in images} == {(0, 4)}
    places = [axis.get_subplotspec().rowspan.start for axis in figure.axes[:6]]
    assert places == [0, 0, 0, 1, 1, 1]
