"""Deblurring pictures of any size, files and folders of them, and networks for other runtimes."""

from ..models.devices import choose_device
from .deblurring import deblur, resolve_network
from .files import deblur_files

__all__ = ["choose_device", "deblur", "deblur_files", "resolve_network"]
