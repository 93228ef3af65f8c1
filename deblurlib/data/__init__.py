"""Data: rendered scenes with exact motion, folders of real pairs, optical flow, augmentation."""

from .augment import augment, crop, random_crop
from .camera import Camera
from .check import check_data
from .flow import dis_flow, end_point_error, farneback_flow, neighbour_flows, warp
from .folders import PairedFolder
from .groups import groups_of
from .layouts import list_splits
from .pairs import make_pairs
from .photographs import list_photographs, load_photograph
from .pictures import read_picture
from .samples import Sample, collate, to_array, to_tensor
from .scenes import Scene, SceneDataset, render_scene
from .windows import CentralWindows

__all__ = [
    "Camera",
    "CentralWindows",
    "PairedFolder",
    "Sample",
    "Scene",
    "SceneDataset",
    "augment",
    "check_data",
    "collate",
    "crop",
    "dis_flow",
    "end_point_error",
    "farneback_flow",
    "groups_of",
    "list_photographs",
    "list_splits",
    "load_photograph",
    "make_pairs",
    "neighbour_flows",
    "random_crop",
    "read_picture",
    "render_scene",
    "to_array",
    "to_tensor",
    "warp",
]
