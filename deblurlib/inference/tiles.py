"""How a large picture is cut into overlapping tiles that leave no seams."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch import nn

from ..models import spec_of
from .memory import bytes_per_pixel, free_memory
from .windows import SMALLEST, parameter_of

GRID = 32  # tiles begin at multiples of it, so that strides and pooling windows fall as in the whole picture
RAMP = 32  # pixels over which neighbouring tiles are blended
LARGEST = 2**12  # pixels: longest side of one piece, for networks that do not state their own
MEMORY = {
    "cpu": 3 * 2**29,
    "other": 2**34,
}  # bytes that a network takes at most with tile="auto", however much there is


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
        context = spec_of(network).margin if margin is None else margin
        self.margin = round_up(context + RAMP // 2, GRID)
        self.side = self.affordable(network) if self.automatic else round_up(int(tile), GRID)

    def affordable(self, network) -> int:
        """The side of the tiles that fit into the free memory, 0 if the whole picture does."""
        height, width = (max(n, SMALLEST) for n in self.size)
        largest = spec_of(network).largest or LARGEST
        if height * width <= 2**16:
            return 0
        device = parameter_of(network).device
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
