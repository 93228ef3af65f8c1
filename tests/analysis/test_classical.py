import numpy as np
import pytest

from deblurlib import theory
from deblurlib.analysis import classical
from deblurlib.data import SceneDataset, to_tensor
from deblurlib.data.samples import Sample
from deblurlib.evaluation import psnr


@pytest.fixture(scope="module")
def uniform():
    """A picture blurred by one straight kernel that is among the oracle's, with a little noise."""
    sharp = SceneDataset("test", 1, 96, variant="blur").scene(0).sharp
    kernel = theory.line_kernel(11, 0)  # horizontal: a mirrored border keeps it
    channels = [np.pad(channel, 16, mode="reflect") for channel in np.moveaxis(sharp, -1, 0)]
    blurry = np.dstack([theory.convolve(channel, kernel)[16:-16, 16:-16] for channel in channels])
    blurry += np.random.default_rng(0).normal(0, 0.01, blurry.shape)
    return Sample(
        blurry=to_tensor(blurry.astype(np.float32)), sharp=to_tensor(sharp), name="uniform"
    )


def test_the_oracle_finds_the_kernel_of_a_uniform_blur(uniform):
    length, angle, _ = classical.best_kernel(uniform)
    assert (length, angle) == (11, 0)


@pytest.mark.parametrize("method", classical.ORACLES)
def test_a_uniform_blur_is_undone(uniform, method):
    restored = classical.ORACLES[method](uniform)
    assert (
        restored.picture.shape == (96, 96, 3)
        and 0 <= restored.picture.min() <= restored.picture.max() <= 1
    )
    assert psnr(restored.picture, uniform.sharp) > psnr(uniform.blurry, uniform.sharp) + 1
    assert "11 pixels at 0 degrees" in restored.choice
