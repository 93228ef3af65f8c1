"""Which SSIM is that: other packages' defaults on one pair."""

import numpy as np
import pandas as pd
import pytest

from deblurlib import dictionary
from deblurlib.bench import metrics
from deblurlib.evaluation import METRICS
from deblurlib.results import ROOT, read_table

SHIPPED = ROOT / "results" / "tables" / "ssim_packages.csv"


def test_every_installed_package_is_measured_and_its_version_named(tmp_path):
    table = metrics.run(tmp_path, sizes=(64,))
    assert dictionary.problems(tmp_path / "tables" / "ssim_packages.csv") == []
    presets = [name for name in METRICS if name.startswith("ssim")]
    assert table[table.package == "deblurlib"].call.tolist() == [*presets, "rgb-psnr"]
    assert not table.duplicated(["package", "call"]).any() and (table.version != "unknown").all()
    value = table.set_index(["package", "call"])["value at 64x64"]
    skimage = value["scikit-image", "structural_similarity(channel_axis=-1), 8 bits"]
    assert value["deblurlib", "ssim-skimage"] == pytest.approx(skimage, abs=1e-5)
    psnr = table[table.metric == "PSNR"]
    assert np.ptp(psnr["value at 64x64"]) < 1e-3
    equal = psnr.set_index("package")["PSNR of equal images"]
    assert equal["deblurlib"] == equal["scikit-image"] == np.inf
    assert equal["opencv-contrib-python"] == pytest.approx(361.2, abs=0.1)


@pytest.mark.skipif(not SHIPPED.exists(), reason="an installed package has no tables")
def test_the_stored_table_shows_what_is_told_about_it():
    table = read_table(SHIPPED)
    value = table.set_index(["package", "call"])
    small, large = value["value at 256x256"], value["value at 512x512"]
    assert {"sewar", "piq", "torchmetrics", "pyiqa"} <= set(table.package)
    whole = value.xs("ssim(downsample=False)", level="call")
    assert small["piq", "ssim"] == whole["value at 256x256"].iloc[0]  # halved from 384 pixels on
    assert large["piq", "ssim"] > whole["value at 512x512"].iloc[0] + 0.01
    wang = small["deblurlib", "ssim-wang2004"]
    assert small["sewar", "ssim, 8 bits"] > wang + 0.02  # a uniform window
    assert 0 < abs(small.xs("torchmetrics")[0:1].iloc[0] - wang) < 0.005  # a padded border
    assert small["deblurlib", "ssim-matlab-rgb3d"] > wang + 0.05
    assert pd.notna(table.version).all()
