"""A new network is one file and one line in the registry: all else follows."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest
import torch

import deblurlib
from deblurlib import data, evaluation, experiments
from deblurlib.bench import networks as benchmark
from deblurlib.inference import onnx_export
from deblurlib.inference.tiles import Tiles
from deblurlib.models import count_macs, create_model, load_model, registry, save_model, spec_of
from deblurlib.models import weights as weight_files
from deblurlib.training import Experiment, fit, initial_model

FILE = """
from torch import nn

from deblurlib.models.spec import NetworkSpec, Timing


class Toy(nn.Module):
    def __init__(self, width=8, residual=True):
        super().__init__()
        self.residual = residual
        pair = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.convs = nn.Sequential(pair[0], nn.ReLU(), pair[1])

    def forward(self, blurry):
        output = self.convs(blurry)
        return blurry + output if self.residual else output


def start(model):
    nn.init.constant_(model.convs[0].weight, 0.25)
    return True


SPEC = NetworkSpec(
    network=Toy,
    variants={"paper": {}, "direct": {"residual": False}},
    small={"width": 4},
    translate=lambda state: {f"convs.{name}": blob for name, blob in state.items()},
    margin=2,
    largest=96,
    exportable=True,
    schedule={"steps": 70_000, "batch": 3, "lr": 5e-4, "betas": (0.8, 0.99)},
    short_schedule={"clip": 0.5},
    start_pretrained=start,
    pretrained_variants=("direct",),
    benchmark=(Timing(variant="direct", width="small"),),
)
"""


@pytest.fixture
def toy(monkeypatch):
    """The file, and the line."""
    module = ModuleType("toy")
    monkeypatch.setitem(sys.modules, "toy", module)
    exec(FILE, vars(module))
    monkeypatch.setitem(registry.NETWORKS, "toy", module.SPEC)
    torch.manual_seed(0)
    return create_model("toy").eval()


def test_it_is_listed_and_made(toy):
    assert deblurlib.list_models()[-1] == "toy" and deblurlib.list_variants("toy")[1] == "direct"
    assert create_model("toy", "direct", size="small").convs[0].out_channels == 4
    assert count_macs(toy, (16, 16)) == 2 * 16 * 16 * 9 * 3 * 8
    assert spec_of(toy) is spec_of("toy") is registry.NETWORKS["toy"]


def test_its_weights_are_saved_loaded_and_translated(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(weight_files, "WEIGHTS", tmp_path)
    save_model(toy, tmp_path / "toy_full.safetensors", {})
    published = {name.removeprefix("convs."): x for name, x in toy.state_dict().items()}
    torch.save(published, tmp_path / "published.pth")
    for found in (load_model("toy"), load_model("toy", tmp_path / "published.pth")):
        assert all(map(torch.equal, found.state_dict().values(), toy.state_dict().values()))
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    restored = deblurlib.deblur(picture, "toy", "cpu")
    assert np.array_equal(restored, deblurlib.deblur(picture, toy))
    assert not np.array_equal(restored, picture)


def test_its_margin_and_largest_side_decide_the_tiles(toy):
    tiles = Tiles(toy, (2000, 3000))
    assert tiles.margin == 32 and 0 < tiles.side <= 96  # 2 pixels of context, on the grid
    picture = np.random.default_rng(0).random((150, 170, 3), dtype=np.float32)
    whole, tiled = (deblurlib.deblur(picture, toy, tile=tile) for tile in (0, 64))
    np.testing.assert_allclose(tiled, whole, atol=1e-6)


def test_it_is_trained_and_evaluated(toy, tmp_path):
    experiment = Experiment(model="toy", size="small", steps=2, batch=2, patch=32, scenes=2)
    run = fit(experiment, folder=tmp_path, device="cpu", progress=False)
    before = initial_model(experiment).state_dict().values()
    assert len(run.log) and not all(map(torch.equal, run.model.state_dict().values(), before))
    table = evaluation.evaluate(run.model, data.SceneDataset("test", 1, 64), progress=False)
    assert np.isfinite(table["rgb-psnr"]).all()


def test_it_has_the_printed_schedule_and_a_short_one(toy):
    printed = experiments.network("toy", "direct", "paper")
    assert (printed.steps, printed.batch, printed.betas) == (70_000, 3, (0.8, 0.99))
    assert printed.pretrained and not experiments.network("toy", "paper", "paper").pretrained
    short = experiments.network("toy", "direct", "smoke")
    assert (short.lr, short.clip, short.betas) == (1e-3, 0.5, (0.8, 0.99))
    assert initial_model(printed).convs[0].weight.eq(0.25).all()


def test_it_is_written_as_onnx(toy, tmp_path):
    pytest.importorskip("onnx")
    assert onnx_export.to_onnx(toy, tmp_path / "toy.onnx", (32, 32)).stat().st_size > 500


def test_it_is_benchmarked(toy, tmp_path, monkeypatch):
    def threads(workers, context, enter, arguments):
        return ThreadPoolExecutor(workers, initializer=enter, initargs=arguments)

    monkeypatch.setattr(benchmark, "ProcessPoolExecutor", threads)  # another process lacks the toy
    timed = [each for each in benchmark.timed_networks() if each.model == "toy"]
    table = benchmark.run(tmp_path, (32, 48), repeats=1, networks=timed)
    assert (table.network + " " + table.width).tolist() == ["toy small"] * 2
    assert table.note.eq("").all() and (table.median_ms > 0).all()


def test_a_module_from_elsewhere_may_state_its_own_facts():
    class Mine(torch.nn.Conv2d):
        pass

    mine = Mine(3, 3, 3, padding=1)
    assert spec_of(mine).margin == 80 and not spec_of(mine).exportable
    Mine.network_spec = deblurlib.models.NetworkSpec(network=Mine, margin=200, largest=64)
    assert spec_of(mine).margin == 200 and Tiles(mine, (900, 900)).margin == 224
    assert Tiles(mine, (900, 900)).side <= 64


def test_networks_without_a_schedule_or_imagenet_weights_say_so(toy, monkeypatch):
    monkeypatch.setitem(
        registry.NETWORKS, "toy", deblurlib.models.NetworkSpec(network=type(toy), margin=2)
    )
    with pytest.raises(ValueError, match="No training schedule of toy is printed"):
        experiments.network("toy", "paper", "paper")
    assert experiments.network("toy", "paper", "smoke").lr == 1e-3
    with pytest.raises(ValueError, match="toy has no ImageNet weights"):
        initial_model(Experiment(model="toy", pretrained=True))
