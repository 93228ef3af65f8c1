"""Which lessons run again after which change: fifteen kinds of change to thirteen lessons."""

import json
import os
import shutil
from pathlib import Path

import nbformat
import pytest

import deblurlib
from deblurlib.book import dependencies, manifest
from tests.test_imports import imports

PACKAGE = Path(deblurlib.__file__).parent
BOOK = sorted((PACKAGE.parent / "notebooks").glob("*.ipynb"))
ALL = {path.stem[:2] for path in BOOK}
NONE = set()


class World:
    """A copy of the book, a data set and a results folder that tests may change."""

    def __init__(self, root):
        self.root, self.package = root, root / "deblurlib"
        self.parameters = {"preset": "smoke", "variant": "", "seed": 0, "device": "cpu"}
        self.threads = 1
        (root / "data" / "blur").mkdir(parents=True)
        (root / "data" / "blur" / "a.png").write_bytes(b"picture one")
        self.parameters["data"] = str(root / "data")
        (root / "results" / "ledger").mkdir(parents=True)
        self.record("03", "V1", 1)

    def record(self, lesson, claim, value):
        path = self.root / "results" / "ledger" / f"{lesson}_{claim}.json"
        path.write_text(json.dumps({"value": value}))
        path.with_suffix(".origin.json").write_text(json.dumps({"git_commit": str(value)}))

    def append(self, file, text="\n# changed\n"):
        with (self.package / file).open("a") as stream:
            stream.write(text)

    def keys(self):
        manifest.arithmetic.cache_clear()
        state = manifest.Manifest(self.root / "results", self.parameters, self.threads)
        return {path.stem[:2]: state.key(path) for path in sorted(self.root.glob("notebooks/*"))}


@pytest.fixture
def world(tmp_path, monkeypatch):
    aside = shutil.ignore_patterns("__pycache__", "weights", "photos")
    shutil.copytree(PACKAGE, tmp_path / "deblurlib", ignore=aside)
    for folder, name in (("weights", "svdn.safetensors"), ("data/photos", "a.jpg")):
        (tmp_path / "deblurlib" / folder).mkdir()
        (tmp_path / "deblurlib" / folder / name).write_bytes(b"stands for the real one")
    (tmp_path / "notebooks").mkdir()
    for path in BOOK:
        shutil.copy(path, tmp_path / "notebooks")
    monkeypatch.setattr(manifest, "PACKAGE", tmp_path / "deblurlib")
    return World(tmp_path)


def edit_lesson(world):
    path = next(world.root.glob("notebooks/05_*"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source += "\n"
    nbformat.write(notebook, path)


def touch_everything(world):
    for path in (*world.root.glob("data/**/*"), *world.package.rglob("*.py")):
        os.utime(path, (2**30, 2**30))


def change_a_picture_at_equal_size(world):
    path = world.root / "data" / "blur" / "a.png"
    path.write_bytes(b"picture two")


# what was changed, how, and the lessons that must run again
CHANGES = {
    "one lesson": (edit_lesson, {"05", "12"}),
    "the seed": (lambda world: world.parameters.update(seed=1), ALL),
    "the preset": (lambda world: world.parameters.update(preset="quick"), ALL),
    "a picture of the data, at equal size": (change_a_picture_at_equal_size, ALL),
    "a new picture": (lambda w: (w.root / "data" / "b.png").write_bytes(b""), ALL),
    "times of files, not their contents": (touch_everything, NONE),
    "the renderer": (lambda world: world.append("data/scenes.py"), ALL),
    "a C kernel": (
        lambda world: world.append("ops/backends/csrc/deform_conv.c"),
        ALL,
    ),
    "shipped weights": (lambda world: world.append("weights/svdn.safetensors"), ALL),
    "theory: least squares": (lambda world: world.append("theory/finite.py"), {"01"}),
    "theory: receptive fields": (
        lambda world: world.append("theory/reach.py"),
        {"01", "03", "06"},
    ),
    "theory: PSNR, which every lesson measures": (
        lambda world: world.append("theory/quality.py"),
        ALL,
    ),
    "the checks of one lesson's exercises": (
        lambda world: world.append("teaching/lesson05.py"),
        {"05"},
    ),
    "the classical baselines": (lambda w: w.append("analysis/classical.py"), {"11"}),
    "the command line and the report": (
        lambda world: [
            world.append(f) for f in ("cli/app.py", "book/report.py", "book/report.html")
        ],
        NONE,
    ),
    "the record of a claim of lesson 03": (lambda world: world.record("03", "V1", 2), {"12"}),
    "the number of threads": (lambda world: setattr(world, "threads", 2), ALL),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_reruns_the_lessons_that_depend_on_it_and_no_other(world, change):
    apply, expected = CHANGES[change]
    before = world.keys()
    apply(world)
    after = world.keys()
    assert set(before) == ALL and len(ALL) == 13
    assert {lesson for lesson in ALL if before[lesson] != after[lesson]} == expected


@pytest.mark.parametrize(
    "variable, value",
    [("DEBLURLIB_BACKEND", "torch"), ("CC", "false"), ("DEBLURLIB_CFLAGS", "-O1")],
)
def test_another_backend_or_other_kernels_rerun_every_lesson(world, monkeypatch, variable, value):
    before = world.keys()
    monkeypatch.setenv(variable, value)
    after = world.keys()
    assert all(before[lesson] != after[lesson] for lesson in ALL)


def test_the_origin_of_a_record_reruns_nothing(world):
    before = world.keys()
    origin = world.root / "results" / "ledger" / "03_V1.origin.json"
    origin.write_text("{}")
    assert world.keys() == before


def test_a_lesson_or_a_module_that_cannot_be_parsed_depends_on_everything(tmp_path, write_notebook):
    files = dependencies.files_of(write_notebook("01_broken", "def f(:"))
    assert set(PACKAGE.rglob("*.py")) <= set(files)


def test_every_file_of_the_package_that_is_no_module_has_a_reader():
    places = [PACKAGE / place for place in dependencies.ASSETS]
    others = [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    orphans = [p for p in others if not any(p == x or p.is_relative_to(x) for x in places)]
    assert [path.name for path in orphans] == ["py.typed"]
    assert set(dependencies.ASSETS.values()) <= set(imports(PACKAGE))


def test_no_import_is_overlooked_except_names_that_a_package_only_offers():
    """Held against the plain graph of imports, in which a name leads to its whole package."""
    graph, library = imports(PACKAGE), dependencies.Library(PACKAGE)
    for module, direct in graph.items():
        found = library._imports_of(module)
        packages = {name for name in direct if library._is_package(name)}
        assert direct - packages - found == set() or library._is_package(module), module
        for package in packages:
            inside = {name for name in found if name == package or name.startswith(f"{package}.")}
            assert inside, (module, package)


OFFERS = """
from .first import one
from .second import two as second_two
__all__ = ["one", "second_two"]
"""
CASES = {
    "from deblurlib.room import one": {"room.first"},
    "from deblurlib.room import second_two": {"room.second", "room.third"},
    "from deblurlib import room\nroom.one()": {"room.first"},
    "from deblurlib import room\nroom.one()\nprint(room)": {
        "room.first",
        "room.second",
        "room.third",
    },
    "from deblurlib import room as r\nr.second_two": {"room.second", "room.third"},
    "import deblurlib.room.third": {"room.third"},
    "def f():\n    from deblurlib.effects import nothing": {"effects.listed"},
    "%matplotlib inline\nfrom deblurlib.room import one": {"room.first"},
}


@pytest.mark.parametrize("code", CASES)
def test_names_lead_to_the_modules_that_define_them(tmp_path, write_notebook, code):
    files = {
        "__init__.py": "",
        "room/__init__.py": OFFERS,
        "room/first.py": "one = 1",
        "room/second.py": "from . import third\ntwo = third.x",
        "room/third.py": "x = 2",
        "effects/__init__.py": "from . import listed\nnothing = 0",
        "effects/listed.py": "",
        "aside.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "deblurlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = dependencies.files_of(write_notebook("01_x", code), tmp_path / "deblurlib")
    names = {".".join(p.relative_to(tmp_path / "deblurlib").with_suffix("").parts) for p in found}
    assert {name for name in names if not name.endswith("__init__")} == CASES[code]


# --------------------------------------------------------------------------------------------------
# Damaged manifests

GOOD = {
    "inputs": {"preset": "smoke"},
    "notebooks": {"01_a": {"state": "done", "key": "k", "seconds": 1.0, "outputs": {}}},
}
DAMAGED = {
    "empty": b"",
    "truncated": json.dumps(GOOD).encode()[:60],
    "garbage": bytes(range(256)),
    "another kind": b"[1, 2]",
    "a number": b"7",
    "deep": b"[" * 100_000,
    "notebooks of another kind": json.dumps(GOOD | {"notebooks": ["01_a"]}).encode(),
    "an entry of another kind": json.dumps(GOOD | {"notebooks": {"01_a": 3}}).encode(),
    "outputs of another kind": json.dumps(
        GOOD | {"notebooks": {"01_a": GOOD["notebooks"]["01_a"] | {"outputs": [1]}}}
    ).encode(),
    "an output elsewhere": json.dumps(
        GOOD | {"notebooks": {"01_a": GOOD["notebooks"]["01_a"] | {"outputs": {"../x": "a"}}}}
    ).encode(),
    "no inputs": json.dumps({"notebooks": {}}).encode(),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_manifest_is_noticed_and_rebuilt(tmp_path, kind):
    (tmp_path / "manifest.json").write_bytes(DAMAGED[kind])
    entries, content, damaged = manifest.read_manifest(tmp_path)
    assert entries == {} and damaged and isinstance(content, dict)
    parameters = {"preset": "smoke", "data": "", "variant": "", "seed": 0, "device": "cpu"}
    state = manifest.Manifest(tmp_path, parameters, 1)
    assert state.damaged and not state.is_current("01_a", "k")
    state.record("01_a", GOOD["notebooks"]["01_a"] | {"outputs": {}})
    again = manifest.Manifest(tmp_path, parameters, 1)
    assert not again.damaged and again.is_current("01_a", "k")


def test_one_damaged_entry_does_not_cost_the_others(tmp_path):
    entries = {**GOOD["notebooks"], "02_b": {"state": "done"}}
    (tmp_path / "manifest.json").write_text(json.dumps(GOOD | {"notebooks": entries}))
    found, _, damaged = manifest.read_manifest(tmp_path)
    assert list(found) == ["01_a"] and damaged


def test_a_folder_in_place_of_the_manifest_is_one_sentence(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    parameters = {"preset": "smoke", "data": "", "variant": "", "seed": 0, "device": "cpu"}
    with pytest.raises(ValueError, match=r"manifest\.json is a folder, not a file: remove it"):
        manifest.Manifest(tmp_path, parameters, 1)
    assert manifest.read_manifest(tmp_path) == ({}, {}, True)


def test_a_folder_in_place_of_an_output_means_that_the_notebook_runs_again(tmp_path):
    parameters = {"preset": "smoke", "data": "", "variant": "", "seed": 0, "device": "cpu"}
    state = manifest.Manifest(tmp_path, parameters, 1)
    state.record("01_a", GOOD["notebooks"]["01_a"] | {"outputs": {"tables/01_a.csv": "0"}})
    (tmp_path / "tables" / "01_a.csv").mkdir(parents=True)
    assert not state.is_current("01_a", "k")
