"""Blur, its inverses and their limits: the mathematics before the networks, in NumPy and float64.

A kernel is an array of taps with an anchor, the index of the tap that multiplies the pixel itself.
Causal kernels have it at index 0 (SVRNN eq. 1), kernels of images in their centre, n // 2, which
is the default. Functions on a finite signal have a zero boundary (everything outside is 0);
functions of a transfer function have a periodic one.
"""

from .expansion import (
    expansion_ratio,
    expansion_remainder,
    expansion_terms,
    split_kernel,
)
from .finite import least_squares_fir, split_fir
from .fourier import (
    apply_filter,
    impulse_response,
    inverse_filter,
    natural_spectrum,
    split_inverse,
    transfer_function,
    wiener_constant,
)
from .kernels import arc_kernel, curve_kernel, gaussian_kernel, line_kernel, path_kernel
from .linear import blur_matrix, convolve
from .quality import signal_psnr
from .reach import (
    band_energy,
    principal_angle,
    receptive_field,
    share_of_field,
    support_count,
    support_radius,
)
from .recursion import (
    inverse_taps,
    invert_recursively,
    kernel_zeros,
    noise_gain,
    scan,
    symmetric_pole,
    two_tap_pole,
)

__all__ = [
    "apply_filter",
    "arc_kernel",
    "band_energy",
    "blur_matrix",
    "convolve",
    "curve_kernel",
    "expansion_ratio",
    "expansion_remainder",
    "expansion_terms",
    "gaussian_kernel",
    "impulse_response",
    "inverse_filter",
    "inverse_taps",
    "invert_recursively",
    "kernel_zeros",
    "least_squares_fir",
    "line_kernel",
    "natural_spectrum",
    "noise_gain",
    "path_kernel",
    "principal_angle",
    "receptive_field",
    "scan",
    "share_of_field",
    "signal_psnr",
    "split_fir",
    "split_inverse",
    "split_kernel",
    "support_count",
    "support_radius",
    "symmetric_pole",
    "transfer_function",
    "two_tap_pole",
    "wiener_constant",
]
