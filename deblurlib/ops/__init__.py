"""The operators that dominate the four papers' cost, each with a torch reference, a C and a Triton backend."""

from .backend import get_backend, set_backend
from .deform_conv import DeformConv2d, ModulatedDeformConv2d, deform_conv2d

__all__ = ["DeformConv2d", "ModulatedDeformConv2d", "deform_conv2d", "get_backend", "set_backend"]
