"""Deblurring a picture of any size: padding where it is small, overlapping tiles where it is large.

    picture -> RGB in [0, 1] -> tiles with a margin of context -> network -> blended -> the picture's own dtype and shape

A network whose output depends on a neighbourhood gives the same picture with and without tiles, to 1e-4, as long as the
margin covers that neighbourhood (MARGINS). SVRNN's recurrences and RADN's attention see the whole picture, so their result
depends on the tiles: with the shipped weights on photographs, SVRNN's by less than 1/255, RADN's by a third of that in the mean
(RMS) and up to 12/255 at single pixels. Blending leaves no seams: the difference to the whole picture jumps no more from tile
to tile than elsewhere.
"""

import contextlib
import math
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm.auto import tqdm

from ..data.samples import to_array, to_tensor
from ..models import aspdc, load_model, radn, svdn, svrnn

SMALLEST = 16  # pixels: what every network takes
GRID = 32  # tiles begin at multiples of it, so that strides and pooling windows fall as in the whole picture
RAMP = 32  # pixels over which neighbouring tiles are blended
# how far an output pixel looks, in pixels, and (where its cost grows faster than the picture) the largest input of a network
MARGINS = {svdn.SVDN: 80, aspdc.ASPDC: 112, svrnn.SVRNN: 112, radn.RADN: 112, radn.Baseline: 112}
LARGEST = {radn.RADN: 768, radn.Baseline: 768}
MARGIN = 80  # of other networks
MEMORY = {
    "cpu": 3 * 2**29,
    "other": 2**34,
}  # bytes that a network takes at most with tile="auto", however much there is
WORKSPACE = 1.3  # what kernels take beside the tensors that are counted: measured
UNKNOWN = 4096.0  # bytes a pixel of a network that cannot be measured


def deblur(
    image: np.ndarray,
    model: str | nn.Module = "svdn",
    device: str | torch.device = "auto",
    tile: int | str | None = None,
    *,
    margin: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """A sharper picture of the same shape and dtype, for any height and width from one pixel on.

    image: (H, W), (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16, or floats in
    [0, 1]. Alpha is kept as it is; a grey picture is the mean of the network's three channels.
    model: a name in `list_models()` with shipped weights, or any module (B, 3, H, W) in [0, 1] -> the same.
    device: "auto" is a module's own, and for a name the GPU where there is one.
    tile: side of the square pieces in pixels; 0 = the whole picture at once; None or "auto" = as large as fits into the free
    memory. margin: pixels around each piece that the network sees as well; None = by the kind of network (MARGINS).
    Raises ValueError (an argument), FileNotFoundError (no such weights) or MemoryError, each in one sentence.

    >>> import numpy as np, torch, deblurlib
    >>> deblurlib.deblur(np.full((5, 7), 9, np.uint8), torch.nn.Identity()).shape
    (5, 7)
    """
    _check(image)
    network = resolve_network(model, device)
    tiles = Tiles(network, image.shape[:2], tile, margin)
    result = image.copy(order="C")
    while True:
        try:
            _restore(network, _colour(image), _colour(result), tiles, progress)
            return result
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if not tiles.shrink():
                height, width = image.shape[:2]
                raise MemoryError(
                    f"Deblurring {width} x {height} pixels in pieces of {tiles.side or max(height, width)} takes more memory "
                    'than there is: set a smaller tile, or "auto".'
                ) from None


def resolve_network(model: str | nn.Module, device: str | torch.device = "auto") -> nn.Module:
    """A network that takes one picture, on its device: a module as it is, or the shipped weights of a name.

    The full width is taken where it is shipped, else the small one.
    """
    if isinstance(model, nn.Module):
        network = model if device == "auto" else model.to(choose_device(device))
    elif isinstance(model, str):
        network = _shipped(model, choose_device(device))
    else:
        raise ValueError(
            f"model is a {type(model).__name__}: give the name of a network or a torch module."
        )
    if getattr(network, "pictures", 1) != 1:
        raise ValueError(
            f"{type(network).__name__} takes {network.pictures} pictures: it cannot deblur a single one."
        )
    return network


@lru_cache(maxsize=4)
def _shipped(name, device):
    try:
        network = load_model(name)
    except FileNotFoundError as error:
        try:
            network = load_model(name, size="small")
        except FileNotFoundError:
            raise error from None
    return network.to(device)


def choose_device(device: str | torch.device) -> torch.device:
    """The device of that name; "auto" is the GPU where there is one. ValueError where it is unknown or absent."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(
            f"There is no device {str(device)!r} here: choose auto, cpu, cuda or mps."
        ) from None
    return chosen


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def _check(image) -> None:
    """ValueError, one sentence, for what is no picture."""
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f"The picture is a {type(image).__name__}: give a NumPy array, height by width by channels."
        )
    shape = " x ".join(map(str, image.shape)) or "a single number"
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        hint = (
            ": channels come last, see np.moveaxis"
            if image.ndim == 3 and image.shape[0] in (1, 3, 4)
            else ""
        )
        raise ValueError(
            f"The picture has shape {shape}: it must be H x W or H x W x 1, 2, 3 or 4{hint}."
        )
    if image.size == 0:
        raise ValueError(f"The picture is empty (shape {shape}): it needs at least one pixel.")
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise ValueError(
                "The picture holds NaN or infinite values: replace them first, for instance by np.nan_to_num."
            )
        lowest, highest = image.min(), image.max()
        if lowest < -1e-3 or highest > 1 + 1e-3:
            raise ValueError(
                f"The picture's values reach from {lowest:g} to {highest:g}: floats must lie between 0 and 1."
            )
    elif image.dtype.kind != "u" or image.dtype.itemsize > 2:
        raise ValueError(
            f"The picture has dtype {image.dtype}: convert it to uint8, uint16, or floats between 0 and 1."
        )


def _colour(image) -> np.ndarray:
    """A view of the channels other than alpha: (H, W, 1 or 3)."""
    image = image[..., None] if image.ndim == 2 else image
    return image[..., :-1] if image.shape[2] in (2, 4) else image


def _parameter(network) -> torch.Tensor:
    """One that says which dtype and device a network works in."""
    return next(network.parameters(), torch.empty(0))


def _as_input(window: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """(h, w, 1 or 3) of any dtype -> (1, 3, h, w) in [0, 1], padded by reflection where it is smaller than SMALLEST."""
    padding = [(0, max(0, SMALLEST - n)) for n in window.shape[:2]]
    window = np.pad(window, [*padding, (0, 0)], mode="reflect")
    window = window.astype(window.dtype.newbyteorder("="), copy=False)
    x = to_tensor(window).clamp(0, 1).expand(3, -1, -1)[None]
    return x.to(like).contiguous(memory_format=torch.channels_last)  # faster, and less memory


def _run(network, window) -> np.ndarray:
    """The network's output for a window: (h, w, 1 or 3) -> (h, w, 3) float32 in [0, 1]."""
    x = _as_input(window, like=_parameter(network))
    y = network(x)
    if not isinstance(y, torch.Tensor) or y.shape != x.shape:
        what = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ValueError(
            f"{type(network).__name__} gave {what} for a picture of {tuple(x.shape)}: it must keep the shape."
        )
    height, width = window.shape[:2]
    restored = to_array(y[0, :, :height, :width].clamp(0, 1))
    if not np.isfinite(restored).all():
        raise ValueError(
            f"{type(network).__name__} gave values that are not finite: its weights do not fit, or have diverged."
        )
    return restored


def _restore(network, colour, result, tiles: "Tiles", progress) -> None:
    """Row of tiles by row of tiles: a band of blended float32 pixels, of which finished lines move on to the result."""
    rows, columns = tiles.spans(0), tiles.spans(1)
    hidden = None if progress is None else not progress
    bar = tqdm(
        total=len(rows) * len(columns),
        desc="deblur",
        unit="tile",
        leave=False,
        delay=2,
        disable=hidden,
    )
    with bar, predicting(network):
        band = np.zeros((rows[0].stop, colour.shape[1], 3), np.float32)
        for row, below in pairwise([*rows, None]):
            top = row.start
            for column in columns:
                window = colour[row.start : row.stop, column.start : column.stop]
                weight = row.weight[:, None, None] * column.weight[None, :, None]
                band[: row.stop - top, column.start : column.stop] += weight * _run(network, window)
                bar.update()
            done = (below.start if below else row.stop) - top
            result[top : top + done] = _as_dtype(band[:done], colour)
            if below:
                rest = np.zeros((below.stop - below.start, *band.shape[1:]), np.float32)
                rest[: row.stop - below.start] = band[done : row.stop - top]
                band = rest


@contextlib.contextmanager
def predicting(network):
    """Without gradients and in eval mode; afterwards every part of it in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _as_dtype(restored, colour) -> np.ndarray:
    """(h, w, 3) float32 -> the channels and the dtype of the picture."""
    if colour.shape[2] == 1:
        restored = restored.mean(2, keepdims=True)
    if colour.dtype.kind == "f":
        return restored.astype(colour.dtype)
    return np.rint(restored * np.iinfo(colour.dtype).max).astype(colour.dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Tiles


@dataclass(frozen=True)
class Span:
    """What a tile sees along one axis, and how much each of its pixels counts; the weights of all tiles sum to one."""

    start: int
    stop: int
    weight: np.ndarray


class Tiles:
    """How a picture is cut for a network; see `deblur` for tile and margin."""

    def __init__(
        self,
        network: nn.Module,
        size: tuple[int, int],
        tile: int | str | None = None,
        margin: int | None = None,
    ):
        self.size, self.automatic = size, tile in (None, "auto")
        if not self.automatic and (
            isinstance(tile, bool) or not isinstance(tile, (int, np.integer)) or tile < 0
        ):
            raise ValueError(
                f'tile is {tile!r}: give a number of pixels, 0 for the whole picture, or "auto".'
            )
        if margin is not None and margin < 0:
            raise ValueError(f"margin is {margin}: give a number of pixels, 0 or more.")
        context = _by_kind(MARGINS, network, MARGIN) if margin is None else margin
        self.margin = round_up(context + RAMP // 2, GRID)
        self.side = self.affordable(network) if self.automatic else round_up(int(tile), GRID)

    def affordable(self, network) -> int:
        """The side of the tiles that fit into the free memory, 0 if the whole picture does."""
        height, width = (max(n, SMALLEST) for n in self.size)
        largest = _by_kind(LARGEST, network, 2**12)
        if height * width <= 2**16:
            return 0
        device = _parameter(network).device
        budget = min(free_memory(device) / 2, MEMORY["cpu" if device.type == "cpu" else "other"])
        pixels = min(budget / bytes_per_pixel(network), largest**2)
        if height * width <= pixels:
            return 0
        return max((math.isqrt(int(pixels)) - 2 * self.margin) // GRID * GRID, GRID)

    def shrink(self) -> bool:
        """Halve the tiles, if their size was ours to choose; says whether it did."""
        if not self.automatic or 0 < self.side <= GRID:
            return False
        self.side = round_up((self.side or max(self.size)) // 2, GRID)
        return True

    def spans(self, axis: int) -> list[Span]:
        """The tiles along an axis: equal pieces on the grid, each with its margin."""
        length = self.size[axis]
        pieces = -(-length // self.side) if self.side else 1
        step = round_up(-(-length // pieces), GRID)
        edges = [*range(0, length, step), length]
        position = np.arange(length) + 0.5
        spans = []
        for first, last in pairwise(edges):
            start = max(0, first - self.margin)
            stop = min(length, last + self.margin)
            x = position[start:stop]
            rising = _ramp(x - first) if first else 1.0
            falling = 1 - _ramp(x - last) if last < length else 1.0
            spans.append(Span(start, stop, np.broadcast_to(np.float32(rising * falling), x.shape)))
        return spans


def _ramp(x):
    """0 before an edge, 1 behind it, half a cosine over RAMP pixels between."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(x / RAMP + 0.5, 0, 1))


def round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _by_kind(table, network, default):
    return next((value for kind, value in table.items() if isinstance(network, kind)), default)


# ---------------------------------------------------------------------------------------------------------------------
# Memory


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that this process may still take: of the machine, of its control group, of its own limit; or of the GPU."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(
        0, min([*_free_of_machine(), *_free_of_groups(), *_free_of_process()], default=2**31)
    )


def _free_of_machine() -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        lines = dict(
            line.split(":")
            for line in Path("/proc/meminfo").read_text().splitlines()
            if ":" in line
        )
        if "MemAvailable" in lines:
            yield int(lines["MemAvailable"].split()[0]) * 1024
            return
    with contextlib.suppress(
        OSError, ValueError, AttributeError
    ):  # macOS says only how much there is at all
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_of_groups(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What the limits of a container leave, pages of files apart, which it gives back: versions 2 and 1 of cgroups."""
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers not in ("", "memory"):
            continue
        names = (
            ("memory.max", "memory.current")
            if not controllers
            else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        home = root / controllers
        for folder in {
            home,
            *(home / part for part in [Path(path.lstrip("/")), *Path(path.lstrip("/")).parents]),
        }:
            with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
                limit, used = (int((folder / name).read_text()) for name in names)
                stat = dict(
                    line.split() for line in (folder / "memory.stat").read_text().splitlines()
                )
                yield limit - used + int(stat.get("inactive_file", 0))


def _free_of_process() -> Iterator[int]:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            yield (
                limit
                - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            )


def bytes_per_pixel(network: nn.Module, side: int = 128) -> float:
    """How much memory a network takes at its peak for each pixel of its input, measured on a small grey picture.

    All tensors that live at the same time are counted; WORKSPACE allows for what kernels add. A network that does not take
    that picture counts as UNKNOWN.
    """
    try:
        with predicting(network), LiveBytes() as live:
            _run(network, np.full((side, side, 3), 128, np.uint8))
    except (
        Exception
    ):  # a foreign network may want another size, and will say so when it is given the picture
        return UNKNOWN
    return WORKSPACE * live.peak / side**2


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors made within it: those alive now, and the most that were at once."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return made

    def count(self, storage):
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())

    def forget(self, key, size):
        self.known.discard(key)
        self.now -= size


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(
        error, (MemoryError, torch.OutOfMemoryError)
    ) or "can't allocate memory" in str(error)
