"""The operators that dominate the cost of the four papers' networks, in up to three backends.

The backends are a reference in plain torch, C kernels for CPUs and Triton kernels for CUDA.
"""

from .backends.dispatch import get_backend, set_backend
from .deform_conv import deform_conv2d
from .deform_layers import DeformConv2d, ModulatedDeformConv2d
from .dynamic_filter import dynamic_filter
from .prelu import PReLU, prelu
from .sampling import sampling_points
from .spatial_rnn import spatial_rnn, spatial_rnn_4way, spatial_rnn_associative
from .substitution import substitute

__all__ = [
    "DeformConv2d",
    "ModulatedDeformConv2d",
    "PReLU",
    "deform_conv2d",
    "dynamic_filter",
    "get_backend",
    "prelu",
    "sampling_points",
    "set_backend",
    "spatial_rnn",
    "spatial_rnn_4way",
    "spatial_rnn_associative",
    "substitute",
]
