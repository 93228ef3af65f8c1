"""What training minimises: pixel, perceptual and position loss of SVDN (Yuan et al., CVPR 2020, eq. 6-10, Algorithm 1),
consistency loss of ASPDC (Huo et al., CVPRW 2022, eq. 5-7)."""

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from .ops import sampling_points


def pixel_loss(output: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
    """L_pixel = ||output - sharp||_F^2 / (2 N), N = number of elements: half the mean squared error (SVDN eq. 8)."""
    return F.mse_loss(output, sharp) / 2


def point_segment_distance(
    points: torch.Tensor, ends: torch.Tensor, epsilon: float = 1e-6
) -> torch.Tensor:
    """Distance of points P to the segments from the origin to D; the last axis of both is (x, y), the others broadcast.

        t = clamp(P.D / D.D, 0, 1),   d = sqrt(|P - t D|^2 + epsilon^2)

    Exact to epsilon for every D, zero and vertical ones too, with a finite gradient everywhere (0 on the segment).
    Differs from the paper: Algorithm 1 as printed is wrong under every reading of (u, v): see `printed_algorithm_1`.

    >>> point_segment_distance(torch.tensor([3.0, 4.0]), torch.tensor([6.0, 0.0])).item()
    4.0
    """
    along = (points * ends).sum(-1, keepdim=True) / ((ends * ends).sum(-1, keepdim=True) + 1e-12)
    away = points - along.clamp(0, 1) * ends
    return ((away * away).sum(-1) + epsilon**2).sqrt()


def printed_algorithm_1(points: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """SVDN's Algorithm 1 to the letter, with (u, v) = (right, down), for comparison only.

    Lines 1 and 3 hold for (u, v) = (down, right), lines 2 and 6 for (right, down): no reading makes all of them right. Zero
    flow divides by zero, and a vertical one passes the range test of line 2 always.
    """
    (x, y), (u, v) = points.unbind(-1), ends.unbind(-1)
    foot = (u * v * y + v**2 * x) / (u**2 + v**2)  # line 1
    inside = (foot >= u.clamp(max=0)) & (foot <= u.clamp(min=0))  # line 2
    perpendicular = (u * x - v * y).abs() / (u**2 + v**2).sqrt()  # line 3
    to_an_end = torch.minimum(
        (x**2 + y**2).sqrt(), ((x - u) ** 2 + (y - v) ** 2).sqrt()
    )  # lines 5 to 7
    return torch.where(inside, perpendicular, to_an_end)


def position_distance(
    offsets: torch.Tensor, flow_previous: torch.Tensor, flow_next: torch.Tensor
) -> torch.Tensor:
    """min(d_i1, d_i2) of eq. 6: how far each sampling point is from the nearer of the two flow segments.

    offsets (B, 2*K*K, h, w) as (dy, dx) of a K x K layer; flows (B, 2, h, w) as (u, v), all in feature pixels at the
    layer's resolution (see `flow_to_features`). Returns (B, K*K, h, w) in feature pixels.
    """
    if flow_previous.shape != flow_next.shape or flow_next.shape[-2:] != offsets.shape[-2:]:
        raise ValueError(
            f"Offsets {tuple(offsets.shape)} and flows {tuple(flow_previous.shape)}, {tuple(flow_next.shape)} differ in size: "
            "bring the flows to the layer's resolution with flow_to_features."
        )
    points = sampling_points(offsets).movedim(1, -1)  # (B, K*K, h, w, 2)
    segments = [
        flow.detach().movedim(1, -1)[:, None] for flow in (flow_previous, flow_next)
    ]  # (B, 1, h, w, 2)
    return torch.minimum(*(point_segment_distance(points, ends) for ends in segments))


def position_loss(
    offsets: torch.Tensor, flow_previous: torch.Tensor, flow_next: torch.Tensor, margin: float = 1.0
) -> torch.Tensor:
    """L_position = mean of max(min(d_i1, d_i2), M): pulls sampling points onto the bi-directional flow (SVDN eq. 6, 10).

    Shapes and units as in `position_distance`; margin M in feature pixels. Its lowest value is M, not 0: points within
    the margin are free. Differs from the paper: the paper gives no M; 1 feature pixel (2 image pixels) is our choice.
    """
    return position_distance(offsets, flow_previous, flow_next).clamp(min=margin).mean()


def consistency_loss(
    deblurred: torch.Tensor,
    sharp: torch.Tensor,
    reblurred: torch.Tensor,
    blurry: torch.Tensor,
    weight: float = 0.1,
    imagenet_scale: bool = False,
) -> torch.Tensor:
    """L_consistency = MSE(I_d, I_s) + lambda MSE(I_r, I_b), lambda = `weight` (ASPDC eq. 5-7).

    Pictures (B, 3, H, W) in [0, 1], compared in [-1, 1]; I_r = R(I_b, I_d) by a trained reblurring network whose parameters
    are switched off while the gradient passes to I_d. Differs from the paper: its squared norms are sums, here and in the
    released code means; that code divides [0, 1] pictures by ImageNet's deviations instead (`imagenet_scale`: 4.90 times).
    """
    unit = torch.tensor(IMAGENET_STD).view(3, 1, 1).to(sharp) if imagenet_scale else 0.5
    return 2 * (
        pixel_loss(deblurred / unit, sharp / unit)
        + weight * pixel_loss(reblurred / unit, blurry / unit)
    )


def flow_to_features(flow: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(B, 2, H, W) flow in image pixels -> (B, 2, h, w) = `size` at half the resolution, in feature pixels.

    A stride-2 convolution with padding 1 centres feature (i, j) on pixel (2i, 2j): smooth 3x3, take every second vector, and
    halve it, since one feature pixel is two image pixels.
    """
    smooth = F.avg_pool2d(F.pad(flow, (1, 1, 1, 1), mode="replicate"), 3, stride=2)
    height, width = size
    if abs(smooth.shape[-2] - height) > 1 or abs(smooth.shape[-1] - width) > 1:
        raise ValueError(
            f"A flow of size {tuple(flow.shape[-2:])} has no half-resolution map of size {tuple(size)}."
        )
    return 0.5 * smooth[..., :height, :width]


# ---------------------------------------------------------------------------------------------------------------------
# Perceptual loss

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """L_percep = ||phi(output) - phi(sharp)||_F^2 / (2 N), phi = VGG-16 features (SVDN eq. 9), N = their number.

    Pictures (B, 3, H, W) in [0, 1], normalised by ImageNet's mean and deviation. layer: index in torchvision's
    `vgg16().features`, the last one used. Differs from the paper: "the 12-th layer" can be counted in six ways; index 12
    (conv3_2 before its ReLU) is our choice. weights: see `vgg16_features`.
    """

    def __init__(self, layer: int = 12, weights: str | Path = "cached"):
        super().__init__()
        self.features = vgg16_features(weights)[: layer + 1].eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, output, sharp):
        both = self.features((torch.cat([output, sharp]) - self.mean) / self.std)
        return F.mse_loss(*both.chunk(2)) / 2


def vgg16_features(weights: str | Path = "cached") -> nn.Sequential:
    """VGG-16's convolutions with ImageNet weights: from torch's cache ("cached"), from a file, or "random" (seeded).

    Never downloads. With "random" the loss is a random projection, not the paper's: label results so.
    """
    from torchvision.models import VGG16_Weights, vgg16

    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return vgg16(weights=None).features
    path = Path(weights)
    if weights == "cached":
        path = (
            Path(torch.hub.get_dir())
            / "checkpoints"
            / os.path.basename(VGG16_Weights.IMAGENET1K_V1.url)
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"The perceptual loss needs VGG-16's ImageNet weights, and {path.name} is not in torch's cache: fetch them once with "
            "torchvision.models.vgg16(weights='IMAGENET1K_V1'), give a path, or set the perceptual weight to 0 (--perceptual 0)."
        )
    network = vgg16(weights=None)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.features
