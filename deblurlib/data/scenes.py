"""Rendered dynamic scenes: a moving camera and moving objects, averaged over an exposure.

A scene is a stack of flat layers: a far background, often a nearer one, and 0 to 4 objects, each
with a soft mask. Every layer k moves by a homography M_k(t) in pixels, with M_k(0) the identity;
time is counted in frame periods, and the exposure lasts `exposure` of them, so the exact motion is
known. Writing C(t) for the layers composed at time t,

    blurry = R( mean over the sub-frames t in [-exposure/2, exposure/2] of C(t) ) + noise
    sharp  = R( C(0) ),   previous = R( C(-1) ),   next = R( C(+1) )

where linear light is averaged and then encoded by the response R(x) = x^(1/2.2) for the variant
"blur_gamma", while encoded values are averaged directly (R = identity) for "blur". These are the
two variants of the GoPro data set (Nah et al., 2017).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from .camera import (
    Camera,
    Shot,
    averaged_times,
    camera_random,
    compress,
    draw_shot,
    expose,
    find_camera,
    magnify,
    radiance,
    through_optics,
)
from .compositing import Labels, blur_extent, compose, flow, still_visible, to_picture
from .layers import STEPS, Layer, Recipe, draw_layers, subframe_times
from .motion import Floats
from .photographs import list_photographs, load_photograph
from .samples import Sample, to_tensor

# Part of the key of cached trainings: raise it when a seed renders a different scene.
RENDERER_VERSION = 1
RESPONSE = {"blur": 1.0, "blur_gamma": 2.2}
MOST_NOISE = 0.01  # standard deviation in [0, 1] units


@dataclass(frozen=True)
class Scene:
    """One exposure with its exact motion.

    Attributes:
        blurry: (H, W, 3) RGB in [0, 1], multiples of 1/255.
        sharp: The frame in the middle of the exposure, likewise.
        previous: The frame one period earlier, likewise.
        next: The frame one period later, likewise.
        flow_previous: (H, W, 2), (u, v) = (right, down) in pixels, from `sharp` to `previous`.
        flow_next: (H, W, 2), the same from `sharp` to `next`.
        blur_extent: (H, W), length in pixels of the path that the scene point seen at a pixel
            travels during the exposure.
        labels: (H, W), 0 for the background, 1, 2, … for the layer in front.
        visible_previous: (H, W), whether the point is inside `previous` and not occluded there.
        visible_next: (H, W), the same for `next`.
        subframes: Number of times that were averaged.
    """

    blurry: NDArray[np.float32]
    sharp: NDArray[np.float32]
    previous: NDArray[np.float32]
    next: NDArray[np.float32]
    flow_previous: NDArray[np.float32]
    flow_next: NDArray[np.float32]
    blur_extent: NDArray[np.float32]
    labels: Labels
    visible_previous: NDArray[np.bool_]
    visible_next: NDArray[np.bool_]
    subframes: int


class SceneOptions(TypedDict, total=False):
    """Arguments of `render_scene` that are the same for every scene of a data set."""

    objects: int | None
    severity: float
    exposure: float
    noise: float | None
    min_subframes: int
    camera: Camera | str | None


def render_scene(  # noqa: PLR0913 - one argument per property of the scene
    photo: NDArray[np.uint8],
    seed: int | Sequence[int],
    size: int | tuple[int, int] = 256,
    *,
    variant: str = "blur_gamma",
    textures: list[NDArray[np.uint8]] | None = None,
    objects: int | None = None,
    severity: float = 1.0,
    exposure: float = 1.0,
    noise: float | None = None,
    min_subframes: int = 17,
    camera: Camera | str | None = None,
) -> Scene:
    """Render one scene from a sharp photograph; the same arguments give the same scene, to the bit.

    Args:
        photo: (H, W, 3) RGB, the photograph of the background.
        seed: Seed of the random choices, such as 7 or (7, index).
        size: Side of the scene, or its height and width, in pixels.
        variant: "blur" averages encoded values, "blur_gamma" linear light.
        textures: Photographs that near layers and objects are cut from; None for `photo` itself.
        objects: Number of moving objects; None for 0 to 4 at random.
        severity: Factor on every motion.
        exposure: Share of the frame period in (0, 1] that the shutter is open.
        noise: Standard deviation in [0, 1] units; None for up to 0.01 at random, or, with a
            camera, for the camera's noise alone.
        min_subframes: Minimum number of times that are averaged, in a continuous exposure.
        camera: Shutter, sensor, optics and compression, or the name of one of `camera.CAMERAS`,
            such as "real"; its factors multiply `severity` and `exposure`. None for a clean
            average.

    Returns:
        The scene.

    Raises:
        ValueError: If the variant or the camera is unknown, the size is below 1 pixel, or the
            exposure is not in (0, 1].
    """
    _check_variant(variant)
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f"size is {size!r}: give at least 1 pixel per side.")
    if not 0 < exposure <= 1:
        raise ValueError(f"exposure is {exposure!r}: give a share of more than 0 and at most 1.")
    shot, shot_rng = None, camera_random(seed)
    if camera is not None:
        shot = draw_shot(find_camera(camera), shot_rng)
        severity, exposure = severity * shot.severity * shot.shutter, exposure * shot.shutter
        noise = 0.0 if noise is None else noise
        if shot.linear is not None:
            variant = "blur_gamma" if shot.linear else "blur"
    rng, gamma = np.random.default_rng(seed), RESPONSE[variant]
    response = np.asarray(STEPS ** np.float32(gamma), np.float32)
    if shot is not None:
        response = radiance(STEPS, gamma, shot.highlight)
    recipe = Recipe((height, width), objects, severity, exposure, response)
    layers = draw_layers(rng, photo, textures or [photo], recipe)
    times = _exposure_times(layers, recipe, min_subframes, shot)
    labels, labels_previous, labels_next = np.zeros((3, height, width), np.uint8)
    seen = [labels, labels_previous, labels_next]
    mean, frames = _photograph(layers, times, (height, width), seen, shot)
    sharp, previous, following = (to_picture(light, gamma) for light in frames)

    sigma = rng.uniform(0, MOST_NOISE) if noise is None else noise
    grain = None
    if sigma:
        grain = rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(sigma)
    if shot is not None and shot.electrons is not None:
        mean = expose(mean, gamma, shot.electrons, shot_rng)
    blurry = to_picture(mean, gamma, grain)
    if shot is not None:
        blurry = compress(blurry, shot.codec, shot.quality)

    flow_previous, flow_next = flow(layers, -1.0, labels), flow(layers, 1.0, labels)
    return Scene(
        blurry=blurry,
        sharp=sharp,
        previous=previous,
        next=following,
        flow_previous=flow_previous,
        flow_next=flow_next,
        blur_extent=blur_extent(layers, times, labels),
        labels=labels,
        visible_previous=still_visible(labels, labels_previous, flow_previous),
        visible_next=still_visible(labels, labels_next, flow_next),
        subframes=len(times),
    )


def _exposure_times(layers: list[Layer], recipe: Recipe, minimum: int, shot: Shot | None) -> Floats:
    """Choose the times that are averaged: one is enough where nothing moves."""
    if shot is not None and recipe.severity == 0:
        return np.zeros(1)
    if shot is not None and shot.frames is not None:
        return averaged_times(shot.frames, recipe.exposure)
    return subframe_times(layers, recipe, minimum)


def _photograph(
    layers: list[Layer],
    times: Floats,
    size: tuple[int, int],
    seen: list[Labels],
    shot: Shot | None,
) -> tuple[NDArray[np.float32], Iterator[NDArray[np.float32]]]:
    """Average the light of the exposure; then iterate over the frames at times 0, -1 and 1.

    `seen` receives the labels of these three frames as they are iterated over.
    """
    moments = np.array([0.0, -1.0, 1.0])
    canvas = size
    if shot is not None and shot.reduction > 1:
        canvas = (round(size[0] * shot.reduction), round(size[1] * shot.reduction))
    if canvas == size:
        wanted: list[Labels | None] = [None] * len(times)
        frames = compose(layers, np.r_[times, moments], size, [*wanted, *seen])
    else:
        for _ in compose(layers, moments, size, [*seen]):
            pass
        large = magnify(layers, size, canvas)
        frames = compose(large, np.r_[times, moments], canvas, [None] * (len(times) + 3))
    total = np.zeros((*canvas, 4), np.float32)
    for light in islice(frames, len(times)):
        cv2.accumulate(light, total)
    mean = np.divide(total, np.float32(len(times)))
    if shot is None:
        return mean, frames
    softness = shot.softness
    return (
        through_optics(mean, size, softness),
        (through_optics(light, size, softness) for light in frames),
    )


class SceneDataset(Dataset[Sample]):
    """Rendered scenes of one split; scene i depends on (seed, i) alone, not on other processes.

    Args:
        split: "train", "validation" or "test", as for `list_photographs`.
        count: Number of scenes.
        size: Side of the scenes, or their height and width, in pixels.
        seed: Seed of the data set.
        variant: "blur" or "blur_gamma", as for `render_scene`.
        photos: Collection or folder of photographs, as for `list_photographs`.
        options: Further arguments of `render_scene`.

    Raises:
        ValueError: If the split, the variant or the camera is unknown, or the folder holds too few
            images.
    """

    def __init__(
        self,
        split: str,
        count: int,
        size: int | tuple[int, int] = 256,
        *,
        seed: int = 0,
        variant: str = "blur_gamma",
        photos: str | Path | None = None,
        **options: Unpack[SceneOptions],
    ) -> None:
        _check_variant(variant)
        camera = options.get("camera")
        if camera is not None:
            find_camera(camera)
        self.paths = list_photographs(split, photos)
        self.split, self.count, self.size, self.seed = split, count, size, seed
        self.variant, self.options = variant, options

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def scene(self, index: int) -> Scene:
        """Render a scene.

        Args:
            index: Number of the scene, from 0.

        Returns:
            The scene with its exact motion.

        Raises:
            IndexError: If the index is out of range.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"There is no scene {index}: the data set has {self.count}.")
        first, *others = (load_photograph(self.paths[i]) for i in self._chosen(index))
        return render_scene(
            first,
            self._key(index),
            self.size,
            variant=self.variant,
            textures=others,
            **self.options,
        )

    def photograph(self, index: int) -> str:
        """Name the photograph in the background of a scene, without rendering it.

        Scenes of one photograph resemble each other: statistics resample photographs first.

        Args:
            index: Number of the scene, from 0.

        Returns:
            The name of its file without the suffix, such as "pier".
        """
        return Path(self.paths[self._chosen(index)[0]]).stem

    def _key(self, index: int) -> tuple[int, int, int]:
        return self.seed, list(RESPONSE).index(self.variant), index

    def _chosen(self, index: int) -> NDArray[np.int64]:
        """Numbers of the photographs of the background and of the layers in front."""
        return np.random.default_rng((*self._key(index), 1)).integers(len(self.paths), size=3)

    def __getitem__(self, index: int) -> Sample:
        scene = self.scene(index)
        return Sample(
            blurry=to_tensor(scene.blurry),
            sharp=to_tensor(scene.sharp),
            previous=to_tensor(scene.previous),
            following=to_tensor(scene.next),
            name=f"{self.split}-{self.seed}-{index:05d}",
            flow_previous=to_tensor(scene.flow_previous),
            flow_next=to_tensor(scene.flow_next),
            blur_extent=torch.from_numpy(scene.blur_extent)[None],
        )


def _check_variant(variant: str) -> None:
    if variant not in RESPONSE:
        raise ValueError(
            f"There is no variant {variant!r}: choose 'blur' (plain average) or 'blur_gamma' "
            "(linear light)."
        )
