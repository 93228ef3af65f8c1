"""Smooth random motions as homographies that change with time.

Time is counted in frame periods. A motion maps times (T,) to matrices (T, 3, 3) that take a pixel
at time 0 to the position of its scene point at each time; at time 0 it is the identity.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Motion = Callable[[Floats], Floats]

FREQUENCIES = np.array([0.05, 0.15, 0.4])[:, None]  # cycles per frame period: drift, sway, tremor
DAMPING = np.array([[1.0], [1.5], [3.0]])  # of the amplitude at each frequency


@dataclass(frozen=True)
class SmoothPath:
    """A sum of three slow oscillations in each of six parameters of a homography.

    The parameters are translation in x and y, rotation, log zoom, and two perspective terms.

    Attributes:
        centre: The point (x, y), in pixels, that is turned and zoomed about.
        unit: (6,), change of each parameter that moves a point at a typical distance by a pixel
            (less for rotation, zoom and perspective).
        amplitude: (3, 6), in these units, by frequency and parameter.
        phase: (3, 6), in radians.
        gain: Factor on the whole motion.
    """

    centre: tuple[float, float]
    unit: Floats
    amplitude: Floats
    phase: Floats
    gain: float = 1.0

    def __call__(self, times: Floats, parallax: float = 1.0) -> Floats:
        """Evaluate the motion.

        Args:
            times: (T,), in frame periods.
            parallax: Factor on the translation, above 1 for near objects.

        Returns:
            (T, 3, 3) homographies.
        """
        t = times[:, None, None]
        wave = np.sin(2 * np.pi * FREQUENCIES * t + self.phase) - np.sin(self.phase)
        p = (self.amplitude * wave).sum(1) * self.unit * self.gain
        c, s = np.exp(p[:, 3]) * np.cos(p[:, 2]), np.exp(p[:, 3]) * np.sin(p[:, 2])
        around = np.empty((len(times), 3, 3))
        around[:, 0, 0], around[:, 0, 1], around[:, 0, 2] = c, -s, parallax * p[:, 0]
        around[:, 1, 0], around[:, 1, 1], around[:, 1, 2] = s, c, parallax * p[:, 1]
        around[:, 2, 0], around[:, 2, 1], around[:, 2, 2] = p[:, 4], p[:, 5], 1
        x, y = self.centre
        moved: Floats = _shift(x, y) @ around @ _shift(-x, -y)
        return moved


def random_path(
    rng: np.random.Generator,
    size: tuple[int, int],
    blur: float,
    exposure: float,
    centre: tuple[float, float] | None = None,
) -> SmoothPath:
    """Draw a smooth motion that blurs by a given length.

    Args:
        rng: Source of randomness.
        size: Height and width of the image in pixels.
        blur: Mean path length during the exposure in pixels, over 9 points around the centre.
        exposure: Duration of the exposure in frame periods.
        centre: The point (x, y) that is turned and zoomed about; None for the image's centre.

    Returns:
        The motion.
    """
    height, width = size
    cx, cy = ((width - 1) / 2, (height - 1) / 2) if centre is None else centre
    radius = min(size) / 2
    path = SmoothPath(
        centre=(cx, cy),
        unit=np.array([1, 1, 0.5 / radius, 0.35 / radius, 0.1 / radius**2, 0.1 / radius**2]),
        amplitude=rng.standard_normal((3, 6)) / (FREQUENCIES * DAMPING),
        phase=rng.uniform(0, 2 * np.pi, (3, 6)),
        gain=1e-3,  # so small that path lengths are proportional to it
    )
    steps = (-1, 0, 1)
    points = np.array([(cx + i * radius, cy + j * radius) for i in steps for j in steps])
    times = np.linspace(-exposure / 2, exposure / 2, 9)
    length = path_lengths(path, points, times).mean() * 1e3
    return replace(path, gain=blur / max(length, 1e-9))


def path_lengths(motion: Motion, points: Floats, times: Floats) -> Floats:
    """Measure how far points travel.

    Args:
        motion: The motion.
        points: (N, 2), positions (x, y) at time 0 in pixels.
        times: (T,), in frame periods, ascending.

    Returns:
        (N,), lengths in pixels of the polygons through the positions at these times.
    """
    total = np.zeros(len(points))
    here, *rest = (transform(points, matrix) for matrix in motion(times))
    for there in rest:
        step = (there - here) ** 2
        total += np.sqrt(step[:, 0] + step[:, 1])
        here = there
    return total


def transform(points: Floats, matrix: Floats) -> Floats:
    """Apply a homography.

    Args:
        points: (N, 2), positions (x, y).
        matrix: (3, 3).

    Returns:
        (N, 2), the transformed positions.
    """
    moved: Floats = cv2.perspectiveTransform(points[None], matrix)[0]
    return moved


def _shift(x: float, y: float) -> Floats:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)
