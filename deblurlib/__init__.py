"""Dynamic-scene motion deblurring: four papers, one library.

    deblurlib.deblur(picture): a NumPy array of any size, uint8, uint16 or float -> the same, sharper
    deblurlib.create_model("svdn"), deblurlib.load_model("svdn"), deblurlib.list_models(), deblurlib.list_variants("svdn")
    deblurlib.ops, .models, .losses, .theory, .data, .training, .evaluation, .experiments, .papers, .reproduce

Everything is imported when it is first used, so that `import deblurlib` itself takes no time.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("deblurlib")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "0+unknown"

_FROM = {"deblur": "inference", **dict.fromkeys(("create_model", "list_models", "list_variants", "load_model"), "models")}
_MODULES = (
    "coverage", "data", "evaluation", "experiments", "figures", "ledger", "lesson", "losses", "models", "ops", "papers",
    "presets", "reproduce", "results", "statistics", "teaching", "theory", "training",
)  # fmt: skip
__all__ = ["__version__", *_FROM, *_MODULES]


def __getattr__(name):
    if name in _FROM:
        return getattr(import_module(f".{_FROM[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
