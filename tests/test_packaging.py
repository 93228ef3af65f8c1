"""What an installation rests on: the pins, the conda environment, the packaged files, the make targets."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lines(name):
    return [line for line in (ROOT / name).read_text().splitlines() if line.strip() and not line.startswith("#")]


def package(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


PINS = {package(line): line.split(";")[0].strip() for line in lines("requirements.txt")}


def test_pins_name_no_host_and_no_path():
    for line in lines("requirements.txt"):
        assert re.fullmatch(r"[a-z0-9._-]+==[\w.+!-]+( ; .*)?", line), line


def test_torch_and_torchvision_are_a_matching_pair():
    assert PINS["torch"] == "torch==2.15.0" and PINS["torchvision"] == "torchvision==0.29.2"


@pytest.mark.parametrize("requirement", lines("requirements.in"))
def test_every_requirement_is_pinned(requirement):
    assert PINS[package(requirement)].startswith(requirement)


@pytest.mark.parametrize("requirement", PROJECT["dependencies"] + PROJECT["optional-dependencies"]["notebooks"])
def test_every_dependency_of_the_package_is_a_requirement(requirement):
    assert package(requirement) in {package(line) for line in lines("requirements.in")}


def test_conda_takes_the_pins_from_the_one_file_that_has_them():
    conda, pip = [], []
    for dependency in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]:
        pip.extend(dependency["pip"]) if isinstance(dependency, dict) else conda.append(dependency)
    assert pip == ["-r requirements.txt", "-e ."]
    assert [package(name) for name in conda] == ["python", "pip"]
    minor = int(re.search(r"python=3\.(\d+)", " ".join(conda))[1])
    assert minor >= int(re.search(r">=3\.(\d+)", PROJECT["requires-python"])[1])


def test_every_data_file_of_the_package_is_packaged():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["deblurlib"]
    home = ROOT / "deblurlib"
    packaged = {path for pattern in patterns for path in home.glob(pattern)}
    listed = subprocess.run(["git", "ls-files", "deblurlib"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    data = {ROOT / name for name in listed.splitlines() if not name.endswith(".py")}
    assert data and data - packaged == set()


def test_citation_names_the_version_and_the_four_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert [reference["year"] for reference in citation["references"]] == [2018, 2020, 2020, 2022]


OPTIONS = ("PRESET", "DATA", "VARIANT", "RESULTS", "NOTEBOOKS", "JOBS", "FORCE")


def dry_run(*arguments):
    """What make would do, in one line."""
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name not in OPTIONS}
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=clean).stdout
    return " ".join(shown.replace("\\\n", " ").split())


def test_make_passes_its_variables_to_the_runner():
    shown = dry_run("reproduce", "PRESET=smoke", "DATA=/my data", "VARIANT=blur", "NOTEBOOKS=01 04", "JOBS=3", "FORCE=1")
    assert '--preset smoke --data "/my data" --variant "blur" --notebooks "01 04" --jobs "3" --force' in shown
    assert dry_run("reproduce").endswith("reproduce --preset quick")


def test_make_test_leaves_the_results_alone():
    shown = dry_run("test")
    assert f'DEBLURLIB_RESULTS="{ROOT}/build/nbval"' in shown and "--nbval-cell-timeout 300" in shown


def test_ci_runs_the_test_command_and_is_executable():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().splitlines()[0] == "#!/usr/bin/env bash" and "make test" in script.read_text()
