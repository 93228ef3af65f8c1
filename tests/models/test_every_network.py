"""What holds for every variant of every network, in its small width."""

import json
from pathlib import Path

import pytest
import torch
from torch.export import Dim
from torch.nn import functional as F

from deblurlib.models import create_model, list_models, list_variants, load_model, save_model

NETWORKS = [(name, variant) for name in list_models() for variant in list_variants(name)]
OUTPUTS = Path(__file__).with_name(
    "outputs.json"
)  # `python -m tests.models.test_every_network` writes it anew
every_network = pytest.mark.parametrize("name, variant", NETWORKS)


def make(name, variant, scattered=False):
    """A fresh network; scattered: with all weights moved a little, so that nothing that starts at
    zero stays there."""
    torch.manual_seed(0)
    model = create_model(name, variant, size="small")
    if scattered:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def pictures(name, *shape):
    """What a network takes: a blurry picture; for the reblurring network a blurry and a sharp one.
    And what it should give."""
    sharp = F.interpolate(
        torch.rand(*shape[:2], *(-(-n // 4) for n in shape[2:])), scale_factor=4, mode="bilinear"
    )
    sharp = sharp[
        ..., : shape[2], : shape[3]
    ]  # no noise: averaged away, it could only be learned by heart
    blurry = F.avg_pool2d(F.pad(sharp, (4, 4, 0, 0), mode="reflect"), (1, 9), 1)
    return ((blurry, sharp), blurry) if name == "reblur" else ((blurry,), sharp)


@every_network
@pytest.mark.parametrize("size", [(1, 3, 128, 128), (1, 3, 97, 131), (2, 3, 16, 17)])
def test_any_size_forward_and_backward(name, variant, size):
    model = make(name, variant, scattered=True)
    inputs, _ = pictures(name, *size)
    output = model(*inputs)
    assert output.shape == size
    output.square().mean().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
        # RADN's attention does not change when all keys do: a bias of the keys has no gradient
        # but rounding
        assert parameter.grad.any() or key == "attention.key.bias", key


@every_network
def test_saved_and_loaded(name, variant, tmp_path):
    model = make(name, variant, scattered=True)
    inputs, _ = pictures(name, 2, 3, 24, 32)
    model(*inputs)  # moves batch statistics, where there are any
    again = load_model(name, save_model(model.eval(), tmp_path / "w.safetensors", {}))
    with torch.no_grad():
        assert torch.equal(again(*inputs), model(*inputs)) and again.recipe == model.recipe


slowly = [
    pytest.param(*network, marks=[] if network[1] == "paper" else pytest.mark.slow)
    for network in NETWORKS
]


@pytest.mark.parametrize("name, variant", slowly)
@torch.no_grad()
def test_compiled(name, variant):
    model = make(name, variant, scattered=True).eval()
    inputs, _ = pictures(name, 1, 3, 24, 32)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(*inputs), model(*inputs), atol=1e-5)


@pytest.mark.parametrize("name", ["aspdc", "radn", "svdn", "svrnn"])
@torch.no_grad()
def test_exported_once_for_all_sizes(name):
    model = make(name, "paper", scattered=True).eval()
    smallest = 33 if name == "radn" else 16  # its widest average covers more than one window
    sizes = {axis: Dim(f"size{axis}", min=smallest, max=4096) for axis in (2, 3)}
    (example,), _ = pictures(name, 1, 3, 40, 56)
    program = torch.export.export(model, (example,), dynamic_shapes=(sizes,)).module()
    for height, width in ((smallest, 71), (64, 48), (97, 35)):
        (x,), _ = pictures(name, 1, 3, height, width)
        torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)


@every_network
@torch.no_grad()
def test_bfloat16(name, variant):
    model = make(name, variant).eval()
    inputs, _ = pictures(name, 1, 3, 32, 40)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(*inputs)
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all() and (output - model(*inputs)).abs().max() < 0.05


def train(name, variant, steps, rate, size=64):
    """The loss before each of some steps on one patch."""
    model, (inputs, target) = make(name, variant), pictures(name, 1, 3, size, size)
    optimizer, losses = torch.optim.Adam(model.parameters(), rate), []
    for _ in range(steps):
        losses.append(F.mse_loss(model(*inputs), target))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    return torch.stack(losses).detach()


@every_network
def test_one_step_lowers_the_loss(name, variant):
    before, after = train(name, variant, 2, 1e-4, size=32)
    assert after < before


@pytest.mark.slow
@every_network
def test_overfits_one_patch(name, variant):
    """Within 200 steps, by 6 dB or more; a network whose parts do not work together stays where it
    is."""
    losses = train(name, variant, 200, 5e-4 if name == "svrnn" else 1e-3)
    assert 10 * (losses[0] / losses.min()).log10() > 6


def signature(name, variant):
    """Twelve numbers of an output: means over quarters. Weights and pictures are formulas, so no
    random generator matters."""
    model = create_model(name, variant, size="small").eval()
    for k, (key, parameter) in enumerate(model.named_parameters()):
        if parameter.dim() > 1:
            wave = torch.sin(
                1.7 * torch.arange(parameter.numel(), dtype=torch.float64) ** 1.5 + k
            ).view_as(parameter)
            parameter.data.copy_(wave * (2 / parameter[0].numel()) ** 0.5)
        elif key.endswith("bias"):
            parameter.data.fill_(0.02)
    down, right = torch.meshgrid(torch.arange(34.0), torch.arange(45.0), indexing="ij")
    x = (
        torch.stack(
            [torch.sin(down / 3 + right / 5), torch.cos(right / 2), torch.sin(down * right / 50)]
        )[None]
        / 2
        + 0.5
    )
    with torch.no_grad():
        output = model(x, x.flip(3)) if name == "reblur" else model(x)
    return F.adaptive_avg_pool2d(output - x, 2).flatten().tolist()


@every_network
def test_outputs_are_those_of_the_first_release(name, variant):
    """A refactoring must not change what a network computes."""
    stored = json.loads(OUTPUTS.read_text())
    assert signature(name, variant) == pytest.approx(
        stored[f"{name}:{variant}"], rel=2e-3, abs=2e-5
    )


def test_every_stored_output_belongs_to_a_network():
    assert set(json.loads(OUTPUTS.read_text())) == {
        f"{name}:{variant}" for name, variant in NETWORKS
    }


if __name__ == "__main__":
    found = {
        f"{name}:{variant}": [float(f"{v:.6g}") for v in signature(name, variant)]
        for name, variant in NETWORKS
    }
    OUTPUTS.write_text(
        "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n"
    )
