"""A camera for rendered scenes: shutter, sensor, optics and compression, drawn per scene.

Without a camera, a rendered scene is a clean average over the whole frame period. A real exposure
differs, and a network that has only seen clean averages amplifies the difference. In the order in
which light passes through:

1. Shutter. It is open for a share of the frame period, so the blur is shorter than the motion from
   frame to frame; some exposures are not blurred at all. The blurry images of GoPro are averages
   of 7 to 13 discrete frames (Nah et al., 2017, section 3), whose gaps show as ghosts where the
   motion between two of them exceeds the width of an edge.
2. Radiance. Lamps and reflections are brighter than white. A sensor adds up the light and clips
   the sum, so they leave bright streaks; an average of frames adds up what was clipped before.
3. Optics. Lens, antialiasing filter and demosaicing attenuate high frequencies, approximated by a
   Gaussian, and a camera that reduces a larger image averages its pixels. Both act on every frame,
   the sharp one included: the target of deblurring is a frame of the same camera, not the world.
4. Noise. With N electrons at white and R electrons of read noise, linear light L has the variance
   L / N + (R / N)^2: Poisson plus Gaussian (Foi et al., "Practical Poissonian-Gaussian noise
   modeling and fitting for single-image raw-data", TIP 2008). Only the blurry image is noisy.
5. Compression of the blurry image: JPEG, or video-like, which is JPEG with coarser quantisation
   and the edges of its 8x8 blocks smoothed as deblocking filters do (List et al., "Adaptive
   deblocking filter", TCSVT 2003, here the weakest of its filters).

The ranges of "real" were chosen against real pairs. PSNR of the blurry frame in dB (5th, 50th and
95th percentile), and mean power at periods of 2 to 3 pixels relative to 20 to 50 pixels in dB, in
windows of 192 x 192 pixels (REDS: 180 x 180):

| pairs | PSNR | detail, sharp | detail, blurry |
|---|---|---|---|
| GoPro, "blur", GOPR0372_07_00 | 18.7, 23.7, 31.8 | -38.1 | -45.2 |
| REDS, 320 x 180, two sequences | 20.4, 25.7, 32.8 | -27.9 | -32.8 |
| rendered from BSDS500, clean | 20.0, 24.8, 30.8 | -28.9 | -36.5 |
| rendered from BSDS500, "real" | 18.4, 26.8, 36.6 | -34.9 | -38.4 |
| rendered from test photographs, clean | 20.7, 24.3, 33.1 | -34.9 | -41.7 |
| rendered from test photographs, "real" | 18.0, 27.5, 37.2 | -41.1 | -43.0 |

"real" is softer than the clean rendering, as lenses and encoders are, and reaches higher PSNR on
purpose: a network must also leave alone what is hardly blurred. "daylight" has more light, longer
blur and less compression, as averages of many frames have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .layers import Layer
from .motion import Floats, Motion

# Part of the key of trainings with a camera: raise it when a seed draws a different scene.
CAMERA_VERSION = 1
AVERAGED_FRAMES = (7, 9, 11, 13)
READ_NOISE = 3.0  # electrons, standard deviation
HIGHLIGHT = 0.85  # encoded value from which radiance is raised
BLOCK = 8  # pixels
DEBLOCKED_STEP = 10.0  # levels: larger steps between blocks count as edges of the scene
SPAWN_KEY = 20  # separates the camera's random numbers from those of the scene

Codec = Literal["none", "jpeg", "video"]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Ranges that the camera of each scene is drawn from; the defaults change nothing.

    Attributes:
        still: Share of scenes in which nothing moves.
        severity: Range of a factor on the motion of the others, drawn log-uniformly.
        shutter: Range of the share of the frame period that the shutter is open, which also
            shortens the blur.
        averaged: Share of scenes that average 7, 9, 11 or 13 equidistant frames of the whole
            period instead of a continuous exposure.
        linear: Share of scenes that average linear light and clip afterwards; the others average
            encoded, clipped values. None keeps the scene's variant.
        highlights: Range of the radiance, relative to white, of what is white in the photograph.
        electrons: Range of the electrons at white, drawn log-uniformly; None for no noise.
        softness: Range of the standard deviation, in pixels, of the optics.
        reduced: Share of scenes that are rendered larger and reduced by averaging areas.
        reduction: Range of that factor.
        jpeg: Share of scenes whose blurry image is compressed as JPEG.
        jpeg_quality: Range of its quality.
        video: Share of scenes whose blurry image is compressed like a frame of a video.
        video_quality: Range of its quality, on JPEG's scale.
    """

    still: float = 0.0
    severity: tuple[float, float] = (1.0, 1.0)
    shutter: tuple[float, float] = (1.0, 1.0)
    averaged: float = 0.0
    linear: float | None = None
    highlights: tuple[float, float] = (1.0, 1.0)
    electrons: tuple[float, float] | None = None
    softness: tuple[float, float] = (0.0, 0.0)
    reduced: float = 0.0
    reduction: tuple[float, float] = (1.0, 2.0)
    jpeg: float = 0.0
    jpeg_quality: tuple[int, int] = (60, 98)
    video: float = 0.0
    video_quality: tuple[int, int] = (50, 90)


CAMERAS = {
    "real": Camera(
        still=0.12,
        severity=(0.4, 3.0),
        shutter=(0.5, 1.0),
        averaged=0.4,
        linear=0.5,
        highlights=(1.0, 4.0),
        electrons=(500.0, 100_000.0),
        softness=(0.2, 0.8),
        reduced=0.25,
        jpeg=0.4,
        video=0.3,
    ),
    "daylight": Camera(
        still=0.08,
        severity=(0.6, 3.0),
        shutter=(0.6, 1.0),
        averaged=0.6,
        linear=0.3,
        highlights=(1.0, 2.0),
        electrons=(5000.0, 10_000_000.0),
        softness=(0.0, 0.8),
        reduced=0.25,
        jpeg=0.2,
        video=0.15,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """The camera of one scene.

    Attributes:
        severity: Factor on every motion; 0 for a scene in which nothing moves.
        shutter: Share of the frame period that the shutter is open.
        frames: Number of discrete frames that are averaged; None for a continuous exposure.
        linear: Whether linear light is averaged; None keeps the scene's variant.
        highlight: Radiance of what is white in the photograph, relative to white.
        electrons: Electrons at white; None for no noise.
        softness: Standard deviation of the optics in pixels.
        reduction: Factor by which the scene is rendered larger than it is returned.
        codec: Compression of the blurry image.
        quality: Its quality on JPEG's scale.
    """

    severity: float
    shutter: float
    frames: int | None
    linear: bool | None
    highlight: float
    electrons: float | None
    softness: float
    reduction: float
    codec: Codec
    quality: int


def find_camera(camera: Camera | str) -> Camera:
    """Look up a camera.

    Args:
        camera: A camera, or the name of one in `CAMERAS`.

    Returns:
        The camera.

    Raises:
        ValueError: If there is no camera of this name.
    """
    if isinstance(camera, Camera):
        return camera
    if camera not in CAMERAS:
        raise ValueError(f"There is no camera {camera!r}: choose one of {', '.join(CAMERAS)}.")
    return CAMERAS[camera]


def camera_random(seed: int | Sequence[int]) -> np.random.Generator:
    """Create the camera's source of randomness, which is independent of the scene's.

    Args:
        seed: Seed of the scene.

    Returns:
        The source of randomness.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPAWN_KEY,)))


def draw_shot(camera: Camera, rng: np.random.Generator) -> Shot:
    """Draw the camera of one scene.

    The same random numbers are drawn for every camera, so one option leaves the others alone.

    Args:
        camera: The ranges.
        rng: Source of randomness.

    Returns:
        The camera of the scene.
    """
    chance = rng.random(12)
    frames = AVERAGED_FRAMES[int(chance[0] * len(AVERAGED_FRAMES))]
    averaged = chance[1] < camera.averaged
    codec: Codec = "none"
    if chance[2] < camera.jpeg:
        codec = "jpeg"
    elif chance[2] < camera.jpeg + camera.video:
        codec = "video"
    qualities = camera.video_quality if codec == "video" else camera.jpeg_quality
    return Shot(
        severity=0.0 if chance[3] < camera.still else _geometric(camera.severity, chance[4]),
        shutter=1.0 if averaged else _between(camera.shutter, chance[5]),
        frames=frames if averaged else None,
        linear=None if camera.linear is None else bool(chance[6] < camera.linear),
        highlight=_between(camera.highlights, chance[7]),
        electrons=None if camera.electrons is None else _geometric(camera.electrons, chance[8]),
        softness=_between(camera.softness, chance[9]),
        reduction=_between(camera.reduction, chance[10] / camera.reduced)
        if chance[10] < camera.reduced
        else 1.0,
        codec=codec,
        quality=round(_between(qualities, chance[11])),
    )


def averaged_times(frames: int, exposure: float) -> Floats:
    """Choose the times of discrete frames, each in the middle of its share of the exposure.

    Args:
        frames: Number of frames.
        exposure: Duration of the exposure in frame periods.

    Returns:
        (frames,), symmetric about 0.
    """
    times: Floats = (np.arange(frames) - (frames - 1) / 2) * exposure / frames
    return times


def radiance(levels: NDArray[np.float32], gamma: float, highlight: float) -> NDArray[np.float32]:
    """Convert encoded values of a photograph to the light that is averaged.

    Args:
        levels: Encoded values in [0, 1].
        gamma: Exponent from encoded values to light; at 1, values were clipped before.
        highlight: Radiance of white.

    Returns:
        The light: x^gamma, raised smoothly above the encoded value 0.85 up to `highlight`.
    """
    excess = np.clip((levels - HIGHLIGHT) / (1 - HIGHLIGHT), 0, 1)
    light = levels**gamma * (1 + (highlight - 1) * excess**2)
    return np.asarray(np.minimum(light, 1) if gamma == 1 else light, np.float32)


def magnify(layers: list[Layer], size: tuple[int, int], larger: tuple[int, int]) -> list[Layer]:
    """Place layers on a canvas with more pixels of the same scene.

    Args:
        layers: The layers of a scene.
        size: Height and width of its canvas in pixels.
        larger: Height and width of the new canvas.

    Returns:
        The layers, with view and motion in pixels of the new canvas.
    """
    (height, width), (more, wider) = size, larger
    x, y = wider / width, more / height  # the centres of pixels lie at x + 1/2
    scale = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    back = np.linalg.inv(scale)
    return [
        replace(
            layer,
            view=layer.view @ back,
            motion=partial(_magnified, layer.motion, scale, back),
        )
        for layer in layers
    ]


def through_optics(
    light: NDArray[np.float32], size: tuple[int, int], softness: float
) -> NDArray[np.float32]:
    """Reduce light to the pixels of the sensor and soften it.

    Args:
        light: (H, W, C) light.
        size: Height and width of the result.
        softness: Standard deviation in pixels of the result; 0 for none.

    Returns:
        (h, w, C) light.
    """
    if light.shape[:2] != size:
        light = np.asarray(cv2.resize(light, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    if softness > 0:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), softness), np.float32)
    return light


def expose(
    light: NDArray[np.float32], gamma: float, electrons: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add the noise of a sensor.

    Args:
        light: (H, W, C), RGB light; further channels, such as alpha, are kept.
        gamma: Exponent from encoded values to this light; 1 is converted to linear light and back.
        electrons: Electrons at white.
        rng: Source of randomness.

    Returns:
        (H, W, C), noisy light of the same kind, at least 0.
    """
    linear = np.maximum(light[..., :3], 0)
    if gamma == 1:
        linear = np.asarray(cv2.pow(linear, 2.2), np.float32)
    deviation = np.sqrt(linear / np.float32(electrons) + np.float32((READ_NOISE / electrons) ** 2))
    deviation *= rng.standard_normal(linear.shape, dtype=np.float32)
    linear = np.maximum(linear + deviation, 0)
    if gamma == 1:
        linear = np.asarray(cv2.pow(linear, 1 / 2.2), np.float32)
    noisy = light.copy()
    noisy[..., :3] = linear
    return noisy


def compress(picture: NDArray[np.float32], codec: Codec, quality: int) -> NDArray[np.float32]:
    """Compress and decompress an image, with chroma at half the resolution.

    Args:
        picture: (H, W, 3) RGB in [0, 1], multiples of 1/255.
        codec: "none", "jpeg", or "video", which also smooths the edges of blocks.
        quality: Quality on JPEG's scale, 1 to 100.

    Returns:
        (H, W, 3), likewise.
    """
    if codec == "none":
        return picture
    levels = np.rint(picture[..., ::-1] * 255).astype(np.uint8)
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, code = cv2.imencode(".jpg", levels, options)
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert decoded is not None
    result = decoded[..., ::-1].astype(np.float32)
    if codec == "video":
        _deblock(result)
        _deblock(result.swapaxes(0, 1))
        np.rint(result, out=result)
    return result / np.float32(255)


def _deblock(levels: NDArray[np.float32]) -> None:
    """Halve small steps between the rows on both sides of each edge of blocks, in place."""
    above, below = levels[BLOCK - 1 : -1 : BLOCK], levels[BLOCK::BLOCK]
    step = below - above
    step[np.abs(step) > DEBLOCKED_STEP] = 0
    above += step / 4
    below -= step / 4


def _magnified(motion: Motion, scale: Floats, back: Floats, times: Floats) -> Floats:
    moved: Floats = scale @ motion(times) @ back
    return moved


def _between(limits: tuple[float, float], chance: float) -> float:
    low, high = limits
    return float(low + (high - low) * chance)


def _geometric(limits: tuple[float, float], chance: float) -> float:
    low, high = limits
    return float(low * (high / low) ** chance)
