import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblurlib import evaluation, papers, theory
from deblurlib.data import PairedFolder, Sample, SceneDataset, to_tensor
from deblurlib.evaluation import METRICS, evaluate, predict, psnr, score, ssim
from deblurlib.models import create_model


@pytest.fixture(scope="module")
def scene():
    return SceneDataset("validation", 3, 64).scene(1)


def test_psnr_and_ssim_against_skimage(scene):
    blurry, sharp = scene.blurry, scene.sharp
    assert METRICS["rgb-psnr"](blurry, sharp) == pytest.approx(
        peak_signal_noise_ratio(sharp, blurry, data_range=1), abs=1e-4
    )
    expected = structural_similarity(sharp, blurry, data_range=1, channel_axis=-1)
    assert METRICS["ssim-skimage"](blurry, sharp) == pytest.approx(expected)
    wang = [
        structural_similarity(
            s, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for s, b in zip(np.moveaxis(sharp, -1, 0), np.moveaxis(blurry, -1, 0), strict=True)
    ]
    assert METRICS["ssim-wang2004"](blurry, sharp) == pytest.approx(np.mean(wang), abs=1e-6)
    assert len({round(METRICS[m](blurry, sharp), 5) for m in METRICS}) == len(
        METRICS
    )  # settings matter


def test_matlab_averages_over_the_channels_too_and_counts_the_border(scene):
    """Against the published formula with the window written out as a cube."""
    tap = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    cube = tap[:, None, None] * tap[None, :, None] * tap[None, None, :]
    x, y = (picture[:24, :24].astype(np.float64) for picture in (scene.blurry, scene.sharp))

    def mean(values):
        cubes = np.lib.stride_tricks.sliding_window_view(np.pad(values, 5, mode="edge"), [11] * 3)
        return (cubes * cube).sum((-3, -2, -1)) / cube.sum()  # (24, 24, 3)

    a, b = mean(x), mean(y)
    index = (2 * a * b + 1e-4) * (2 * (mean(x * y) - a * b) + 9e-4)
    index /= (a**2 + b**2 + 1e-4) * (mean(x * x) - a**2 + mean(y * y) - b**2 + 9e-4)
    assert METRICS["ssim-matlab-rgb3d"](x, y) == pytest.approx(index.mean(), abs=1e-6)
    assert abs(index.mean() - METRICS["ssim-wang2004"](x, y)) > 0.01


@pytest.mark.skipif("DEBLURLIB_REAL_DATA" not in os.environ, reason="needs real data")
def test_matlab_rates_the_blurry_frames_of_gopro_a_tenth_higher():
    """The reason why printed values are not comparable with those of scikit-image."""
    pairs = PairedFolder(Path(os.environ["DEBLURLIB_REAL_DATA"]) / "gopro_sample", "train")
    names = [name for name in METRICS if name.startswith("ssim")]
    found = evaluate(None, (pairs[i] for i in (33, 37)), names, progress=False).mean(
        numeric_only=True
    )
    assert found["blurry ssim-skimage"] == pytest.approx(0.881, abs=0.002)
    assert found["blurry ssim-matlab-rgb3d"] == pytest.approx(0.931, abs=0.002)
    assert found["blurry ssim-range2"] == pytest.approx(0.918, abs=0.002)


def test_twice_the_range_is_the_call_without_a_range_of_older_versions(scene):
    expected = structural_similarity(scene.sharp, scene.blurry, data_range=2, channel_axis=-1)
    assert METRICS["ssim-range2"](scene.blurry, scene.sharp) == pytest.approx(expected)


def test_every_preset_says_what_it_is_comparable_with():
    rows = papers.metrics()
    assert list(rows.preset) == [*METRICS, *evaluation.OPTIONAL_METRICS] and not (
        rows.drop(columns="unit") == ""
    ).any(axis=None)
    used = {papers.ssim_preset(table) for table in papers.list_tables()} - {None}
    assert used == {"ssim-matlab-rgb3d", "ssim-range2"}


def test_tensors_and_arrays_give_the_same(scene):
    for metric in METRICS.values():
        assert metric(to_tensor(scene.blurry), to_tensor(scene.sharp)) == pytest.approx(
            metric(scene.blurry, scene.sharp)
        )


def test_values_are_clipped_before_they_are_compared():
    sharp = np.ones((16, 16, 3), np.float32)
    sharp[8:] = 0
    assert METRICS["rgb-psnr"](sharp * 1.7, sharp) == float("inf")


def test_evaluate_gives_one_row_per_image():
    data = SceneDataset("validation", 3, 48)
    torch.manual_seed(0)
    model = create_model("svdn", size="small")
    table = evaluate(model, data, progress=False)
    assert list(table.columns) == [
        "image",
        "rgb-psnr",
        "ssim-skimage",
        "blurry rgb-psnr",
        "blurry ssim-skimage",
    ]
    assert list(table.image) == [data[i].name for i in range(3)]
    expected = METRICS["rgb-psnr"](predict(model, data[2].blurry), data[2].sharp)
    assert table["rgb-psnr"][2] == pytest.approx(expected)
    assert model.training  # left as it was found
    assert list(evaluate(None, data, ["rgb-psnr"], progress=False).columns) == [
        "image",
        "blurry rgb-psnr",
    ]


def test_generators_of_samples_and_of_metrics_are_accepted():
    data, names = SceneDataset("validation", 2, 48), ["rgb-psnr", "ssim-grey"]
    model = create_model("svdn", size="small")
    expected = evaluate(model, data, names, progress=False)
    samples, metrics = (data[i] for i in range(2)), (name for name in names)
    pd.testing.assert_frame_equal(evaluate(model, samples, metrics, progress=False), expected)
    assert list(expected.columns) == ["image", *names, "blurry rgb-psnr", "blurry ssim-grey"]
    row = score(data[0], data[0].blurry, metrics=iter(names))
    assert row["ssim-grey"] == row["blurry ssim-grey"]


class Halves(torch.nn.Module):
    """Halves its first picture, and remembers its inputs."""

    def __init__(self, pictures):
        super().__init__()
        self.weight, self.pictures, self.seen = torch.nn.Parameter(torch.ones(1)), pictures, None

    def forward(self, *pictures):
        self.seen = pictures
        return pictures[0] / 2


def test_a_reblurring_network_takes_both_pictures_and_is_compared_with_the_blurry_one():
    sample = Sample(torch.full((3, 16, 16), 0.8), torch.full((3, 16, 16), 0.1), name="a")
    model = Halves(2).eval()
    table = evaluate(model, [sample], ["rgb-psnr"], progress=False)
    assert [round(picture.mean().item(), 3) for picture in model.seen] == [0.8, 0.1]
    assert table["rgb-psnr"][0] == pytest.approx(-20 * np.log10(0.4), abs=1e-4)
    assert table["blurry rgb-psnr"][0] == pytest.approx(-20 * np.log10(0.7), abs=1e-4)
    assert not model.training


def test_a_deblurring_network_takes_the_blurry_picture_and_is_compared_with_the_sharp_one():
    sample = Sample(torch.full((3, 16, 16), 0.8), torch.full((3, 16, 16), 0.1), name="a")
    table = evaluate(Halves(1), [sample], ["rgb-psnr"], progress=False)
    assert table["rgb-psnr"][0] == pytest.approx(-20 * np.log10(0.3), abs=1e-4)


def test_predictions_are_clamped():
    picture = torch.full((3, 4, 5), 3.0)
    assert predict(Halves(1), picture).eq(1).all() and predict(Halves(1), -picture).eq(0).all()


class Endless(torch.utils.data.Dataset):
    """A data set that answers for every index: only its length says where it ends."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return SceneDataset("validation", 2, 48)[index % 2]


def test_a_data_set_ends_where_its_length_says():
    assert len(evaluate(None, Endless(), ["rgb-psnr"], progress=False)) == 2


def test_grey_is_the_luma_of_the_published_standard():
    """Recommendation ITU-R BT.601: E'Y = 0.299 E'R + 0.587 E'G + 0.114 E'B."""
    black = np.zeros((16, 16, 3), np.float32)
    for channel, luma in enumerate((0.299, 0.587, 0.114)):
        pure = black.copy()
        pure[..., channel] = 1.0
        # two flat pictures of luminance x and y have the SSIM (2xy + C1) / (x² + y² + C1)
        expected = 0.01**2 / (luma**2 + 0.01**2)
        assert METRICS["ssim-grey"](pure, black) == pytest.approx(expected, rel=1e-3)


def test_psnr_is_one_formula(scene):
    blurry, sharp = scene.blurry, scene.sharp
    assert psnr(blurry, sharp) == theory.signal_psnr(blurry.clip(0, 1), sharp.clip(0, 1))
    assert psnr(sharp, sharp) == float("inf")


class Traveller(torch.nn.Module):
    """A network that fails with pictures unless it was moved, and remembers where to."""

    def __init__(self):
        super().__init__()
        self.weight, self.moves = torch.nn.Parameter(torch.ones(1)), []

    def to(self, device):
        self.moves.append(str(device))
        return self

    def forward(self, x):
        if self.moves[-1] != "cpu:0":
            raise RuntimeError("Expected all tensors to be on the same device")
        return x * self.weight


def test_the_network_works_on_the_device_asked_for_and_returns():
    model, data = Traveller(), SceneDataset("validation", 2, 48)
    assert len(evaluate(model, data, device="cpu:0", progress=False)) == 2 and model.moves == [
        "cpu:0",
        "cpu",
    ]
    with pytest.raises(ValueError, match="has no sharp image"):
        evaluate(model, [Sample(torch.rand(3, 16, 16))], device="cpu:0", progress=False)
    assert model.moves[2:] == ["cpu:0", "cpu"]


def test_predictions_stay_in_range_and_shape():
    model = create_model("svdn", size="small")
    torch.nn.init.constant_(model.head[-1].bias, 5.0)
    x = torch.rand(2, 3, 33, 20)
    assert (
        predict(model, x).shape == x.shape
        and predict(model, x).max() == 1
        and predict(model, x[0]).shape == x[0].shape
    )


def test_errors_name_what_is_missing():
    with pytest.raises(ValueError, match=r"no metric 'psnr'.*rgb-psnr"):
        evaluate(None, SceneDataset("test", 1, 48), ["psnr"])
    with pytest.raises(ValueError, match="photo has no sharp image"):
        evaluate(None, [Sample(torch.rand(3, 16, 16), name="photo")])


def test_the_settings_of_each_ssim(scene):
    """Wang et al. (2004): an 11 x 11 Gaussian of sigma 1.5, no sample covariance."""
    blurry, sharp = scene.blurry, scene.sharp
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    grey = (image @ [0.299, 0.587, 0.114] for image in (blurry, sharp))
    wanted = {
        "ssim-skimage": structural_similarity(blurry, sharp, channel_axis=-1, data_range=1),
        "ssim-wang2004": structural_similarity(
            blurry, sharp, channel_axis=-1, data_range=1, win_size=11, **wang
        ),
        "ssim-grey": structural_similarity(*grey, data_range=1, win_size=11, **wang),
    }
    found = {name: METRICS[name](scene.blurry, scene.sharp) for name in wanted}
    assert found == pytest.approx(wanted, abs=1e-6)
    assert len({round(value, 3) for value in wanted.values()}) == 3


@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_counts_the_samples_where_it_is_wanted(capsys, progress):
    evaluate(None, SceneDataset("validation", 2, 32), progress=progress)
    shown = capsys.readouterr().err
    assert ("evaluate" in shown and "/2 [" in shown) == progress


def test_negative_values_are_clipped_to_black():
    black, below = np.zeros((16, 16, 3), np.float32), np.full((16, 16, 3), -0.5, np.float32)
    assert psnr(below, black) == np.inf


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(ValueError, match="choose from rgb-psnr, ssim-skimage, ssim-wang2004, ssim"):
        evaluate(None, [], ["mae"])


@pytest.mark.parametrize("model", [None, create_model("radn", size="small")], ids=["none", "radn"])
def test_no_samples_give_the_columns_and_no_rows(model):
    one = Sample(torch.zeros(3, 16, 16), torch.zeros(3, 16, 16))
    empty, full = (evaluate(model, samples, ["rgb-psnr"]) for samples in ([], [one]))
    assert len(empty) == 0 and list(empty.columns) == list(full.columns)


def test_one_metric_can_be_given_by_its_name():
    one = Sample(torch.zeros(3, 16, 16), torch.ones(3, 16, 16))
    assert list(evaluate(None, [one], "rgb-psnr").columns) == ["image", "blurry rgb-psnr"]
    assert score(one, None, metrics="rgb-psnr") == {"image": "", "blurry rgb-psnr": 0.0}
    with pytest.raises(ValueError, match="There is no metric 'psnr': choose from"):
        evaluate(None, [one], "psnr")


@pytest.mark.parametrize("name", list(METRICS))
def test_integers_are_scaled_and_other_scales_are_refused(name, scene):
    metric, rng = METRICS[name], np.random.default_rng(0)
    sharp = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
    output = np.clip(sharp.astype(int) + rng.integers(-40, 41, sharp.shape), 0, 255).astype(
        np.uint8
    )
    unit = [each / np.float32(255) for each in (output, sharp)]
    expected = metric(*unit)
    assert metric(output, sharp) == pytest.approx(expected, abs=1e-6)
    assert metric(unit[0], sharp) == pytest.approx(expected, abs=1e-6)
    assert metric(*(np.uint16(257) * each for each in (output, sharp))) == pytest.approx(expected)
    tensors = [torch.from_numpy(each).movedim(-1, 0) for each in (output, sharp)]
    assert metric(*tensors) == pytest.approx(expected, abs=1e-6)
    for pair in [
        (255 * unit[0], 255 * unit[1]),
        (255 * unit[0], unit[1]),
        (unit[0], unit[1] * 2 - 1),
    ]:
        with pytest.raises(ValueError, match="scale floats to between 0 and 1"):
            metric(*pair)
    with pytest.raises(ValueError, match="convert it to uint8, uint16, or floats"):
        metric(output.astype(int), sharp)
    with pytest.raises(ValueError, match="give images of equal shape"):
        metric(output, sharp[:1])


def test_ssim_of_grey_images_and_of_batches(scene):
    grey = [each[..., 0] for each in (scene.blurry, scene.sharp)]
    assert ssim(*grey) == pytest.approx(structural_similarity(*grey, data_range=1), abs=1e-6)
    with pytest.raises(ValueError, match="4 dimensions: give one image"):
        ssim(np.zeros((2, 16, 16, 3)), np.zeros((2, 16, 16, 3)))


def test_signals_of_other_shapes_or_scales_are_refused():
    with pytest.raises(ValueError, match="give equal shapes"):
        theory.signal_psnr(np.zeros((4, 4)), np.zeros(4))
    with pytest.raises(ValueError, match="scale them to floats"):
        theory.signal_psnr(np.full(4, 200, np.uint8), np.zeros(4, np.uint8))


class Distance(torch.nn.Module):
    """In place of the network of lpips: remembers what it is given."""

    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, first, second):
        self.seen = first, second
        return (first - second).square().mean().reshape(1, 1, 1, 1)


def test_lpips_gets_batches_in_minus_one_to_one(monkeypatch, scene, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / evaluation.ALEXNET).touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    fake = type(sys)("lpips")
    fake.LPIPS = Distance
    monkeypatch.setitem(sys.modules, "lpips", fake)
    evaluation._lpips_network.cache_clear()
    try:
        value = evaluation.lpips_alex(scene.blurry, scene.sharp)
        network = evaluation._lpips_network()
        assert network.options["net"] == "alex" and not network.training
        first, second = network.seen
        assert first.shape == (1, 3, 64, 64)
        assert torch.equal(first[0], 2 * to_tensor(scene.blurry) - 1)
        expected = 4 * np.mean((scene.blurry - scene.sharp) ** 2)
        assert value == pytest.approx(expected, rel=1e-4) and second.min() >= -1
        sample = Sample(to_tensor(scene.blurry), to_tensor(scene.sharp), name="a")
        table = evaluate(None, [sample], "lpips-alex", progress=False)
        assert table["blurry lpips-alex"][0] == pytest.approx(value)
    finally:
        evaluation._lpips_network.cache_clear()


def test_lpips_names_what_is_missing_and_downloads_nothing(monkeypatch, scene, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ImportError, match=r"deblurlib\[perceptual\]"):
        evaluation.lpips_alex(scene.blurry, scene.sharp)
    monkeypatch.setitem(sys.modules, "lpips", type(sys)("lpips"))
    with pytest.raises(FileNotFoundError, match=r"alexnet-owt-7be5be79\.pth is not in torch"):
        evaluation.lpips_alex(scene.blurry, scene.sharp)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("settings", "window"), [({}, 7), ({"gaussian_weights": True}, 11)])
def test_an_image_smaller_than_the_window_of_ssim_is_named(settings, window):
    picture = torch.rand(3, window - 1, 20)
    with pytest.raises(ValueError, match=f"are 20 x {window - 1}, smaller than .* {window} x"):
        ssim(picture, picture, **settings)
    assert ssim(torch.zeros(3, window, 20), torch.zeros(3, window, 20), **settings) == 1
