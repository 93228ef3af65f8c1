"""The networks by name: create_model("svdn", "fd"), list_models(), list_variants("svdn"), load_model("svdn")."""

from .hub import from_pretrained, push_to_hub
from .registry import create_model, list_models, list_variants, load_model, provenance, save_model
from .summary import count_macs, count_parameters, list_parts

__all__ = [
    "count_macs",
    "count_parameters",
    "create_model",
    "from_pretrained",
    "list_models",
    "list_parts",
    "list_variants",
    "load_model",
    "provenance",
    "push_to_hub",
    "save_model",
]
