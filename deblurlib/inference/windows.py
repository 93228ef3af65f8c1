"""One window of a picture through a network: NumPy in, NumPy out, without gradients."""

import contextlib

import numpy as np
import torch

from ..data.samples import to_array, to_tensor

SMALLEST = 16  # pixels: what every network takes


@contextlib.contextmanager
def predicting(network):
    """Without gradients and in eval mode; afterwards every part of it in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def parameter_of(network) -> torch.Tensor:
    """One that says which dtype and device a network works in."""
    return next(network.parameters(), torch.empty(0))


def _as_input(window: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(h, w, 1 or 3) of any dtype -> (1, 3, h, w) in [0, 1], padded by reflection where it is smaller than SMALLEST."""
    padding = [(0, max(0, SMALLEST - n)) for n in window.shape[:2]]
    window = np.pad(window, [*padding, (0, 0)], mode="reflect")
    window = window.astype(window.dtype.newbyteorder("="), copy=False)
    x = to_tensor(window).clamp(0, 1).expand(3, -1, -1)[None]
    return x.to(like).contiguous(memory_format=torch.channels_last)  # faster, and less memory


def run_window(network, window) -> np.ndarray:
    """The network's output for a window: (h, w, 1 or 3) -> (h, w, 3) float32 in [0, 1]."""
    x = _as_input(window, like=parameter_of(network))
    y = network(x)
    if not isinstance(y, torch.Tensor) or y.shape != x.shape:
        what = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ValueError(
            f"{type(network).__name__} gave {what} for a picture of {tuple(x.shape)}: it must keep the shape."
        )
    height, width = window.shape[:2]
    restored = to_array(y[0, :, :height, :width].clamp(0, 1))
    if not np.isfinite(restored).all():
        raise ValueError(
            f"{type(network).__name__} gave values that are not finite: its weights do not fit, or have diverged."
        )
    return restored
