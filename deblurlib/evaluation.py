"""Measuring restored pictures: metrics named by preset, prediction on any size, one row an image as a pandas table."""

from collections.abc import Iterable
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from skimage.metrics import structural_similarity
from torch import nn
from tqdm.auto import tqdm

from .data.samples import Sample, to_array


def psnr(output, sharp) -> float:
    """10 log10(1 / MSE) in dB, over all pixels and RGB channels, after clipping both to [0, 1]; inf for equal pictures.

    >>> import numpy as np
    >>> round(psnr(np.full((4, 4, 3), 0.5), np.full((4, 4, 3), 0.6)), 2)
    20.0
    """
    error = np.mean((_clipped(output).astype(np.float64) - _clipped(sharp)) ** 2)
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(output, sharp, **settings) -> float:
    """Mean structural similarity by scikit-image (Wang et al., 2004), in [-1, 1], with its settings; data range 1."""
    return float(
        structural_similarity(
            _clipped(output), _clipped(sharp), data_range=1.0, **{"channel_axis": -1, **settings}
        )
    )


WANG_2004 = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

# Published SSIM values differ by the settings as much as by the method: a table names the metric by one of these.
METRICS = {
    "rgb-psnr": psnr,
    "ssim-skimage": ssim,  # 7x7 uniform window, sample covariance, mean over channels
    "ssim-wang2004": lambda output, sharp: ssim(
        output, sharp, **WANG_2004
    ),  # 11x11 Gaussian window, sigma 1.5
    "ssim-grey": lambda output, sharp: ssim(
        _clipped(output) @ LUMA, _clipped(sharp) @ LUMA, channel_axis=None, **WANG_2004
    ),
}
DEFAULT_METRICS = ("rgb-psnr", "ssim-skimage")


def predict(
    model: nn.Module, *pictures: torch.Tensor, device: torch.device | str | None = None
) -> torch.Tensor:
    """model(blurry) without gradients, in eval mode, clamped to [0, 1]: (3, H, W) or (B, 3, H, W) -> the same on the CPU.

    A reblurring network takes two pictures, the blurry and the sharp one.
    """
    device = device or next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            output = model(
                *(picture.to(device).reshape(-1, *picture.shape[-3:]) for picture in pictures)
            )
    finally:
        model.train(training)
    return output.clamp(0, 1).reshape(pictures[0].shape).float().cpu()


def task(model: nn.Module, sample: Sample) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """What a network is given and what it should make of it: blurry -> sharp; reblurring ones (blurry, sharp) -> blurry."""
    if getattr(model, "pictures", 1) == 2:
        return (sample.blurry, sample.sharp), sample.blurry
    return (sample.blurry,), sample.sharp


def evaluate(
    model: nn.Module | None,
    dataset: Iterable[Sample],
    metrics: Iterable[str] = DEFAULT_METRICS,
    *,
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """One row an image: its name, each metric of the restored (or reblurred) picture, and of the blurry one as "blurry …".

    dataset: anything that gives Samples with a sharp picture, such as SceneDataset or PairedFolder. model: None measures
    the blurry pictures alone. Metrics are names in METRICS. Pictures are compared as floats, clamped to [0, 1].
    device: the model works there and returns to where it was; None = where it is.
    """
    unknown = set(metrics) - set(METRICS)
    if unknown:
        raise ValueError(
            f"There is no metric {sorted(unknown)[0]!r}: choose among {', '.join(METRICS)}."
        )
    rows = []
    bar = tqdm(
        range(len(dataset)),
        desc="evaluate",
        disable=None if progress is None else not progress,
        leave=False,
    )
    with _on(device, model):
        for i in bar:
            sample = dataset[i]
            if sample.sharp is None:
                raise ValueError(
                    f"{sample.name} has no sharp picture to compare with: it can be deblurred, not measured."
                )
            output, target = None, sample.sharp
            if model is not None:
                pictures, target = task(model, sample)
                output = predict(model, *pictures)
            rows.append(score(sample, output, target, metrics))
    return pd.DataFrame(rows)


def score(sample: Sample, output, target=None, metrics: Iterable[str] = DEFAULT_METRICS) -> dict:
    """One row of `evaluate`: the image's name, metrics of an output (None = leave out) against the target (default: the sharp
    picture), and of the blurry picture."""
    target = sample.sharp if target is None else target
    restored = {} if output is None else {name: METRICS[name](output, target) for name in metrics}
    blurry = {f"blurry {name}": METRICS[name](sample.blurry, sample.sharp) for name in metrics}
    return {"image": sample.name, **restored, **blurry}


@contextmanager
def _on(device, model):
    """The model (None: no model) on that device for a while, and back again."""
    if model is None:
        yield
        return
    home = next(model.parameters()).device
    model.to(device or home)
    try:
        yield
    finally:
        model.to(home)


def _clipped(picture) -> np.ndarray:
    if isinstance(picture, torch.Tensor):
        picture = to_array(picture)
    return np.clip(np.asarray(picture, np.float32), 0, 1)
