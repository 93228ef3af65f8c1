"""Every trained row of every ablation table, the presets that scale them, and what their measurements say."""

from .presets import PRESETS, Preset, get_preset
from .tables import IMAGENET, PAPER, TABLES, Row, everything, network, row, rows

__all__ = [
    "IMAGENET",
    "PAPER",
    "PRESETS",
    "TABLES",
    "Preset",
    "Row",
    "everything",
    "get_preset",
    "network",
    "row",
    "rows",
]
