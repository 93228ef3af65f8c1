"""Every plot that the notebooks draw, in one visual style: colour-blind-safe, quiet, equal crops and scales.

Pictures are (H, W, 3) or (H, W) arrays in [0, 1], or (3, H, W) tensors. Functions return the figure; nothing is shown.
"""

import io

import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's colours, told apart by readers with any form of colour vision
COLOURS = {
    "blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "vermilion": "#D55E00",
    "purple": "#CC79A7", "sky": "#56B4E9", "yellow": "#F0E442", "black": "#000000",
}  # fmt: skip
SEQUENTIAL = "cividis"  # for magnitudes
DIVERGING = "RdBu_r"  # for signed values around zero


def use_style() -> None:
    """Set matplotlib's defaults for this book."""
    plt.rcParams.update({
        "figure.dpi": 80, "savefig.dpi": 100, "figure.constrained_layout.use": True,
        "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left", "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False,
        "axes.prop_cycle": plt.cycler(color=[c for n, c in COLOURS.items() if n != "yellow"]),
        "image.interpolation": "nearest", "image.cmap": SEQUENTIAL,
    })  # fmt: skip


def show(figure) -> None:
    """Display a figure in a notebook once and close it: as a PNG of 256 colours, a third of the size of a full one."""
    from IPython.display import Image, display
    from PIL import Image as Picture

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=plt.rcParams["figure.dpi"])
    plt.close(figure)
    full = Picture.open(buffer).convert("RGB")
    palette = full.quantize(256, method=Picture.Quantize.MAXCOVERAGE)
    few = full.quantize(palette=palette, dither=Picture.Dither.FLOYDSTEINBERG)
    colours = np.array(few.getpalette()).reshape(-1, 3)
    colours[few.getpixel((0, 0))] = 255  # the paper stays white
    few.putpalette(colours.ravel().tolist())
    few.save(buffer := io.BytesIO(), "PNG", optimize=True)
    display(Image(buffer.getvalue()))


def as_picture(picture) -> np.ndarray:
    """A tensor or array as (H, W, 3) or (H, W), clipped to [0, 1]."""
    array = picture.detach().cpu().float().numpy() if hasattr(picture, "detach") else np.asarray(picture, dtype=np.float32)
    if array.ndim == 4:
        array = array[0]
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    return np.clip(array.squeeze(), 0, 1)


def pictures(named: dict, columns: int | None = None, width: float = 10.0, crop=None):
    """A grid of pictures under their titles; `crop` = (top, left, height, width) shows the same window of each."""
    columns = columns or min(len(named), 4)
    rows = -(-len(named) // columns)
    window = np.s_[:, :] if crop is None else np.s_[crop[0] : crop[0] + crop[2], crop[1] : crop[1] + crop[3]]
    shown = {title: as_picture(picture)[window] for title, picture in named.items()}
    height, length = next(iter(shown.values())).shape[:2]
    size = (width, width / columns * rows * height / length + 0.35 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, picture) in zip(axes.flat, shown.items(), strict=False):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
    return figure


def pictures_and_map(named: dict, values: np.ndarray, title: str, unit: str, width: float = 10.0):
    """Pictures in a row and, at their right, a map of a non-negative quantity with its colour bar."""
    figure, axes = plt.subplots(1, len(named) + 1, figsize=(width, width / (len(named) + 1) + 0.2))
    for axis, (name, picture) in zip(axes, named.items(), strict=False):
        axis.imshow(as_picture(picture))
        axis.set_title(name)
    image = axes[-1].imshow(values, cmap=SEQUENTIAL, vmin=0)
    axes[-1].set_title(title)
    figure.colorbar(image, label=unit, shrink=0.85)
    for axis in axes:
        axis.axis("off")
    return figure


def flow_picture(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """(H, W, 2) flow as colours: hue = direction, saturation = length relative to `longest` (default: the 99th percentile)."""
    from matplotlib.colors import hsv_to_rgb

    u, v = flow[..., 0], flow[..., 1]
    length = np.hypot(u, v)
    longest = longest or max(np.percentile(length, 99), 1e-6)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    return hsv_to_rgb(np.stack([hue, np.clip(length / longest, 0, 1), np.full_like(hue, 0.95)], -1))


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 01


def curves(series: dict, xlabel: str, ylabel: str, *, marks: dict | None = None, size=(6.6, 2.8), **axes):
    """Named curves in one frame: values, or (x, values). `marks`: label -> x of a dotted vertical line.

    axes: anything that Axes.set takes, such as xscale="log" or ylim=(0, 1).
    """
    figure, axis = plt.subplots(figsize=size)
    styles = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]  # so that curves differ without colour, too
    for (name, values), style in zip(series.items(), styles * 3, strict=False):
        x, y = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        axis.plot(x, y, linestyle=style, label=name, marker="o" if len(x) <= 24 else None, markersize=4)
    axis.set(xlabel=xlabel, ylabel=ylabel, **axes)
    for label, x in (marks or {}).items():
        axis.axvline(x, color="0.4", linestyle=":", linewidth=1)
        axis.text(x, 0.02, f" {label}", transform=axis.get_xaxis_transform(), color="0.3")
    if len(series) > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def zero_map(kernels: dict, width: float = 9.0):
    """The zeros of each causal kernel against the unit circle: inside is invertible, on it erased, outside unstable."""
    from .theory import kernel_zeros

    figure, axes = plt.subplots(1, len(kernels), figsize=(width, width / len(kernels) + 0.9), sharey=True, squeeze=False)
    circle = np.exp(2j * np.pi * np.linspace(0, 1, 200))
    for axis, (name, kernel) in zip(axes[0], kernels.items(), strict=True):
        zeros = kernel_zeros(kernel)
        beyond = np.sign(np.round(np.abs(zeros) - 1, 6))
        axis.fill(circle.real, circle.imag, facecolor=COLOURS["sky"], alpha=0.2)
        axis.plot(circle.real, circle.imag, color="0.4", linewidth=1)
        for side, colour, marker in ((-1, "blue", "o"), (0, "orange", "D"), (1, "vermilion", "X")):
            axis.plot(zeros.real[beyond == side], zeros.imag[beyond == side], marker, color=COLOURS[colour], markersize=7)
        axis.set(title=f"{name}\nlargest |z| = {np.abs(zeros[0]):.2f}", xlabel="Re z", xlim=(-1.45, 1.45), ylim=(-1.45, 1.45))
        axis.set_box_aspect(1)
    axes[0, 0].set_ylabel("Im z")
    return figure


def filters(named: dict, window: int = 65, *, boxes=None, columns=None, width=9.0, labels=("pixels right", "pixels down")):
    """Taps of filters as pictures around their centre n // 2, each scaled to its own largest tap; red positive, blue negative.

    window: side in pixels that is shown of each (filters that are smaller are padded). boxes: title -> side of
    a centred square.
    """
    columns = columns or len(named)
    rows = -(-len(named) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (width / columns + 0.35)), squeeze=False)
    for axis in axes.flat[len(named) :]:
        axis.axis("off")
    half = window // 2
    for axis, (title, taps) in zip(axes.flat, named.items(), strict=False):
        taps = np.pad(taps, [(half, half)] * 2)
        top, left = (n // 2 for n in taps.shape)
        shown = taps[top - half : top + half + 1, left - half : left + half + 1] / np.abs(taps).max()
        # a cube root keeps the sign and lets small taps be seen
        axis.imshow(np.cbrt(shown), cmap=DIVERGING, vmin=-1, vmax=1, extent=(-half - 0.5, half + 0.5, half + 0.5, -half - 0.5))
        if boxes and title in boxes:
            side = boxes[title]
            axis.add_patch(plt.Rectangle((-side / 2, -side / 2), side, side, fill=False, color=COLOURS["black"], linewidth=1.2))
        axis.grid(False)
        axis.set(title=title, xlabel=labels[0])
        axis.locator_params(integer=True, nbins=5)
        axis.tick_params(labelleft=axis in axes[:, 0])
    for axis in axes[:, 0]:
        axis.set_ylabel(labels[1])
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 02


def flow_fields(named: dict, longest: float | None = None, columns: int | None = None, width: float = 10.0):
    """Flows (H, W, 2) as colours at one scale, with the wheel that explains them: hue = direction, saturation = length."""
    longest = longest or max(np.percentile(np.hypot(f[..., 0], f[..., 1]), 99) for f in named.values())
    side = min(next(iter(named.values())).shape[:2])
    down, right = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j] * longest
    wheel = flow_picture(np.stack([right, down], -1), longest)
    wheel[np.hypot(right, down) > longest] = 1
    shown = {title: flow_picture(flow, longest) for title, flow in named.items()}
    return pictures({**shown, f"rim = {longest:.0f} px": wheel}, columns=columns, width=width)


def magnitudes(named: dict, label: str, width: float = 10.0):
    """Maps (H, W) of a magnitude side by side, with one colour bar."""
    height, length = next(iter(named.values())).shape
    panel = width / len(named)
    figure, axes = plt.subplots(1, len(named), figsize=(width, 0.9 * panel * height / length + 0.4), squeeze=False)
    highest = max(values.max() for values in named.values())
    for axis, (title, values) in zip(axes[0], named.items(), strict=True):
        image = axis.imshow(values, vmin=0, vmax=highest)
        axis.set_title(title)
        axis.axis("off")
    figure.colorbar(image, ax=axes[0], label=label, shrink=0.9)
    return figure


def camera_paths(named: dict, exposure: float = 1.0, width: float = 10.0):
    """Paths t -> (x, y) of one pixel over two frame periods, the part that the exposure sees, and the two flow segments."""
    figure, axes = plt.subplots(1, len(named), figsize=(width, 0.6 * width / len(named) + 0.7), sharex=True, sharey=True)
    whole, seen = np.linspace(-1, 1, 401), np.linspace(-exposure / 2, exposure / 2, 201)
    for axis, (title, path) in zip(axes, named.items(), strict=True):
        axis.plot(*path(whole), color="0.7", linewidth=1.5, label="path, previous to next frame")
        axis.plot(*path(seen), color=COLOURS["blue"], linewidth=5, label="path during the exposure")
        ends = np.stack([path(t) for t in (-1.0, 0.0, 1.0)], -1)
        half = ends[:, 1:2] + exposure / 2 * (ends - ends[:, 1:2])
        axis.plot(*ends, "o--", color=COLOURS["orange"], linewidth=1.2, markersize=5, label="the two flow segments")
        axis.plot(*half, color=COLOURS["vermilion"], linewidth=2, label=f"their first {exposure / 2:.0%}")
        axis.set(title=title, xlabel="pixels right", aspect="equal")
    axes[0].set_ylabel("pixels down")
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def local_kernels(picture, flow_previous, flow_next, scale: float = 0.5, stride: int = 16, width: float = 6.0):
    """The two segments that stand for the blur kernel, drawn at every `stride`-th pixel of a picture."""
    shown = as_picture(picture)
    height, length = shown.shape[:2]
    figure, axis = plt.subplots(figsize=(width, width * height / length))
    axis.imshow(0.4 * shown + 0.6)
    for y in range(stride // 2, height, stride):
        for x in range(stride // 2, length, stride):
            for flow, colour in ((flow_previous, "blue"), (flow_next, "vermilion")):
                u, v = scale * flow[y, x]
                axis.plot([x, x + u], [y, y + v], color=COLOURS[colour], linewidth=1.5)
    axis.set(xlim=(-0.5, length - 0.5), ylim=(height - 0.5, -0.5))
    axis.axis("off")
    return figure


def histograms(named: dict, xlabel: str, width: float = 7.5):
    """Distributions as shares of each group, over common bins, with their means as dotted lines."""
    figure, axis = plt.subplots(figsize=(width, 3.2))
    bins = np.histogram_bin_edges(np.concatenate([np.asarray(v, float) for v in named.values()]), 16)
    for (name, values), colour in zip(named.items(), ("blue", "orange", "green"), strict=False):
        label = f"{name}: mean {np.mean(values):.1f}"
        axis.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=COLOURS[colour], alpha=0.5, label=label)
        axis.axvline(np.mean(values), color=COLOURS[colour], linestyle=":", linewidth=1.5)
    axis.set(xlabel=xlabel, ylabel="share of pictures")
    axis.legend(loc="upper right")
    return figure


# ---------------------------------------------------------------------------------------------------------------------
# Notebook 04


def distance_error(error: np.ndarray, reach: float, end: np.ndarray, width: float = 5.5):
    """A signed error over the plane [-reach, reach]^2 around the segment from the origin to `end` = (right, down)."""
    figure, axis = plt.subplots(figsize=(width, width * 0.85))
    limit = np.nanmax(np.abs(error))
    image = axis.imshow(error, cmap=DIVERGING, vmin=-limit, vmax=limit, extent=(-reach, reach, reach, -reach))
    axis.plot([0, end[0]], [0, end[1]], color=COLOURS["black"], linewidth=3, solid_capstyle="round", label="flow segment")
    axis.grid(False)
    axis.set(xlabel="x: pixels right", ylabel="y: pixels down", title="printed minus true distance of a point at (x, y)")
    axis.legend(loc="lower left")
    figure.colorbar(image, label="pixels")
    return figure


def point_clouds(clouds: dict, ends, width: float = 8.0):
    """Sampling points (2, n) as (right, down) around a pixel, over the segments from it to each of `ends`."""
    figure, axes = plt.subplots(1, len(clouds), figsize=(width, width / len(clouds)), sharex=True, sharey=True)
    for axis, (title, points) in zip(np.atleast_1d(axes), clouds.items(), strict=True):
        for end in ends:
            axis.plot([0, end[0]], [0, end[1]], color=COLOURS["orange"], linewidth=6, alpha=0.5, solid_capstyle="round")
        axis.plot(*points, "o", color=COLOURS["blue"], markersize=5)
        axis.set(title=title, xlabel="feature pixels right", aspect="equal")
    reach = 1.15 * max(np.abs(ends).max(), *(np.abs(points).max() for points in clouds.values()))
    np.atleast_1d(axes)[0].set(ylabel="feature pixels down", xlim=(-reach, reach), ylim=(reach, -reach))
    return figure


def sampling_points(picture, points: np.ndarray, flows, spots: dict, window: int = 28, width: float = 9.0):
    """Where a deformable layer at half resolution reads for some pixels, over the picture and its two flow segments.

    points: (2, n, h, w), (right, down) in feature pixels; flows: two of (h, w, 2) in feature pixels; spots: title -> (row,
    column) of a feature pixel. Drawn in image pixels: feature pixel (i, j) sits on image pixel (2i, 2j).
    """
    figure, axes = plt.subplots(1, len(spots), figsize=(width, width / len(spots) + 0.3))
    for axis, (title, (i, j)) in zip(np.atleast_1d(axes), spots.items(), strict=True):
        axis.imshow(as_picture(picture))
        for flow, label in zip(flows, ("flow to previous and next", None), strict=True):
            u, v = 2 * flow[i, j]
            axis.plot([2 * j, 2 * j + u], [2 * i, 2 * i + v], color=COLOURS["orange"], linewidth=5, alpha=0.8, label=label)
        x, y = 2 * j + 2 * points[0, :, i, j], 2 * i + 2 * points[1, :, i, j]
        axis.plot(x, y, "o", color=COLOURS["sky"], markeredgecolor="black", markersize=6, label="sampling points")
        axis.plot(2 * j, 2 * i, "+", color="white", markersize=12, markeredgewidth=2)
        axis.set(title=title, xlim=(2 * j - window, 2 * j + window), ylim=(2 * i + window, 2 * i - window))
        axis.axis("off")
    np.atleast_1d(axes)[0].legend(loc="upper left", frameon=True, fontsize=8)
    return figure


def binned(table, xlabel: str, ylabel: str, width: float = 6.5):
    """Mean and standard deviation of a quantity by bin: a table with the columns bin, mean and std."""
    figure, axis = plt.subplots(figsize=(width, 3.2))
    axis.errorbar(table["bin"], table["mean"], table["std"], fmt="o", color=COLOURS["blue"], capsize=4, markersize=7)
    axis.set(xlabel=xlabel, ylabel=ylabel, title="mean and standard deviation over pixels")
    return figure
