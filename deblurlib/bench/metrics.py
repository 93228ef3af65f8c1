"""Which SSIM is that? One pair of images, measured by the packages that are installed here."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

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
            line = {"package": package, "version": _version(package), "call": call}
            line |= {"metric": metric}
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
            yield Call("deblurlib", name, lambda pair, metric=metric: metric(*pair))
    yield Call(
        "scikit-image",
        "structural_similarity(channel_axis=-1), 8 bits",
        lambda pair: skimage.metrics.structural_similarity(*_bytes(pair), channel_axis=-1),
    )
    yield Call(
        "opencv-contrib-python",
        "quality.QualitySSIM_compute, mean of RGB",
        lambda pair: float(np.mean(cv2.quality.QualitySSIM_compute(*_bytes(pair))[0][:3])),
    )
    if module := _module("sewar.full_ref"):
        yield Call("sewar", "ssim, 8 bits", lambda pair, m=module: m.ssim(*_bytes(pair))[0])
    if module := _module("piq"):
        yield Call("piq", "ssim", lambda pair, m=module: m.ssim(*_batches(pair)).item())
        yield Call(
            "piq",
            "ssim(downsample=False)",
            lambda pair, m=module: m.ssim(*_batches(pair), downsample=False).item(),
        )
    if module := _module("torchmetrics.functional.image"):
        yield Call(
            "torchmetrics",
            "structural_similarity_index_measure(data_range=1.0)",
            lambda pair, m=module: m.structural_similarity_index_measure(
                *_batches(pair), data_range=1.0
            ).item(),
        )
    if module := _module("pyiqa"):
        for name in ("ssim", "ssimc"):
            yield Call(
                "pyiqa",
                f"create_metric({name!r})",
                lambda pair, m=module, n=name: m.create_metric(n, device="cpu")(
                    *_batches(pair)
                ).item(),
            )


def _psnr_calls() -> Iterator[Call]:
    yield Call("deblurlib", "rgb-psnr", lambda pair: METRICS["rgb-psnr"](*pair))
    yield Call(
        "scikit-image",
        "peak_signal_noise_ratio, 8 bits",
        _skimage_psnr,
    )
    yield Call("opencv-contrib-python", "PSNR, 8 bits", lambda pair: cv2.PSNR(*_bytes(pair)))
    if module := _module("sewar.full_ref"):
        yield Call("sewar", "psnr, 8 bits", lambda pair, m=module: float(m.psnr(*_bytes(pair))))
    if module := _module("piq"):
        yield Call("piq", "psnr", lambda pair, m=module: m.psnr(*_batches(pair)).item())
    if module := _module("torchmetrics.functional.image"):
        yield Call(
            "torchmetrics",
            "peak_signal_noise_ratio(data_range=1.0)",
            lambda pair, m=module: m.peak_signal_noise_ratio(
                *_batches(pair), data_range=1.0
            ).item(),
        )
    if module := _module("pyiqa"):
        yield Call(
            "pyiqa",
            "create_metric('psnr')",
            lambda pair, m=module: m.create_metric("psnr", device="cpu")(*_batches(pair)).item(),
        )


def _skimage_psnr(pair: Pair) -> float:
    with np.errstate(divide="ignore"):  # it warns that the result of equal images is infinite
        return float(skimage.metrics.peak_signal_noise_ratio(*_bytes(pair)))


def _pair(side: int) -> Pair:
    scene = SceneDataset("test", 1, side, variant="blur").scene(0)
    blurry, sharp = (np.rint(255 * x) / 255 for x in (scene.blurry, scene.sharp))
    return blurry.astype(np.float32), sharp.astype(np.float32)


def _bytes(pair: Pair) -> list[np.ndarray]:
    return [np.rint(255 * picture).astype(np.uint8) for picture in pair]


def _batches(pair: Pair) -> list[torch.Tensor]:
    return [to_tensor(picture)[None] for picture in pair]


def _module(name: str):  # type: ignore[no-untyped-def]  # of a package without types
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
