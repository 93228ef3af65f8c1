"""Checks of the exercises of notebook 09."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from ..analysis.correlation import rank_residual
from .verdicts import numbers, require, require_answer


def _rank_correlation(function) -> str:
    """09.1: function(a, b) -> Spearman's rank correlation of two maps; nan for a constant one."""
    rng = np.random.default_rng(9)
    a = rng.standard_normal((6, 7))
    for b in (
        np.exp(3 * a) + rng.standard_normal((6, 7)),
        np.round(2 * a) + rng.integers(0, 2, (6, 7)),
    ):  # skewed; with ties
        found, right = function(a.copy(), b.copy()), spearmanr(a.ravel(), b.ravel()).statistic
        found = float(numbers(found, (), "the correlation of two maps"))
        mistakes = {
            "the sign is reversed.": -right,
            "that is Pearson's correlation of the values: one very fast pixel would decide it. "
            "Take ranks first.": np.corrcoef(a.ravel(), b.ravel())[0, 1],
            "the ranks are not centred: subtract their mean, or all correlations come "
            "out large and positive.": rankdata(a)
            @ rankdata(b)
            / np.sqrt((rankdata(a) ** 2).sum() * (rankdata(b) ** 2).sum()),
            "you ranked within each row of the map: `rankdata` without an axis ranks all pixels "
            "together.": np.corrcoef(rankdata(a, axis=-1).ravel(), rankdata(b, axis=-1).ravel())[
                0, 1
            ],
        }
        for reason, value in mistakes.items():
            require(
                not np.isclose(found, value, atol=1e-6) or np.isclose(value, right, atol=1e-6),
                reason,
            )
        require(
            np.isclose(found, right, atol=1e-6),
            f"the value is {found:.3f}, and should be {right:.3f}.",
        )
    with np.errstate(all="ignore"):
        require(
            np.isnan(numbers(function(a, np.ones_like(a)), (), finite=False)),
            "a constant map has no order, so no rank correlation: return `np.nan`.",
        )
    return "any growing function of a map leaves it as it is, so neither units nor outliers matter."


def _given_edges(function) -> str:
    """09.2: function(a, b, edges) -> partial rank correlation of a and b given the edges."""
    rng = np.random.default_rng(92)

    def smooth() -> np.ndarray:
        return gaussian_filter(rng.standard_normal((14, 15)), 1.5)

    for own in (0.0, 1.0):
        edges, shared = smooth(), smooth()
        a, b = (
            edges + own * shared + 0.3 * smooth(),
            np.exp(3 * (edges + own * shared)) + 0.3 * smooth(),
        )
        found = function(a.copy(), b.copy(), edges.copy())
        found = float(numbers(found, (), "the correlation"))
        x, y = rank_residual(a, edges), rank_residual(b, edges)
        right = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
        plain = spearmanr(a.ravel(), b.ravel()).statistic
        half = (x * (rankdata(b) - rankdata(b).mean()).reshape(b.shape)).sum()
        half /= np.sqrt((x**2).sum() * rankdata(b).var() * b.size)
        by_value = [
            np.ravel(v) - np.polyval(np.polyfit(edges.ravel(), np.ravel(v), 1), edges.ravel())
            for v in (a, b)
        ]
        mistakes = {
            "the edges are still in it: that is the plain rank correlation of a and b.": plain,
            "you took the edges out of a alone: what b shares with them dilutes the result. "
            "Take them out of both.": half,
            "the lines were fitted to the values, not to the ranks: rank all three maps "
            "first.": np.corrcoef(by_value[0], by_value[1])[0, 1],
        }
        for reason, value in mistakes.items():
            require(not np.isclose(found, value, atol=1e-6), reason)
        require(
            np.isclose(found, right, atol=1e-6),
            f"the value is {found:.3f}, and should be {right:.3f}.",
        )
    return (
        "a map that only repeats the edges falls to nearly nothing; one that knows more keeps it."
    )


def _referee(answer) -> str:
    """09.3: what the maps A to D of the table follow."""
    require_answer(answer)
    require(
        isinstance(answer, dict) and set(answer) == set("ABCD"),
        "give a dictionary with the keys A, B, C and D.",
    )
    for value in answer.values():
        require_answer(value)
    reasons = {
        "C": (
            "chance",
            "C lies inside the band of chance, whatever its controls say: two smooth maps do that "
            "by themselves.",
        ),
        "B": (
            "edges",
            "B is large, but almost nothing of it is left given edges. (It shows on the sharp "
            "picture, too: of "
            "course, edges are there as well. The rule asks for edges first.)",
        ),
        "D": (
            "things",
            "D keeps its correlation without the edges, but has it on the sharp picture as well, "
            "where nothing is "
            "blurred: it follows the things. Its sign is no reason for or against.",
        ),
        "A": (
            "motion",
            "A is beyond chance, stays so given edges, and vanishes on the sharp picture.",
        ),
    }
    for name, (right, reason) in reasons.items():
        require(
            isinstance(answer[name], str)
            and answer[name] in {"motion", "edges", "things", "chance"},
            f"{name} is {answer[name]!r}: choose one of the four words.",
        )
        require(answer[name] == right, reason)
    return "one of four. That is about what one should expect of figures in papers."


CHECKS = {"09.1": _rank_correlation, "09.2": _given_edges, "09.3": _referee}
