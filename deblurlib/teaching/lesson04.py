"""Checks of the exercises of notebook 04."""

import numpy as np

from .verdicts import require, require_answer


def _check_distance(answer) -> str:
    cases = {  # points, end, distance, what it tests
        "a point beside the middle of a horizontal segment": ([[2.0, 1.0]], [4.0, 0.0], [1.0]),
        "a point on the segment": ([[1.0, 0.0]], [4.0, 0.0], [0.0]),
        "a point beyond the far end; clamp t at 1": ([[5.0, 0.0]], [4.0, 0.0], [1.0]),
        "a point behind the origin; clamp t at 0": ([[-3.0, 4.0]], [4.0, 0.0], [5.0]),
        "a vertical flow": ([[0.0, 5.0], [2.0, 1.0]], [0.0, 3.0], [2.0, 2.0]),
        "a slanted flow": ([[2.0, 1.0]], [4.0, 3.0], [0.4]),
        "a zero flow, where P.D / D.D divides by zero": ([[3.0, 4.0]], [0.0, 0.0], [5.0]),
    }
    for what, (points, end, expected) in cases.items():
        with np.errstate(all="ignore"):
            got = answer(np.array(points), np.array(end))
        require_answer(got)
        got = np.asarray(got, float)
        require(
            got.shape == (len(points),),
            f"for points of shape {np.shape(points)} it should return {len(points)} distances, "
            f"not {got.shape}.",
        )
        require(
            np.allclose(got, expected, atol=1e-4),
            f"{what}: P = {points[0]}, D = {end} gives {got[0]:.3g}, not {expected[0]:.3g}.",
        )
    return (
        "right for every flow, vertical and zero ones too: clamping t covers both ends, so no case "
        "needs a rule of its own."
    )


def _check_feature_flow(answer) -> str:
    flow = np.dstack(np.meshgrid(np.arange(8.0), 10 * np.arange(6.0)))  # (6, 8, 2)
    got = answer(flow)
    require_answer(got)
    got = np.asarray(got)
    require(
        got.shape == (3, 4, 2),
        f"a (6, 8, 2) flow should become (3, 4, 2), not {got.shape}: every second row and column.",
    )
    require(
        not np.allclose(got, flow[::2, ::2]),
        "the places are right, but the vectors still count image pixels: one feature pixel is two.",
    )
    require(
        not np.allclose(got, 2 * flow[::2, ::2]),
        "the vectors grew: fewer, larger pixels mean smaller numbers.",
    )
    require(
        np.allclose(got, flow[::2, ::2] / 2),
        "take the vectors at even rows and columns, where the features sit, and halve them.",
    )
    return "fewer pixels, each twice as large: the same motion is half as many of them."


def _check_offsets(answer) -> str:
    for D in ([6.0, 0.0], [0.0, 4.0], [3.0, -5.0]):
        got = answer(np.array(D))
        require_answer(got)
        got = np.asarray(got, float)
        require(
            got.shape == (50,),
            "the operator needs 50 numbers, (down, right) for each of 25 taps; yours has shape "
            f"{got.shape}.",
        )
        grid = np.stack(np.divmod(np.arange(25), 5), -1) - 2
        points, wanted = (
            got.reshape(25, 2) + grid,
            np.linspace(-1, 1, 25)[:, None] * np.array(D[::-1]),
        )
        require(
            not np.allclose(got.reshape(25, 2), wanted),
            "these are the points themselves: an offset is the point minus the grid point the tap "
            "starts from.",
        )
        require(
            not np.allclose(points[:, ::-1], wanted),
            "the points are mirrored in the diagonal: each pair is (down, right), D is (right, "
            "down).",
        )
        require(
            np.allclose(points[::-1], wanted) or np.allclose(points, wanted),
            f"for D = {D} tap 0 reads at (down, right) = {points[0].round(2)}, not at {wanted[0]}.",
        )
        require(
            np.allclose(points, wanted),
            "the points are right but run backwards: the first should be -D, the last D.",
        )
    return (
        "25 taps in a row: with weights of 1/25 this is a box blur along D, made by an operator "
        "that knows no blur."
    )


CHECKS = {
    "04.1": _check_distance,
    "04.2": _check_feature_flow,
    "04.3": _check_offsets,
}
