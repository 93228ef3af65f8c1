import subprocess
import sys

import deblurlib


def test_names_that_other_code_relies_on():
    assert "svdn" in deblurlib.list_models() and "fd_og" in deblurlib.list_variants("svdn")
    assert deblurlib.create_model("svdn", size="small").recipe["size"] == "small"
    for path in (
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
    assert set(deblurlib.__all__) <= set(dir(deblurlib))


def imported_by(statement, names):
    code = f"import sys; {statement}; print([m for m in {names} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_the_package_imports_nothing_heavy():
    assert (
        imported_by("import deblurlib", ("torch", "cv2", "IPython", "papermill", "matplotlib"))
        == "[]"
    )


def test_training_needs_no_jupyter():
    assert (
        imported_by("import deblurlib.training", ("IPython", "papermill", "nbformat", "jupyterlab"))
        == "[]"
    )
