"""Films: the only reader of video files. It yields upright RGB frames with their times.

The number of frames that a file states is often a guess from its duration, and seeking may land
elsewhere, so frames are read from the first one on, and counted by their packets.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import yuv
from .errors import Unsupported
from .metadata import Pixels

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mpg"}
    | {".mpeg", ".vob", ".wmv", ".flv", ".mxf", ".ogv"}
)
HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of H.273
UNTURNED = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)


@dataclass(frozen=True)
class Layout:
    """What all frames of a film share.

    Attributes:
        size: (height, width) in pixels as stored.
        coding: Matrix, range and depth of the colours.
        tags: The film's own numbers for color_range, colorspace, color_primaries and color_trc.
        subsampling: "444", "422" or "420"; of RGB "444".
        matrix: libav's display matrix, nine integers, which turns the stored frames upright.
    """

    size: tuple[int, int]
    coding: yuv.Coding
    tags: dict[str, int]
    subsampling: str
    matrix: tuple[int, ...]

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) in pixels as a player shows it."""
        height, width = self.size
        return (width, height) if _turn(self.matrix)[0] else (height, width)


@dataclass
class Frame:
    """One frame of a film.

    Attributes:
        time: Its time in seconds.
        ticks: The same in units of the film's time base.
        layout: How it is stored.
        decoded: The frame as PyAV decoded it.
    """

    time: Fraction
    ticks: int
    layout: Layout
    decoded: "VideoFrame"

    @cached_property
    def pixels(self) -> Pixels:
        """(H, W, 3) RGB, upright, uint8 or uint16; converted when it is asked for."""
        return turn_upright(yuv.decode(self.decoded), self.layout.matrix)


def is_film(path: str | Path) -> bool:
    """Recognise a video file by its name.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether its extension is one of `SUFFIXES` and its name does not begin with a dot.
    """
    name = Path(path).name
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def require_av() -> ModuleType:
    """Import PyAV.

    Returns:
        The module av.

    Raises:
        ImportError: If it is not installed, with the command that installs it.
    """
    try:
        import av
    except ImportError:
        raise ImportError(
            'Films need the package av: install it with `pip install "deblurlib[video]"`.'
        ) from None
    return av


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """Open a film; every error inside becomes one sentence that names it.

    Args:
        path: The file.

    Yields:
        The file and its video stream.

    Raises:
        ValueError: If the file is damaged, not a film, or of an unsupported kind.
    """
    av = require_av()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            streams = [s for s in container.streams.video if not _is_cover(s)]
            if not streams:
                raise Unsupported("has no moving picture: give a film.")
            stream = max(streams, key=lambda s: s.codec_context.width * s.codec_context.height)
            stream.thread_type = "AUTO"
            yield container, stream
    except Unsupported as error:
        raise ValueError(f"The film {path} {error}") from None
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and not isinstance(error, ValueError | EOFError):
            raise
        raise ValueError(
            f"The film {path} cannot be read ({str(error.strerror).lower()}): replace or remove it."
        ) from error


def frame_times(path: Path) -> list[Fraction | None]:
    """List the times of a film's frames from its packets, without decoding them.

    Args:
        path: The film.

    Returns:
        The times in seconds, ascending; None for each frame without one. A damaged film may have
        fewer frames.

    Raises:
        ValueError: As for `opened`.
    """
    with opened(path) as (container, stream):
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        base = fraction(stream.time_base)
        times = [None if p.pts is None or base is None else p.pts * base for p in packets]
    return sorted(times, key=lambda time: -1 if time is None else time)


def read_frames(path: Path) -> Iterator[Frame]:
    """Read the frames of a film in the order of their times.

    Args:
        path: The film.

    Yields:
        The frames.

    Raises:
        ValueError: As for `opened`, and if the frames are interlaced or change their size.
    """
    with opened(path) as (container, stream):
        base, rate = fraction(stream.time_base), fraction(stream.average_rate)
        if base is None:
            raise Unsupported("does not state its frame times: convert it to another format.")
        step = 1 / (rate * base) if rate else Fraction(1)
        layout, ticks = None, None
        for frame in container.decode(stream):
            if frame.interlaced_frame:
                raise Unsupported("is interlaced: deinterlace it first, for example with ffmpeg.")
            layout = layout or _layout_of(frame)
            if (frame.height, frame.width) != layout.size:
                raise Unsupported("changes its size on the way: cut it there.")
            ticks = _next_ticks(frame.pts, ticks, step)
            yield Frame(ticks * base, ticks, layout, frame)


def fraction(value: Any) -> Fraction | None:
    """Convert a ratio of PyAV, whose type differs between its versions.

    Args:
        value: A ratio, or None.

    Returns:
        The ratio; None if it is unknown, that is None, 0 or without a denominator.
    """
    if value is None or not value.denominator or not value.numerator:
        return None
    return Fraction(value.numerator, value.denominator)


def turn_upright(pixels: Pixels, matrix: tuple[int, ...]) -> Pixels:
    """Turn a stored frame as a player shows it.

    Args:
        pixels: (H, W, C) as stored.
        matrix: libav's display matrix.

    Returns:
        The upright frame.
    """
    transposed, across, down = _turn(matrix)
    pixels = pixels.swapaxes(0, 1) if transposed else pixels
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if across else 1])


def turn_back(pixels: Pixels, matrix: tuple[int, ...]) -> Pixels:
    """Undo `turn_upright`.

    Args:
        pixels: (H, W, C), upright.
        matrix: libav's display matrix.

    Returns:
        The frame as it is stored.
    """
    transposed, across, down = _turn(matrix)
    pixels = pixels[:: -1 if down else 1, :: -1 if across else 1]
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if transposed else pixels)


def _turn(matrix: tuple[int, ...]) -> tuple[bool, bool, bool]:
    """Whether rows and columns are exchanged, and then mirrored across and down.

    A stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    a, b, _, c, d = matrix[:5]
    transposed = abs(b) > abs(a)
    return (transposed, c < 0, b < 0) if transposed else (transposed, a < 0, d < 0)


def _layout_of(frame: "VideoFrame") -> Layout:
    coding = yuv.coding_of(frame)
    format = frame.format
    subsampling = "444"
    if not format.is_rgb and len(format.components) >= 3 and frame.width > 1:
        subsampled = format.chroma_width(frame.width) < frame.width
        both = subsampled and format.chroma_height(frame.height) < frame.height
        subsampling = "420" if both else "422" if subsampled else "444"
    tags = {
        name: int(getattr(frame, name))
        for name in ("color_range", "colorspace", "color_primaries", "color_trc")
    }
    return Layout((frame.height, frame.width), coding, tags, subsampling, _display_matrix(frame))


def _display_matrix(frame: "VideoFrame") -> tuple[int, ...]:
    data = cast(Any, frame.side_data).get("DISPLAYMATRIX")  # PyAV's stubs call it a str
    return UNTURNED if data is None else tuple(map(int, np.frombuffer(bytes(data), "<i4")))


def _next_ticks(stated: int | None, last: int | None, step: Fraction) -> int:
    """The time of a frame: as stated, later than the last one, or one step after it."""
    if stated is None:
        return 0 if last is None else last + max(round(step), 1)
    return stated if last is None else max(stated, last + 1)


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in {flag.name for flag in stream.disposition}
