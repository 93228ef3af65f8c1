"""Rendered dynamic scenes: a moving camera and moving things, averaged over an exposure, with the exact motion known.

A scene is a stack of flat layers: a far background, often a nearer one, and 0 to 4 objects, each with a soft mask.
Every layer k moves by a homography M_k(t) in pixels, with M_k(0) the identity; time is counted in frame periods, and
the exposure lasts `exposure` of them. Writing C(t) for the layers composed at time t,

    blurry = R( mean over the sub-frames t in [-exposure/2, exposure/2] of C(t) ) + noise
    sharp  = R( C(0) ),   previous = R( C(-1) ),   next = R( C(+1) )

where the light is averaged in linear values behind the response R(x) = x^(1/2.2) for the variant "blur_gamma", and
directly in encoded values (R = identity) for "blur": the two variants of the GoPro data set (Nah et al., 2017).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from .photographs import list_photographs, load_photograph
from .samples import Sample, to_tensor

RENDERER_VERSION = 1  # raise it when a seed gives another picture (by more than rounding): cached trainings are keyed by it
RESPONSE = {"blur": 1.0, "blur_gamma": 2.2}
CAMERA_BLUR = (1.0, 13.5)  # mean path length of a background pixel during the exposure, in pixels
OBJECT_BLUR = (0.0, 14.0)  # the same for an object's own motion
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


@dataclass(frozen=True)
class Scene:
    """One exposure. Pictures: (H, W, 3) float32 RGB in [0, 1], multiples of 1/255. Flows: (H, W, 2), (u, v) = (right, down)
    in pixels, from the sharp frame to the previous and next one. `blur_extent`: (H, W), the length in pixels of the path
    that the scene point seen at a pixel travels during the exposure. `labels`: (H, W), 0 = background, 1, 2, … = the layer
    in front. `visible_previous`, `visible_next`: (H, W) bool, the point is in the frame and unoccluded there as well."""

    blurry: np.ndarray
    sharp: np.ndarray
    previous: np.ndarray
    next: np.ndarray
    flow_previous: np.ndarray
    flow_next: np.ndarray
    blur_extent: np.ndarray
    labels: np.ndarray
    visible_previous: np.ndarray
    visible_next: np.ndarray
    subframes: int


def render_scene(
    photo: np.ndarray,
    seed,
    size: int | tuple[int, int] = 256,
    *,
    variant: str = "blur_gamma",
    textures: list[np.ndarray] | None = None,
    objects: int | None = None,
    severity: float = 1.0,
    exposure: float = 1.0,
    noise: float | None = None,
    min_subframes: int = 17,
) -> Scene:
    """Render one scene from a sharp photograph; the same arguments give the same scene, to the bit.

    photo: (H, W, 3) uint8 RGB. seed: what numpy's default_rng takes, e.g. 7 or (7, index). size: side or (height, width).
    textures: photographs that near layers and objects are cut from (default: `photo` itself). objects: their number
    (default: 0 to 4 at random). severity: factor on every motion. exposure: share of the frame period in (0, 1].
    noise: standard deviation in [0, 1] units (default: up to 0.01 at random).
    """
    if variant not in RESPONSE:
        raise ValueError(
            f"There is no variant {variant!r}: choose 'blur' (plain average) or 'blur_gamma' (linear light)."
        )
    height, width = (size, size) if isinstance(size, int) else size
    rng, gamma = np.random.default_rng(seed), RESPONSE[variant]
    layers = _draw_layers(
        rng, photo, textures or [photo], (height, width), objects, severity, exposure, gamma
    )

    times = _subframe_times(layers, (height, width), exposure, min_subframes)
    labels, labels_p, labels_n = np.zeros((3, height, width), np.uint8)
    frames = _compose(
        layers,
        np.r_[times, 0.0, -1.0, 1.0],
        (height, width),
        [None] * len(times) + [labels, labels_p, labels_n],
    )
    total = np.zeros((height, width, 4), np.float32)
    for light in islice(frames, len(times)):
        cv2.accumulate(light, total)
    sharp, previous, following = (_encode(light, gamma) for light in frames)
    sigma = rng.uniform(0, 0.01) if noise is None else noise
    grain = rng.standard_normal((height, width, 3), dtype=np.float32) * np.float32(sigma)

    flow_previous, flow_next = _flow(layers, -1.0, labels), _flow(layers, 1.0, labels)
    return Scene(
        blurry=_encode(total / len(times), gamma, grain),
        sharp=sharp,
        previous=previous,
        next=following,
        flow_previous=flow_previous,
        flow_next=flow_next,
        blur_extent=_path_length(layers, times, labels),
        labels=labels,
        visible_previous=_still_visible(labels, labels_p, flow_previous),
        visible_next=_still_visible(labels, labels_n, flow_next),
        subframes=len(times),
    )


class SceneDataset(Dataset):
    """Rendered scenes of one split; item i depends on (seed, i) alone, whatever the number of workers."""

    def __init__(
        self, split, count, size=256, *, seed=0, variant="blur_gamma", photos=None, **options
    ):
        self.paths = list_photographs(split, photos)
        self.split, self.count, self.size, self.seed = split, count, size, seed
        self.options = {"variant": variant, **options}

    def __len__(self):
        return self.count

    def scene(self, index: int) -> Scene:
        """Scene number `index`, with its exact motion."""
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        key = (self.seed, list(RESPONSE).index(self.options["variant"]), index)
        rng = np.random.default_rng((*key, 1))
        first, *others = (
            load_photograph(self.paths[i]) for i in rng.integers(len(self.paths), size=3)
        )
        return render_scene(first, key, self.size, textures=others, **self.options)

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


# ---------------------------------------------------------------------------------------------------------------------
# Layers: a texture with premultiplied alpha, the place it is seen from, and a motion M(t)


@dataclass(frozen=True)
class _Layer:
    texture: (
        np.ndarray
    )  # (h, w, 4) float32, linear in the light that is averaged, colour premultiplied by alpha
    view: np.ndarray  # 3x3, canvas pixel at t = 0 -> texture pixel
    motion: object  # times (T,) -> (T, 3, 3), canvas pixel at t = 0 -> canvas pixel at t
    border: int  # what lies outside the texture
    extent: tuple[int, int, int, int]  # x, y, width, height of what can be seen of it


def _draw_layers(rng, photo, textures, size, objects, severity, exposure, gamma):
    height, width = size
    camera = _random_path(rng, size, severity * rng.uniform(*CAMERA_BLUR), exposure)
    background = _cut(rng, photo, (height + 48, width + 48))
    if rng.random() < 0.5:
        _write_lines(rng, background[0])
    layers = [_layer(background, None, (-24, -24), camera, gamma)]

    if rng.random() < 0.5:  # a nearer layer behind one wavy edge, with more parallax
        parallax = rng.uniform(1.3, 2.0)
        cut = _cut(rng, textures[0], (height + 48, width + 48))
        layers.append(
            _layer(
                cut,
                _half_plane(rng, cut[0].shape[:2]),
                (-24, -24),
                lambda t: camera(t, parallax),
                gamma,
            )
        )

    for _ in range(rng.integers(0, 5) if objects is None else objects):
        side = int(rng.uniform(0.2, 0.5) * min(size))
        cut = _cut(rng, textures[rng.integers(len(textures))], (side, side))
        if rng.random() < 0.3:
            _write_lines(rng, cut[0])
        corner = rng.uniform((-side / 3, -side / 3), (width - side / 1.5, height - side / 1.5))
        own = _random_path(
            rng, size, severity * rng.uniform(*OBJECT_BLUR), exposure, centre=corner + side / 2
        )
        layers.append(
            _layer(cut, _blob(rng, cut[0].shape[:2]), corner, _together(camera, own), gamma)
        )
    return layers


def _layer(cut, mask, corner, motion, gamma):
    texture, scale = cut
    response = _STEPS ** np.float32(gamma)
    rgba = cv2.LUT(cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA), response)
    h, w = texture.shape[:2]
    extent = (0, 0, w, h)
    if mask is not None:
        cv2.multiply(rgba, cv2.merge([mask] * 4), rgba)
        extent = cv2.boundingRect(np.greater(mask, 0).view(np.uint8))
    half = (scale - 1) / 2  # pixel centres stay centres when the texture is finer than the canvas
    view = np.array(
        [[scale, 0, half - scale * corner[0]], [0, scale, half - scale * corner[1]], [0, 0, 1]]
    )
    return _Layer(
        rgba, view, motion, cv2.BORDER_REFLECT_101 if mask is None else cv2.BORDER_CONSTANT, extent
    )


def _together(camera, own):
    return lambda t: camera(t) @ own(t)


def _random_path(rng, size, blur, exposure, centre=None):
    """A smooth random motion (T,) -> (T, 3, 3) around `centre` with a mean path length of about `blur` pixels."""
    height, width = size
    cx, cy = ((width - 1) / 2, (height - 1) / 2) if centre is None else centre
    radius = min(size) / 2
    # translation x, y | rotation | log zoom | two perspective terms: pixels of motion at the radius for amplitude 1
    unit = np.array([1, 1, 0.5 / radius, 0.35 / radius, 0.1 / radius**2, 0.1 / radius**2])
    frequency = np.array([0.05, 0.15, 0.4])[
        :, None
    ]  # cycles a frame period: drift, sway, and a little tremor
    amplitude = rng.standard_normal((3, 6)) / (frequency * [[1.0], [1.5], [3.0]])
    phase = rng.uniform(0, 2 * np.pi, (3, 6))

    def motion(times, parallax=1.0, gain=1.0):
        t = times[:, None, None]
        p = (
            (amplitude * (np.sin(2 * np.pi * frequency * t + phase) - np.sin(phase))).sum(1)
            * unit
            * gain
        )
        c, s = np.exp(p[:, 3]) * np.cos(p[:, 2]), np.exp(p[:, 3]) * np.sin(p[:, 2])
        around = np.empty((len(times), 3, 3))
        around[:, 0, 0], around[:, 0, 1], around[:, 0, 2] = c, -s, parallax * p[:, 0]
        around[:, 1, 0], around[:, 1, 1], around[:, 1, 2] = s, c, parallax * p[:, 1]
        around[:, 2, 0], around[:, 2, 1], around[:, 2, 2] = p[:, 4], p[:, 5], 1
        return _shift(cx, cy) @ around @ _shift(-cx, -cy)

    corners = np.array([(cx + i * radius, cy + j * radius) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    times = np.linspace(-exposure / 2, exposure / 2, 9)
    gain = blur / max(_lengths(motion, corners, times, gain=1e-3).mean() * 1e3, 1e-9)
    return lambda times, parallax=1.0: motion(times, parallax, gain)


def _shift(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def _lengths(motion, points, times, **options):
    total = np.zeros(len(points))
    here, *rest = (_transform(points, matrix) for matrix in motion(times, **options))
    for there in rest:
        step = (there - here) ** 2
        total += np.sqrt(step[:, 0] + step[:, 1])
        here = there
    return total


def _transform(points, matrix):
    return cv2.perspectiveTransform(points[None], matrix)[0]


def _subframe_times(layers, size, exposure, minimum):
    """Odd in number, at least `minimum`, and at least one a pixel of the longest path (257 at the most)."""
    height, width = size
    corners = np.array(
        [(x, y) for x in (0, width / 2, width) for y in (0, height / 2, height)], float
    )
    rough = np.linspace(-exposure / 2, exposure / 2, 9)
    longest = max(_lengths(layer.motion, corners, rough).max() for layer in layers)
    count = int(np.clip(np.ceil(longest) + 1, minimum, 257)) | 1
    return np.linspace(-exposure / 2, exposure / 2, count)


_TRANSPARENCY = np.tile(np.float32([0, 0, 0, -1, 1]), (4, 1))  # RGBA -> 1 - A in each channel


def _compose(layers, times, size, labels):
    """Yields C(t), (H, W, RGBA), the layers over one another at each time: one canvas, overwritten by the next.

    labels: for each time None, or (H, W) uint8 zeros, which get the number of the layer in front.
    """
    canvas = np.empty((*size, 4), np.float32)
    scratch = np.empty(
        (2, canvas.size), np.float32
    )  # a layer as seen, and the share of the light behind that it lets through
    views = [_views(layer, times, size, everywhere=k == 0) for k, layer in enumerate(layers)]
    for i in range(len(times)):
        for k, (layer, (boxes, matrices)) in enumerate(zip(layers, views, strict=True)):
            x0, y0, x1, y1 = boxes[i]
            if y0 >= y1 or x0 >= x1:
                continue
            behind = canvas[y0:y1, x0:x1]
            seen, through = scratch[:, : behind.size].reshape(2, *behind.shape)
            flags, target = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, seen if k else canvas
            cv2.warpPerspective(
                layer.texture, matrices[i], (x1 - x0, y1 - y0), target, flags, layer.border
            )
            if k:
                cv2.transform(seen, _TRANSPARENCY, through)
                if labels[i] is not None:
                    labels[i][y0:y1, x0:x1][through[..., 0] < 0.5] = k
                cv2.add(seen, cv2.multiply(behind, through, through), behind)
        yield canvas


def _views(layer, times, size, everywhere):
    """Where a layer is seen at each time: boxes (T, 4) as x0, y0, x1, y1, and (T, 3, 3), pixel of the box -> texture pixel."""
    (height, width), (x, y, w, h) = size, layer.extent
    motion = layer.motion(times)
    boxes = np.tile([0, 0, width, height], (len(times), 1))
    if not everywhere:
        corners = (
            np.array([(x + i * (w + 1), y + j * (h + 1)) for i in (0, 1) for j in (0, 1)], float)
            - 1
        )
        seen = np.stack(
            [_transform(corners, matrix) for matrix in motion @ np.linalg.inv(layer.view)]
        )
        first, last = np.floor(seen.min(1)).astype(int), np.ceil(seen.max(1)).astype(int) + 1
        boxes = np.concatenate([np.maximum(first, 0), np.minimum(last, (width, height))], axis=1)
    shifts = np.tile(np.eye(3), (len(times), 1, 1))
    shifts[:, :2, 2] = boxes[:, :2]
    return boxes, layer.view @ np.linalg.inv(motion) @ shifts


def _flow(layers, t, labels):
    """Where the point seen at each pixel of the sharp frame stands at time t, minus where it stands now."""
    grid = _pixel_grid(labels.shape)
    there = np.empty_like(grid)
    for k, mask, box in _masks(labels):
        cv2.copyTo(
            cv2.perspectiveTransform(grid[box], layers[k].motion(np.array([t]))[0]),
            mask[box],
            there[box],
        )
    return there - grid


def _masks(labels):
    """Yields each layer that is seen: its number, its mask, and the box around it."""
    for k in range(labels.max() + 1):
        mask = np.equal(labels, k).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        if w and h:
            yield k, mask, np.s_[y : y + h, x : x + w]


def _path_length(layers, times, labels, stride=4):
    """Path length during the exposure: computed on every fourth pixel (homographies are smooth) and interpolated."""
    extent = np.empty(labels.shape, np.float32)
    for k, mask, box in _masks(labels):
        cells = [
            range(
                max(side.start // stride - 1, 0), min(-(-side.stop // stride) + 1, -(-n // stride))
            )
            for side, n in zip(box, labels.shape, strict=True)
        ]
        ys, xs = (np.array(cell) * stride + (stride - 1) / 2 for cell in cells)
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
        coarse = (
            _lengths(layers[k].motion, grid, times).reshape(len(ys), len(xs)).astype(np.float32)
        )
        fine = cv2.resize(
            coarse, (len(xs) * stride, len(ys) * stride), interpolation=cv2.INTER_LINEAR
        )
        top, left = (
            side.start - cell.start * stride for side, cell in zip(box, cells, strict=True)
        )
        cv2.copyTo(
            fine[top:, left:][: mask[box].shape[0], : mask[box].shape[1]], mask[box], extent[box]
        )
    return extent


def _still_visible(labels, other, flow):
    there = cv2.remap(
        other,
        _pixel_grid(labels.shape) + flow,
        None,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=255,
    )
    return there == labels


@lru_cache(maxsize=4)
def _pixel_grid(size):
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in size[::-1])), -1)
    grid.setflags(write=False)
    return grid


_STEPS = np.arange(256, dtype=np.float32) / 255


def _encode(light, gamma, grain=None):
    value = cv2.cvtColor(light, cv2.COLOR_RGBA2RGB)
    if gamma != 1:
        cv2.pow(np.maximum(value, 0, out=value), 1 / gamma, value)
    if grain is not None:
        cv2.add(value, grain, value)
    steps = cv2.convertScaleAbs(np.maximum(value, 0, out=value), alpha=255)
    return cv2.LUT(steps, _STEPS)


# ---------------------------------------------------------------------------------------------------------------------
# Textures and masks


def _cut(rng, photo, size):
    """A random window for `size` canvas pixels, at 1 to 1.5 texture pixels a canvas pixel: (texture uint8, scale)."""
    height, width = size
    fit = min(photo.shape[0] / height, photo.shape[1] / width)
    step = min(rng.uniform(1.0, 2.6), fit)  # photograph pixels a canvas pixel
    h, w = int(height * step), int(width * step)
    y, x = rng.integers(0, photo.shape[0] - h + 1), rng.integers(0, photo.shape[1] - w + 1)
    window = photo[y : y + h, x : x + w]
    if rng.random() < 0.5:
        window = cv2.flip(window, 1)
    scale = min(step, 1.5)
    shape = (round(width * scale), round(height * scale))
    return cv2.resize(window, shape, interpolation=cv2.INTER_AREA), scale


def _write_lines(rng, texture):
    """One to three lines of lettering, drawn into the texture."""
    height, width = texture.shape[:2]
    for _ in range(rng.integers(1, 4)):
        line = " ".join(rng.choice(WORDS, size=rng.integers(1, 4)))
        font, size = (
            int(rng.integers(0, 5)),
            rng.uniform(0.5, 1.6) * max(min(height, width) / 256, 0.4),
        )
        place = int(rng.uniform(0, 0.6) * width), int(rng.uniform(0.1, 0.95) * height)
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        cv2.putText(texture, line, place, font, size, colour, int(rng.integers(1, 4)), cv2.LINE_AA)


def _blob(rng, shape):
    """A soft-edged random outline: r(a) = r0 (1 + a few harmonics)."""
    height, width = shape
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = 0.8 + sum(
        rng.uniform(0, 0.35) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        for k in (2, 3, 4, 5)
    )
    radius *= 0.46 / radius.max()
    outline = np.stack(
        [width * (0.5 + radius * np.cos(angle)), height * (0.5 + radius * np.sin(angle))], -1
    )
    return _fill(rng, shape, outline)


def _half_plane(rng, shape):
    """Everything below a wavy line, turned to a random side."""
    height, width = shape
    x = np.linspace(-0.5, 1.5, 64)
    y = rng.uniform(0.55, 0.8) + sum(
        rng.uniform(0, 0.08) * np.sin(2 * np.pi * k * x + rng.uniform(0, 6.3)) for k in (1, 2)
    )
    outline = np.stack([np.r_[x, 1.5, -0.5] * width, np.r_[y, 3, 3] * height], -1)
    mask = _fill(rng, shape, outline)
    turned = np.rot90(mask, rng.integers(4))
    return cv2.resize(np.ascontiguousarray(turned), (width, height))


def _fill(rng, shape, outline):
    mask = np.zeros(shape, np.float32)
    cv2.fillPoly(mask, [np.rint(outline * 16).astype(np.int32)], 1.0, cv2.LINE_8, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.7, 1.5))
