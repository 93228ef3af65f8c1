"""The API reference: every public name with its docstring, as pages that work offline."""

import os
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

from .extra import notebook_packages

# not part of the interface, or shown by the page of their package
ASIDE = ("__main__", "cli", "figures.", "ops.backends", "teaching.")


def public_modules(package: ModuleType) -> list[str]:
    """List the modules that the reference describes.

    Args:
        package: The package `deblurlib`.

    Returns:
        Dotted paths of the modules that make up the library's interface.
    """
    prefix = f"{package.__name__}."
    names = [module.name for module in walk_packages(package.__path__, prefix)]
    public = [name for name in names if not name.removeprefix(prefix).startswith(ASIDE)]
    return [package.__name__, *public]


def write_api(package: ModuleType, out: Path) -> list[Path]:
    """Write the API reference, in which no path names this machine.

    Args:
        package: The package `deblurlib`.
        out: The folder to write into; it is created.

    Returns:
        The pages, one per module, and the index.

    Raises:
        ModuleNotFoundError: If pdoc is not installed.
    """
    with notebook_packages():
        import pdoc

    for name in package.__all__:  # lazy names are documented once they are loaded
        getattr(package, name)
    modules = public_modules(package)
    for name in modules:
        import_module(name)
    footer = f"{package.__name__} {package.__version__}"
    pdoc.render.configure(docformat="google", footer_text=footer, show_source=False)
    with warnings.catch_warnings(action="ignore"):
        pdoc.pdoc(*modules, output_directory=out)
    home = str(Path(package.__path__[0]).parent)
    for page in (*out.rglob("*.html"), *out.glob("*.js")):  # values of constants name folders
        text = page.read_text(encoding="utf-8").replace(f"{home}{os.sep}", "")
        page.write_text(text.replace(home, "."), encoding="utf-8")
    return sorted(out.rglob("*.html"))
