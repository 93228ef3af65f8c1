"""What features know of the motion: rank correlations, and linear probes that are judged on scenes they have not seen.

Features are maps (K, h, w) at half resolution, as SVRNN's weights and most layers of these networks are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from ..data.scenes import Scene


def reach(network, picture, row: int, column: int) -> np.ndarray:
    """|d output at one pixel / d input| of a network on a picture (3, H, W), summed over channels, (H, W): where it looks."""
    import torch

    device = next(network.parameters()).device
    blurry = picture[None].detach().clone().to(device).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(blurry)[0, :, row, column].sum(), blurry)
    return gradient[0].abs().sum(0).cpu().numpy()


def half(array: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels: (H, W, …) with even H and W -> (H/2, W/2, …)."""
    height, width, *rest = array.shape
    return array.reshape(height // 2, 2, width // 2, 2, *rest).mean((1, 3))


def motion_maps(scene: Scene) -> dict[str, np.ndarray]:
    """The exact blur of a scene at half resolution, (h, w): the length of its path, and the axis that it lies on.

    Blur does not tell forth from back. So with a the angle of the motion, length * cos 2a is positive for horizontal motion
    and negative for vertical, length * sin 2a tells the two diagonals apart.
    """
    u, v = np.moveaxis(scene.flow_next - scene.flow_previous, -1, 0)
    axis = 2 * np.arctan2(v, u)
    maps = {
        "length": np.ones_like(axis),
        "horizontal or vertical": np.cos(axis),
        "which diagonal": np.sin(axis),
    }
    return {name: half(scene.blur_extent * values) for name, values in maps.items()}


def image_statistics(picture: np.ndarray, scales=(1, 2, 4)) -> np.ndarray:
    """What a picture (H, W, 3) shows without a network, (1 + 3 a scale, h, w): grey value; |gradient| right, down, the larger.

    The baseline of every probe: blur shows in gradients, so a feature that repeats them knows nothing new.
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
    """Pixels of many scenes: features by name (K, N), motion by name (N,), and which scene each is of (N,)."""

    features: dict[str, np.ndarray]
    motion: dict[str, np.ndarray]
    scene: np.ndarray

    def within(self) -> "Pixels":
        """The same with each scene's own mean taken off: what varies inside a picture is left."""
        count = np.bincount(self.scene)

        def centred(values):
            means = (
                np.stack([np.bincount(self.scene, row) for row in np.atleast_2d(values)]) / count
            )
            return (np.atleast_2d(values) - means[:, self.scene]).reshape(values.shape)

        return Pixels(
            *({k: centred(v) for k, v in part.items()} for part in (self.features, self.motion)),
            self.scene,
        )


def sample_pixels(
    scenes: Iterable[Scene], features: dict[str, Callable[[Scene], np.ndarray]], every: int = 4
) -> Pixels:
    """Every `every`-th pixel each way of the feature maps and of the motion of some scenes; see `Pixels`."""
    kept, motion, numbers = {name: [] for name in features}, [], []
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


def _thin(maps, every):
    return np.asarray(maps, np.float64)[:, every // 2 :: every, every // 2 :: every].reshape(
        len(maps), -1
    )


def rank_correlations(features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each of K features (K, N) with a target (N,); 0 for a constant feature."""
    x, y = (rankdata(a, axis=-1) for a in (features, target))
    x, y = (a - a.mean(-1, keepdims=True) for a in (x, y))
    norm = np.sqrt((x**2).sum(-1) * (y**2).sum())
    return np.divide(x @ y, norm, out=np.zeros(len(x)), where=norm > 0)


def probe(
    fit: Pixels, judge: Pixels, features: Iterable[str], motion: str, ridge: float = 1e-2
) -> float:
    """R² on `judge` of the ridge regression from some features to one quantity of the motion, fitted on `fit`.

    R² = 1 - mean squared error / variance of the target: 0 is what its mean would reach, and it may be negative.
    """
    exact = judge.motion[motion]
    return float(
        1 - np.mean((exact - predict(fit, judge, features, motion, ridge)) ** 2) / exact.var()
    )


def predict(
    fit: Pixels, judge: Pixels, features: Iterable[str], motion: str, ridge: float = 1e-2
) -> np.ndarray:
    """What that regression says of the pixels of `judge`, (N,). ridge: the penalty for standardised features, per pixel."""
    x, x_judge = (
        np.concatenate([pixels.features[name] for name in features]) for pixels in (fit, judge)
    )
    y = fit.motion[motion]
    mean, scale = x.mean(-1, keepdims=True), x.std(-1, keepdims=True) + 1e-9
    x, x_judge = (x - mean) / scale, (x_judge - mean) / scale
    weights = np.linalg.solve(x @ x.T + ridge * x.shape[1] * np.eye(len(x)), x @ (y - y.mean()))
    return weights @ x_judge + y.mean()
