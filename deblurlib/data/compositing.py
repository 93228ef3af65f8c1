"""Compositing: the appearance of a stack of moving layers at each time, and its motion."""

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .layers import STEPS, Layer
from .motion import Floats, path_lengths, transform

TRANSPARENCY = np.tile(np.array([0, 0, 0, -1, 1], np.float32), (4, 1))  # RGBA -> 1 - A, four times
OUTSIDE = 255  # label of what lies outside the frame
STRIDE = 4  # pixels between the points at which path lengths are computed

Labels = NDArray[np.uint8]


def compose(
    layers: list[Layer], times: Floats, size: tuple[int, int], labels: list[Labels | None]
) -> Iterator[NDArray[np.float32]]:
    """Composite the layers.

    Args:
        layers: The layers from back to front.
        times: (T,), in frame periods.
        size: Height and width in pixels.
        labels: Per time, None or an (H, W) array of zeros that receives the number of the layer in
            front.

    Yields:
        The light per time, (H, W, 4) with alpha, on one canvas that the next time overwrites.
    """
    canvas = np.empty((*size, 4), np.float32)
    # a visible layer, and the share of the light behind it that it transmits
    scratch = np.empty((2, canvas.size), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    views = [_views(layer, times, size, everywhere=k == 0) for k, layer in enumerate(layers)]
    for i in range(len(times)):
        for k, (layer, (boxes, matrices)) in enumerate(zip(layers, views, strict=True)):
            x0, y0, x1, y1 = boxes[i]
            if y0 >= y1 or x0 >= x1:
                continue
            behind = canvas[y0:y1, x0:x1]
            seen, through = scratch[:, : behind.size].reshape(2, *behind.shape)
            target, box = seen if k else canvas, (x1 - x0, y1 - y0)
            cv2.warpPerspective(layer.texture, matrices[i], box, target, flags, layer.border)
            if k:
                cv2.transform(seen, TRANSPARENCY, through)
                label = labels[i]
                if label is not None:
                    label[y0:y1, x0:x1][through[..., 0] < 0.5] = k
                cv2.add(seen, cv2.multiply(behind, through, through), behind)
        yield canvas


def to_picture(
    light: NDArray[np.float32], gamma: float, grain: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Encode light as an image.

    Args:
        light: (H, W, 4), linear values with alpha.
        gamma: Exponent of the response x^(1 / gamma).
        grain: (H, W, 3) noise that is added to the encoded values, None for none.

    Returns:
        (H, W, 3) RGB, multiples of 1/255 in [0, 1].
    """
    value = cv2.cvtColor(light, cv2.COLOR_RGBA2RGB)
    if gamma != 1:
        cv2.pow(np.maximum(value, 0, out=value), 1 / gamma, value)
    if grain is not None:
        cv2.add(value, grain, value)
    steps = cv2.convertScaleAbs(np.maximum(value, 0, out=value), alpha=255)
    return np.asarray(cv2.LUT(steps, STEPS), np.float32)


def flow(layers: list[Layer], time: float, labels: Labels) -> NDArray[np.float32]:
    """Compute the optical flow of the sharp frame.

    Args:
        layers: The layers from back to front.
        time: The other frame's time in frame periods.
        labels: (H, W), the layer in front at each pixel of the sharp frame.

    Returns:
        (H, W, 2), (u, v) = (right, down) in pixels: the position at that time of the point seen at
        each pixel, minus its position at time 0.
    """
    grid = _pixel_grid(labels.shape)
    there = np.empty_like(grid)
    for k, mask, box in _masks(labels):
        matrix = layers[k].motion(np.array([time]))[0]
        cv2.copyTo(cv2.perspectiveTransform(grid[box], matrix), mask[box], there[box])
    return there - grid


def blur_extent(layers: list[Layer], times: Floats, labels: Labels) -> NDArray[np.float32]:
    """Compute how far points travel, on every fourth pixel (homographies are smooth).

    Args:
        layers: The layers from back to front.
        times: (T,), the times that are averaged.
        labels: (H, W), the layer in front at each pixel of the sharp frame.

    Returns:
        (H, W), path length in pixels of the point seen at each pixel, interpolated bilinearly.
    """
    extent = np.empty(labels.shape, np.float32)
    for k, mask, box in _masks(labels):
        cells = [
            range(
                max(side.start // STRIDE - 1, 0), min(-(-side.stop // STRIDE) + 1, -(-n // STRIDE))
            )
            for side, n in zip(box, labels.shape, strict=True)
        ]
        ys, xs = (np.array(cell) * STRIDE + (STRIDE - 1) / 2 for cell in cells)
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
        lengths = path_lengths(layers[k].motion, grid, times).reshape(len(ys), len(xs))
        fine = cv2.resize(
            lengths.astype(np.float32),
            (len(xs) * STRIDE, len(ys) * STRIDE),
            interpolation=cv2.INTER_LINEAR,
        )
        top, left = (
            side.start - cell.start * STRIDE for side, cell in zip(box, cells, strict=True)
        )
        inside = mask[box]
        height, width = inside.shape
        cv2.copyTo(fine[top : top + height, left : left + width], inside, extent[box])
    return extent


def still_visible(labels: Labels, other: Labels, motion: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the points that are also seen in another frame.

    Args:
        labels: (H, W), the layer in front at each pixel of the sharp frame.
        other: (H, W), the same for the other frame.
        motion: (H, W, 2), the flow from the sharp to the other frame.

    Returns:
        (H, W), whether the point is inside the other frame and not occluded there.
    """
    where = _pixel_grid(labels.shape) + motion
    # OpenCV's stubs require a second map even for a two-channel one
    there = cv2.remap(  # type: ignore[call-overload]
        other,
        where,
        None,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    visible: NDArray[np.bool_] = there == labels
    return visible


def _views(
    layer: Layer, times: Floats, size: tuple[int, int], everywhere: bool
) -> tuple[NDArray[np.intp], Floats]:
    """Locate a layer at each time.

    Returns boxes (T, 4), x0, y0, x1, y1, and (T, 3, 3), pixel of the box -> texture pixel.
    """
    (height, width), (x, y, w, h) = size, layer.extent
    motion = layer.motion(times)
    boxes = np.tile([0, 0, width, height], (len(times), 1))
    if not everywhere:
        ends = [(x + i * (w + 1), y + j * (h + 1)) for i in (0, 1) for j in (0, 1)]
        corners = np.array(ends, float) - 1
        placed = motion @ np.linalg.inv(layer.view)
        seen = np.stack([transform(corners, matrix) for matrix in placed])
        first, last = np.floor(seen.min(1)).astype(int), np.ceil(seen.max(1)).astype(int) + 1
        boxes = np.concatenate([np.maximum(first, 0), np.minimum(last, (width, height))], axis=1)
    shifts = np.tile(np.eye(3), (len(times), 1, 1))
    shifts[:, :2, 2] = boxes[:, :2]
    return boxes, layer.view @ np.linalg.inv(motion) @ shifts


def _masks(labels: Labels) -> Iterator[tuple[int, Labels, tuple[slice, slice]]]:
    """Yield each visible layer: its number, its mask, and the box around it."""
    for k in range(labels.max() + 1):
        mask = np.equal(labels, k).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        if w and h:
            yield k, mask, np.s_[y : y + h, x : x + w]


@lru_cache(maxsize=4)
def _pixel_grid(size: tuple[int, ...]) -> NDArray[np.float32]:
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in size[::-1])), -1)
    grid.setflags(write=False)
    return grid
