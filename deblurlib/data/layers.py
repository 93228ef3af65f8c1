"""Layers of a rendered scene: textures with alpha, their positions and their motion."""

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from .motion import Floats, Motion, SmoothPath, path_lengths, random_path
from .textures import blob, cut, half_plane, write_lines

CAMERA_BLUR = (1.0, 13.5)  # pixels: mean path length of the background during the exposure
OBJECT_BLUR = (0.0, 14.0)  # pixels: the same for an object's own motion
BORDER = 24  # pixels of background around the canvas
MOST_SUBFRAMES = 257
STEPS = np.arange(256, dtype=np.float32) / np.float32(255)  # the levels of 8 bits


@dataclass(frozen=True)
class Layer:
    """One flat layer.

    Attributes:
        texture: (h, w, 4), RGBA, linear in the light that is averaged, premultiplied by alpha.
        view: (3, 3), canvas pixel at time 0 -> texture pixel.
        motion: Times (T,) -> (T, 3, 3), canvas pixel at time 0 -> canvas pixel at each time.
        border: OpenCV's border mode for what lies outside the texture.
        extent: x, y, width and height, in texture pixels, of the part that is not transparent.
    """

    texture: NDArray[np.float32]
    view: Floats
    motion: Motion
    border: int
    extent: tuple[int, int, int, int]


@dataclass(frozen=True)
class Recipe:
    """Parameters of a scene.

    Attributes:
        size: Height and width in pixels.
        objects: Number of moving objects, None for 0 to 4 at random.
        severity: Factor on every motion.
        exposure: Duration of the exposure in frame periods.
        response: (256,), the light that is averaged, per 8-bit level of the photographs.
    """

    size: tuple[int, int]
    objects: int | None
    severity: float
    exposure: float
    response: NDArray[np.float32]


def draw_layers(
    rng: np.random.Generator,
    photo: NDArray[np.uint8],
    textures: list[NDArray[np.uint8]],
    recipe: Recipe,
) -> list[Layer]:
    """Draw the layers of a scene.

    Args:
        rng: Source of randomness.
        photo: (H, W, 3) RGB, the photograph of the background.
        textures: Photographs of nearer layers and objects.
        recipe: Parameters of the scene.

    Returns:
        The layers from back to front: the background, often a nearer layer, and the objects.
    """
    size, severity, exposure = recipe.size, recipe.severity, recipe.exposure
    height, width = size
    covering = (height + 2 * BORDER, width + 2 * BORDER)
    camera = random_path(rng, size, severity * rng.uniform(*CAMERA_BLUR), exposure)
    texture, scale = cut(rng, photo, covering)
    if rng.random() < 0.5:
        write_lines(rng, texture)
    place = _view(scale, (-BORDER, -BORDER))
    layers = [_layer(texture, None, place, camera, recipe.response)]

    if rng.random() < 0.5:  # a nearer layer behind one wavy edge, with more parallax
        nearer = partial(camera, parallax=rng.uniform(1.3, 2.0))
        texture, scale = cut(rng, textures[0], covering)
        mask = half_plane(rng, texture.shape[:2])
        place = _view(scale, (-BORDER, -BORDER))
        layers.append(_layer(texture, mask, place, nearer, recipe.response))

    for _ in range(rng.integers(0, 5) if recipe.objects is None else recipe.objects):
        side = int(rng.uniform(0.2, 0.5) * min(size))
        texture, scale = cut(rng, textures[rng.integers(len(textures))], (side, side))
        if rng.random() < 0.3:
            write_lines(rng, texture)
        corner = rng.uniform((-side / 3, -side / 3), (width - side / 1.5, height - side / 1.5))
        blur = severity * rng.uniform(*OBJECT_BLUR)
        x, y = corner + side / 2
        own = random_path(rng, size, blur, exposure, centre=(x, y))
        mask = blob(rng, texture.shape[:2])
        motion = partial(_together, camera, own)
        layers.append(_layer(texture, mask, _view(scale, corner), motion, recipe.response))
    return layers


def subframe_times(layers: list[Layer], recipe: Recipe, minimum: int) -> Floats:
    """Choose the times that are averaged: at least one per pixel of the longest path.

    Args:
        layers: The layers of the scene.
        recipe: Parameters of the scene.
        minimum: Minimum number of times.

    Returns:
        (T,), symmetric about 0, with T odd and at most 257.
    """
    (height, width), exposure = recipe.size, recipe.exposure
    corners = np.array(
        [(x, y) for x in (0, width / 2, width) for y in (0, height / 2, height)], float
    )
    rough = np.linspace(-exposure / 2, exposure / 2, 9)
    longest = max(path_lengths(layer.motion, corners, rough).max() for layer in layers)
    count = int(np.clip(np.ceil(longest) + 1, minimum, MOST_SUBFRAMES)) | 1
    return np.linspace(-exposure / 2, exposure / 2, count)


def _layer(
    texture: NDArray[np.uint8],
    mask: NDArray[np.float32] | None,
    view: Floats,
    motion: Motion,
    response: NDArray[np.float32],
) -> Layer:
    opaque = cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA)
    table = np.stack([response, response, response, STEPS], -1)[None]
    rgba = np.asarray(cv2.LUT(opaque, table), np.float32)
    height, width = texture.shape[:2]
    if mask is None:
        return Layer(rgba, view, motion, cv2.BORDER_REFLECT_101, (0, 0, width, height))
    cv2.multiply(rgba, cv2.merge([mask] * 4), rgba)
    x, y, w, h = cv2.boundingRect(np.greater(mask, 0).view(np.uint8))
    return Layer(rgba, view, motion, cv2.BORDER_CONSTANT, (x, y, w, h))


def _view(scale: float, corner: tuple[float, float] | Floats) -> Floats:
    """Canvas pixel -> texture pixel, for a texture whose corner lies at (x, y) on the canvas."""
    half = (scale - 1) / 2  # pixel centres stay centres when the texture is finer than the canvas
    return np.array(
        [[scale, 0, half - scale * corner[0]], [0, scale, half - scale * corner[1]], [0, 0, 1]]
    )


def _together(camera: SmoothPath, own: SmoothPath, times: Floats) -> Floats:
    moved: Floats = camera(times) @ own(times)
    return moved
