"""The networks by name.

create_model("svdn", "fd"), load_model("svdn"), list_models(), list_variants("svdn")
"""

from .hub import from_pretrained, push_to_hub
from .registry import create_model, list_models, list_variants, spec_of
from .spec import NetworkSpec, Timing
from .summary import count_macs, count_parameters, list_parts
from .weights import load_model, provenance, save_model

__all__ = [
    "NetworkSpec",
    "Timing",
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
    "spec_of",
]
