"""What an installation rests on: pins, metadata, packaged files and make targets."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lines(name):
    return [
        line
        for line in (ROOT / name).read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]


def package(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


PINS = {package(line): line.split(";")[0].strip() for line in lines("requirements.txt")}


def tracked(*paths):
    """The files that git follows."""
    listed = subprocess.run(
        ["git", "ls-files", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def test_pins_name_no_host_and_no_path():
    for line in lines("requirements.txt"):
        assert re.fullmatch(r"[a-z0-9._-]+==[\w.+!-]+( ; .*)?", line), line


def test_opencv_is_the_version_that_draws_the_recorded_scenes():
    assert PINS["opencv-contrib-python"] == "opencv-contrib-python==5.0.0.93"
    assert "opencv-contrib-python-headless" not in PINS


def test_torch_and_torchvision_are_a_matching_pair():
    assert PINS["torch"] == "torch==2.15.0" and PINS["torchvision"] == "torchvision==0.29.2"


@pytest.mark.parametrize("requirement", lines("requirements.in"))
def test_every_requirement_is_pinned(requirement):
    assert PINS[package(requirement)].startswith(requirement)


def test_requirements_are_the_dependencies_with_the_extras_that_tests_need():
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"]]
    for name in ("notebooks", "sweep", "video", "export", "dev"):
        declared += extras[name]
    assert sorted(map(package, declared)) == sorted(map(package, lines("requirements.in")))


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_every_dependency_has_a_lower_bound_that_the_pin_meets(requirement):
    name, bound = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement).groups()
    pinned = PINS[name].partition("==")[2]
    assert tuple(map(int, pinned.split("."))) >= tuple(map(int, bound.split(".")))


def test_conda_takes_the_pins_from_the_one_file_that_has_them():
    conda, pip = [], []
    for dependency in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]:
        pip.extend(dependency["pip"]) if isinstance(dependency, dict) else conda.append(dependency)
    assert pip == ["-r requirements.txt", "-e ."]
    assert [package(name) for name in conda] == ["python", "pip"]
    minor = int(re.search(r"python=3\.(\d+)", " ".join(conda))[1])
    assert minor >= int(re.search(r">=3\.(\d+)", PROJECT["requires-python"])[1])


def test_every_data_file_of_the_package_is_packaged():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]["deblurlib"]
    home = ROOT / "deblurlib"
    packaged = {path for pattern in patterns for path in home.glob(pattern)}
    data = {ROOT / name for name in tracked("deblurlib") if not name.endswith(".py")}
    assert data and data - packaged == set()


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory):
    """The wheel, built offline from the tracked files alone and unpacked as in site-packages."""
    pytest.importorskip("setuptools")
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in tracked("deblurlib", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    build = f"from setuptools import build_meta; print(build_meta.build_wheel({str(built)!r}))"
    subprocess.run(
        [sys.executable, "-c", build],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built / "unpacked")
    return built / "unpacked"


def test_a_wheel_holds_every_file_of_the_package_and_the_licence(unpacked_wheel):
    held = {
        path.relative_to(unpacked_wheel).as_posix()
        for path in unpacked_wheel.rglob("*")
        if path.is_file()
    }
    assert set(tracked("deblurlib")) <= held
    for kind in (
        "weights/*.safetensors",
        "data/photos/*.jpg",
        "ops/backends/csrc/*.c",
        "papers/tables/*.csv",
        "book/explorer.html.j2",
        "book/page.html.j2",
        "book/report.html",
        "py.typed",
    ):
        assert list((unpacked_wheel / "deblurlib").glob(kind)), kind
    (metadata,) = unpacked_wheel.glob("*.dist-info")
    assert (metadata / "licenses" / "LICENSE").is_file()
    assert "deblurlib = deblurlib.cli.app:app" in (metadata / "entry_points.txt").read_text()


def test_a_wheel_works_without_the_repository(unpacked_wheel, tmp_path):
    script = f"""if True:
        import numpy as np, deblurlib
        assert deblurlib.__file__.startswith({str(unpacked_wheel)!r}), deblurlib.__file__
        assert deblurlib.deblur(np.full((20, 30, 3), 99, np.uint8)).shape == (20, 30, 3)
        assert len(deblurlib.papers.list_tables()) > 5 and len(deblurlib.papers.items()) > 50
        assert deblurlib.data.SceneDataset("test", 1, 32)[0].blurry.shape == (3, 32, 32)
        print(deblurlib.results.results_folder())
    """
    env = {**os.environ, "PYTHONPATH": str(unpacked_wheel)}
    shown = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert shown.returncode == 0, shown.stderr
    assert Path(shown.stdout.strip().splitlines()[-1]) == tmp_path / "results"


def test_type_checkers_see_functions_behind_the_lazy_names(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nfollow_imports = skip\n[mypy-deblurlib.*]\nfollow_imports = silent\n"
    )
    names = ("deblur", "create_model", "load_model", "list_models", "list_variants")
    snippet = ["import deblurlib", *(f"reveal_type(deblurlib.{name})" for name in names)]
    (tmp_path / "snippet.py").write_text("\n".join(snippet))
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "snippet.py"]
    shown = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', shown)
    assert len(revealed) == len(names), shown
    assert all(re.match(r"(Overload\()?def [\[(]", found) for found in revealed), shown


def test_torch_hub_finds_the_networks():
    model = torch.hub.load(
        str(ROOT), "svdn", source="local", pretrained=False, size="small", variant="fd"
    )
    assert model.recipe["variant"] == "fd"
    for name in ("svrnn", "radn", "aspdc"):
        torch.hub.load(str(ROOT), name, source="local", size="small")
    with pytest.raises(ValueError, match="shipped weights of svdn fit no other dilations"):
        torch.hub.load(str(ROOT), "svdn", source="local", dilations=(1, 1, 1))


def test_the_change_log_begins_with_this_version_and_dates_each():
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)", text, re.MULTILINE)
    dates = [re.fullmatch(r"[\d.]+ \((\d{4}-\d\d-\d\d)\)", heading)[1] for heading in headings]
    assert headings[0].split()[0] == PROJECT["version"]
    assert dates == sorted(dates, reverse=True)


def test_the_wheel_describes_itself(unpacked_wheel):
    (metadata,) = unpacked_wheel.glob("*.dist-info")
    fields = (metadata / "METADATA").read_text()
    for field in (
        f"Version: {PROJECT['version']}",
        "Author: The deblurlib contributors",
        "Requires-Python: >=3.11",
        "License-Expression: MIT",
        "Classifier: Typing :: Typed",
        "Requires-Dist: opencv-contrib-python>=5",
        "Provides-Extra: export",
    ):
        assert f"\n{field}\n" in fields, field


def test_citation_names_the_version_and_the_four_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (
        str(citation["version"]) == PROJECT["version"] and citation["license"] == PROJECT["license"]
    )
    assert [reference["year"] for reference in citation["references"]] == [2018, 2020, 2020, 2022]


OPTIONS = ("PRESET", "DATA", "VARIANT", "RESULTS", "NOTEBOOKS", "JOBS", "FORCE")
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("MAKE") and name not in OPTIONS
}


def stub(path, text):
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("has_uv", [True, False], ids=["uv", "pip"])
@pytest.mark.parametrize("missing", ["libGL.so.1", "libxcb.so.1"])
def test_without_a_system_library_the_headless_opencv_takes_over(tmp_path, has_uv, missing):
    calls = tmp_path / "calls"
    error = f"ImportError: {missing}: cannot open shared object file: No such file or directory"
    stub(
        tmp_path / "bin" / "python",
        f'if [ "$1" = -c ]; then echo "{error}" >&2; exit 1; fi; shift; echo "$@" >> "{calls}"',
    )
    if has_uv:
        stub(tmp_path / "uv", f'echo "$@" >> "{calls}"')
    command = ["make", "-s", "opencv", f"BIN={tmp_path}/bin", f"UV={tmp_path}/uv"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=CLEAN)
    assert shown.stdout == (
        f"This system has no {missing}: installing opencv-contrib-python-headless 5.0.0.93 "
        "in place of opencv-contrib-python.\n"
    )
    assert calls.read_text().splitlines() == [
        "pip uninstall --quiet opencv-contrib-python",
        "pip install --quiet opencv-contrib-python-headless==5.0.0.93",
    ]


@pytest.mark.parametrize("answer", ["exit 0", "echo 'ImportError: No module named cv2'; exit 1"])
def test_opencv_stays_where_no_system_library_is_missing(tmp_path, answer):
    stub(tmp_path / "bin" / "python", answer)
    stub(tmp_path / "uv", "exit 9")
    command = ["make", "-s", "opencv", f"BIN={tmp_path}/bin", f"UV={tmp_path}/uv"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=CLEAN)
    assert shown.stdout == ""


def dry_run(*arguments):
    """What make would do, in one line."""
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", *arguments]
    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=CLEAN
    ).stdout
    return " ".join(shown.replace("\\\n", " ").split())


def test_make_passes_its_variables_to_the_runner():
    shown = dry_run(
        "reproduce",
        "PRESET=smoke",
        "DATA=/my data",
        "VARIANT=blur",
        "NOTEBOOKS=01 04",
        "JOBS=3",
        "FORCE=1",
    )
    assert (
        '--preset smoke --data "/my data" --variant "blur" --notebooks "01 04" --jobs "3" --force'
        in shown
    )
    assert dry_run("reproduce").endswith("reproduce --preset quick")


def test_make_test_leaves_the_results_alone():
    shown = dry_run("test")
    assert (
        f'DEBLURLIB_RESULTS="{ROOT}/build/nbval"' in shown and "--nbval-cell-timeout 300" in shown
    )


def test_make_site_replaces_the_old_site():
    assert "rm -rf build/site .venv/bin/python -m deblurlib site build/site" in dry_run("site")


def workflow():
    """The GitHub Actions workflow; YAML 1.1 reads its key `on` as True."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_workflow_tests_every_python_that_the_metadata_name():
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert workflow()["jobs"]["linux"]["strategy"]["matrix"]["python"] == named


def test_the_workflow_pins_actions_needs_no_secret_and_calls_what_exists():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )
    assert "secrets" not in text and workflow()["permissions"] == {"contents": "read"}
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets()


def test_hooks_run_the_pinned_tools_on_files_that_exist():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        tool = re.match(r"\.venv/bin/(python -m )?(\w+)", hook["entry"])[2]
        assert tool in PINS
        for name in re.findall(r"tests/\S+", hook["entry"]):
            assert (ROOT / name).is_file()


def test_ci_runs_the_linters_and_the_tests_and_is_executable():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[-2:] == ["make lint", "make test"]


def test_make_lint_checks_code_and_types():
    assert dry_run("lint") == (
        ".venv/bin/ruff check . .venv/bin/ruff format --check . .venv/bin/mypy"
    )


def with_installation(*arguments):
    """What make would do before there is an environment."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_lab_passes_the_port_and_works_without_a_browser_and_as_root():
    shown = with_installation("lab", "PORT=8899", "BROWSER=none")
    assert '--port "8899"' in shown and "--no-browser" in shown
    assert ("--allow-root" in shown) == (os.getuid() == 0)
    passed = with_installation("lab", "PORT=9000", "ARGS=--no-browser --ip=127.0.0.1")
    assert '--port "9000"' in passed and "--no-browser --ip=127.0.0.1\n" in passed
    plain = with_installation("lab")
    assert "--port" not in plain and "--no-browser" not in plain


def test_an_installation_says_what_it_does_and_can_leave_the_gpu_libraries_out():
    plain = with_installation("install")
    assert re.search(r"echo .Installing the packages .* on the disk", plain)
    shown = with_installation("install", "CPU=1")
    assert re.search(r"echo .Installing .* 2 GB on the disk, without GPU libraries", shown)
    (pattern,) = re.findall(r"grep -Ev '(.*)' requirements.txt", shown)
    left = [name for name in PINS if not re.search(pattern, name)]
    assert "--torch-backend cpu" in shown and {"torch", "torchvision", "numpy"} <= set(left)
    assert not [name for name in left if name.startswith(("nvidia", "cuda", "triton"))]
    (everything,) = re.findall(r"grep -Ev '(.*)' requirements.txt", plain)
    assert not any(re.search(everything, name) for name in PINS)
