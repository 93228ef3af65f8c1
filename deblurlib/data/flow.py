"""Optical flow between two frames, warping by a flow, and the end-point error.

Flow is (u, v) = (right, down) in pixels: what is seen at (x, y) in the first frame is seen at
(x + u, y + v) in the second. Images are (H, W, 3) or (3, H, W), uint8, uint16 or float in
[0, 1]; flows are (H, W, 2) or (2, H, W); both are arrays or tensors.
"""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from ..pixels import as_unit, numbers
from .samples import Sample, to_tensor

DIS_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
SMALLEST = 16  # pixels per side
LONGEST_REMAPPED = 32766  # pixels per side, of OpenCV's remap
PYRAMID_SCALE = 0.5  # between the levels of Farnebäck's flow

Array = NDArray[Any]
Values = NDArray[Any] | torch.Tensor


def dis_flow(first: Values, second: Values, preset: str = "medium") -> NDArray[np.float32]:
    """Estimate flow by dense inverse search.

    Source: Kroeger et al., ECCV 2016, used by SVDN, section 3.3.

    Args:
        first: The frame whose pixels the flow belongs to: uint8, uint16, or floats in [0, 1].
        second: The frame that it leads to, of the same size.
        preset: Speed and accuracy: "ultrafast", "fast" or "medium".

    Returns:
        (H, W, 2) in pixels.

    Raises:
        ValueError: If the preset is unknown, the frames differ in size or are below 16 x 16, or
            floats leave [0, 1].
    """
    if preset not in DIS_PRESETS:
        raise ValueError(
            f"There is no DIS preset {preset!r}: choose one of {', '.join(DIS_PRESETS)}."
        )
    search = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])
    pair = _grey_pair(first, second)
    # OpenCV's stubs require an initial flow
    found = search.calc(*pair, None)  # type: ignore[call-overload]
    return np.asarray(found, np.float32)


def farneback_flow(
    first: Values,
    second: Values,
    *,
    levels: int = 3,
    window: int = 15,
    iterations: int = 3,
    poly_n: int = 5,
    poly_sigma: float = 1.2,
) -> NDArray[np.float32]:
    """Estimate flow by polynomial expansion.

    Source: Farnebäck, SCIA 2003; SVDN, Fig. 4, compares with it.

    Args:
        first: The frame whose pixels the flow belongs to.
        second: The frame that it leads to, of the same size.
        levels: Number of levels of the pyramid, each half as large as the last.
        window: Side of the window that is averaged over, in pixels.
        iterations: Iterations at each level.
        poly_n: Side of the neighbourhood of the polynomial expansion, in pixels.
        poly_sigma: Standard deviation of the Gaussian that weights it, in pixels.

    Returns:
        (H, W, 2) in pixels.

    Raises:
        ValueError: If the frames differ in size or are below 16 x 16, or floats leave [0, 1].
    """
    begin, end = _grey_pair(first, second)
    # OpenCV's stubs require an initial flow
    found = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
        begin, end, None, PYRAMID_SCALE, levels, window, iterations, poly_n, poly_sigma, 0
    )
    return np.asarray(found, np.float32)


def neighbour_flows(sample: Sample, preset: str = "medium") -> tuple[torch.Tensor, torch.Tensor]:
    """Estimate the flows from the sharp frame to its neighbours by dense inverse search.

    Where a neighbour is missing (at the first or last frame of a sequence), its flow is minus the
    other one.

    Args:
        sample: A sample with a sharp frame and at least one neighbour.
        preset: As for `dis_flow`.

    Returns:
        The flows to the previous and to the following frame, each (2, H, W) in pixels.

    Raises:
        ValueError: If the sample has no sharp neighbours.
    """
    previous, following = (
        None
        if sample.sharp is None or frame is None
        else to_tensor(dis_flow(sample.sharp, frame, preset))
        for frame in (sample.previous, sample.following)
    )
    if previous is not None and following is not None:
        return previous, following
    if previous is not None:
        return previous, -previous
    if following is not None:
        return -following, following
    raise ValueError(
        f"{sample.name!r} has no sharp neighbouring frame, so its motion cannot be measured: "
        "choose frames from the middle of a sequence."
    )


def warp(picture: Values, flow: Values) -> Array:
    """Warp the second frame to the first: out(x, y) = picture(x + u, y + v).

    Values between pixels are interpolated bilinearly; edge pixels are repeated outside.

    Args:
        picture: The second frame, with any number of channels and of any type of numbers.
        flow: The flow from the first to the second, of the same size.

    Returns:
        (H, W, C) or (H, W), of the image's dtype; integers are rounded.

    Raises:
        ValueError: If image and flow differ in size.
    """
    pixels, vectors = _channels_last(picture), _channels_last(flow, (2,)).astype(np.float32)
    if pixels.shape[:2] != vectors.shape[:2]:
        raise ValueError(
            f"The image is {_size(pixels)} and the flow {_size(vectors)}: give both the same size."
        )
    rows, columns = np.indices(vectors.shape[:2], dtype=np.float32)
    places = rows + vectors[..., 1], columns + vectors[..., 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    exact = pixels.dtype in (np.uint8, np.uint16, np.float32) and channels in (1, 3, 4)
    if exact and max(pixels.shape[:2]) <= LONGEST_REMAPPED:
        moved = cv2.remap(
            np.ascontiguousarray(pixels),
            *places[::-1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return moved.reshape(pixels.shape)
    # OpenCV rounds the flow of other arrays to 1/32 pixel
    planes = pixels.reshape(*pixels.shape[:2], channels).astype(np.float64)
    moved = np.empty_like(planes)
    for i in range(channels):
        map_coordinates(planes[..., i], places, moved[..., i], order=1, mode="nearest")
    moved = moved.reshape(pixels.shape)
    return (np.rint(moved) if pixels.dtype.kind in "iu" else moved).astype(pixels.dtype)


def end_point_error(flow: Values, exact: Values, mask: ArrayLike | None = None) -> float:
    """Measure the mean distance between the end points of two flows.

    Args:
        flow: The estimated flow.
        exact: The exact flow, of the same size.
        mask: (H, W), true at the pixels that count; None for all.

    Returns:
        The distance in pixels, nan if no pixel counts.

    Raises:
        ValueError: If the flows differ in size.
    """
    found, true = _channels_last(flow, (2,)), _channels_last(exact, (2,))
    if found.shape != true.shape:
        raise ValueError(
            f"The flows are {_size(found)} and {_size(true)}: give both the same size."
        )
    difference = found.astype(np.float64) - true
    distance = np.hypot(difference[..., 0], difference[..., 1])
    chosen = distance if mask is None else distance[np.asarray(mask, bool)]
    return float(chosen.mean()) if chosen.size else float("nan")


def _grey_pair(first: Values, second: Values) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    begin, end = _grey(first), _grey(second)
    if begin.shape != end.shape:
        raise ValueError(
            f"The two frames are {_size(begin)} and {_size(end)}: flow needs frames of equal size."
        )
    if min(begin.shape) < SMALLEST:
        raise ValueError(
            f"The frames are {_size(begin)}: flow needs at least {SMALLEST} x {SMALLEST} pixels."
        )
    return begin, end


def _grey(picture: Values) -> NDArray[np.uint8]:
    array = _channels_last(picture)
    if array.dtype != np.uint8:
        array = np.rint(as_unit(array, "A frame") * 255).astype(np.uint8)
    if array.ndim == 3:
        array = cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_RGB2GRAY)
    return np.asarray(array, np.uint8)


def _channels_last(values: Values, channels: tuple[int, ...] = (1, 3)) -> Array:
    tensor = isinstance(values, torch.Tensor)
    array = numbers(values)
    if array.ndim != 3 or array.shape[0] not in channels:
        return array
    return np.moveaxis(array, 0, -1) if tensor or array.shape[-1] not in channels else array


def _size(array: Array) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
