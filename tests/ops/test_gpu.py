"""Operators and a training on a GPU against the reference in double precision on the processor."""

import pytest
import torch

from deblurlib import ops
from deblurlib.training import Experiment, fit

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def tensors(*shapes):
    generator = torch.manual_seed(0)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [tensor.requires_grad_() for tensor in made]


CASES = {
    "deform_conv2d": (
        lambda x, o, w, b, m: ops.deform_conv2d(x, 2 * o, w, b, padding=1, mask=m.sigmoid()),
        [(2, 8, 13, 17), (2, 18, 13, 17), (6, 8, 3, 3), (6,), (2, 9, 13, 17)],
    ),
    "spatial_rnn": (
        lambda x, p: ops.spatial_rnn(x, p.tanh(), "right"),
        [(2, 4, 13, 70), (2, 4, 13, 70)],
    ),
    "dynamic_filter": (
        ops.dynamic_filter,
        [(2, 4, 13, 17), (2, 9, 13, 17)],
    ),
    "prelu": (ops.prelu, [(2, 4, 13, 17), (1,)]),
}


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("name", CASES)
def test_results_and_gradients_equal_the_reference(name, dtype, tolerance):
    operator, shapes = CASES[name]
    exact = [t.detach().to(dtype).double().requires_grad_() for t in tensors(*shapes)]
    rounded = [t.detach().to(DEVICE, dtype).requires_grad_() for t in exact]
    with ops.set_backend("torch"):
        expected = operator(*exact)
        wanted = torch.autograd.grad(expected.square().sum(), exact)
    result = operator(*rounded)
    assert result.device.type == DEVICE
    found = torch.autograd.grad(result.square().sum(), rounded)
    for ours, reference in zip((result, *found), (expected, *wanted), strict=True):
        difference = (ours.detach().double().cpu() - reference.detach()).norm()
        assert difference <= tolerance * reference.detach().norm()


def test_a_training_in_bf16_resumes(tmp_path):
    experiment = Experiment(
        variant="fd_og",
        size="small",
        scenes=4,
        scene_size=64,
        position=1e-4,
        precision="auto",
        steps=4,
        patch=32,
    )
    run = fit(experiment, folder=tmp_path, device=DEVICE, progress=False)
    assert experiment.precision == "bf16-mixed" and run.log["loss"].notna().all()
    assert fit(experiment, folder=tmp_path, device=DEVICE, progress=False).cached
