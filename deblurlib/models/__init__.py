"""The networks by name: create_model("svdn", "fd"), list_models(), list_variants("svdn"), load_model("svdn")."""

from .registry import create_model, list_models, list_variants, load_model, save_model

__all__ = ["create_model", "list_models", "list_variants", "load_model", "save_model"]
