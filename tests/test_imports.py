"""The layers of the package: imports point downwards only, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import deblurlib

PACKAGE = Path(deblurlib.__file__).parent
# from the top down; packages of one layer do not import each other
LAYERS = [
    {"__main__"},
    {"cli"},
    {"bench", "book"},
    {"teaching", "experiments"},
    {"analysis", "figures", "inference", "training"},
    {"evaluation"},
    {"models"},
    {"losses"},
    {"data", "ops", "papers", "results", "theory"},
    {"dictionary", "pixels", "progress", "provenance", "storage", "wording"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def imports(package: Path) -> dict[str, set[str]]:
    """Every module of a package by its dotted path, and the modules of the package it imports."""
    files = [path for path in package.rglob("*.py") if path != package / "__init__.py"]
    modules = {".".join(path.relative_to(package).with_suffix("").parts): path for path in files}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}

    def targets(name: str, path: Path):
        here = [*name.split("."), *(["__init__"] if path.name == "__init__.py" else [])]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                absolute = [
                    a.name.split(".")[1:]
                    for a in node.names
                    if a.name.split(".")[0] == package.name
                ]
            elif isinstance(node, ast.ImportFrom):
                parts = (node.module or "").split(".") if node.module else []
                if node.level:
                    base = here[: len(here) - node.level] + parts
                elif parts and parts[0] == package.name:
                    base = parts[1:]
                else:
                    continue
                absolute = [[*base, a.name] for a in node.names]
            else:
                continue
            for parts in absolute:
                found = next(
                    (m for n in range(len(parts), 0, -1) if (m := ".".join(parts[:n])) in modules),
                    None,
                )
                if found and found != name:
                    yield found

    return {name: set(targets(name, path)) for name, path in modules.items()}


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Imports that do not point to a lower layer, or to the same package."""
    room = {name: name.split(".")[0] for name in graph}
    return sorted(
        f"{name} -> {other}"
        for name, others in graph.items()
        for other in others
        if room[name] != room[other] and LEVEL[room[name]] >= LEVEL[room[other]]
    )


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_package_has_a_layer():
    rooms = {name.split(".")[0] for name in imports(PACKAGE)}
    assert rooms == set(LEVEL)


def test_imports_point_downwards():
    assert upward(imports(PACKAGE)) == []


def test_there_is_no_circle():
    assert circle(imports(PACKAGE)) == []


def test_few_modules_lie_directly_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= 10


@pytest.mark.parametrize(
    "line", ["from deblurlib.cli import app", "from ..cli import app", "import deblurlib.cli.app"]
)
def test_an_upward_import_and_a_circle_are_found(tmp_path, line):
    package = tmp_path / "deblurlib"
    for name, text in {
        "cli/app.py": "def f():\n    from ..data import flow\n",
        "cli/__init__.py": "",
        "data/__init__.py": "from .flow import x\n",
        "data/flow.py": line + "\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    graph = imports(package)
    assert upward(graph) == [f"data.flow -> {'cli.app'}"]
    assert set(circle(graph)) == {"cli.app", "data.flow"}
