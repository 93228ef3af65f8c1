"""Without the extra `notebooks`, everything that needs it says in one sentence what to install."""

import subprocess
import sys

import pytest

from deblurlib.book import reproduce

MODULES = {
    "reproduce": "jinja2",
    "task": "nbformat",
    "editions": "nbformat",
    "report": "nbformat",
    "pages": "latex2mathml",
    "widgets": "ipywidgets",
}


@pytest.mark.parametrize("module, package", MODULES.items())
def test_a_missing_package_is_named_with_the_command_that_installs_it(module, package):
    code = f"import sys; sys.modules[{package!r}] = None; import deblurlib.book.{module}"
    error = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert error.splitlines()[-1] == (
        f"ModuleNotFoundError: The notebooks need the package {package}, which is not installed: "
        'run pip install "deblurlib[notebooks]".'
    )
    assert "During handling" not in error


def test_a_missing_papermill_is_named_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("deblurlib.book.extra.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="need the package papermill"):
        reproduce.run("smoke", results=tmp_path / "results")
    assert not list(tmp_path.iterdir())


def test_the_command_says_it_in_one_sentence():
    code = (
        "import sys; sys.modules['nbformat'] = None; from deblurlib.cli.app import app; "
        "app(['student-edition', 'x'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert 'pip install "deblurlib[notebooks]"' in ended.stderr
