"""Dynamic-scene motion deblurring: four papers, one library.

    deblurlib.deblur(image): a NumPy array of any size, uint8, uint16 or float -> the same, sharp
    deblurlib.create_model("svdn"), .load_model("svdn"), .list_models(), .list_variants("svdn")
    deblurlib.ops, .models, .losses, .theory, .data, .training, .evaluation, .experiments, .papers

Everything is imported on first use, so `import deblurlib` itself takes no time.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the table below imports on first use, for type checkers and editors
    from . import (
        data,
        evaluation,
        experiments,
        figures,
        losses,
        models,
        ops,
        papers,
        results,
        teaching,
        theory,
        training,
    )
    from .analysis import significance as statistics
    from .book import item_coverage as coverage
    from .book import ledger, lesson, reproduce
    from .experiments import ablations, presets
    from .inference import deblur
    from .models import create_model, list_models, list_variants, load_model

try:
    __version__ = version("deblurlib")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+unknown"

__all__ = [
    "__version__",
    "ablations",
    "coverage",
    "create_model",
    "data",
    "deblur",
    "evaluation",
    "experiments",
    "figures",
    "ledger",
    "lesson",
    "list_models",
    "list_variants",
    "load_model",
    "losses",
    "models",
    "ops",
    "papers",
    "presets",
    "reproduce",
    "results",
    "statistics",
    "teaching",
    "theory",
    "training",
]

# where a name comes from, if not from the module of that name
_MODULES = {
    "ablations": "experiments.ablations",
    "coverage": "book.item_coverage",
    "ledger": "book.ledger",
    "lesson": "book.lesson",
    "presets": "experiments.presets",
    "reproduce": "book.reproduce",
    "statistics": "analysis.significance",
}
_FUNCTIONS = {
    "deblur": "inference",
    "create_model": "models",
    "list_models": "models",
    "list_variants": "models",
    "load_model": "models",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _FUNCTIONS:
        value: object = getattr(import_module(f".{_FUNCTIONS[name]}", __name__), name)
    else:
        value = import_module(f".{_MODULES.get(name, name)}", __name__)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return __all__
