"""The operators that the four papers spend their time in, as functions and thin modules."""

from .deform_conv import DeformConv2d, deform_conv2d
from .sampling import sampling_points

__all__ = ["DeformConv2d", "deform_conv2d", "sampling_points"]
