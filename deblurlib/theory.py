"""Blur, its inverses and what they reach: the mathematics before the networks, in numpy and float64.

A kernel is an array of taps with an anchor, the index of the tap that multiplies the pixel itself: `causal` kernels have
it at index 0 (eq. 1 of SVRNN), pictures' kernels in their centre (the default for everything in the Fourier domain).
Zero boundary: outside the signal everything is 0. Periodic boundary: wherever a function says "Fourier".
"""

import numpy as np
from scipy import linalg, signal, sparse

# ---------------------------------------------------------------------------------------------------------------------
# Kernels


def line_kernel(length: int, angle: float = 0.0) -> np.ndarray:
    """The kernel of uniform straight motion: `length` sub-frames one pixel apart, each splatted bilinearly (antialiased).

    angle: degrees, anticlockwise on the screen from "right". At 0 and 90 an odd length gives exactly a box. Sums to 1;
    (S, S) with S odd, centred.

    >>> line_kernel(3).round(3).tolist()
    [[0.0, 0.0, 0.0], [0.333, 0.333, 0.333], [0.0, 0.0, 0.0]]
    """
    steps = np.arange(length) - (length - 1) / 2
    slope = np.deg2rad(angle)
    return path_kernel(-steps * np.sin(slope), steps * np.cos(slope))


def path_kernel(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The kernel of any camera path: one bilinear splat at each (down, right) in pixels from the centre; (S, S), sums to 1."""
    radius = int(np.ceil(max(np.abs(down).max(), np.abs(right).max()) - 1e-9))
    kernel = np.zeros((2 * radius + 3,) * 2)
    row, column = (np.round(np.asarray(p, dtype=float) + radius, 9) for p in (down, right))
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - i - (row - top)) * np.abs(1 - j - (column - left))
        np.add.at(kernel, (top + i, left + j), weight)
    side = 2 * radius + 1
    return kernel[:side, :side] / kernel.sum()


def arc_kernel(length: float, angle: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """The kernel of a steady motion over `length` pixels that turns by `turn` degrees on the way, heading for `angle` half-way.

    Angles as in `line_kernel`; four sub-frames a pixel, the centre of the path in the centre of the square. Sums to 1.
    """
    t = (np.arange(max(round(4 * length), 1)) + 0.5) / max(round(4 * length), 1) - 0.5
    heading = np.deg2rad(angle + turn * t)
    down, right = (
        np.cumsum(step) * length / len(t) for step in (-np.sin(heading), np.cos(heading))
    )
    return path_kernel(
        down - (down.max() + down.min()) / 2, right - (right.max() + right.min()) / 2
    )


def curve_kernel(extent: int, rng: np.random.Generator) -> np.ndarray:
    """A random smooth camera path, as hand shake draws it, spanning `extent` pixels (odd) both ways; a square that sums to 1."""
    walk = rng.standard_normal((2, 401)).cumsum(1).cumsum(1)
    walk -= (
        np.linspace(0, 1, 401) * walk[:, -1:] * rng.uniform(0.3, 0.9, (2, 1))
    )  # a path that drifts on is a straight one
    walk -= (walk.max(1, keepdims=True) + walk.min(1, keepdims=True)) / 2
    return path_kernel(*(walk / np.abs(walk).max(1, keepdims=True) * (extent - 1) / 2))


def gaussian_kernel(sigma: float) -> np.ndarray:
    """An isotropic Gaussian out to 4 sigma: the control without a direction; (S, S), sums to 1."""
    taps = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    row = np.exp(-(taps**2) / (2 * sigma**2))
    return np.outer(row, row) / row.sum() ** 2


# ---------------------------------------------------------------------------------------------------------------------
# Zero boundary: convolution, recursion, expansion


def convolve(
    image: np.ndarray, kernel: np.ndarray, anchor: tuple[int, ...] | int | None = None
) -> np.ndarray:
    """B[x] = sum_m K[m] I[x - m], zero outside: SVRNN eq. 1 (causal, anchor 0) and RADN eq. 1 with its index mended.

    image, kernel: 1-D or 2-D, of equal dimension. anchor: index of the tap K[0]; default the centre, an int for all axes.
    """
    image, kernel = np.asarray(image, dtype=np.float64), np.asarray(kernel, dtype=np.float64)
    if image.ndim != kernel.ndim:
        raise ValueError(
            f"The image has {image.ndim} dimensions and the kernel {kernel.ndim}: give both the same."
        )
    full = signal.convolve(image, kernel, method="direct")
    return full[
        tuple(slice(a, a + n) for a, n in zip(_anchor(kernel, anchor), image.shape, strict=True))
    ]


def invert_recursively(blurred: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """x[n] = (y[n] - sum_{m=1..M} k[m] x[n-m]) / k[0], with x = 0 before the signal: SVRNN eq. 2, for a causal 1-D kernel.

    Exact without noise; errors stay bounded iff every zero of the kernel lies inside the unit circle (`kernel_zeros`).
    Raises ValueError where k[0] = 0: the equation divides by it.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel[0] == 0:
        raise ValueError(
            "The first tap k[0] is 0 and eq. 2 divides by it: drop the leading zeros of the kernel."
        )
    order = len(kernel) - 1
    x = np.zeros(order + len(blurred))  # `order` zeros in front are the signal before n = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(len(blurred)):
            past = x[n : n + order][::-1]  # x[n-1], …, x[n-M]
            x[order + n] = (blurred[n] - kernel[1:] @ past) / kernel[0]
    return x[order:]


def expansion_terms(
    blurred: np.ndarray, kernel: np.ndarray, terms: int, anchor: tuple[int, ...] | int | None = None
) -> np.ndarray:
    """What the blurred signal contributes after t = 0 … terms - 1 substitutions of the recursion into itself; (terms, …).

    K = k0 δ + K' gives I = sum_t (-1)^t K'^{*t} * B / k0^{t+1}: SVRNN eq. 3 and RADN eq. 2-3 (mended: the tap k0 is
    excluded from K'). Term 0 is B / k0, term t + 1 is -K' * term t / k0. Finite and exact for causal kernels (on N samples
    the terms t >= N vanish), otherwise convergent iff K'/k0 is a contraction (`expansion_ratio`).
    """
    k0, rest = split_kernel(kernel, anchor)
    term = np.asarray(blurred, dtype=np.float64) / k0
    found = [term]
    for _ in range(terms - 1):
        term = -convolve(term, rest, anchor) / k0
        found.append(term)
    return np.stack(found)


def expansion_remainder(
    sharp: np.ndarray, kernel: np.ndarray, substitutions: int, anchor=None
) -> np.ndarray:
    """What is still expressed by the sharp signal itself: (-1)^{J+1} K'^{*(J+1)} * I / k0^{J+1} after J substitutions."""
    k0, rest = split_kernel(kernel, anchor)
    for _ in range(substitutions + 1):
        sharp = -convolve(sharp, rest, anchor) / k0
    return sharp


def split_kernel(kernel: np.ndarray, anchor=None) -> tuple[float, np.ndarray]:
    """K = k0 δ + K': the tap at the anchor, and the kernel without it."""
    rest = np.array(kernel, dtype=np.float64)
    index = _anchor(rest, anchor)
    k0, rest[index] = rest[index], 0.0
    if k0 == 0:
        raise ValueError(
            f"The tap at the anchor {index} is 0 and the expansion divides by it: move the anchor onto the kernel."
        )
    return float(k0), rest


def expansion_ratio(kernel: np.ndarray, anchor=None) -> float:
    """max over frequencies of |F[K']| / |k0|: below 1 the expansion converges for every picture, of any size."""
    k0, rest = split_kernel(kernel, anchor)
    return float(
        np.abs(np.fft.fftn(rest, [512] * rest.ndim, axes=range(rest.ndim))).max() / abs(k0)
    )


def inverse_taps(kernel: np.ndarray, length: int) -> np.ndarray:
    """The first `length` taps of the causal inverse filter 1 / K(z): eq. 2 run on a single impulse."""
    return invert_recursively(np.eye(1, length)[0], kernel)


def kernel_zeros(kernel: np.ndarray) -> np.ndarray:
    """The M complex zeros of K(z) = sum_m k[m] z^-m, largest modulus first: the poles of the recursion that inverts it.

    Eq. 2 is stable iff the first has modulus < 1; a zero on the circle is a frequency that the blur has erased.
    """
    zeros = np.roots(np.asarray(kernel, dtype=np.float64))
    return zeros[np.argsort(-np.abs(zeros), kind="stable")]


def noise_gain(kernel: np.ndarray, length: int = 4096) -> float:
    """Standard deviation that white noise of 1 has behind the recursion: sqrt(sum of squared inverse taps); inf if unstable."""
    if np.abs(kernel_zeros(kernel)[:1]).max(initial=0) >= 1 - 1e-12:
        return float("inf")
    return float(np.linalg.norm(inverse_taps(kernel, length)))


def scan(x: np.ndarray, p, reverse: bool = False) -> np.ndarray:
    """h[t] = (1 - p[t]) x[t] + p[t] h[t-1], h[-1] = 0: the first-order recurrence of SVRNN's spatial RNN, along the last axis.

    p: a number or an array like x. Constant p inverts the two-tap blur [1-a, a] where p = -a/(1-a) (`two_tap_pole`).
    reverse: run from the last sample to the first.
    """
    x = np.asarray(x, dtype=np.float64)
    p = np.broadcast_to(p, x.shape)
    h, state = np.empty_like(x), np.zeros(x.shape[:-1])
    for t in range(x.shape[-1])[:: -1 if reverse else 1]:
        state = h[..., t] = (1 - p[..., t]) * x[..., t] + p[..., t] * state
    return h


def two_tap_pole(a: float) -> float:
    """The weight p = -a / (1 - a) with which one scan undoes the blur [1 - a, a]: negative, and stable only for a < 1/2."""
    return -a / (1 - a)


def symmetric_pole(b: float) -> float:
    """The p with which a scan there and one back undo [b, 1 - 2b, b], b < 1/4: the root of b p² + (1-2b) p + b = 0 in (-1, 0]."""
    if not 0 <= b < 0.25:
        raise ValueError(
            f"b is {b}: a symmetric three-tap blur has a two-sided scan as its inverse only for 0 <= b < 1/4."
        )
    return 0.0 if b == 0 else (-(1 - 2 * b) + np.sqrt(1 - 4 * b)) / (2 * b)


def blur_matrix(kernel: np.ndarray, shape: tuple[int, ...], anchor=None) -> sparse.csr_matrix:
    """K of b = K s (SVDN eq. 1), one row an output pixel, pixels in row-major order, zero boundary.

    kernel: one for the whole picture (like `shape`, 1-D or 2-D), or one a pixel, stacked as (*shape, *kernel shape).
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    size = kernel.shape[-len(shape) :]
    kernels = np.broadcast_to(kernel, (*shape, *size))
    places = np.indices(shape)
    rows, columns, values = [], [], []
    for tap in np.ndindex(*size):
        source = places - np.reshape(
            np.subtract(tap, _anchor(np.empty(size), anchor)), (-1,) + (1,) * len(shape)
        )
        inside = np.all(
            (source >= 0) & (source < np.reshape(shape, (-1,) + (1,) * len(shape))), axis=0
        )
        rows.append(np.ravel_multi_index(tuple(places[:, inside]), shape))
        columns.append(np.ravel_multi_index(tuple(source[:, inside]), shape))
        values.append(kernels[(..., *tap)][inside])
    triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sparse.csr_matrix(triplets, shape=(int(np.prod(shape)),) * 2)
    matrix.eliminate_zeros()
    return matrix


# ---------------------------------------------------------------------------------------------------------------------
# Fourier: transfer functions, the exact inverse and the careful ones (periodic boundary)


def transfer_function(kernel: np.ndarray, shape: tuple[int, ...], anchor=None) -> np.ndarray:
    """F[K] on a grid of that shape, complex, with the anchor at index 0 so that the blur does not shift the picture."""
    kernel = np.asarray(kernel, dtype=np.float64)
    if any(k > n for k, n in zip(kernel.shape, shape, strict=True)):
        raise ValueError(
            f"A kernel of {kernel.shape} does not fit into {tuple(shape)}: take a larger grid or a shorter kernel."
        )
    padded = np.zeros(shape)
    padded[tuple(slice(n) for n in kernel.shape)] = kernel
    return np.fft.fftn(np.roll(padded, [-a for a in _anchor(kernel, anchor)], range(kernel.ndim)))


def inverse_filter(transfer: np.ndarray, constant: float | np.ndarray = 0.0) -> np.ndarray:
    """conj(F[K]) / (|F[K]|² + c): the Wiener filter, and for c = 0 the exact inverse 1 / F[K] of SVDN eq. 2.

    constant: c, a number or one a frequency. The best mean squared error needs c = noise power / signal power at each
    frequency (`wiener_constant`). Its peak gain is 1 / (2 sqrt(c)) wherever |F[K]| = sqrt(c).
    """
    if np.all(constant == 0):
        with np.errstate(divide="ignore", invalid="ignore"):
            return 1 / transfer
    return np.conj(transfer) / (np.abs(transfer) ** 2 + constant)


def split_inverse(
    transfer: np.ndarray, constant: float = 0.0, form: str = "matched"
) -> tuple[np.ndarray, np.ndarray]:
    """The two factors of SVDN eq. 3, 1 / F[K] = F[K] * (1 / F[K]²): blur once more, then invert the double blur.

    form says what regularising means: "squared" = F[K] and inverse_filter², the printed split; "matched" = conj(F[K]) and
    1 / (|F[K]|² + c), whose product is exactly inverse_filter. Without c and for symmetric kernels they are one.
    """
    if form == "squared":
        return transfer, inverse_filter(transfer, constant) ** 2
    if form == "matched":
        return np.conj(transfer), 1 / (np.abs(transfer) ** 2 + constant)
    raise ValueError(f'There is no form {form!r} of the split: choose "squared" or "matched".')


def wiener_constant(sharp_spectrum: np.ndarray, noise: float) -> np.ndarray:
    """c = noise power / signal power at each frequency, for white noise of standard deviation `noise`.

    sharp_spectrum: |F[S]|² of a sharp picture, or of a model of one, as numpy's fftn scales it.
    """
    return noise**2 * sharp_spectrum.size / np.maximum(sharp_spectrum, 1e-12)


def natural_spectrum(
    shape: tuple[int, ...], variance: float = 1.0, corner: float = 1 / 64
) -> np.ndarray:
    """|F|² ~ 1 / (frequency + corner)², the fall-off of photographs, scaled to the given variance.

    corner: cycles per pixel; contrast stops growing beyond 1 / corner pixels.
    """
    axes = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    power = 1 / (np.sqrt(sum(axis**2 for axis in axes)) + corner) ** 2
    return power * (variance * power.size**2 / power.sum())


def apply_filter(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """F^-1[transfer * F[image]]: filtering in the Fourier domain; (H, W), (N,), or (H, W, C) with a 2-D transfer."""
    axes = tuple(range(transfer.ndim))
    spread = transfer.reshape(transfer.shape + (1,) * (np.ndim(image) - transfer.ndim))
    return np.fft.ifftn(np.fft.fftn(image, axes=axes) * spread, axes=axes).real


def impulse_response(transfer: np.ndarray) -> np.ndarray:
    """The filter as taps in space, its origin moved to the index (n // 2, …)."""
    return np.fft.fftshift(np.fft.ifftn(transfer).real)


# ---------------------------------------------------------------------------------------------------------------------
# How far a filter reaches, and where


def support_radius(taps: np.ndarray, share: float = 0.99, power: int = 1) -> int:
    """The smallest r whose centred box of side 2r + 1 holds `share` of sum |taps|^power; 1-D or 2-D, centre at n // 2.

    power 1 counts absolute taps (99 % L1), power 2 their energy.
    """
    mass = np.abs(taps, dtype=np.float64) ** power
    distance = np.max(np.abs(np.stack(_offsets(mass.shape))), axis=0)
    within = np.cumsum(np.bincount(distance.ravel(), mass.ravel()))
    return int(np.searchsorted(within, share * within[-1] * (1 - 1e-12)))


def support_count(taps: np.ndarray, share: float = 0.99, power: int = 1) -> int:
    """How many taps, largest first, hold `share` of sum |taps|^power."""
    mass = np.sort(np.abs(taps, dtype=np.float64).ravel() ** power)[::-1].cumsum()
    return int(np.searchsorted(mass, share * mass[-1] * (1 - 1e-12))) + 1


def band_energy(taps: np.ndarray, angle: float, half_width: float = 1.5) -> tuple[float, float]:
    """(share of energy, share of area) within `half_width` pixels of the line through the centre at `angle` degrees."""
    down, right = _offsets(taps.shape)
    slope = np.deg2rad(angle)
    inside = np.abs(right * np.sin(slope) + down * np.cos(slope)) <= half_width
    return float((taps[inside] ** 2).sum() / (taps**2).sum()), float(inside.mean())


def principal_angle(taps: np.ndarray) -> tuple[float, float]:
    """(angle, anisotropy) of a 2-D filter from the second moments of its energy.

    angle: degrees in [0, 180), anticlockwise from "right". anisotropy: 0 for a round filter, 1 for a line.
    """
    down, right = _offsets(taps.shape)
    energy = taps**2
    rr, ru, uu = ((energy * a * b).sum() for a, b in ((right, right), (right, -down), (down, down)))
    angle = np.rad2deg(np.arctan2(2 * ru, rr - uu)) / 2
    return float(angle % 180), float(np.hypot(rr - uu, 2 * ru) / (rr + uu))


def receptive_field(
    function, shape: tuple[int, int], channels: int = 1, seed: int = 0
) -> np.ndarray:
    """|d output centre / d input| summed over channels, (H, W): non-zero where the centre pixel looks.

    function: a torch module or function, (1, channels, H, W) -> (1, any, H, W), evaluated in float64 on noise.
    """
    import torch

    image = torch.rand(
        1, channels, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    ).requires_grad_()
    output = function(image)
    centre = output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(centre, image)
    return gradient[0].abs().sum(0).numpy()


# ---------------------------------------------------------------------------------------------------------------------
# The best filter of a given length


def least_squares_fir(
    transfer: np.ndarray, radius: int, spectrum: np.ndarray, noise: float
) -> tuple[np.ndarray, float]:
    """The FIR filter with taps -radius … radius that restores best on average, and the error to expect.

    Minimises E (x - g * y)² for y = K x + noise, stationary x with |F[x]|² = spectrum: the normal equations
    sum_m g[m] r_yy[n - m] = r_xy[n] for |n| <= radius. transfer: F[K], 1-D. noise: standard deviation.
    Returns (taps, sqrt(MSE / variance of x)).
    """
    return _fir(transfer, np.ones_like(transfer), radius, spectrum, noise)


def split_fir(
    transfer: np.ndarray, radius: int, spectrum: np.ndarray, noise: float, matched: bool = False
) -> tuple[np.ndarray, float]:
    """`least_squares_fir` behind a fixed first stage: K itself (SVDN eq. 3 as printed), or conj(K) if `matched`."""
    return _fir(transfer, np.conj(transfer) if matched else transfer, radius, spectrum, noise)


def _fir(transfer, first, radius, spectrum, noise):
    scale = spectrum.size**2  # from |F|² to a mean over samples
    observed = (
        np.abs(first) ** 2 * (np.abs(transfer) ** 2 * spectrum + noise**2 * spectrum.size) / scale
    )
    auto = np.fft.fft(observed).real
    cross = np.fft.fft(first * transfer * spectrum / scale)  # r_xy[n] = E x[t] y[t - n], real
    lags = np.arange(-radius, radius + 1)
    target = cross.real[lags % spectrum.size]
    taps = linalg.solve(linalg.toeplitz(auto[: 2 * radius + 1]), target, assume_a="pos")
    variance = spectrum.sum() / scale
    return taps, float(np.sqrt(max(variance - taps @ target, 0.0) / variance))


def signal_psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    """-10 log10(mean squared error) in dB for signals in [0, 1], without clipping: overflow shows as a large negative number."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return float(-10 * np.log10(np.mean((np.asarray(estimate, dtype=np.float64) - truth) ** 2)))


def _anchor(kernel: np.ndarray, anchor) -> tuple[int, ...]:
    if anchor is None:
        return tuple(n // 2 for n in kernel.shape)
    return (int(anchor),) * kernel.ndim if np.ndim(anchor) == 0 else tuple(int(a) for a in anchor)


def _offsets(shape) -> list[np.ndarray]:
    """Signed distances from the centre n // 2, one array an axis (down, right)."""
    return [axis - n // 2 for axis, n in zip(np.indices(shape), shape, strict=True)]
