"""Running a network on one window of an image: NumPy in, NumPy out, without gradients."""

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from ..data.samples import to_array, to_tensor
from .precision import Precision, autocast

OVERSHOOT = 0.1  # beyond [0, 1]: what restored edges reach
MOST_OUTSIDE = 0.1  # of all values: more come from a network with another range, such as [-1, 1]
SMALLEST = 16  # pixels per side that every network accepts
ALL = slice(None)


@contextlib.contextmanager
def predicting(network: nn.Module, precision: Precision = "fp32") -> Iterator[None]:
    """Switch gradients off and the network to eval mode within a `with` block.

    Args:
        network: The network; each of its modules returns to its previous mode afterwards.
        precision: What it computes in.

    Yields:
        None.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode(), autocast(precision, parameter_of(network).device):
            yield
    finally:
        for module, training in modes:
            module.training = training


def parameter_of(network: nn.Module) -> torch.Tensor:
    """Return a tensor with the dtype and the device that a network works in.

    Args:
        network: Any module.

    Returns:
        Its first parameter, or an empty float32 tensor on the CPU if it has none.
    """
    return next(network.parameters(), torch.empty(0))


def run_window(
    network: nn.Module, window: np.ndarray, rows: slice = ALL, columns: slice = ALL
) -> np.ndarray:
    """Run a network on one window of an image.

    Args:
        network: Maps (1, 3, h, w) RGB in [0, 1] to the same shape.
        window: (h, w, 1) grey or (h, w, 3) RGB, uint8, uint16, or floats in [0, 1]. A side below
            `SMALLEST` pixels is padded by reflection, and the output is cropped.
        rows: The rows of the output that are needed.
        columns: The columns that are needed.

    Returns:
        (h, w, 3) float32 in [0, 1]; h and w as rows and columns say. Values outside are clipped,
        with a warning where they are so many that the network must have another range.

    Raises:
        ValueError: If the network's output has a different shape or non-finite values.
    """
    x = _as_input(window, like=parameter_of(network))
    y = network(x)
    kind = type(network).__name__
    if not isinstance(y, torch.Tensor) or y.shape != x.shape:
        what = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ValueError(
            f"{kind} returned {what} for an image of shape {tuple(x.shape)}: "
            "use a network that keeps the shape."
        )
    height, width = window.shape[:2]
    y = y[0, :, :height, :width][:, rows, columns]
    restored = to_array(y.clamp(0, 1))
    if not np.isfinite(restored).all():
        raise ValueError(
            f"{kind} returned values that are not finite: load weights that fit the network "
            "and have not diverged."
        )
    _warn_of_range(y, kind)
    return restored


def _warn_of_range(y: torch.Tensor, kind: str) -> None:
    """Say so if a network does not map to [0, 1]."""
    low, high = y.aminmax()
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return
    outside = ((y < -OVERSHOOT) | (y > 1 + OVERSHOOT)).float().mean()
    if outside > MOST_OUTSIDE:
        warnings.warn(
            f"{kind} returned many values far outside [0, 1], which were clipped: wrap it in a "
            "module that takes and returns [0, 1].",
            stacklevel=2,
        )


def _as_input(window: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(h, w, 1 or 3) of any dtype -> (1, 3, h, w) in [0, 1], at least `SMALLEST` per side."""
    padding = [(0, max(0, SMALLEST - n)) for n in window.shape[:2]]
    window = np.pad(window, [*padding, (0, 0)], mode="reflect")
    window = window.astype(window.dtype.newbyteorder("="), copy=False)
    x = to_tensor(window).clamp(0, 1).expand(3, -1, -1)[None]
    return x.to(like).contiguous(memory_format=torch.channels_last)  # faster, and less memory
