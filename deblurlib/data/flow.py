"""Optical flow between two frames, the warp that it stands for, and the error against an exact one.

Flow is (u, v) = (right, down) in pixels: what is seen at (x, y) in the first frame is seen at (x + u, y + v) in the second.
Pictures are (H, W, 3) or (3, H, W), uint8 or float in [0, 1], arrays or tensors; flows are (H, W, 2) or (2, H, W).
"""

import cv2
import numpy as np
import torch

from .samples import Sample, to_tensor

DIS_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def dis_flow(first, second, preset: str = "medium") -> np.ndarray:
    """Flow by dense inverse search, (H, W, 2) float32 in pixels. Source: Kroeger et al., ECCV 2016, used by SVDN, section 3.3."""
    if preset not in DIS_PRESETS:
        raise ValueError(
            f"There is no DIS preset {preset!r}: choose one of {', '.join(DIS_PRESETS)}."
        )
    return cv2.DISOpticalFlow_create(DIS_PRESETS[preset]).calc(*_grey_pair(first, second), None)


def farneback_flow(
    first, second, *, levels=3, window=15, iterations=3, poly_n=5, poly_sigma=1.2
) -> np.ndarray:
    """Flow by polynomial expansion, (H, W, 2) float32 in pixels. Source: Farnebäck, SCIA 2003; SVDN Fig. 4 compares with it."""
    first, second = _grey_pair(first, second)
    return cv2.calcOpticalFlowFarneback(
        first, second, None, 0.5, levels, window, iterations, poly_n, poly_sigma, 0
    )


def neighbour_flows(sample: Sample, preset: str = "medium") -> tuple[torch.Tensor, torch.Tensor]:
    """DIS flows from the sharp frame to the previous and to the following one, each (2, H, W).

    Where a neighbour is missing (first or last frame of a sequence), its flow is minus the other one.
    """
    if sample.sharp is None or (sample.previous is None and sample.following is None):
        raise ValueError(
            f"{sample.name!r} has no sharp neighbouring frame, so there is no motion to measure."
        )
    flows = [
        None if f is None else to_tensor(dis_flow(sample.sharp, f, preset))
        for f in (sample.previous, sample.following)
    ]
    previous, following = flows
    return (-following if previous is None else previous), (
        -previous if following is None else following
    )


def warp(picture, flow) -> np.ndarray:
    """Backward warp, out(x, y) = picture(x + u, y + v), bilinear, the edge repeated: fetches the second frame into the first.

    Returns an array with channels last, of the picture's dtype.
    """
    picture, flow = _channels_last(picture), _channels_last(flow, (2,)).astype(np.float32)
    if picture.shape[:2] != flow.shape[:2]:
        raise ValueError(
            f"The picture is {_size(picture)} and the flow {_size(flow)}: they must be of equal size."
        )
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    return cv2.remap(
        np.ascontiguousarray(picture), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def end_point_error(flow, exact, mask=None) -> float:
    """Mean distance between two flows' end points in pixels, over `mask` (H, W) where given; nan over an empty mask."""
    difference = _channels_last(flow, (2,)).astype(np.float64) - _channels_last(exact, (2,))
    distance = np.hypot(difference[..., 0], difference[..., 1])
    chosen = distance if mask is None else distance[np.asarray(mask, bool)]
    return float(chosen.mean()) if chosen.size else float("nan")


def _grey_pair(first, second) -> list[np.ndarray]:
    pair = [_grey(first), _grey(second)]
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"The two frames are {_size(pair[0])} and {_size(pair[1])}: flow needs frames of equal size."
        )
    if min(pair[0].shape) < 16:
        raise ValueError(f"The frames are {_size(pair[0])}: flow needs at least 16 x 16 pixels.")
    return pair


def _grey(picture) -> np.ndarray:
    array = _channels_last(picture)
    if array.dtype == np.uint16:
        array = array / 65535
    if array.dtype != np.uint8:
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return (
        array if array.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_RGB2GRAY)
    )


def _channels_last(values, channels=(1, 3)) -> np.ndarray:
    array = (
        values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    )
    if (
        array.ndim == 3
        and array.shape[0] in channels
        and (isinstance(values, torch.Tensor) or array.shape[-1] not in channels)
    ):
        array = np.moveaxis(array, 0, -1)
    return array


def _size(array) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
