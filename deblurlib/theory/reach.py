"""The reach and the direction of a filter."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .grid import offsets

if TYPE_CHECKING:
    import torch


def support_radius(taps: np.ndarray, share: float = 0.99, power: int = 1) -> int:
    """Find the smallest centred box that holds most of a filter.

    Args:
        taps: 1-D or 2-D, with the centre at n // 2.
        share: Part of sum |taps|^power that the box holds, at most 1.
        power: 1 for absolute taps (99 % L1), 2 for their energy.

    Returns:
        r of the box, whose side is 2r + 1.
    """
    mass = np.abs(taps, dtype=np.float64) ** power
    distance = np.max(np.abs(np.stack(offsets(mass.shape))), axis=0)
    within = np.cumsum(np.bincount(distance.ravel(), mass.ravel()))
    return int(np.searchsorted(within, share * within[-1] * (1 - 1e-12)))


def support_count(taps: np.ndarray, share: float = 0.99, power: int = 1) -> int:
    """Count the taps, largest first, that hold most of a filter.

    Args:
        taps: Any shape.
        share: Part of sum |taps|^power that they hold, at most 1.
        power: 1 for absolute taps, 2 for their energy.

    Returns:
        Their number.
    """
    mass = np.sort(np.abs(taps, dtype=np.float64).ravel() ** power)[::-1].cumsum()
    return int(np.searchsorted(mass, share * mass[-1] * (1 - 1e-12))) + 1


def band_energy(taps: np.ndarray, angle: float, half_width: float = 1.5) -> tuple[float, float]:
    """Compute how much of a filter lies along a line through its centre.

    Args:
        taps: 2-D, with the centre at n // 2.
        angle: Angle of the line, in degrees, anticlockwise on the screen from "right".
        half_width: Distance from the line in pixels that counts.

    Returns:
        (share of the energy, share of the area) of that band.
    """
    down, right = offsets(taps.shape)
    slope = np.deg2rad(angle)
    inside = np.abs(right * np.sin(slope) + down * np.cos(slope)) <= half_width
    return float((taps[inside] ** 2).sum() / (taps**2).sum()), float(inside.mean())


def principal_angle(taps: np.ndarray) -> tuple[float, float]:
    """Compute the direction of a filter from the second moments of its energy.

    Args:
        taps: 2-D, with the centre at n // 2.

    Returns:
        (angle, anisotropy): degrees in [0, 180), anticlockwise from "right"; 0 for a round filter,
        1 for a line.
    """
    down, right = offsets(taps.shape)
    energy = taps**2
    rr, ru, uu = ((energy * a * b).sum() for a, b in ((right, right), (right, -down), (down, down)))
    angle = np.rad2deg(np.arctan2(2 * ru, rr - uu)) / 2
    return float(angle % 180), float(np.hypot(rr - uu, 2 * ru) / (rr + uu))


def receptive_field(
    function: "Callable[[torch.Tensor], torch.Tensor]",
    shape: tuple[int, int],
    channels: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Compute |d output centre / d input|: non-zero where the centre pixel looks.

    Args:
        function: A torch module or function, (1, channels, H, W) -> (1, any, H, W), evaluated in
            float64 on noise.
        shape: (H, W).
        channels: Channels of the input.
        seed: Seed of the noise.

    Returns:
        (H, W), summed over the channels.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, channels, *shape, dtype=torch.float64, generator=generator)
    image.requires_grad_()
    output = function(image)
    centre = output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(centre, image)
    field: np.ndarray = gradient[0].abs().sum(0).numpy()
    return field


def share_of_field(field: np.ndarray, held: float = 0.99) -> float:
    """Find the smallest share of the pixels that holds most of a receptive field.

    >>> share_of_field(np.array([[8.0, 0.0], [1.0, 1.0]]), 0.9)
    0.5

    Args:
        field: (H, W), such as that of `receptive_field`.
        held: Share of the sum of the field.

    Returns:
        A share of the pixels.
    """
    sums = np.sort(field, axis=None)[::-1].cumsum()
    return float((np.searchsorted(sums, held * sums[-1]) + 1) / sums.size)
