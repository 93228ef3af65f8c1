"""The public face of the package: its names, and what importing it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deblurlib

ROOMS = [
    "data",
    "evaluation",
    "experiments",
    "losses",
    "models",
    "ops",
    "papers",
    "teaching",
    "theory",
    "training",
]


def test_names_that_other_code_relies_on():
    assert "svdn" in deblurlib.list_models() and "fd_og" in deblurlib.list_variants("svdn")
    assert deblurlib.create_model("svdn", size="small").recipe["size"] == "small"
    for path in (
        "deblur",
        "load_model",
        "ops.deform_conv2d",
        "ops.spatial_rnn",
        "ops.spatial_rnn_4way",
        "ops.dynamic_filter",
        "ops.set_backend",
        "losses.position_loss",
        "data.render_scene",
        "data.PairedFolder",
        "training.fit",
        "evaluation.evaluate",
        "reproduce.run",
    ):
        part = deblurlib
        for name in path.split("."):
            part = getattr(part, name)
        assert callable(part), path


@pytest.mark.parametrize("name", sorted(set(deblurlib.__all__) - {"__version__"}))
def test_every_public_name_is_there_on_first_use(name):
    assert name in dir(deblurlib)
    assert deblurlib.__getattr__(name) is getattr(deblurlib, name)


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'deblurlib' has no attribute 'debluur'"):
        deblurlib.debluur  # noqa: B018 - the access is the test


def test_type_checkers_see_the_names_that_are_there_on_first_use():
    tree = ast.parse(Path(deblurlib.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.asname or alias.name for line in block.body for alias in line.names]
    assert sorted([*seen, "__version__"]) == sorted(deblurlib.__all__)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_what_it_offers(room):
    module = getattr(deblurlib, room)
    assert room in deblurlib.__all__
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None, name


def imported_by(statement, names):
    code = f"import sys; {statement}; print([m for m in {names} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("torch", "cv2", "IPython", "papermill", "matplotlib")
    assert imported_by("import deblurlib", heavy) == "[]"


def test_training_needs_no_jupyter():
    jupyter = ("IPython", "papermill", "nbformat", "jupyterlab")
    assert imported_by("import deblurlib.training", jupyter) == "[]"
