"""Checks of the exercises of notebook 06."""

import numpy as np

from .verdicts import numbers, require, require_answer


def _check_fusion(fuse) -> str:
    """06.1: fuse(f, logits): branches (4, C, h, w), logits (4, h, w) -> (C, h, w)."""
    rng = np.random.default_rng(6)
    f, logits = rng.standard_normal((4, 3, 5, 6)), 2 * rng.standard_normal((4, 5, 6))

    def softmax(x, axis):
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    def weighted(a):
        return (a[:, None] * f).sum(0)

    found = fuse(f.copy(), logits.copy())
    found = numbers(found)
    require(
        found.shape == (3, 5, 6),
        f"four branches of shape (3, 5, 6) should become one of that shape, not {found.shape}.",
    )
    mistakes = {
        "the logits themselves are the weights here: they are negative as often as not, "
        "and sum to anything.": weighted(logits),
        "exp makes the weights positive, but nothing makes them sum to one: divide by "
        "their sum over the branches.": weighted(np.exp(logits)),
        "the softmax runs over all positions of a map, so the pixels compete with each "
        "other, not the branches.": weighted(softmax(logits.reshape(4, -1), 1).reshape(4, 5, 6)),
        "the softmax runs over the last axis, the columns of the picture: axis 0 holds "
        "the branches.": weighted(softmax(logits, 2)),
        "the softmax runs over the rows of the picture: axis 0 holds the branches.": weighted(
            softmax(logits, 1)
        ),
        "each weight is a separate sigmoid: the four would not sum to one. Let them "
        "compete.": weighted(1 / (1 + np.exp(-logits))),
        "you took the mean: the weights sum to one already, so dividing by four makes "
        "the output four times too small.": weighted(softmax(logits, 0)) / 4,
        "you took the winner alone, which has no gradient for the others: weigh all "
        "four.": np.take_along_axis(f, logits.argmax(0)[None, None], 0)[0],
    }
    for reason, typical in mistakes.items():
        require(not np.allclose(found, typical, atol=1e-6), reason)
    require(
        np.allclose(found, weighted(softmax(logits, 0)), atol=1e-6),
        "the values are off: a_i = exp(l_i) / sum_k exp(l_k) at each pixel, the same for all "
        "channels of f_i; then sum a_i f_i.",
    )
    with np.errstate(all="ignore"):
        large = np.asarray(fuse(f.copy(), 1000 * logits), float)
    require(
        np.isfinite(large).all(),
        "right for small logits, but exp(1000) overflows: subtract the largest of the four logits "
        "first, which changes nothing.",
    )
    return (
        "the branches compete at each pixel, and weights that sum to one keep the scale, whatever "
        "the logits."
    )


def _check_address(source) -> str:
    """06.2: source(k, y, x, height, width) -> the (k', y', x') that mmcv reads.

    The answer is None past the end of the mask.
    """
    for height, width in ((6, 5), (5, 8)):
        length, rows, columns = 9 * (height - 2) * (width - 2), height - 2, width - 2
        places = list(np.ndindex(9, height, width))
        found = [source(*place, height, width) for place in places]
        require_answer(found[0])
        for at in found:
            if at is not None:
                numbers(at, (3,), "what you return, (k', y', x'),")
        found = [None if at is None else tuple(int(v) for v in at) for at in found]

        behind = [None] * (len(places) - length)
        require(
            found[:length] != places[:length],
            f"that would be the right mask: mmcv takes the *address* for a map of {height} x "
            f"{width}, but the numbers were laid "
            f"down row by row for {rows} x {columns}.",
        )
        exchanged = [*np.ndindex(9, columns, rows), *behind]
        require(
            found != exchanged,
            f"the two sides of the mask are swapped: it has {rows} rows of {columns}.",
        )
        for n, (place, at, right) in enumerate(
            zip(places, found, [*np.ndindex(9, rows, columns), *behind], strict=True)
        ):
            where = (
                f"entry (k, y, x) = {place} of a {height} x {width} feature map is number {n} in "
                "memory"
            )
            require(
                right or at is None,
                f"{where}, past the end of the mask, which has only {length} numbers: return "
                f"None, not {at}.",
            )
            require(
                at or right is None,
                f"{where}, and the mask has {length}: it is not past the end.",
            )
            require(
                at == right, f"{where}; number {n} of the mask is (k', y', x') = {right}, not {at}."
            )
    return (
        "the last row of tap 1 already holds other taps, and the last taps hold whatever came next "
        "in memory."
    )


def _check_surprise(surprise) -> str:
    """06.3: surprise(a, b) -> share of circular shifts of b that correlate with a as well as b.

    "As well" means at least as strongly as the unshifted b.
    """
    from scipy.ndimage import gaussian_filter

    from ..analysis.correlation import shifted_rank_correlations

    def maps(seed, mixed=0.0):
        rng = np.random.default_rng(seed)
        a, b = (gaussian_filter(rng.standard_normal((12, 14)), 2, mode="wrap") for _ in range(2))
        b = mixed * a + b
        return a, np.exp(6 * (b - b.mean()) / b.std())  # skewed, as lengths of motion are

    def pearson(a, b):
        spectra = [np.fft.fft2((v - v.mean()) / v.std()) for v in (a, b)]
        return np.fft.ifft2(spectra[0] * np.conj(spectra[1])).real / a.size

    def share(rho, absolute=True):
        rho = np.abs(rho) if absolute else rho
        return np.mean(rho >= rho[0, 0] - 1e-9)

    for seed, mixed in ((1, 0.0), (4, 0.0), (2, -0.5), (3, 2.0)):
        a, b = maps(seed, mixed)
        rho = shifted_rank_correlations(a, b)
        found = float(numbers(surprise(a.copy(), b.copy()), (), "the share"))
        require(
            0 <= found <= 1,
            f"a share lies between 0 and 1; yours is {found}.",
        )
        right, n = share(rho), a.size
        mistakes = {
            "Pearson's correlation follows a few long motions; rank both maps first "
            "(Spearman).": share(pearson(a, b)),
            "a strong negative correlation is as surprising as a positive one: compare "
            "absolute values.": share(rho, False),
            "the zero shift is one of the shifts: without it a share can be 0, which no "
            "finite test can show.": (right * n - 1) / (n - 1),
        }
        if abs(found - right) > 0.5 / n:
            for reason, value in mistakes.items():
                require(abs(found - value) > 0.4 / n, reason)
            require(
                abs(found - 1 + right) > 1 / n,
                "you count the shifts that correlate *less*: the share is one minus that.",
            )
            require(
                found > 0.3 * right,
                f"{found:.3f} is far too small, the share is {right:.3f}: shuffled pixels are no "
                "longer smooth, and noise never "
                "correlates with anything. Shift the whole map, and let it wrap round (np.roll).",
            )
            require(
                False,
                f"{found:.3f} is not the share, {right:.3f}: try all {n} shifts, by 0 to "
                f"{a.shape[0] - 1} rows and 0 to "
                f"{a.shape[1] - 1} columns.",
            )
    return (
        "two unrelated smooth maps reach correlations that shuffled pixels never would. Keep the "
        "smoothness, break the tie."
    )


CHECKS = {
    "06.1": _check_fusion,
    "06.2": _check_address,
    "06.3": _check_surprise,
}
