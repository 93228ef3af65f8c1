"""Checks of the exercises of notebook 03."""

import numpy as np

from .verdicts import numbers, pair, require, require_answer


def _weight_for_reach(weight) -> str:
    """03.1: weight(reach) -> p of a sharpening scan that remembers `reach` image pixels.

    The scan runs at half resolution.
    """
    require_answer(weight)
    for reach in (10, 40, 200):
        p, steps = float(numbers(weight(reach), (), "the weight p")), reach / 2
        require(
            abs(p) < 1,
            f"for {reach} pixels you give p = {p:.3f}: with |p| >= 1 nothing is ever forgotten, "
            "and noise grows.",
        )
        right = 0.01 ** (1 / steps)
        require(
            not np.isclose(abs(p), 0.01 ** (1 / reach), rtol=1e-6),
            f"that remembers {reach} *feature* pixels. The scans run at half resolution: a step "
            "is two image pixels.",
        )
        require(
            not np.isclose(abs(p), 0.01 ** (1 / (2 * reach)), rtol=1e-6),
            "you doubled where you had to halve: a step of the scan is two image pixels, so fewer "
            "steps are needed.",
        )
        require(
            np.isclose(abs(p), right, rtol=1e-6),
            f"for {reach} pixels |p| = {abs(p):.4f}: after {steps:g} steps |p|^{steps:g} is "
            f"{abs(p) ** steps:.3g}, not 0.01.",
        )
        require(
            p < 0,
            f"p = {p:.3f} remembers as far, but it averages: a scan that sharpens has a negative "
            "weight.",
        )
    return (
        "p = -0.01^(2 / reach). From 10 pixels of memory to 200 the weight moves from -0.40 to "
        "-0.95, and the cost not at all."
    )


def _compose(compose) -> str:
    """03.2: compose(first, second) -> the single step (a, b) that does both.

    Each step is h -> a h + b.
    """
    require_answer(compose)
    rng = np.random.default_rng(5)
    one, two, three = (tuple(rng.uniform(-1, 1, 2)) for _ in range(3))
    found = pair(compose(one, two), "return both numbers of the composed step: (a, b).")
    (a1, b1), (a2, b2) = one, two
    a, b = (
        float(numbers(part, (), f"{name} of the step"))
        for name, part in zip("ab", found, strict=True)
    )
    require(
        not np.isclose(b, a1 * b2 + b1),
        "that does the second step first. h goes through the first: a1 h + b1, and the second "
        "then acts on all of it.",
    )
    require(not np.isclose(a, a1 + a2), "a is a factor: two factors in a row are multiplied.")
    require(
        not np.isclose(b, b1 + b2),
        "the second step multiplies everything that came before, including b1.",
    )
    require(
        np.isclose(a, a1 * a2) and np.isclose(b, a2 * b1 + b2),
        f"from h = 1 the two steps lead to {a2 * (a1 + b1) + b2:.3f}, your step to {a + b:.3f}.",
    )
    left, right = compose(compose(one, two), three), compose(one, compose(two, three))
    require(
        np.allclose(left, right),
        "grouped differently, three steps give different results: compose must not keep any state.",
    )
    x, p = rng.standard_normal(64), rng.uniform(-0.9, 0.9, 64)
    steps = list(zip(p, (1 - p) * x, strict=True))
    while len(steps) > 1:
        steps = [compose(*pair) for pair in zip(steps[::2], steps[1::2], strict=True)]
    error = abs(steps[0][1] - _scan(x, p)[-1])
    require(error < 1e-12, f"64 steps joined in pairs end {error:.1e} away from the scan.")
    return (
        "64 steps, joined in pairs, are done in 6 rounds: grouping is free, and that is all that "
        "parallel hardware needs."
    )


def _backward_scan(gradients) -> str:
    """03.3: gradients(x, p, h, grad) -> (dL/dx, dL/dp) along one line.

    grad is the upstream gradient dL/dh.
    """
    require_answer(gradients)
    rng = np.random.default_rng(3)
    x, p, grad = rng.standard_normal(12), rng.uniform(-0.8, 0.8, 12), rng.standard_normal(12)
    h = _scan(x, p)
    found = gradients(x.copy(), p.copy(), h.copy(), grad.copy())
    found = pair(found, "return both gradients: (dL/dx, dL/dp).")
    dx, dp = (numbers(part, None, f"dL/d{name}") for name, part in zip("xp", found, strict=True))
    require(
        dx.shape == dp.shape == x.shape,
        f"both gradients have the shape of x, {x.shape}, not {dx.shape} and {dp.shape}.",
    )

    def total(carry):  # g[k] = grad[k] + carry[k] g[k+1]
        g = np.zeros(13)
        for k in range(11, -1, -1):
            g[k] = grad[k] + carry[k] * g[k + 1]
        return g[:-1]

    before, g = np.r_[0, h[:-1]], total(np.r_[p[1:], 0])
    slips = {
        "you use the upstream dL/dh as it is. h[k] also acts through h[k+1], so its whole "
        "gradient is "
        "g[k] = grad[k] + p[k+1] g[k+1].": grad,
        "the carried gradient must be multiplied by p[k+1], the weight with which h[k+1] "
        "read h[k], not by p[k].": total(p),
        "the gradient runs the other way: begin at the last pixel, since h[k] acts only on "
        "what comes after it.": _scan(grad / (1 - p), p),
    }
    for reason, wrong in slips.items():
        require(
            not np.allclose(dx, (1 - p) * wrong) and not np.allclose(dp, wrong * (before - x)),
            reason,
        )
    require(
        not np.allclose(dx, g), "dL/dx lacks a factor: x[k] enters h[k] multiplied by 1 - p[k]."
    )
    require(
        not np.allclose(dp, g * before),
        "dL/dp lacks a part: p[k] also takes its share from x[k], h = x + p (h[k-1] - x).",
    )
    require(
        not np.allclose(dp, g * (h - x)),
        "dL/dp reads h[k] where it should read h[k-1], the state before the step.",
    )
    for name, got, right in (("x", dx, (1 - p) * g), ("p", dp, g * (before - x))):
        wrong = np.flatnonzero(~np.isclose(got, right))
        require(
            wrong.size == 0,
            f"dL/d{name} is wrong at pixel {wrong[-1:]} and right after it: nudge {name} there "
            "and see how the loss moves.",
        )
    return (
        "the gradient of a scan is a scan in the opposite direction, with the weights moved by "
        "one: it costs the same."
    )


def _scan(x, p):
    h, state = np.empty_like(x), 0.0
    for k in range(len(x)):
        state = h[k] = (1 - p[k]) * x[k] + p[k] * state
    return h


CHECKS = {
    "03.1": _weight_for_reach,
    "03.2": _compose,
    "03.3": _backward_scan,
}
