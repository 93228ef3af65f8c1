"""Measuring restored images: named metrics, prediction, and a table with one row per image.

Published SSIM values differ as much through their settings as through the methods, so tables name
their metrics by the keys of `METRICS`:

    "rgb-psnr"            over all pixels and RGB channels
    "ssim-skimage"        7x7 uniform window, sample covariance, mean over the channels
    "ssim-wang2004"       11x11 Gaussian window of sigma 1.5, mean over the channels
    "ssim-grey"           the same on the luma of both images
    "ssim-matlab-rgb3d"   MATLAB's `ssim` of an RGB array: 11x11x11 Gaussian window, edges repeated
    "ssim-range2"         as "ssim-skimage" with twice the data range, which raises it

    "lpips-alex"          a learned distance, 0 for equal images; needs the extra `perceptual`

`deblurlib.papers.metrics()` says whose published values each is comparable with.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torch import nn

from .data.samples import Sample
from .models.hub import require
from .pixels import as_unit, numbers
from .progress import progress_bar
from .theory import signal_psnr

Picture = np.ndarray | torch.Tensor  # (H, W, C) array or (C, H, W) tensor

WANG_2004: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
ALEXNET = "alexnet-owt-7be5be79.pth"  # the file that torchvision and lpips use
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601: of red, green and blue
DEFAULT_METRICS = ("rgb-psnr", "ssim-skimage")


@runtime_checkable
class Samples(Protocol):
    """A data set whose samples are read by index, such as SceneDataset or PairedFolder."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


def psnr(output: Picture, sharp: Picture) -> float:
    """Compute the peak signal-to-noise ratio, 10 log10(1 / MSE).

    Args:
        output: The image to measure: uint8, uint16, or floats in [0, 1]; floats that overshoot
            are clipped.
        sharp: The reference, of the same shape: uint8, uint16, or floats in [0, 1].

    Returns:
        dB over all pixels and channels; inf for equal images.

    Raises:
        ValueError: If the shapes differ, or an image has another type or range.

    Example:
        >>> import numpy as np
        >>> round(psnr(np.full((4, 4, 3), 0.5), np.full((4, 4, 3), 0.6)), 2)
        20.0
    """
    return signal_psnr(*_pair(output, sharp))


def ssim(output: Picture, sharp: Picture, **settings: object) -> float:
    """Compute the mean structural similarity with scikit-image (Wang et al., 2004).

    Args:
        output: The image to measure, as for `psnr`: (H, W, C), (C, H, W) or (H, W).
        sharp: The reference, likewise.
        settings: Keywords of `skimage.metrics.structural_similarity`; by default the channels are
            the last axis and the data range is 1.

    Returns:
        The index in [-1, 1].

    Raises:
        ValueError: As for `psnr`, or if the images are batches, or smaller than the window.
    """
    pair = _pair(output, sharp)
    if pair[0].ndim not in (2, 3):
        raise ValueError(
            f"The images have {pair[0].ndim} dimensions: give one image, (H, W, C) or (H, W)."
        )
    axis = -1 if pair[0].ndim == 3 else None
    settings = {"data_range": 1.0, "channel_axis": axis, **settings}
    window = settings.get("win_size") or (11 if settings.get("gaussian_weights") else 7)
    height, width = pair[0].shape[:2]
    if isinstance(window, int) and min(height, width) < window:
        raise ValueError(
            f"The images are {width} x {height}, smaller than SSIM's window of {window} x {window}"
            ": give larger ones, arrays with the channels last or tensors with them first."
        )
    return float(structural_similarity(*pair, **settings))  # type: ignore[no-untyped-call]  # untyped there


def _ssim_wang2004(output: Picture, sharp: Picture) -> float:
    return ssim(output, sharp, **WANG_2004)


def _ssim_grey(output: Picture, sharp: Picture) -> float:
    grey = (p @ LUMA if p.ndim == 3 else p for p in _pair(output, sharp))
    return ssim(*grey, **WANG_2004)


def ssim_matlab_rgb3d(output: Picture, sharp: Picture) -> float:
    """Compute what MATLAB's `ssim` returns for two RGB arrays.

    MATLAB takes an (H, W, 3) array for a volume: its Gaussian window of sigma 1.5 and side 11 also
    mixes the three channels, repeats them beyond both ends, and counts the border of the image.

        SSIM = mean of (2 m_x m_y + c_1)(2 s_xy + c_2) / ((m_x² + m_y² + c_1)(s_x² + s_y² + c_2))

    with window-weighted means m and (co)variances s, c_1 = 0.01² and c_2 = 0.03² for a range of 1.

    Args:
        output: The image to measure, in [0, 1]; values outside are clipped.
        sharp: The reference, of the same shape, clipped as well.

    Returns:
        The index in [-1, 1].
    """
    x, y = (picture.astype(np.float64) for picture in _pair(output, sharp))
    window = partial(gaussian_filter, sigma=1.5, radius=5, mode="nearest")
    m_x, m_y = window(x), window(y)
    s_x, s_y, s_xy = window(x * x) - m_x**2, window(y * y) - m_y**2, window(x * y) - m_x * m_y
    c_1, c_2 = 0.01**2, 0.03**2
    index = (2 * m_x * m_y + c_1) * (2 * s_xy + c_2)
    return float((index / ((m_x**2 + m_y**2 + c_1) * (s_x + s_y + c_2))).mean())


def _ssim_range2(output: Picture, sharp: Picture) -> float:
    return ssim(output, sharp, data_range=2.0)


METRICS: dict[str, Callable[[Picture, Picture], float]] = {
    "rgb-psnr": psnr,
    "ssim-skimage": ssim,
    "ssim-wang2004": _ssim_wang2004,
    "ssim-grey": _ssim_grey,
    "ssim-matlab-rgb3d": ssim_matlab_rgb3d,
    "ssim-range2": _ssim_range2,
}


def lpips_alex(output: Picture, sharp: Picture) -> float:
    """Compute LPIPS, a distance between features of AlexNet (Zhang et al., CVPR 2018).

    Args:
        output: The image to measure, in [0, 1]; values outside are clipped.
        sharp: The reference, of the same shape, clipped as well.

    Returns:
        The distance; 0 for equal images, larger is worse.

    Raises:
        ImportError: If the package lpips is not installed.
        FileNotFoundError: If AlexNet's weights are not in torch's cache: nothing is downloaded.
    """
    pair = (torch.from_numpy(picture) for picture in _pair(output, sharp))
    first, second = (2 * picture.permute(2, 0, 1)[None] - 1 for picture in pair)  # (1, 3, H, W)
    with torch.inference_mode():
        return float(_lpips_network()(first, second))


@cache
def _lpips_network() -> nn.Module:
    lpips = require("lpips", "perceptual", "The metric lpips-alex")
    weights = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    if not weights.is_file():
        raise FileNotFoundError(
            f"lpips-alex needs AlexNet's ImageNet weights, and {ALEXNET} is not in torch's cache: "
            "fetch them once with torchvision.models.alexnet(weights='IMAGENET1K_V1')."
        )
    network: nn.Module = lpips.LPIPS(net="alex", verbose=False).eval()
    return network


# Metrics that need a package or weights which deblurlib does not bring.
OPTIONAL_METRICS: dict[str, Callable[[Picture, Picture], float]] = {"lpips-alex": lpips_alex}


def predict(
    model: nn.Module, *pictures: torch.Tensor, device: torch.device | str | None = None
) -> torch.Tensor:
    """Run a network in eval mode, without gradients.

    Args:
        model: The network; its mode is restored afterwards.
        pictures: The network's inputs, each (3, H, W) or (B, 3, H, W) in [0, 1]: the blurry
            image, or the blurry and the sharp one for a reblurring network.
        device: Device to move the inputs to; None for that of the network.

    Returns:
        The output, clamped to [0, 1], float32 on the CPU, in the shape of the first input.
    """
    device = device or next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            batches = (p.to(device).reshape(-1, *p.shape[-3:]) for p in pictures)
            output: torch.Tensor = model(*batches)
    finally:
        model.train(training)
    return output.clamp(0, 1).reshape(pictures[0].shape).float().cpu()


def task(model: nn.Module, sample: Sample) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Choose a network's inputs and its target from a sample.

    Args:
        model: A deblurring network, or a reblurring one (`model.pictures` is 2).
        sample: A sample with a sharp image.

    Returns:
        (inputs, target): ((blurry,), sharp), or ((blurry, sharp), blurry) for reblurring.

    Raises:
        ValueError: If the sample has no sharp image.
    """
    sharp = _sharp(sample)
    if getattr(model, "pictures", 1) == 2:
        return (sample.blurry, sharp), sample.blurry
    return (sample.blurry,), sharp


def evaluate(
    model: nn.Module | None,
    dataset: Samples | Iterable[Sample],
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    *,
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Measure a network on a data set.

    Args:
        model: The network; None to measure the blurry images alone.
        dataset: Samples with a sharp image: a data set with a length that is read by index, or
            any iterable, such as a generator, which is consumed.
        metrics: One or more names in `METRICS`. Images are compared as floats, clipped to [0, 1].
        device: The network is moved there and back; None leaves it where it is.
        progress: Whether to show a progress bar; None shows it in terminals and notebooks, and
            elsewhere a line per minute.

    Returns:
        One row per image: its name as "image", each metric of the restored (or reblurred) image,
        and each metric of the blurry one as "blurry …".

    Raises:
        ValueError: If a metric is unknown, or a sample has no sharp image.
    """
    names = _metric_names(metrics)
    columns = ["image", *(names if model is not None else ()), *(f"blurry {n}" for n in names)]
    rows = evaluate_each(model, dataset, names, device=device, progress=progress)
    return pd.DataFrame(rows, columns=columns)


def evaluate_each(
    model: nn.Module | None,
    dataset: Samples | Iterable[Sample],
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    *,
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> Iterator[dict[str, object]]:
    """Compute the rows of `evaluate` one by one.

    Args:
        model: The network; None to measure the blurry images alone.
        dataset: Samples with a sharp image: a data set with a length that is read by index, or
            any iterable, such as a generator, which is consumed.
        metrics: One or more names in `METRICS`. Images are compared as floats, clipped to [0, 1].
        device: The network is moved there and back; None leaves it where it is.
        progress: As for `evaluate`.

    Yields:
        The rows of `evaluate`, by column, as soon as each image is measured.

    Raises:
        ValueError: If a metric is unknown, or a sample has no sharp image.
    """
    names = _metric_names(metrics)
    known = METRICS | OPTIONAL_METRICS
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"There is no metric {unknown[0]!r}: choose from {', '.join(known)}.")
    bar = progress_bar(
        _each(dataset),
        desc="evaluate",
        unit="image",
        total=len(dataset) if isinstance(dataset, Sized) else None,
        show=progress,
        leave=False,
    )
    with _on(device, model):
        for sample in bar:
            output, target = None, _sharp(sample)
            if model is not None:
                pictures, target = task(model, sample)
                output = predict(model, *pictures)
            yield score(sample, output, target, names)


def score(
    sample: Sample,
    output: Picture | None,
    target: Picture | None = None,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
) -> dict[str, object]:
    """Compute one row of `evaluate`.

    Args:
        sample: A sample with a sharp image.
        output: The restored (or reblurred) image; None leaves its metrics out.
        target: What the output is compared with; None for the sharp image.
        metrics: One or more names in `METRICS`.

    Returns:
        The image's name, each metric of the output, and each metric of the blurry image against
        the sharp one, by column.

    Raises:
        ValueError: If the sample has no sharp image.
    """
    names, sharp, known = _metric_names(metrics), _sharp(sample), METRICS | OPTIONAL_METRICS
    row: dict[str, object] = {"image": sample.name}
    if output is not None:
        against = sharp if target is None else target
        row |= {name: known[name](output, against) for name in names}
    return row | {f"blurry {name}": known[name](sample.blurry, sharp) for name in names}


def _metric_names(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """A text is one name, not a sequence of letters."""
    return (metrics,) if isinstance(metrics, str) else tuple(metrics)


def _each(dataset: Samples | Iterable[Sample]) -> Iterator[Sample]:
    """The samples in order; a data set need not raise IndexError at its end."""
    if isinstance(dataset, Samples):
        yield from (dataset[i] for i in range(len(dataset)))
    else:
        yield from dataset


def _sharp(sample: Sample) -> torch.Tensor:
    if sample.sharp is None:
        raise ValueError(
            f"{sample.name} has no sharp image to compare with: leave it out, or add one."
        )
    return sample.sharp


@contextmanager
def _on(device: torch.device | str | None, model: nn.Module | None) -> Iterator[None]:
    """Move the model to that device within a `with` block, and back afterwards."""
    if model is None:
        yield
        return
    home = next(model.parameters()).device
    model.to(device or home)
    try:
        yield
    finally:
        model.to(home)


def _pair(output: Picture, sharp: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Both images in [0, 1], channels last."""
    values = _channels_last(output), _channels_last(sharp)
    if values[0].shape != values[1].shape:
        shapes = [" x ".join(map(str, each.shape)) for each in values]
        raise ValueError(
            f"The output has shape {shapes[0]} and the reference {shapes[1]}: give images of equal "
            "shape."
        )
    return as_unit(values[0], "The output", overshoot=True), as_unit(values[1], "The reference")


def _channels_last(picture: Picture) -> np.ndarray:
    array = numbers(picture)
    return np.moveaxis(array, -3, -1) if torch.is_tensor(picture) and array.ndim > 2 else array
