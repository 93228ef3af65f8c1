"""The files of the package that a notebook depends on, found by following imports.

Imports are read, not carried out. The names that a package's `__init__` lists in `__all__` lead to
the modules that define them; its other imports are followed for their effects.
"""

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .notebooks import read_notebook

PACKAGE = Path(__file__).resolve().parent.parent
# The module that reads the other files of a folder; a test checks that none is missing.
ASSETS = {
    "book/durations.csv": "book.forecast",
    "book/explorer.html.j2": "book.frames",
    "book/page.html.j2": "book.pages",
    "book/report.html": "book.report",
    "data/photos": "data.photographs",
    "dictionary": "dictionary",
    "ops/backends/csrc": "ops.backends.compiler",
    "papers": "papers",
    "weights": "models.weights",
}
LESSON_CHECKS = re.compile(r"teaching\.lesson(\d+)")  # modules that serve one notebook only


def files_of(notebook: Path, package: Path = PACKAGE) -> list[Path]:
    """List the files of the package that a notebook's results can depend on.

    Args:
        notebook: Path of the notebook; its imports inside functions count as well.
        package: Folder of the package.

    Returns:
        Modules, and the data, weights and C sources that they read, sorted.
    """
    cells = read_notebook(notebook).cells
    code = "\n".join(_python(cell.source) for cell in cells if cell.cell_type == "code")
    library = Library(package)
    number = notebook.stem.split("_")[0]
    try:
        reached = library.reach(library.imports_in(ast.parse(code), []), number)
    except SyntaxError:  # in a cell, or in a module that has just been edited
        reached = set(library.modules)
    modules = [library.modules[name] for name in reached]
    assets = [
        path
        for place, reader in ASSETS.items()
        if reader in reached
        for path in _files_below(package / place)
    ]
    return sorted({*modules, *assets})


class Library:
    """The modules of a package and what they import.

    A module is named by its dotted path below the package, "" for the package itself.
    """

    def __init__(self, package: Path) -> None:
        """List the modules.

        Args:
            package: Folder of the package.
        """
        self.package = package
        self.modules: dict[str, Path] = {}
        for path in package.rglob("*.py"):
            parts = path.relative_to(package).with_suffix("").parts
            self.modules[".".join(parts).removesuffix("__init__").rstrip(".")] = path

    def reach(self, start: Iterable[str], number: str) -> set[str]:
        """Follow imports.

        Args:
            start: The modules that are imported first.
            number: Number of the notebook, whose checks of exercises count.

        Returns:
            These modules, their packages, and every module that is imported in turn.
        """
        reached: set[str] = set()
        waiting = set(start)
        while waiting:
            name = waiting.pop()
            reached.add(name)
            parts = name.split(".")
            parents = {".".join(parts[:n]) for n in range(len(parts))}
            found = {*parents, *self._imports_of(name)}
            waiting |= {module for module in found if _serves(module, number)} - reached
        return reached

    def imports_in(self, tree: ast.AST, package: list[str]) -> set[str]:
        """Find the modules that code imports.

        Args:
            tree: The code.
            package: Path of the package it belongs to, for relative imports.

        Returns:
            Names of the modules.
        """
        return {
            module
            for names, alias in _imported(tree, package, self.package.name)
            for module in self._targets(names, alias, tree)
        }

    def _imports_of(self, name: str) -> set[str]:
        """What a module imports; of a package, without the names that it offers."""
        path = self.modules[name]
        tree = _parse(path, path.stat().st_mtime_ns)
        here = name.split(".") if name else []
        if path.name != "__init__.py":
            return self.imports_in(tree, here[:-1])
        offered = _offered(tree)
        found = {
            module
            for names, alias in _imported(tree, here, self.package.name)
            if alias not in offered
            for module in self._targets(names, alias, tree)
        }
        if _imports_by_name(tree):
            found |= {module for module in self.modules if module.startswith(f"{name}.")}
        return found

    def _targets(self, names: list[str], alias: str, tree: ast.AST) -> Iterator[str]:
        """The modules that an imported name leads to."""
        module = ".".join(names)
        if module in self.modules:
            attributes = _attributes(tree, alias) if self._is_package(module) else None
            if attributes is None:
                yield from self._whole(module)
            else:
                yield module
                for attribute in attributes:
                    yield from self._targets([*names, attribute], "", ast.Module([], []))
            return
        home = ".".join(names[:-1])
        if home not in self.modules:  # a class or function, below the module that defines it
            if names[:-1]:
                yield from self._targets(names[:-1], "", tree)
            return
        yield home
        if self._is_package(home):
            yield from self._definition(home, names[-1])

    def _definition(self, package: str, name: str) -> Iterator[str]:
        """The module from which a package imports a name that it offers."""
        path = self.modules[package]
        tree = _parse(path, path.stat().st_mtime_ns)
        for names, alias in _imported(
            tree, package.split(".") if package else [], self.package.name
        ):
            if alias == name:
                yield from self._targets(names, alias, ast.Module([], []))

    def _whole(self, module: str) -> Iterator[str]:
        """A module; of a package, everything that it imports as well."""
        yield module
        if self._is_package(module):
            path = self.modules[module]
            here = module.split(".") if module else []
            yield from self.imports_in(_parse(path, path.stat().st_mtime_ns), here)

    def _is_package(self, module: str) -> bool:
        return self.modules[module].name == "__init__.py"


def _serves(module: str, number: str) -> bool:
    """Whether a module can matter to a notebook: not if it holds the checks of another one."""
    checks = LESSON_CHECKS.fullmatch(module)
    return checks is None or checks[1] == number


@functools.lru_cache(maxsize=512)
def _parse(path: Path, time: int) -> ast.Module:
    """The syntax tree of a module; `time` makes it current."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.AST, package: list[str], library: str) -> Iterator[tuple[list[str], str]]:
    """The paths below the library that code imports, each with the name it gets there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                root, *names = each.name.split(".")
                if root == library:
                    yield names, each.asname or ""
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + parts
            elif parts and parts[0] == library:
                base = parts[1:]
            else:
                continue
            for each in node.names:
                yield [*base, each.name], each.asname or each.name


def _attributes(tree: ast.AST, alias: str) -> set[str] | None:
    """The attributes that code reads from a name; None if it uses the name in another way."""
    if not alias:
        return None
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == alias]
    owners = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == alias
    ]
    return {node.attr for node in owners} if len(uses) == len(owners) else None


def _offered(tree: ast.Module) -> set[str]:
    """The names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def _imports_by_name(tree: ast.Module) -> bool:
    """Whether a package imports modules whose names are computed, and does not list them."""
    listed = any(
        isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) for node in tree.body
    )
    return not listed and any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("import_module")
        and not isinstance(node.args[0], ast.Constant)
        for node in ast.walk(tree)
    )


def _python(source: str) -> str:
    """A cell without the lines that only IPython understands."""
    return "\n".join(
        line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))
    )


def _files_below(place: Path) -> list[Path]:
    """A file, or those in a folder and below that are neither modules nor their caches."""
    if place.is_file():
        return [place]
    return [
        path
        for path in place.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
