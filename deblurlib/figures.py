"""Every plot that the notebooks draw, in one visual style: colour-blind-safe, quiet, equal crops and scales.

Pictures are (H, W, 3) or (H, W) arrays in [0, 1], or (3, H, W) tensors. Functions return the figure; nothing is shown.
"""

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
    """Display a figure in a notebook once and close it."""
    from IPython.display import display

    display(figure)
    plt.close(figure)


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


def flow_picture(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """(H, W, 2) flow as colours: hue = direction, saturation = length relative to `longest` (default: the 99th percentile)."""
    from matplotlib.colors import hsv_to_rgb

    u, v = flow[..., 0], flow[..., 1]
    length = np.hypot(u, v)
    longest = longest or max(np.percentile(length, 99), 1e-6)
    hue = (np.arctan2(v, u) / (2 * np.pi)) % 1
    return hsv_to_rgb(np.stack([hue, np.clip(length / longest, 0, 1), np.full_like(hue, 0.95)], -1))
