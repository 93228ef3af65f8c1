"""The losses that training minimises.

The pixel, perceptual and position losses are SVDN's (Yuan et al., CVPR 2020, eq. 6-10 and Algorithm
1), the consistency loss is ASPDC's (Huo et al., CVPRW 2022, eq. 5-7).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .ops import sampling_points

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EPSILON = 1e-6  # smallest distance of a point to a segment, in the unit of the points


PSNR_FLOOR = 1e-4


def pixel_loss(output: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
    """Compute L_pixel = ||output - sharp||_F^2 / (2 N), N = number of elements (SVDN eq. 8).

    Args:
        output: The network's output, any shape.
        sharp: The target, of the same shape.

    Returns:
        Half the mean squared error, a scalar.
    """
    return F.mse_loss(output, sharp) / 2


def psnr_loss(output: torch.Tensor, sharp: torch.Tensor, floor: float = PSNR_FLOOR) -> torch.Tensor:
    """Compute the mean over images of 10 log10(MSE + floor), the negative PSNR in dB.

    The squared error is dominated by the images that are blurred most and can be restored least;
    in this loss, a decibel counts the same in each image. As the term of HINet (Chen et al., 2021);
    the floor, which is ours, keeps sharp images from dominating instead.

    Args:
        output: (B, 3, H, W), the network's output.
        sharp: The target, of the same shape.
        floor: Mean squared error that is added; the default corresponds to 40 dB.

    Returns:
        The loss in dB, a scalar.
    """
    errors = (output - sharp).square().flatten(1).mean(1)
    return 10 * torch.log10(errors + floor).mean()


def reblurring_loss(reblurred: torch.Tensor, blurry: torch.Tensor) -> torch.Tensor:
    """Compute how far a reblurred image is from the blurry one (ASPDC eq. 6).

    Args:
        reblurred: I_r = R(I_b, I_d), the deblurred image blurred again, any shape.
        blurry: I_b, of the same shape.

    Returns:
        Half the mean squared error, a scalar, on the scale of `pixel_loss`.
    """
    return pixel_loss(reblurred, blurry)


def weighted_sum(terms: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """Add the terms of a loss (SVDN eq. 7, ASPDC eq. 7).

    Args:
        terms: The terms by name, scalars; they are added in this order.
        weights: The factor of each term, by the same names.

    Returns:
        sum_i weight_i term_i, a scalar.
    """
    weighted = [weights[name] * term for name, term in terms.items()]
    return sum(weighted[1:], weighted[0])


def consistency_loss(
    deblurred: torch.Tensor,
    sharp: torch.Tensor,
    reblurred: torch.Tensor,
    blurry: torch.Tensor,
    weight: float = 0.1,
    imagenet_scale: bool = False,
) -> torch.Tensor:
    """Compute L_consistency = MSE(I_d, I_s) + lambda MSE(I_r, I_b) (ASPDC eq. 5-7).

    Images are (B, 3, H, W) in [0, 1] and compared in [-1, 1], so that the loss is 8 times the
    weighted sum of `pixel_loss` and `reblurring_loss`, which training minimises. Differs from the
    paper: its squared norms are sums, here and in the released code they are means; that code
    divides [0, 1] images by ImageNet's deviations instead, which makes the loss 4.90 times as
    large.

    Args:
        deblurred: I_d.
        sharp: I_s.
        reblurred: I_r = R(I_b, I_d) by a trained reblurring network whose parameters are frozen
            while the gradient passes to I_d.
        blurry: I_b.
        weight: lambda.
        imagenet_scale: Divide by ImageNet's deviations, as the released code does.

    Returns:
        The loss, a scalar.
    """
    unit = torch.tensor(IMAGENET_STD).view(3, 1, 1).to(sharp) if imagenet_scale else 0.5
    terms = {
        "pixel": pixel_loss(deblurred / unit, sharp / unit),
        "consistency": reblurring_loss(reblurred / unit, blurry / unit),
    }
    return 2 * weighted_sum(terms, {"pixel": 1.0, "consistency": weight})


def point_segment_distance(
    points: torch.Tensor, ends: torch.Tensor, epsilon: float = EPSILON
) -> torch.Tensor:
    """Compute the distance of points P to the segments from the origin to D.

        t = clamp(P.D / D.D, 0, 1),   d = sqrt(|P - t D|^2 + epsilon^2)

    It is exact to epsilon for every D, including zero and vertical ones, and its gradient is finite
    everywhere (0 on the segment). Differs from the paper: Algorithm 1 as printed is wrong under
    every reading of (u, v), see `printed_algorithm_1`.

    Args:
        points: P, (..., 2) as (x, y).
        ends: D, (..., 2) as (x, y); the other axes of both broadcast.
        epsilon: Smallest distance, in the unit of the points.

    Returns:
        (...), in the unit of the points.

    Example:
        >>> point_segment_distance(torch.tensor([3.0, 4.0]), torch.tensor([6.0, 0.0])).item()
        4.0
    """
    along = (points * ends).sum(-1, keepdim=True) / ((ends * ends).sum(-1, keepdim=True) + 1e-12)
    away = points - along.clamp(0, 1) * ends
    return ((away * away).sum(-1) + epsilon**2).sqrt()


def printed_algorithm_1(points: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Compute SVDN's Algorithm 1 to the letter, with (u, v) = (right, down), for comparison only.

    Lines 1 and 3 hold for (u, v) = (down, right), lines 2 and 6 for (right, down): no reading makes
    all of them correct. Zero flow causes a division by zero, and a vertical one always passes the
    range test of line 2.

    Args:
        points: (..., 2) as (x, y).
        ends: (..., 2) as (u, v), of the same shape.

    Returns:
        The printed "distance", (...).
    """
    (x, y), (u, v) = points.unbind(-1), ends.unbind(-1)
    foot = (u * v * y + v**2 * x) / (u**2 + v**2)  # line 1
    inside = (foot >= u.clamp(max=0)) & (foot <= u.clamp(min=0))  # line 2
    perpendicular = (u * x - v * y).abs() / (u**2 + v**2).sqrt()  # line 3
    to_start = (x**2 + y**2).sqrt()  # line 5
    to_end = ((x - u) ** 2 + (y - v) ** 2).sqrt()  # line 6
    return torch.where(inside, perpendicular, torch.minimum(to_start, to_end))


def position_distance(
    offsets: torch.Tensor, flow_previous: torch.Tensor, flow_next: torch.Tensor
) -> torch.Tensor:
    """Compute min(d_i1, d_i2) of SVDN eq. 6: how far each sampling point is from the flow.

    The distance is that to the nearer of the two flow segments, which carry no gradient. Values and
    gradients are those of `point_segment_distance`, but the nearest point of the segment is held
    fixed: to first order it does not change the distance as it moves along the segment.

    Args:
        offsets: (B, 2*K*K, h, w) as (dy, dx) of a K x K layer, in its feature pixels.
        flow_previous: (B, 2, h, w) as (u, v) to the previous frame, in feature pixels at the
            layer's resolution (see `flow_to_features`).
        flow_next: The same to the next frame.

    Returns:
        (B, K*K, h, w) in feature pixels.

    Raises:
        ValueError: If the flows do not have the layer's resolution.
    """
    if flow_previous.shape != flow_next.shape or flow_next.shape[-2:] != offsets.shape[-2:]:
        raise ValueError(
            f"Offsets {tuple(offsets.shape)} and flows {tuple(flow_previous.shape)}, "
            f"{tuple(flow_next.shape)} differ in size: bring the flows to the layer's resolution "
            "with flow_to_features."
        )
    dy, dx = (each.contiguous() for each in offsets.unflatten(1, (-1, 2)).unbind(2))
    grid_x, grid_y = sampling_points(torch.zeros_like(offsets[:1, :, :1, :1])).unbind(1)
    x, y = dx + grid_x, dy + grid_y
    with torch.no_grad():
        to_previous, to_next = (_nearest(x, y, flow) for flow in (flow_previous, flow_next))
        nearer = (to_previous.squared <= to_next.squared).to(x.dtype)
        foot_x = nearer * to_previous.x + (1 - nearer) * to_next.x
        foot_y = nearer * to_previous.y + (1 - nearer) * to_next.y
    return ((x - foot_x).square() + (y - foot_y).square() + EPSILON**2).sqrt()


class _Foot(NamedTuple):
    """The nearest point of a segment, and its squared distance."""

    x: torch.Tensor
    y: torch.Tensor
    squared: torch.Tensor


def _nearest(x: torch.Tensor, y: torch.Tensor, flow: torch.Tensor) -> _Foot:
    """The point of the segment from 0 to the flow (B, 2, h, w) that is nearest to (x, y)."""
    u, v = flow[:, :1], flow[:, 1:]
    t = ((x * u).add_(y * v)).div_(u * u + v * v + 1e-12).clamp_(0, 1)
    foot_x, foot_y = t * u, t * v
    return _Foot(foot_x, foot_y, (x - foot_x).square_().add_((y - foot_y).square_()))


def position_loss(
    offsets: torch.Tensor, flow_previous: torch.Tensor, flow_next: torch.Tensor, margin: float = 1.0
) -> torch.Tensor:
    """Compute L_position = mean of max(min(d_i1, d_i2), M) (SVDN eq. 6, 10).

    It pulls sampling points onto the bi-directional flow. Its lowest value is M, not 0: points
    within the margin are free. Differs from the paper: it gives no M; 1 feature pixel (2 image
    pixels) is our choice.

    Args:
        offsets: (B, 2*K*K, h, w) as (dy, dx), in feature pixels.
        flow_previous: (B, 2, h, w) as (u, v) to the previous frame, in feature pixels.
        flow_next: The same to the next frame.
        margin: M, in feature pixels.

    Returns:
        The loss in feature pixels, a scalar.

    Raises:
        ValueError: If the flows do not have the layer's resolution.
    """
    return position_distance(offsets, flow_previous, flow_next).clamp(min=margin).mean()


def flow_to_features(flow: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bring flow to half the resolution, in feature pixels.

    A stride-2 convolution with padding 1 centres feature (i, j) on pixel (2i, 2j): the flow is
    smoothed over 3x3 pixels, every second vector is taken, and halved, since one feature pixel is
    two image pixels.

    Args:
        flow: (B, 2, H, W) in image pixels.
        size: (h, w) of the features.

    Returns:
        (B, 2, h, w) in feature pixels.

    Raises:
        ValueError: If the size is not half of the flow's, rounded up, or one pixel less.
    """
    smooth = F.avg_pool2d(F.pad(flow, (1, 1, 1, 1), mode="replicate"), 3, stride=2)
    height, width = size
    if smooth.shape[-2] - height not in (0, 1) or smooth.shape[-1] - width not in (0, 1):
        raise ValueError(
            f"A flow of size {tuple(flow.shape[-2:])} has no half-resolution map of size "
            f"{tuple(size)}: give the size of features with stride 2."
        )
    return 0.5 * smooth[..., :height, :width]


class PerceptualLoss(nn.Module):
    """L_percep = ||phi(output) - phi(sharp)||_F^2 / (2 N), N = number of features (SVDN eq. 9).

    phi are features of VGG-16, whose input is normalised by ImageNet's mean and deviation. Differs
    from the paper: "the 12-th layer" can be counted in six ways; index 12 (conv3_2 before its ReLU)
    is our choice.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, layer: int = 12, weights: str | Path = "cached") -> None:
        """Load the features.

        Args:
            layer: Index in torchvision's `vgg16().features` of the last layer that is used.
            weights: See `vgg16_features`.
        """
        super().__init__()
        self.features = vgg16_features(weights)[: layer + 1].eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, output: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
        """Compare the features of two images.

        Args:
            output: (B, 3, H, W) in [0, 1].
            sharp: The target, of the same shape.

        Returns:
            The loss, a scalar.
        """
        both = self.features((torch.cat([output, sharp]) - self.mean) / self.std)
        return pixel_loss(*both.chunk(2))


def vgg16_features(weights: str | Path = "cached") -> nn.Sequential:
    """Build VGG-16's convolutions with ImageNet weights, without downloading them.

    Args:
        weights: "cached" for the file in torch's cache, the path of another file, or "random" for
            seeded random weights, which make the loss a random projection instead of the paper's:
            label such results.

    Returns:
        torchvision's `vgg16().features`.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    from torchvision.models import VGG16_Weights, vgg16

    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            seeded: nn.Sequential = vgg16(weights=None).features
            return seeded
    path = Path(weights)
    if weights == "cached":
        name = Path(VGG16_Weights.IMAGENET1K_V1.url).name
        path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        raise FileNotFoundError(
            f"The perceptual loss needs VGG-16's ImageNet weights, and {path.name} is not in "
            "torch's cache: fetch them once with "
            "torchvision.models.vgg16(weights='IMAGENET1K_V1'), give a path, or set the perceptual "
            "weight to 0 (--perceptual 0)."
        )
    network = vgg16(weights=None)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    trained: nn.Sequential = network.features
    return trained
