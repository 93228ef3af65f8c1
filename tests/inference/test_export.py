"""Networks as ONNX files: equal to PyTorch in another runtime, and clear errors."""

import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deblurlib import load_model
from deblurlib.inference import onnx_export
from deblurlib.models import create_model
from deblurlib.models.aspdc import Branch
from deblurlib.models.radn_modules import DeformableConv
from deblurlib.ops import deform_conv2d

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("stride, padding, dilation, masked", [(1, 2, 1, True), (2, 1, 2, False)])
def test_deformable_convolution_by_grid_sample_is_the_same(stride, padding, dilation, masked):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 4, 11, 13), torch.randn(5, 4, 3, 3), torch.randn(5)
    out = torch.nn.functional.conv2d(x, weight, None, stride, padding, dilation).shape[-2:]
    offset, mask = 3 * torch.randn(2, 18, *out), torch.rand(2, 9, *out) if masked else None
    expected = deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)
    pairs = [(n, n) for n in (stride, padding, dilation)]
    actual = onnx_export.deform_conv_by_grid_sample(x, offset, weight, bias, mask, *pairs)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def network(name):
    torch.manual_seed(0)
    model = load_model("svdn") if name == "svdn" else create_model(name, size="small").eval()
    for module in model.modules():  # layers that start at zero
        if isinstance(module, (Branch, DeformableConv)) and module.offset is not None:
            torch.nn.init.normal_(module.offset.weight, std=0.05)
    if name == "radn":
        torch.nn.init.normal_(model.reconstruction.weight, std=0.05)
    return model


@pytest.mark.parametrize("name", ["svdn", "aspdc", "radn"])
def test_opencv_runs_the_file_with_the_same_result(name, tmp_path):
    model, x = network(name), torch.rand(1, 3, 48, 64)
    path = onnx_export.to_onnx(model, tmp_path / "network.onnx", (48, 64))
    runtime = cv2.dnn.readNetFromONNX(str(path))
    runtime.setInput(x.numpy())
    with torch.no_grad():
        expected = model(x).numpy()
    assert np.abs(expected - x.numpy()).max() > 1e-3
    np.testing.assert_allclose(runtime.forward(), expected, atol=1e-4)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", ["svdn", "aspdc", "radn"])
def test_onnx_runtime_runs_the_file_with_the_same_result(name, native, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, x = network(name), torch.rand(1, 3, 48, 64)
    path = onnx_export.to_onnx(model, tmp_path / "network.onnx", (48, 64), native=native)
    graph = onnx.load(path).graph
    assert ("DeformConv" in {node.op_type for node in graph.node}) == native
    assert [entry.name for entry in graph.input] == ["blurry"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        np.testing.assert_allclose(
            session.run(None, {"blurry": x.numpy()})[0], model(x).numpy(), atol=1e-4
        )


def test_the_average_over_flips_and_rotations_is_written(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    shallow = {"units": (1, 1, 1), "module_units": 1}
    model, x = (
        create_model("radn", "final_plus", size="small", **shallow).eval(),
        torch.rand(1, 3, 32, 48),
    )
    torch.nn.init.normal_(model.reconstruction.weight, std=0.05)
    path = onnx_export.to_onnx(model, tmp_path / "network.onnx", (32, 48), native=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected, single = model(x).numpy(), model.restore(x)[0].numpy()
    assert np.abs(expected - single).max() > 1e-2
    np.testing.assert_allclose(session.run(None, {"blurry": x.numpy()})[0], expected, atol=1e-4)


def test_equal_parameters_stay_apart_so_that_opencv_reads_an_untrained_network(tmp_path):
    model, x = create_model("svdn", size="small").eval(), torch.rand(1, 3, 32, 32)
    path = onnx_export.to_onnx(model, tmp_path / "network.onnx", (32, 32))
    runtime = cv2.dnn.readNetFromONNX(str(path))
    runtime.setInput(x.numpy())
    with torch.no_grad():
        np.testing.assert_allclose(runtime.forward(), model(x).numpy(), atol=1e-4)


def test_the_network_stays_as_it_was(tmp_path):
    model = create_model("svdn", size="small").train()
    before = [p.clone() for p in model.parameters()]
    onnx_export.to_onnx(model, tmp_path / "network.onnx", (32, 32))
    assert model.training and all(map(torch.equal, before, model.parameters()))
    model(torch.rand(1, 3, 32, 32)).sum().backward()  # through the library's own operator again


@pytest.mark.parametrize(
    "model, size, sentence",
    [
        ("svrnn", (32, 32), "SVRNN cannot be written as ONNX"),
        ("reblur", (32, 32), "Reblur cannot"),
        ("svdn", (8, 32), "size is"),
    ],
)
def test_what_cannot_be_written_is_said(model, size, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        onnx_export.to_onnx(create_model(model, size="small"), tmp_path / "network.onnx", size)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError) as raised:
        onnx_export.to_onnx(create_model("svdn", size="small"), tmp_path / "network.onnx")
    assert str(raised.value) == (
        'An ONNX file needs the package onnx: install it with `pip install "deblurlib[export]"`.'
    )
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert any(line.startswith("onnx>") for line in extras["export"])
