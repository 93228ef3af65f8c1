"""The API reference: every public name with its docstring, as pages that open without a network."""

import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import deblurlib

from .extra import notebook_packages

ASIDE = (  # no interface, or shown in full by the page of their package
    "deblurlib.__main__",
    "deblurlib.cli",
    "deblurlib.figures.",
    "deblurlib.ops.backends",
    "deblurlib.teaching.",
)


def public_modules() -> list[str]:
    """List the modules that the reference describes.

    Returns:
        Dotted paths of the modules that make up the library's interface.
    """
    names = [module.name for module in walk_packages(deblurlib.__path__, "deblurlib.")]
    return ["deblurlib", *(name for name in names if not name.startswith(ASIDE))]


def write_api(out: Path) -> list[Path]:
    """Write the API reference.

    Args:
        out: The folder to write into; it is created.

    Returns:
        The pages, one per module, and the index.

    Raises:
        ModuleNotFoundError: If pdoc is not installed.
    """
    with notebook_packages():
        import pdoc

    for name in deblurlib.__all__:  # lazy names are documented once they are loaded
        getattr(deblurlib, name)
    for name in public_modules():
        import_module(name)
    footer = f"deblurlib {deblurlib.__version__}"
    pdoc.render.configure(docformat="google", footer_text=footer, show_source=False)
    with warnings.catch_warnings(action="ignore"):
        pdoc.pdoc(*public_modules(), output_directory=out)
    return sorted(out.rglob("*.html"))
