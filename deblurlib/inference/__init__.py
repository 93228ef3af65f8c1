"""Deblurring images of any size, deblurring files and folders, and exporting networks to ONNX."""

from ..models.devices import choose_device
from .deblurring import deblur, resolve_network
from .files import deblur_files

__all__ = ["choose_device", "deblur", "deblur_files", "resolve_network"]
