"""Checks of the exercises of notebook 04."""

import numpy as np

from .verdicts import name_mistake, numbers, require


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
    found, wanted, mistakes = [], [], []
    for points, end, expected in cases.values():
        with np.errstate(all="ignore"):
            got = answer(np.array(points), np.array(end))
        shape = np.shape(points)
        what = f"what you return for points of shape {shape}"
        found.append(numbers(got, shape[:1], what, finite=False))
        wanted.append(expected)
        mistakes.append(_wrong_distances(np.array(points), np.array(end)))
    finite = np.isfinite(np.concatenate(found))
    name_mistake(
        np.concatenate(found)[finite],
        np.concatenate(wanted)[finite],
        {why: np.concatenate([each[why] for each in mistakes])[finite] for why in mistakes[0]},
    )
    for (what, (points, end, expected)), got in zip(cases.items(), found, strict=True):
        require(
            np.allclose(got, expected, atol=1e-4),
            f"{what}: P = {points[0]}, D = {end} gives {got[0]:.3g}, not {expected[0]:.3g}.",
        )
    return (
        "right for every flow, vertical and zero ones too: clamping t covers both ends, so no case "
        "needs a rule of its own."
    )


def _wrong_distances(points: np.ndarray, end: np.ndarray) -> dict[str, np.ndarray]:
    """What typical mistakes lead to, by reason."""
    squared = max(end @ end, 1e-12)
    along = (points * end).sum(-1, keepdims=True)

    def to(places):
        return np.linalg.norm(points - places, axis=-1)

    nearest = np.clip(along / squared, 0, 1)
    right, both_ends = to(nearest * end), len(points) == len(end)
    return {
        "t has one number for each point, and end has two: with two points NumPy pairs them up "
        "silently. Give t a last axis, t[..., None].": to(nearest[:, 0] * end)
        if both_ends
        else right,
        "this is the square of the distance: take the root.": right**2,
        "this is the sum of |dx| and |dy|: the distance is the root of the sum of squares.": np.abs(
            points - np.clip(along / squared, 0, 1) * end
        ).sum(-1),
        "this is the distance to the whole line: clamp t to [0, 1], the segment has two ends.": to(
            along / squared * end
        ),
        "t is clamped at 0, but not at 1: the segment ends at D.": to(
            np.maximum(along / squared, 0) * end
        ),
        "t is clamped at 1, but not at 0: the segment begins at the origin.": to(
            np.minimum(along / squared, 1) * end
        ),
        "this is the distance to D, the far end: any place of the segment may be nearer.": to(end),
        "this is the distance to the origin: any place of the segment may be nearer.": to(0 * end),
        "P.D is divided by |D|: t = P.D / D.D, the square of the length.": to(
            np.clip(along / np.sqrt(squared), 0, 1) * end
        ),
        "the sign of D is reversed: the segment runs from the origin to D.": to(
            -np.clip(-along / squared, 0, 1) * end
        ),
        "x and y of the points are exchanged: both are (x, y).": np.linalg.norm(
            points[:, ::-1]
            - np.clip((points[:, ::-1] * end).sum(-1, keepdims=True) / squared, 0, 1) * end,
            axis=-1,
        ),
    }


def _check_feature_flow(answer) -> str:
    flow = np.dstack(
        np.meshgrid(1.25 * np.arange(8.0) ** 2, 10.25 * np.arange(6.0) ** 2)
    )  # (6, 8, 2)
    got = answer(flow.copy())
    require(
        isinstance(got, str) or got is None or np.shape(got) == (3, 4, 2),
        f"a (6, 8, 2) flow should become (3, 4, 2), not {np.shape(got)}: every second row and "
        "column.",
    )
    got = numbers(got, (3, 4, 2), "the flow")
    kept = flow[::2, ::2]
    mistakes = {
        "the places are right, but the vectors still count image pixels: one feature pixel is "
        "two.": kept,
        "the vectors grew: fewer, larger pixels mean smaller numbers.": 2 * kept,
        "the vectors are a quarter: each of their numbers is halved once.": kept / 4,
        "`//` cuts the halves off: divide with `/`.": kept // 2,
        "[1::2] keeps the odd rows and columns; the features sit at the even ones.": flow[
            1::2, 1::2
        ]
        / 2,
        "the sign is reversed: the same motion points the same way on a smaller grid.": -kept / 2,
        "the two numbers of a vector are exchanged: both flows are (right, down).": kept[..., ::-1]
        / 2,
        "you average each 2 x 2 block, which lies half a pixel beside the feature: take the even "
        "rows and columns.": flow.reshape(3, 2, 4, 2, 2).mean((1, 3)) / 2,
        "this is a corner of the flow, not a smaller version of it: take every second row and "
        "column.": flow[:3, :4] / 2,
    }
    name_mistake(got, kept / 2, mistakes)
    require(
        np.allclose(got, flow[::2, ::2] / 2),
        "take the vectors at even rows and columns, where the features sit, and halve them.",
    )
    return "fewer pixels, each twice as large: the same motion is half as many of them."


def _check_offsets(answer) -> str:
    for D in ([6.0, 0.0], [0.0, 4.0], [3.0, -5.0]):
        got = answer(np.array(D))
        require(
            isinstance(got, str) or got is None or np.shape(got) == (50,),
            "the operator needs 50 numbers in one row, (down, right) for each of 25 taps; yours "
            f"has shape {np.shape(got)}"
            + ("." if np.shape(got) != (25, 2) else ": `.ravel()` puts them in a row."),
        )
        got = numbers(got, (50,), "the list of offsets")
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
        along = np.linspace(-1, 1, 25)[:, None]
        mistakes = {
            "the subtraction is the wrong way round: an offset is the point minus the grid "
            "point.": grid - wanted,
            "first come all 25 steps down and then all 25 to the right: the operator wants them "
            "in pairs, (down, right) for each tap.": (wanted - grid).T.reshape(25, 2),
            "the points cover the half from the pixel to D: they run from -D to D.": np.linspace(
                0, 1, 25
            )[:, None]
            * np.array(D[::-1])
            - grid,
            "the points reach only half of D: they run from -D to D.": along / 2 * np.array(D[::-1])
            - grid,
            "the points stop one step before D: the last of the 25 is D.": np.linspace(
                -1, 1, 25, endpoint=False
            )[:, None]
            * np.array(D[::-1])
            - grid,
            "the grid point (down, right) of tap k is (k // 5 - 2, k % 5 - 2): rows and columns "
            "are exchanged.": wanted - grid[:, ::-1],
            "the grid is not centred: its middle tap is at (0, 0).": wanted - (grid + 2),
            "each pair is (right, down): the operator wants (down, right), and D is (right, "
            "down).": (wanted - grid)[:, ::-1],
            "the grid point is added: an offset is the point minus the grid point.": wanted + grid,
            "these are points instead of offsets, and (right, down) instead of (down, right).": (
                wanted[:, ::-1]
            ),
        }
        name_mistake(got.reshape(25, 2), wanted - grid, mistakes)
        require(
            not np.allclose(points[:, ::-1], wanted),
            "the points are mirrored in the diagonal: each pair is (down, right), D is (right, "
            "down).",
        )
        require(
            np.allclose(points[::-1], wanted) or np.allclose(points, wanted),
            f"for D = {D} tap 0 reads at (down, right) = {points[0].round(2) + 0.0}, not at "
            f"{wanted[0] + 0.0}.",
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
