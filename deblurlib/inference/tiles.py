"""Cutting a large image into overlapping tiles that leave no seams."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from torch import nn

from ..models import spec_of
from .memory import bytes_per_pixel, free_memory
from .precision import Precision
from .windows import SMALLEST, parameter_of

GRID = 32  # tiles begin at multiples of it, as strides and pooling windows of the image do
RAMP = 32  # pixels over which neighbouring tiles are blended
LARGEST = 2**12  # pixels per side of one tile, for networks that do not state their own
WHOLE = 2**16  # pixels: an image up to this size is never cut automatically
MEMORY_ON_CPU = 11 * 2**26  # bytes that an image and its automatic tiles use, even if more are free
MOST_ON_CPU = 5 * 2**29  # bytes that they use where margins would cost more than memory does
MEMORY_ON_GPU = 2**34
IMAGE = 6  # bytes per pixel of an image of 8 bits and of its restored one
# side of the smallest tiles that are cut to use less than is free, in margins: at any cost, and if
# such tiles fit into MOST_ON_CPU
MARGINS, MORE_MARGINS = 4, 8


@dataclass(frozen=True)
class Span:
    """The extent of a tile along one axis; the weights of all tiles sum to one at every pixel.

    Attributes:
        seen: The pixels that the network sees.
        kept: Those that reach the blended image, all of positive weight; two neighbours share the
            pixels of the ramp between them.
        weight: float32, the weight in the blended image of each pixel that is kept.
    """

    seen: slice
    kept: slice
    weight: np.ndarray

    @property
    def within(self) -> slice:
        """Where the pixels that are kept lie within those that are seen."""
        return slice(self.kept.start - self.seen.start, self.kept.stop - self.seen.start)


class Tiles:
    """The tiles into which an image is cut for a network.

    Attributes:
        size: (height, width) of the image in pixels.
        automatic: Whether the side depends on the free memory and may shrink.
        margin: Pixels of context around each tile, a multiple of `GRID`.
        side: Side of the tiles without their margin, in pixels, a multiple of `GRID`; 0 means that
            the image is not cut.
    """

    def __init__(
        self,
        network: nn.Module,
        size: tuple[int, int],
        tile: int | str | None = None,
        margin: int | None = None,
        precision: Precision = "fp32",
    ) -> None:
        """Choose the tiles.

        Args:
            network: The network that will run on the tiles.
            size: (height, width) of the image in pixels.
            tile: Side of the tiles in pixels, rounded up to a multiple of `GRID`; 0 for the whole
                image; None or "auto" for the largest side that fits into the free memory.
            margin: Pixels that an output pixel depends on in each direction, extended by the
                blending ramp and rounded up; None for what the network states
                (`models.spec.NetworkSpec.margin`).
            precision: What the network computes in.

        Raises:
            ValueError: If tile or margin is not one of these values.
        """
        self.size = size
        self.automatic = tile is None or tile == "auto"
        if margin is not None and margin < 0:
            raise ValueError(f"margin is {margin}: give a number of pixels, 0 or more.")
        context = spec_of(network).margin if margin is None else margin
        self.margin = round_up(context + RAMP // 2, GRID)
        self.side = (
            self._affordable(network, precision)
            if self.automatic
            else round_up(_pixels(tile), GRID)
        )

    def shrink(self) -> bool:
        """Halve the tiles after memory has run out.

        Returns:
            Whether the tiles are smaller now; False if the caller chose their size or they are
            already as small as `GRID`.
        """
        if not self.automatic or 0 < self.side <= GRID:
            return False
        self.side = round_up((self.side or max(self.size)) // 2, GRID)
        return True

    def spans(self, axis: int) -> list[Span]:
        """Cut one axis into equal pieces on the grid, each with its margin.

        Args:
            axis: 0 for rows, 1 for columns.

        Returns:
            The tiles in ascending order.
        """
        length = self.size[axis]
        pieces = -(-length // self.side) if self.side else 1
        step = round_up(-(-length // pieces), GRID)
        edges = [*range(0, length, step), length]
        spans = []
        for first, last in pairwise(edges):
            seen, kept = (
                slice(max(0, first - around), min(length, last + around))
                for around in (self.margin, RAMP // 2)
            )
            x = np.arange(kept.start, kept.stop) + 0.5
            weight = np.ones_like(x)
            if first > 0:
                weight = weight * _ramp(x - first)
            if last < length:
                weight = weight * (1 - _ramp(x - last))
            spans.append(Span(seen, kept, weight.astype(np.float32)))
        return spans

    def _affordable(self, network: nn.Module, precision: Precision) -> int:
        """The side of the tiles that fit into the free memory; 0 if the whole image does."""
        height, width = (max(n, SMALLEST) for n in self.size)
        if height * width <= WHOLE:
            return 0
        device = parameter_of(network).device
        each = bytes_per_pixel(network, precision)
        limit = MEMORY_ON_GPU
        if device.type == "cpu":
            limit = max(MEMORY_ON_CPU - IMAGE * height * width, MEMORY_ON_CPU // 2)
            # an image that is not cut has no margins, and much smaller tiles consist of them
            least, more = (
                int(each * ((margins + 2) * self.margin) ** 2)
                for margins in (MARGINS, MORE_MARGINS)
            )
            limit = max(limit, least, min(more, MOST_ON_CPU))
            if each * height * width <= MOST_ON_CPU:
                limit = MOST_ON_CPU
        budget = min(free_memory(device) / 2, limit)
        largest = spec_of(network).largest
        largest = LARGEST if largest is None else largest
        pixels = min(budget / each, largest**2)
        if height * width <= pixels:
            return 0
        return max((math.isqrt(int(pixels)) - 2 * self.margin) // GRID * GRID, GRID)


def round_up(n: int, multiple: int) -> int:
    """Round up to a multiple.

    Args:
        n: Any integer.
        multiple: A positive integer.

    Returns:
        The smallest multiple that is not below n.
    """
    return -(-n // multiple) * multiple


def _pixels(tile: Any) -> int:
    """A tile's side as the caller gave it, checked."""
    if isinstance(tile, bool) or not isinstance(tile, (int, np.integer)) or tile < 0:
        raise ValueError(
            f'tile is {tile!r}: give a number of pixels, 0 for the whole image, or "auto".'
        )
    return int(tile)


def _ramp(x: np.ndarray) -> np.ndarray:
    """0 before an edge, 1 after it, and half a cosine over RAMP pixels between."""
    ramp: np.ndarray = 0.5 - 0.5 * np.cos(np.pi * np.clip(x / RAMP + 0.5, 0, 1))
    return ramp
