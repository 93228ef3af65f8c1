"""Every trained row of every ablation table, the presets that scale them, and their measurements.

The tables, which need torch, are imported on first use; the presets are light.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .presets import PRESETS, Preset, get_preset

if TYPE_CHECKING:
    from .shipped import SHIPPED, stages
    from .tables import IMAGENET, PAPER, TABLES, Row, everything, network, row, rows

__all__ = [
    "IMAGENET",
    "PAPER",
    "PRESETS",
    "SHIPPED",
    "TABLES",
    "Preset",
    "Row",
    "everything",
    "get_preset",
    "network",
    "row",
    "rows",
    "stages",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = ".shipped" if name in ("SHIPPED", "stages") else ".tables"
    return getattr(import_module(module, __name__), name)
