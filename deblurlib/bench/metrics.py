"""Which SSIM is that? One pair of images, measured by the packages that are installed here."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
import skimage.metrics
import torch

from ..data import SceneDataset, to_tensor
from ..evaluation import METRICS
from ..results import save_table

SIZES = (256, 512)  # piq halves images from 384 pixels on
Pair = tuple[np.ndarray, np.ndarray]  # (H, W, 3) float32 in [0, 1]


class Call(NamedTuple):
    """A call as its documentation shows it, with the package's own defaults."""

    package: str
    call: str
    measure: Callable[[Pair], float]


def run(results: Path, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    """Measure one blurry scene, and a pair of equal images, with every call.

    Args:
        results: The results folder; tables/ssim_packages.csv is written.
        sizes: Sides of the square images in pixels.

    Returns:
        One row per call: package, version, call, metric, the value for each size, and for PSNR
        what it calls the PSNR of two equal images. Packages that are not installed are left out.
    """
    pairs = {f"{side}x{side}": _pair(side) for side in sizes}
    found = []
    for metric, calls in (("SSIM", _ssim_calls()), ("PSNR", _psnr_calls())):
        for package, call, measure in calls:
            line: dict[str, object] = {"package": package, "version": _version(package)}
            line |= {"call": call, "metric": metric}
            line |= {f"value at {size}": measure(pair) for size, pair in pairs.items()}
            if metric == "PSNR":
                line["PSNR of equal images"] = measure((next(iter(pairs.values()))[1],) * 2)
            found.append(line)
    return save_table(
        pd.DataFrame(found),
        results / "tables" / "ssim_packages.csv",
        source="measured",
        data="first rendered test scene, exactly 8 bits",
    )


def _ssim_calls() -> Iterator[Call]:
    for name, metric in METRICS.items():
        if name.startswith("ssim"):
            yield Call("deblurlib", name, partial(_with, metric))
    yield Call(
        "scikit-image",
        "structural_similarity(channel_axis=-1), 8 bits",
        lambda pair: skimage.metrics.structural_similarity(*_bytes(pair), channel_axis=-1),
    )
    quality: Any = cv2.quality
    yield Call(
        "opencv-contrib-python",
        "quality.QualitySSIM_compute, mean of RGB",
        lambda pair: float(np.mean(quality.QualitySSIM_compute(*_bytes(pair))[0][:3])),
    )
    if sewar := _module("sewar.full_ref"):
        yield Call("sewar", "ssim, 8 bits", lambda pair: sewar.ssim(*_bytes(pair))[0])
    if piq := _module("piq"):
        for call, options in (("ssim", {}), ("ssim(downsample=False)", {"downsample": False})):
            yield Call("piq", call, partial(_on_tensors, partial(piq.ssim, **options)))
    if torchmetrics := _module("torchmetrics.functional.image"):
        ssim = partial(torchmetrics.structural_similarity_index_measure, data_range=1.0)
        call = "structural_similarity_index_measure(data_range=1.0)"
        yield Call("torchmetrics", call, partial(_on_tensors, ssim))
    if pyiqa := _module("pyiqa"):
        for name in ("ssim", "ssimc"):
            metric = pyiqa.create_metric(name, device="cpu")
            yield Call("pyiqa", f"create_metric({name!r})", partial(_on_tensors, metric))


def _psnr_calls() -> Iterator[Call]:
    yield Call("deblurlib", "rgb-psnr", lambda pair: METRICS["rgb-psnr"](*pair))
    yield Call(
        "scikit-image",
        "peak_signal_noise_ratio, 8 bits",
        _skimage_psnr,
    )
    yield Call("opencv-contrib-python", "PSNR, 8 bits", lambda pair: cv2.PSNR(*_bytes(pair)))
    if sewar := _module("sewar.full_ref"):
        yield Call("sewar", "psnr, 8 bits", lambda pair: float(sewar.psnr(*_bytes(pair))))
    if piq := _module("piq"):
        yield Call("piq", "psnr", partial(_on_tensors, piq.psnr))
    if torchmetrics := _module("torchmetrics.functional.image"):
        psnr = partial(torchmetrics.peak_signal_noise_ratio, data_range=1.0)
        call = "peak_signal_noise_ratio(data_range=1.0)"
        yield Call("torchmetrics", call, partial(_on_tensors, psnr))
    if pyiqa := _module("pyiqa"):
        metric = pyiqa.create_metric("psnr", device="cpu")
        yield Call("pyiqa", "create_metric('psnr')", partial(_on_tensors, metric))


def _with(metric: Callable[..., float], pair: Pair) -> float:
    return metric(*pair)


def _on_tensors(metric: Callable[..., torch.Tensor], pair: Pair) -> float:
    """A metric of batches (1, 3, H, W)."""
    return metric(*(to_tensor(picture)[None] for picture in pair)).item()


def _skimage_psnr(pair: Pair) -> float:
    with np.errstate(divide="ignore"):  # it warns that the result of equal images is infinite
        return float(skimage.metrics.peak_signal_noise_ratio(*_bytes(pair)))


def _pair(side: int) -> Pair:
    scene = SceneDataset("test", 1, side, variant="blur").scene(0)
    blurry, sharp = (np.rint(255 * x) / 255 for x in (scene.blurry, scene.sharp))
    return blurry.astype(np.float32), sharp.astype(np.float32)


def _bytes(pair: Pair) -> tuple[Any, Any]:
    first, second = (np.rint(255 * picture).astype(np.uint8) for picture in pair)
    return first, second


def _module(name: str) -> Any:
    """A module of an optional package; None if it is not installed or cannot be imported."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImportError):
            return import_module(name)
    return None


def _version(package: str) -> str:
    for name in (package, f"{package}-headless"):
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    return "unknown"
