"""Deblurring pictures of any size, files and folders of them, and networks for other runtimes."""

from .deblurring import choose_device, deblur, resolve_network
from .files import deblur_files

__all__ = ["choose_device", "deblur", "deblur_files", "resolve_network"]
