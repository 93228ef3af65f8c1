"""Data: rendered scenes with exact motion, folders of real pairs, optical flow, augmentation."""

from .photographs import list_photographs, load_photograph
from .samples import Sample, collate, to_array, to_tensor
from .scenes import Scene, SceneDataset, render_scene

__all__ = [
    "Sample", "Scene", "SceneDataset", "collate", "list_photographs", "load_photograph", "render_scene", "to_array", "to_tensor",
]  # fmt: skip
