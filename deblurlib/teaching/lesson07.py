"""Checks of the exercises of notebook 07."""

import math

import numpy as np

from .verdicts import numbers, require, require_answer, truth


def _logits_of_a_kernel(answer) -> str:
    """07.1: answer(kernel) -> nine logits that make dynamic_filter blur with a 3x3 convolution
    kernel.
    """
    require_answer(answer)
    lopsided = np.array([[0.02, 0.05, 0.30], [0.03, 0.40, 0.08], [0.01, 0.04, 0.07]])
    for kernel in (lopsided, np.full((3, 3), 1 / 9), np.eye(1, 9, 5).reshape(3, 3)):
        with np.errstate(divide="ignore"):
            found = answer(kernel.copy())
        require(
            isinstance(found, str) or found is None or np.shape(found) == (9,),
            "the filter takes nine logits in a row, taps row after row; yours has shape "
            f"{np.shape(found)}.",
        )
        found = numbers(found, (9,), "the row of logits", finite=False)
        require(
            not np.isnan(found).any() and found.max() < np.inf,
            "there is NaN or +infinity among the logits, which a softmax cannot handle.",
        )
        with np.errstate(divide="ignore"):
            weights, mistakes = (
                _softmax(found),
                {
                    "you give the weights themselves. The softmax takes the exponential "
                    "of what it gets: give it logarithms.": _softmax(kernel[::-1, ::-1].ravel()),
                    "you give the weights themselves, and not mirrored: take "
                    "logarithms, and compare the two sums.": _softmax(kernel.ravel()),
                    "the kernel is not mirrored: a convolution reads x - m where the filter reads "
                    "x + m.": kernel.ravel(),
                    "rows and columns are swapped: tap k is in row k // 3 and "
                    "column k % 3.": kernel[::-1, ::-1].T.ravel(),
                    "only the rows are mirrored: a convolution mirrors both axes.": kernel[
                        ::-1
                    ].ravel(),
                    "only the columns are mirrored: a convolution mirrors both axes.": kernel[
                        :, ::-1
                    ].ravel(),
                    "log10 is not the logarithm that the exponential undoes: take "
                    "np.log.": _softmax(_logarithm(kernel, 10)),
                    "log2 is not the logarithm that the exponential undoes: take np.log.": _softmax(
                        _logarithm(kernel, 2)
                    ),
                    "the sign is reversed: the largest tap needs the largest logit.": _softmax(
                        -_logarithm(kernel, math.e)
                    ),
                    "you apply the softmax yourself: the filter does that to the logits.": _softmax(
                        _softmax(_logarithm(kernel, math.e))
                    ),
                },
            )
        right = kernel[::-1, ::-1].ravel()
        for reason, typical in mistakes.items():
            require(
                np.allclose(weights, right, atol=1e-3)
                or not np.allclose(weights, typical, atol=1e-6),
                reason,
            )
        require(
            np.allclose(weights, right, atol=1e-3),
            f"the softmax of your logits is {weights.round(3)}, and should be {right.round(3)}. (A "
            "tap of 0 needs a logit far "
            "below the others.)",
        )
    return (
        "logarithms, read backwards. Adding a constant to all nine changes nothing: the softmax "
        "divides it out."
    )


def _logarithm(kernel, base):
    return np.log(np.maximum(kernel[::-1, ::-1].ravel(), 1e-30)) / np.log(base)


def _softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def _tell_a_copier(copies) -> str:
    """07.2: copies(network, blurry, sharp) -> whether a reblurring network copies `blurry`."""
    require_answer(copies)
    blurry, sharp = _pairs_with_known_blur()
    networks = {  # what it does: (network, whether it copies, what to think about)
        "returns the blurry picture": (lambda b, s: b + 0 * s, True, "That is the copier itself."),
        "returns 0.9 of the blurry picture and 0.1 of the sharp one": (
            lambda b, s: 0.9 * b + 0.1 * s,
            True,
            "A tenth of the sharp picture does not make a reblurring network: do not ask for "
            "equality.",
        ),
        "finds the kernel from both pictures, and blurs the sharp one with it": (
            _honest,
            False,
            "Its reblurred picture is nearly perfect, and so is a copy: the score against the "
            "blurry picture cannot tell them "
            "apart. Give it the sharp picture of another pair.",
        ),
        "returns the sharp picture": (
            lambda b, s: s + 0 * b,
            False,
            "Its output is no closer to the blurry picture than the sharp one is.",
        ),
        "always returns grey": (
            lambda b, s: 0.5 + 0 * (b + s),
            False,
            "It does not react to the sharp picture, but neither does it show the blurry one: "
            "look at the output.",
        ),
    }
    said = {}
    for what, (network, _, _) in networks.items():
        verdict = copies(network, blurry.clone(), sharp.clone())
        said[what] = truth(verdict)
    same = set(said.values())
    require(len(same) == 2, f"you say {same.pop()} of every network: what can only a copier do?")
    require(
        any(said[what] == copier for what, (_, copier, _) in networks.items()),
        "the answer is reversed: True means that the network copies.",
    )
    for what, (_, copier, hint) in networks.items():
        require(
            said[what] == copier,
            f"a network that {what} {'copies' if copier else 'does not copy'}. {hint}",
        )
    return (
        "two copiers caught, three others cleared, among them one whose score against the blurry "
        "picture is as high."
    )


KERNELS = (
    (9, 0),
    (9, 45),
    (9, 90),
    (9, 135),
    (5, 20),
    (13, 70),
)  # length in pixels and angle of a line


def _blur(pictures, length, angle):
    import torch

    from ..theory import line_kernel

    kernel = torch.from_numpy(line_kernel(length, angle)).float()
    pad = [kernel.shape[0] // 2] * 4
    channels = torch.nn.functional.pad(pictures, pad, mode="reflect").flatten(0, 1)[:, None]
    return torch.nn.functional.conv2d(channels, kernel[None, None]).view_as(pictures)


def _pairs_with_known_blur():
    """(blurry, sharp), each (3, 3, 64, 64): crops of photographs, each blurred along a line of its
    own.
    """
    import torch

    from ..data import list_photographs, load_photograph, to_tensor

    sharp = torch.stack(
        [to_tensor(load_photograph(p)[64:128, 64:128]) for p in list_photographs("train")[:3]]
    )
    return torch.cat([_blur(s[None], *KERNELS[i]) for i, s in enumerate(sharp)]), sharp


def _honest(blurry, sharp):
    """The sharp picture, blurred with whichever kernel leads nearest to the blurry one."""
    import torch

    nearest = [
        min((_blur(s[None], *k) for k in KERNELS), key=lambda r, b=b: (r - b).square().mean())
        for b, s in zip(blurry.detach(), sharp, strict=True)
    ]
    return torch.cat(nearest) + 0 * blurry


def _honest_gain(answer) -> str:
    """07.3: answer(scores) -> unbiased gain in dB of the chosen lambda over column 0."""
    require_answer(answer)
    rng = np.random.default_rng(7)

    def draw(
        gain, images=40
    ):  # PSNR of images without, and with each of three lambdas, one of which gains something
        gains = np.r_[0, rng.permutation([gain, 0, 0])]
        return (
            rng.normal(30, 2.5, (images, 1))
            + gains
            + np.c_[np.zeros(images), rng.normal(0, 0.3, (images, 3))]
        )

    def mean(gain):
        found = [answer(draw(gain)) for _ in range(300)]
        require(
            isinstance(found[0], str) or np.ndim(found[0]) == 0,
            "return one number, the gain in dB, not an array.",
        )
        values = np.array([float(numbers(each, (), "the gain")) for each in found])
        require(
            not (values == values.round()).all(),
            f"you return {values[0]:.0f}, a whole number: that is the place of a lambda. Return "
            "what it gains.",
        )
        return float(values.mean())

    idle, useful = mean(0.0), mean(0.4)
    require(
        abs(idle) < 5,
        f"you return {idle:.1f}: that is a PSNR; the gain is its difference from column 0, image "
        "by image.",
    )
    require(
        useful > -0.2,
        f"a lambda that gains 0.4 dB comes out as {useful:.2f}: reverse the difference.",
    )
    require(
        idle < 0.02,
        f"three lambdas that change nothing gain {idle:.3f} dB on average with your rule: the same "
        "images choose the best one and "
        "measure it. Let one half choose and the other half measure.",
    )
    require(
        idle > -0.02,
        f"three lambdas that change nothing lose {-idle:.3f} dB on average: choose the best, not "
        "the worst.",
    )
    require(
        abs(useful - 0.4) < 0.03,
        f"one lambda of three gains 0.4 dB and you report {useful:.2f}: return the gain of the one "
        "that you would choose, not "
        "of all or of a fixed one.",
    )
    return (
        f"{idle:+.3f} dB where there is nothing to gain, {useful:.2f} where there are 0.40: the "
        "choice no longer rewards itself."
    )


CHECKS = {
    "07.1": _logits_of_a_kernel,
    "07.2": _tell_a_copier,
    "07.3": _honest_gain,
}
