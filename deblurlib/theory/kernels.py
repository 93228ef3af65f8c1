"""Blur kernels: straight lines, arcs, random curves, and a Gaussian as the control."""

import numpy as np


def line_kernel(length: int, angle: float = 0.0) -> np.ndarray:
    """Build the kernel of uniform straight motion.

    `length` sub-frames one pixel apart are splatted bilinearly (antialiased). At 0 and 90 degrees
    an odd length gives exactly a box.

    Args:
        length: Number of sub-frames, and so of pixels.
        angle: Degrees, anticlockwise on the screen from "right".

    Returns:
        (S, S) with S odd, centred; sums to 1.

    Example:
        >>> line_kernel(3).round(3).tolist()
        [[0.0, 0.0, 0.0], [0.333, 0.333, 0.333], [0.0, 0.0, 0.0]]
    """
    steps = np.arange(length) - (length - 1) / 2
    slope = np.deg2rad(angle)
    return path_kernel(-steps * np.sin(slope), steps * np.cos(slope))


def path_kernel(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Build the kernel of any camera path, with one bilinear splat per point.

    Args:
        down: (N,) positions in pixels below the centre.
        right: (N,) positions in pixels to the right of it.

    Returns:
        (S, S) with S odd, centred; sums to 1.
    """
    radius = int(np.ceil(max(np.abs(down).max(), np.abs(right).max()) - 1e-9))
    kernel = np.zeros((2 * radius + 3,) * 2)
    row, column = (np.round(np.asarray(p, dtype=float) + radius, 9) for p in (down, right))
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - i - (row - top)) * np.abs(1 - j - (column - left))
        np.add.at(kernel, (top + i, left + j), weight)
    side = 2 * radius + 1
    return kernel[:side, :side] / kernel.sum()


def arc_kernel(length: float, angle: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """Build the kernel of a steady motion along an arc.

    There are four sub-frames per pixel, and the centre of the path is in the centre of the square.

    Args:
        length: Length of the path in pixels.
        angle: Heading half-way, in degrees, anticlockwise on the screen from "right".
        turn: Degrees by which the heading turns over the path.

    Returns:
        (S, S) with S odd, centred; sums to 1.
    """
    frames = max(round(4 * length), 1)
    t = (np.arange(frames) + 0.5) / frames - 0.5
    heading = np.deg2rad(angle + turn * t)
    down, right = (
        np.cumsum(step) * length / frames for step in (-np.sin(heading), np.cos(heading))
    )
    return path_kernel(
        down - (down.max() + down.min()) / 2, right - (right.max() + right.min()) / 2
    )


def curve_kernel(extent: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the kernel of a random smooth camera path, as caused by hand shake.

    Args:
        extent: Pixels that the path spans in both directions, odd.
        rng: Source of random numbers, which is advanced.

    Returns:
        (extent, extent); sums to 1.
    """
    walk = rng.standard_normal((2, 401)).cumsum(1).cumsum(1)
    # steady drift would make the path a straight line, so most of it is removed
    walk -= np.linspace(0, 1, 401) * walk[:, -1:] * rng.uniform(0.3, 0.9, (2, 1))
    walk -= (walk.max(1, keepdims=True) + walk.min(1, keepdims=True)) / 2
    down, right = walk / np.abs(walk).max(1, keepdims=True) * (extent - 1) / 2
    return path_kernel(down, right)


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Build an isotropic Gaussian out to 4 sigma, the control without a direction.

    Args:
        sigma: Standard deviation in pixels.

    Returns:
        (S, S) with S odd, centred; sums to 1.
    """
    taps = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    row = np.exp(-(taps**2) / (2 * sigma**2))
    kernel: np.ndarray = np.outer(row, row) / row.sum() ** 2
    return kernel
