"""Probes that tell whether a reblurring network blurs its sharp input or copies the blurry one."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..evaluation import psnr

Reblurring = Callable[[Tensor, Tensor], Tensor]  # R(blurry, sharp) -> blurry


def mean_psnr(pictures: Tensor, references: Tensor) -> float:
    """Average `evaluation.psnr` over a batch.

    Args:
        pictures: (B, 3, H, W) RGB in [0, 1].
        references: The same shape.

    Returns:
        The mean over the batch of the PSNR of each image, in dB.
    """
    values = [psnr(*pair) for pair in zip(pictures, references, strict=True)]
    return sum(values) / len(values)


def identity_probes(network: Reblurring, blurry: Tensor, sharp: Tensor) -> dict[str, float]:
    """Measure whether a reblurring network R reblurs or copies (ASPDC section 3.3).

    Below, s' is the sharp image of another pair, and 0 stands for mid-grey.

    Args:
        network: R, called with blurry and sharp images.
        blurry: (B, 3, H, W) RGB in [0, 1], B >= 2.
        sharp: The sharp images of the same pairs.

    Returns:
        Means over the pairs, PSNR in dB except for "leak":

        "reblurred": R(b, s) against b. High for copying and for reblurring.
        "other_blurry": R(b, s') against b. High: R copies b.
        "other_sharp": R(b, s') against s'. High: R uses its sharp input.
        "grey": R(b, 0) against b. High: R copies b.
        "leak": correlation of R(b, 0) with b over the pixels of an image, in grey. High: R shows
            b, however faintly.
        "no_blur": R(s, s) against s.
        "unaided": R(s, s) against b. No lower than "reblurred": R makes no use of b.
        "baseline": s against b, the result of doing nothing.

    Raises:
        ValueError: If there are fewer than two pairs.
    """
    if len(blurry) < 2:
        raise ValueError(
            "identity_probes swaps the sharp images of different pairs: give at least two pairs."
        )
    other = sharp.roll(1, 0)
    with torch.no_grad():
        reblurred = network(blurry, sharp)
        swapped, unaided = network(blurry, other), network(sharp, sharp)
        from_grey = network(blurry, torch.full_like(sharp, 0.5))
    grey, blurry_grey = (
        (picture - picture.mean((1, 2, 3), True)).mean(1).flatten(1)
        for picture in (from_grey, blurry)
    )
    return {
        "reblurred": mean_psnr(reblurred, blurry),
        "other_blurry": mean_psnr(swapped, blurry),
        "other_sharp": mean_psnr(swapped, other),
        "grey": mean_psnr(from_grey, blurry),
        "leak": F.cosine_similarity(grey, blurry_grey).mean().item(),
        "no_blur": mean_psnr(unaided, sharp),
        "unaided": mean_psnr(unaided, blurry),
        "baseline": mean_psnr(sharp, blurry),
    }


def gradient_ratio(
    network: Reblurring, blurry: Tensor, sharp: Tensor, projections: int = 4, seed: int = 0
) -> float:
    """Compare how much a reblurring network R depends on its two inputs.

    Args:
        network: R, called with blurry and sharp images.
        blurry: (B, 3, H, W) RGB in [0, 1].
        sharp: The sharp images of the same pairs.
        projections: Number of random directions that estimate the norms of the Jacobians.
        seed: Seed of these directions.

    Returns:
        |dR/ds| / |dR/db|, Frobenius norms: near 0 if R copies the blurry image.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = [picture.detach().clone().requires_grad_() for picture in (blurry, sharp)]
    output, energy = network(*inputs), torch.zeros(2, dtype=torch.float64)
    for _ in range(projections):
        direction = torch.randn(output.shape, generator=generator).to(output)
        gradients = torch.autograd.grad(output, inputs, direction, retain_graph=True)
        energy += torch.stack([gradient.double().square().sum().cpu() for gradient in gradients])
    return float((energy[1] / energy[0]).sqrt())


def filter_radius(filters: Sequence[Tensor]) -> Tensor:
    """Compute the rms radius of all filters of a reblurring network, run one after the other.

    sqrt(sum_i scale_i^2 var_i): variances of filters in a row add up; scale_i = pixels that a tap
    of stage i is wide.

    Args:
        filters: "filters" of `Reblur.extras`: maps (B, 9, h, w) of 3x3 filters, the first at full
            resolution.

    Returns:
        (B, H, W), in pixels of the image.
    """
    tap = torch.arange(-1, 2).to(filters[0])
    down, right = (axis.flatten() for axis in torch.meshgrid(tap, tap, indexing="ij"))
    height, width = filters[0].shape[-2:]
    total = filters[0].new_zeros(len(filters[0]), height, width)
    for taps in filters:  # (B, 9, h, w)
        mean_square, mean_down, mean_right = (
            torch.einsum("bkhw,k->bhw", taps, each) for each in (down**2 + right**2, down, right)
        )
        variance = mean_square - mean_down.square() - mean_right.square()
        scale = height / taps.shape[-2]
        total = total + scale**2 * F.interpolate(variance[:, None], (height, width))[:, 0]
    return total.clamp(min=0).sqrt()
