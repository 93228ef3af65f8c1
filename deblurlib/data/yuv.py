"""Colours of video frames: YUV planes to RGB and back, rounded rather than cut off.

libswscale's default route from yuv420p is 1.0 to 1.5 levels too dark, its route to full range
lowers the chroma by half a level, and its route from RGB of 16 bits to YUV of 10 is 0.2 % too
bright. Here both directions follow the formula of ITU-T H.273 in float32. Chroma samples lie on
the even columns and between the rows, as the formats of video have it ("left").

Source: ITU-T H.273 (2021), section 8.3, equations 38 to 40 and table 4.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import Unsupported

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.format import VideoFormat

# (red, blue) weights of luma by matrix_coefficients, table 4 of H.273
LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
RGB, UNSPECIFIED = 0, (2, 3)  # matrix_coefficients
BT601, BT709 = 6, 1
FULL = 2  # libav's number of the full range
HD = 720  # lines from which an unspecified matrix means BT.709, as players have it
SUBSAMPLING = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (1, 2): "440"}
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Coding:
    """How colours are written as numbers.

    Attributes:
        matrix: matrix_coefficients of H.273, a key of `LUMA`.
        full: Whether the numbers use the full range, 0 to 255 in 8 bits, rather than 16 to 235.
        bits: Bits per sample.
    """

    matrix: int
    full: bool
    bits: int

    def to_rgb(self) -> NDArray[np.float64]:
        """Return the (3, 4) matrix from Y, Cb, Cr and 1 to RGB in [0, 1]."""
        red, blue = LUMA[self.matrix]
        green = 1 - red - blue
        forward = np.array(
            [
                [red, green, blue],
                np.array([-red, -green, 1 - blue]) / (2 * (1 - blue)),
                np.array([1 - red, -green, -blue]) / (2 * (1 - red)),
            ]
        )
        scale, offset = self._levels()
        inverse = np.linalg.inv(forward) / scale
        return np.column_stack([inverse, -inverse @ offset])

    def from_rgb(self) -> NDArray[np.float64]:
        """Return the (3, 4) matrix from RGB in [0, 1] and 1 to Y, Cb, Cr."""
        there = self.to_rgb()
        back = np.linalg.inv(there[:, :3])
        return np.column_stack([back, -back @ there[:, 3]])

    def _levels(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        step, middle = 2.0 ** (self.bits - 8), 2.0 ** (self.bits - 1)
        if self.full:
            return np.full(3, 2.0**self.bits - 1), np.array([0, middle, middle])
        return np.array([219, 224, 224]) * step, np.array([16 * step, middle, middle])


def coding_of(frame: "VideoFrame") -> Coding:
    """Read how a frame's colours are coded.

    Args:
        frame: A decoded frame.

    Returns:
        Its matrix, range and depth. An unspecified matrix is BT.709 from `HD` lines on, else
        BT.601; an unspecified range is limited, of grey frames full.

    Raises:
        Unsupported: If the matrix is none of `LUMA`.
    """
    matrix = int(frame.colorspace)
    if matrix in UNSPECIFIED or matrix == RGB:
        matrix = BT709 if min(frame.width, frame.height) >= HD else BT601
    if matrix not in LUMA:
        raise Unsupported(
            f"uses the colour matrix {matrix} of H.273: convert it to BT.709 or BT.2020."
        )
    full = frame.color_range == FULL
    if _is_grey(frame.format) and not frame.color_range:
        full = True
    return Coding(matrix, full, bits_of(frame.format))


def bits_of(format: "VideoFormat") -> int:
    """Return the bits per sample of a pixel format.

    Args:
        format: The pixel format of a frame.
    """
    return max(component.bits for component in format.components)


def decode(frame: "VideoFrame") -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Convert a frame to RGB.

    Args:
        frame: A decoded frame of any pixel format; alpha is left out.

    Returns:
        (H, W, 3): uint8 if the frame has 8 bits per sample or fewer, else uint16, where 65535 is
        white. The frame is not turned.

    Raises:
        Unsupported: If the colour matrix is unknown.
    """
    format = frame.format
    bits = bits_of(format)
    white = 255 if bits <= 8 else 65535
    if format.is_rgb or format.name == "pal8":
        if bits <= 8:
            return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        levels = _planes(frame.reformat(format=f"gbrp{bits}le"), 3)
        green, blue, red = (plane * np.float32(white / (2**bits - 1)) for plane in levels)
        colours = np.stack([red, green, blue], -1)
    else:
        matrix = coding_of(frame).to_rgb() * white
        colours = cv2.transform(_full_resolution(frame, bits), matrix.astype(np.float32))
    rounded: NDArray[np.float32] = np.rint(np.clip(colours, 0, white))
    return rounded.astype(np.uint8) if bits <= 8 else rounded.astype(np.uint16)


def encode(pixels: NDArray[np.uint8 | np.uint16], coding: Coding, subsampling: str) -> "VideoFrame":
    """Convert RGB to a frame, tagged with its range and matrix.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        coding: Matrix, range and depth of the frame.
        subsampling: "444", "422" or "420"; 420 needs an even width and height, 422 an even width.

    Returns:
        The frame, without a time.
    """
    from av import VideoFrame

    height, width = pixels.shape[:2]
    matrix = coding.from_rgb()
    matrix[:, :3] /= np.iinfo(pixels.dtype).max
    colours = cv2.transform(pixels.astype(np.float32), matrix.astype(np.float32))
    planes = list(cv2.split(colours))
    if subsampling != "444":
        planes[1:] = [
            _reduced(np.asarray(plane, np.float32), rows=subsampling == "420")
            for plane in planes[1:]
        ]
    deep = coding.bits > 8
    name = f"yuv{subsampling}p{coding.bits}le" if deep else f"yuv{subsampling}p"
    frame = VideoFrame(width, height, name)
    for plane, values in zip(frame.planes, planes, strict=True):
        levels = np.rint(np.clip(values, 0, 2**coding.bits - 1)).astype("<u2" if deep else "u1")
        line = np.zeros((levels.shape[0], plane.line_size // levels.itemsize), levels.dtype)
        line[:, : levels.shape[1]] = levels
        plane.update(line.tobytes())
    frame.color_range = FULL if coding.full else 1
    frame.colorspace = coding.matrix
    return frame


def _is_grey(format: "VideoFormat") -> bool:
    return len(format.components) <= 2 and not format.is_rgb and format.name != "pal8"


def _full_resolution(frame: "VideoFrame", bits: int) -> Plane:
    """The samples of a YUV or grey frame as (H, W, 3) in the levels of its own depth."""
    if _is_grey(frame.format):
        name = "gray" if bits <= 8 else f"gray{bits}le"
        (luma,) = _planes(_as(frame, name), 1)
        return np.stack([luma, *[np.full_like(luma, 2.0 ** (bits - 1))] * 2], -1)
    step = (
        round(frame.width / (frame.format.chroma_width(frame.width) or 1)),
        round(frame.height / (frame.format.chroma_height(frame.height) or 1)),
    )
    # swscale rearranges the samples of other subsamplings, and of planes that are interleaved
    name = f"yuv{SUBSAMPLING.get(step, '444')}p" + ("" if bits <= 8 else f"{bits}le")
    planes = _planes(_as(frame, name), 3)
    size = planes[0].shape
    return np.stack([planes[0], *(_enlarged(plane, size) for plane in planes[1:])], -1)


def _as(frame: "VideoFrame", name: str) -> "VideoFrame":
    same = frame.format.name.replace("yuvj", "yuv").replace("yuva", "yuv") == name
    return frame if same else frame.reformat(format=name)


def _planes(frame: "VideoFrame", count: int) -> list[Plane]:
    dtype = np.dtype("u1" if bits_of(frame.format) <= 8 else "<u2")
    found = []
    for plane in frame.planes[:count]:
        lines = np.frombuffer(plane, dtype)  # type: ignore[call-overload]  # a buffer
        lines = lines.reshape(-1, plane.line_size // dtype.itemsize)
        found.append(lines[: plane.height, : plane.width].astype(np.float32))
    return found


def _enlarged(plane: Plane, size: tuple[int, ...]) -> Plane:
    """Interpolate chroma at the places of luma: samples on even columns, between the rows."""
    down, across = (round(long / short) for long, short in zip(size, plane.shape, strict=True))
    if (down, across) == (1, 1):
        return plane
    rows = (np.arange(size[0], dtype=np.float32) + 0.5) / down - 0.5
    columns = np.arange(size[1], dtype=np.float32) / across
    x, y = np.meshgrid(columns, rows)
    found = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _reduced(plane: Plane, rows: bool) -> Plane:
    """Halve chroma: its samples lie on even columns and, if `rows` are halved, between the rows."""
    smooth = np.array([0.25, 0.5, 0.25], np.float32)
    one = np.ones(1, np.float32)
    smoothed = cv2.sepFilter2D(plane, -1, smooth, one, borderType=cv2.BORDER_REPLICATE)
    halved = np.asarray(smoothed, np.float32)[:, ::2]
    return np.asarray((halved[::2] + halved[1::2]) / 2, np.float32) if rows else halved
