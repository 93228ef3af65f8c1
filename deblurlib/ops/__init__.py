"""The operators that dominate the four papers' cost, each with a torch reference, a C and a Triton backend."""

from .backend import get_backend, set_backend
from .deform_conv import DeformConv2d, ModulatedDeformConv2d, deform_conv2d
from .sampling import sampling_points

__all__ = ["DeformConv2d", "ModulatedDeformConv2d", "deform_conv2d", "get_backend", "sampling_points", "set_backend"]
