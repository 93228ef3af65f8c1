"""Blur as a linear operation with a zero boundary: the sum, and the matrix."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal, sparse

from .grid import Anchor, anchor_of


def convolve(image: ArrayLike, kernel: ArrayLike, anchor: Anchor | None = None) -> np.ndarray:
    """Blur: B[x] = sum_m K[m] I[x - m], zero outside the image.

    This is SVRNN eq. 1 (causal, anchor 0) and, differing from the paper, RADN eq. 1 with the index
    m where x - n is printed.

    Args:
        image: I, 1-D or 2-D.
        kernel: K, of as many dimensions.
        anchor: Index of the tap K[0], an int for all axes; None for the centre.

    Returns:
        B, of the image's shape, float64.

    Raises:
        ValueError: If the dimensions differ.
    """
    image, kernel = np.asarray(image, dtype=np.float64), np.asarray(kernel, dtype=np.float64)
    if image.ndim != kernel.ndim:
        raise ValueError(
            f"The image has {image.ndim} dimensions and the kernel {kernel.ndim}: give both the "
            "same number."
        )
    full: np.ndarray = signal.convolve(image, kernel, method="direct")
    start = anchor_of(kernel, anchor)
    return full[tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))]


def blur_matrix(
    kernel: ArrayLike, shape: tuple[int, ...], anchor: Anchor | None = None
) -> sparse.csr_matrix:
    """Build K of b = K s (SVDN eq. 1, ASPDC eq. 2), with a zero boundary.

    Args:
        kernel: One for the whole image, of as many dimensions as `shape`, or one per pixel,
            stacked as (*shape, *kernel shape).
        shape: Shape of the image, 1-D or 2-D.
        anchor: Index of the tap K[0], an int for all axes; None for the centre.

    Returns:
        (N, N) sparse, one row per output pixel, pixels in row-major order.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    size = kernel.shape[-len(shape) :]
    kernels = np.broadcast_to(kernel, (*shape, *size))
    places = np.indices(shape)
    along = (-1,) + (1,) * len(shape)  # one number per axis, for all pixels
    start = anchor_of(np.empty(size), anchor)
    rows, columns, values = [], [], []
    for tap in np.ndindex(*size):
        source = places - np.reshape(np.subtract(tap, start), along)
        inside = np.all((source >= 0) & (source < np.reshape(shape, along)), axis=0)
        rows.append(np.ravel_multi_index(tuple(places[:, inside]), shape))
        columns.append(np.ravel_multi_index(tuple(source[:, inside]), shape))
        values.append(kernels[(..., *tap)][inside])
    triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.csr_matrix(triplets, shape=(int(np.prod(shape)),) * 2)
    matrix.eliminate_zeros()
    return matrix
