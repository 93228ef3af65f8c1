"""Motion information in features: rank correlations, and linear probes judged on unseen scenes.

Features are maps (K, h, w) at half resolution, as are SVRNN's weights and most layers of these
networks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from ..data.flow import dis_flow
from ..data.scenes import Scene

if TYPE_CHECKING:
    import torch


def reach(network: "torch.nn.Module", picture: "torch.Tensor", row: int, column: int) -> np.ndarray:
    """Return |d output at one pixel / d input|, summed over channels.

    Args:
        network: (B, 3, H, W) -> the same.
        picture: (3, H, W).
        row: Row of the output pixel.
        column: Column of the output pixel.

    Returns:
        (H, W).
    """
    import torch

    device = next(network.parameters()).device
    blurry = picture[None].detach().clone().to(device).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(blurry)[0, :, row, column].sum(), blurry)
    return gradient[0].abs().sum(0).cpu().numpy()


def half(array: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels.

    Args:
        array: (H, W, …) with even H and W.

    Returns:
        (H/2, W/2, …).
    """
    height, width, *rest = array.shape
    return array.reshape(height // 2, 2, width // 2, 2, *rest).mean((1, 3))


def motion_maps(scene: Scene) -> dict[str, np.ndarray]:
    """Return the exact blur of a scene at half resolution: its length and its axis.

    Blur does not tell forwards from backwards. With a the angle of the motion, length * cos 2a is
    positive for horizontal and negative for vertical motion; length * sin 2a tells the two
    diagonals apart.

    Args:
        scene: A rendered scene of even height and width.

    Returns:
        Maps (h, w) in pixels by name: "length", "horizontal or vertical", "which diagonal".
    """
    u, v = np.moveaxis(scene.flow_next - scene.flow_previous, -1, 0)
    axis = 2 * np.arctan2(v, u)
    maps = {
        "length": np.ones_like(axis),
        "horizontal or vertical": np.cos(axis),
        "which diagonal": np.sin(axis),
    }
    return {name: half(scene.blur_extent * values) for name, values in maps.items()}


def flow_by_dis(scene: Scene) -> np.ndarray:
    """Estimate the motion of a scene from its sharp neighbouring frames.

    This is the positive control of every probe: a feature that is known to hold the motion.

    Args:
        scene: A rendered scene of even height and width.

    Returns:
        (3, h, w): the maps of `motion_maps`, with the estimated flow in place of the exact one.
    """
    before, after = (dis_flow(scene.sharp, other) for other in (scene.previous, scene.next))
    length = np.linalg.norm(after - before, axis=-1) / 2
    estimated = replace(scene, flow_previous=before, flow_next=after, blur_extent=length)
    return np.stack([*motion_maps(estimated).values()])


def image_statistics(picture: np.ndarray, scales: Sequence[float] = (1, 2, 4)) -> np.ndarray:
    """Describe an image without a network: grey value and gradients.

    This is the baseline of every probe: blur shows in gradients, so a feature that repeats them
    adds no information.

    Args:
        picture: (H, W, 3) with even H and W.
        scales: Standard deviations in pixels of the Gaussians that smooth the gradients.

    Returns:
        (1 + 3 per scale, h, w): grey value; then |gradient| to the right and downwards, and which
        of the two is larger.
    """
    grey = half(picture.mean(-1))
    down, right = (np.abs(g) for g in np.gradient(grey))
    maps = [grey]
    for sigma in scales:
        d, r = gaussian_filter(down, sigma), gaussian_filter(right, sigma)
        maps += [r, d, (r - d) / (r + d + 1e-3)]
    return np.stack(maps)


@dataclass(frozen=True)
class Pixels:
    """Pixels of many scenes.

    Attributes:
        features: Features (K, N) by name.
        motion: Motion (N,) by name, see `motion_maps`.
        scene: (N,) number of the scene of each pixel.
    """

    features: dict[str, np.ndarray]
    motion: dict[str, np.ndarray]
    scene: np.ndarray

    def within(self) -> "Pixels":
        """Subtract the mean of each scene, which leaves the variation within an image.

        Returns:
            The same pixels, centred per scene.
        """
        count = np.bincount(self.scene)

        def centred(values: np.ndarray) -> np.ndarray:
            means = (
                np.stack([np.bincount(self.scene, row) for row in np.atleast_2d(values)]) / count
            )
            return (np.atleast_2d(values) - means[:, self.scene]).reshape(values.shape)

        return Pixels(
            {name: centred(values) for name, values in self.features.items()},
            {name: centred(values) for name, values in self.motion.items()},
            self.scene,
        )


def sample_pixels(
    scenes: Iterable[Scene], features: Mapping[str, Callable[[Scene], np.ndarray]], every: int = 4
) -> Pixels:
    """Collect features and motion at every n-th pixel of some scenes.

    Args:
        scenes: Rendered scenes.
        features: Functions by name that give the feature maps (K, h, w) of a scene.
        every: Distance in feature pixels between samples, in both directions.

    Returns:
        The pixels of all scenes.
    """
    kept: dict[str, list[np.ndarray]] = {name: [] for name in features}
    motion: list[dict[str, np.ndarray]] = []
    numbers: list[np.ndarray] = []
    for number, scene in enumerate(scenes):
        for name, function in features.items():
            kept[name].append(_thin(function(scene), every))
        motion.append(
            {name: _thin(values[None], every)[0] for name, values in motion_maps(scene).items()}
        )
        numbers.append(np.full(len(motion[-1]["length"]), number))
    return Pixels(
        {name: np.concatenate(values, -1) for name, values in kept.items()},
        {name: np.concatenate([m[name] for m in motion]) for name in motion[0]},
        np.concatenate(numbers),
    )


def _thin(maps: np.ndarray, every: int) -> np.ndarray:
    """Every n-th pixel of maps (K, h, w): (K, n)."""
    return np.asarray(maps, np.float64)[:, every // 2 :: every, every // 2 :: every].reshape(
        len(maps), -1
    )


def rank_correlations(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each feature with a target.

    Args:
        features: (K, N).
        target: (N,).

    Returns:
        (K,); 0 for a constant feature.
    """
    x, y = (rankdata(a, axis=-1) for a in (features, target))
    x, y = (a - a.mean(-1, keepdims=True) for a in (x, y))
    norm = np.sqrt((x**2).sum(-1) * (y**2).sum())
    return np.divide(x @ y, norm, out=np.zeros(len(x)), where=norm > 0)


def probe(
    fit: Pixels, judge: Pixels, features: Iterable[str], motion: str, ridge: float = 1e-2
) -> float:
    """Return R² of a ridge regression from features to motion on scenes it was not fitted on.

    R² = 1 - mean squared error / variance of the target. Predicting the mean reaches 0; R² may be
    negative.

    Args:
        fit: Pixels that the regression is fitted on.
        judge: Pixels that it is judged on.
        features: Names of the features to use.
        motion: Name of the quantity to predict.
        ridge: Penalty per pixel for standardised features.

    Returns:
        R² on `judge`.
    """
    exact = judge.motion[motion]
    return float(
        1 - np.mean((exact - predict(fit, judge, features, motion, ridge)) ** 2) / exact.var()
    )


def predict(
    fit: Pixels, judge: Pixels, features: Iterable[str], motion: str, ridge: float = 1e-2
) -> np.ndarray:
    """Predict a quantity of the motion by the regression of `probe`.

    Args:
        fit: Pixels that the regression is fitted on.
        judge: Pixels to predict for.
        features: Names of the features to use.
        motion: Name of the quantity to predict.
        ridge: Penalty per pixel for standardised features.

    Returns:
        (N,) predictions for the pixels of `judge`.
    """
    x, x_judge = (
        np.concatenate([pixels.features[name] for name in features]) for pixels in (fit, judge)
    )
    y = fit.motion[motion]
    mean, scale = x.mean(-1, keepdims=True), x.std(-1, keepdims=True) + 1e-9
    x, x_judge = (x - mean) / scale, (x_judge - mean) / scale
    weights = np.linalg.solve(x @ x.T + ridge * x.shape[1] * np.eye(len(x)), x @ (y - y.mean()))
    return weights @ x_judge + y.mean()
