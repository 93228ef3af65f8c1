"""Textures of rendered scenes: windows of photographs, lettering, and soft-edged masks."""

import cv2
import numpy as np
from numpy.typing import NDArray

WORDS = [
    "EXIT",
    "TAXI",
    "Rue",
    "24h",
    "OPEN",
    "Bar",
    "1871",
    "Bus",
    "Platz",
    "STOP",
    "No.7",
    "Market",
    "Hotel",
    "Nord",
    "42 km",
]
FINEST = 1.5  # texture pixels per canvas pixel
FIXED_POINT = 4  # fractional bits of polygon corners


def cut(
    rng: np.random.Generator, photo: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], float]:
    """Cut a random window from a photograph, half of the time mirrored.

    Args:
        rng: Source of randomness.
        photo: (H, W, 3) RGB.
        size: Height and width of the canvas to be covered, in pixels.

    Returns:
        The texture, RGB, and its scale of 1 to 1.5 texture pixels per canvas pixel (less where the
        photograph is small).
    """
    height, width = size
    fit = min(photo.shape[0] / height, photo.shape[1] / width)
    step = min(rng.uniform(1.0, 2.6), fit)  # photograph pixels per canvas pixel
    h, w = int(height * step), int(width * step)
    y, x = rng.integers(0, photo.shape[0] - h + 1), rng.integers(0, photo.shape[1] - w + 1)
    window: NDArray[np.uint8] = photo[y : y + h, x : x + w]
    if rng.random() < 0.5:
        window = np.asarray(cv2.flip(window, 1), np.uint8)
    scale = min(step, FINEST)
    shape = (round(width * scale), round(height * scale))
    resized = cv2.resize(window, shape, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8), scale


def write_lines(rng: np.random.Generator, texture: NDArray[np.uint8]) -> None:
    """Write one to three lines of lettering onto a texture.

    Args:
        rng: Source of randomness.
        texture: (H, W, 3) RGB, which is changed in place.
    """
    height, width = texture.shape[:2]
    for _ in range(rng.integers(1, 4)):
        line = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
        font = int(rng.integers(0, 5))
        size = rng.uniform(0.5, 1.6) * max(min(height, width) / 256, 0.4)
        place = int(rng.uniform(0, 0.6) * width), int(rng.uniform(0.1, 0.95) * height)
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        cv2.putText(texture, line, place, font, size, colour, int(rng.integers(1, 4)), cv2.LINE_AA)


def blob(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw a random closed outline r(a) = r0 (1 + a few harmonics) with a soft edge.

    Args:
        rng: Source of randomness.
        shape: Height and width in pixels.

    Returns:
        (H, W), 1 inside, 0 outside.
    """
    height, width = shape
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    harmonics = sum(
        rng.uniform(0, 0.35) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        for k in (2, 3, 4, 5)
    )
    radius = np.asarray(0.8 + harmonics)
    radius *= 0.46 / radius.max()
    x, y = width * (0.5 + radius * np.cos(angle)), height * (0.5 + radius * np.sin(angle))
    return _fill(rng, shape, np.stack([x, y], -1))


def half_plane(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw a mask of everything on one random side of a wavy line, with a soft edge.

    Args:
        rng: Source of randomness.
        shape: Height and width in pixels.

    Returns:
        (H, W), 1 inside, 0 outside.
    """
    height, width = shape
    x = np.linspace(-0.5, 1.5, 64)
    y = rng.uniform(0.55, 0.8) + sum(
        rng.uniform(0, 0.08) * np.sin(2 * np.pi * k * x + rng.uniform(0, 6.3)) for k in (1, 2)
    )
    outline = np.stack([np.r_[x, 1.5, -0.5] * width, np.r_[y, 3, 3] * height], -1)
    mask = _fill(rng, shape, outline)
    turned = np.rot90(mask, int(rng.integers(4)))
    resized = cv2.resize(np.ascontiguousarray(turned), (width, height))
    return np.asarray(resized, np.float32)


def _fill(
    rng: np.random.Generator, shape: tuple[int, int], outline: NDArray[np.float64]
) -> NDArray[np.float32]:
    mask = np.zeros(shape, np.float32)
    corners = np.rint(outline * 2**FIXED_POINT).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1.0, cv2.LINE_8, shift=FIXED_POINT)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.7, 1.5)), np.float32)
