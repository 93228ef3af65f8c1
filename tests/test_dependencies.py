"""The metadata declare what the package imports; only the room `book` needs an extra at once."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "deblurlib"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTION = {  # of a module, where the names differ
    "IPython": "ipython",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-contrib-python",
    "lightning_fabric": "lightning-fabric",
    "pillow_jxl": "pillow-jxl-plugin",
    "matplotlib_inline": "ipykernel",  # comes with it
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "triton": "torch",  # comes with it on Linux
    "yaml": "pyyaml",
}
STARTED = {"jupyterlab"}  # programs, never imported
RIVALS = {"ncnn", "openvino", "pnnx"}  # `deblurlib bench rivals` times those that it finds
FOR_OTHERS = {"imagecodecs"}  # tifffile decodes with it
LOADERS = {"import_module", "importorskip", "find_spec", "require"}


def names(requirements):
    """The packages that requirements name, spelt with lower case and hyphens."""
    return {
        re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        for requirement in requirements
    }


CORE = names(PROJECT["dependencies"])
EXTRAS = {extra: names(listed) for extra, listed in PROJECT["optional-dependencies"].items()}
OPTIONAL = set().union(*(EXTRAS[extra] for extra in EXTRAS if extra != "dev"))


def modules_in(node):
    """The modules that a node of a syntax tree imports itself."""
    match node:
        case ast.Import():
            return {alias.name for alias in node.names}
        case ast.ImportFrom(level=0):
            return {node.module}
        case ast.Call(args=[ast.Constant(value=str(module)), *_]):
            called = getattr(node.func, "id", getattr(node.func, "attr", None))
            return {module} if called in LOADERS and not module.startswith(".") else set()
    return set()


def walk(node, at_once=True):
    """Every node below one, and whether it runs when the module is imported."""
    yield node, at_once
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_once = False
    types_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for child in ast.iter_child_nodes(node):
        yield from walk(child, at_once and not (types_only and child in node.body))


def imported(source):
    """The packages that a module needs when it is imported, and those it needs later."""
    found = [(modules_in(node), at_once) for node, at_once in walk(ast.parse(source))]
    return tuple(packages(m for m, at_once in found if at_once is when) for when in (True, False))


def packages(groups):
    tops = {module.split(".")[0] for group in groups for module in group}
    tops -= {*sys.stdlib_module_names, "deblurlib", "tests"}
    return {DISTRIBUTION.get(top, top.lower().replace("_", "-")) for top in tops}


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTED = {path: imported(path.read_text(encoding="utf-8")) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_import_is_declared(path):
    at_once, later = IMPORTED[path]
    book = EXTRAS["notebooks"] if path.parent.name == "book" else set()
    assert at_once <= CORE | book, (
        "a core dependency, or an import inside the function that needs it"
    )
    assert later <= CORE | OPTIONAL | RIVALS, "a dependency, or a package of an extra"


def test_every_import_of_the_tests_is_declared():
    used = set()
    for path in ROOT.glob("tests/**/*.py"):
        used |= set().union(*imported(path.read_text(encoding="utf-8")))
    assert used - CORE - OPTIONAL - EXTRAS["dev"] == {"playwright"}  # CONTRIBUTING tells how


def test_every_declared_package_is_used():
    used = set().union(*(at_once | later for at_once, later in IMPORTED.values()))
    assert CORE - used == FOR_OTHERS
    assert OPTIONAL - used == STARTED


def test_errors_and_pages_name_extras_that_exist():
    files = [*FILES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("notebooks/*")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    named = set(re.findall(r"deblurlib\[(\w+)\]", text))
    assert named and named <= set(EXTRAS)


def test_no_package_is_declared_twice():
    assert not CORE & set().union(*EXTRAS.values())


@pytest.mark.parametrize(
    ("source", "at_once", "later"),
    [
        ("import cv2, os\nfrom PIL import Image", {"opencv-contrib-python", "pillow"}, set()),
        ("def f():\n    from nbformat.v4 import new_notebook", set(), {"nbformat"}),
        (
            "class A:\n    import torch\n    async def f(self):\n        import onnx",
            {"torch"},
            {"onnx"},
        ),
        ("if TYPE_CHECKING:\n    import pandas\nelse:\n    import scipy", {"scipy"}, {"pandas"}),
        ('def f(): require("huggingface_hub", "A push")', set(), {"huggingface-hub"}),
        ('from . import flow\nimport_module(".lesson03", __name__)', set(), set()),
    ],
)
def test_imports_are_found(source, at_once, later):
    assert imported(source) == (at_once, later)


def test_a_core_installation_imports_every_room_but_the_book():
    script = f"""if True:
        import sys
        from importlib import import_module
        from pkgutil import walk_packages

        class WithoutExtras:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0].lower().replace("_", "-") in {OPTIONAL!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, WithoutExtras())
        import deblurlib
        tried = 0
        for module in walk_packages(deblurlib.__path__, "deblurlib.", onerror=print):
            if module.name.split(".")[1:2] not in (["book"], ["__main__"]):
                import_module(module.name)
                tried += 1
        print(tried)
    """
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert shown.returncode == 0, shown.stderr
    assert int(shown.stdout) > 50
