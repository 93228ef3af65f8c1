"""Deblurring a film: frames, times, sound, rotation, range and matrix in, the same out.

    frames -> segments of `SEGMENT` frames, encoded and stored beside the output -> one file

A segment is whole or absent, so an interrupted film continues after its last complete one. In the
end the packets of all segments are copied into one file together with the packets of the sound.
"""

import hashlib
import heapq
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ..data import yuv
from ..data.pictures import QUALITY
from ..data.video import (
    Frame,
    Layout,
    fraction,
    frame_times,
    opened,
    read_frames,
    require_av,
    turn_back,
)
from ..progress import Bar, progress_bar
from ..provenance import digest_of
from ..storage import locked, publish, write_atomically
from .deblurring import deblur

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

SEGMENT = 32  # frames
# muxer and encoder of each kind of film that is written
WRITTEN = {
    ".mp4": ("mp4", "libx264"),
    ".m4v": ("mp4", "libx264"),
    ".mov": ("mov", "libx264"),
    ".mkv": ("matroska", "libx264"),
    ".webm": ("webm", "libvpx-vp9"),
}
# one packet for each frame, in the order of their times
OPTIONS = {
    "libx264": {"bf": "0"},
    "libvpx-vp9": {"b": "0", "auto-alt-ref": "0", "lag-in-frames": "0"},
}
BEST_CRF, CRF_PER_QUALITY = 12, 0.39  # constant rate factor at quality 100, and what a step costs
COPIED = ("audio", "subtitle")
SHORT = 100  # bytes of the output's name in the name of its folder of segments


@dataclass(frozen=True)
class Film:
    """What became of a film.

    Attributes:
        size: (height, width) in pixels, upright.
        frames: Number of frames.
        lost: What the output does not contain, such as "data stream 2".
    """

    size: tuple[int, int]
    frames: int
    lost: list[str]


@dataclass(frozen=True)
class _Work:
    """One film in progress."""

    source: Path
    target: Path
    parts: Path
    network: nn.Module
    tile: int | str | None
    precision: str
    quality: int

    def segment(self, number: int) -> Path:
        return self.parts / f"{number:06d}.nut"


def deblur_film(
    source: Path,
    target: Path,
    network: nn.Module,
    tile: int | str | None = None,
    *,
    precision: str = "auto",
    quality: int = QUALITY,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Film:
    """Deblur a film frame by frame.

    Frame times, rotation, pixel aspect, range and matrix of the colours, and the packets of sound
    and subtitles are kept. Frames of more than 8 bits are written with 10.

    Args:
        source: The film.
        target: The output, whose extension is one of `WRITTEN`.
        network: The network.
        tile: Side of the tiles in pixels, as for `deblur`.
        precision: What to compute in: "fp32", "bf16" or "auto", as for `deblur`.
        quality: Quality of the encoded film, 1 to 100.
        overwrite: Replace an output that exists.
        progress: Show a progress bar; None shows one on a terminal.

    Returns:
        Size, number of frames and losses.

    Raises:
        ValueError: If the film cannot be read, or its sound does not fit into the output.
        BlockingIOError: If another process is deblurring into the same output.
        FileExistsError: If the output has appeared meanwhile, and `overwrite` is False.
        ImportError: If PyAV is not installed.
    """
    lost = check_film(source, target)
    work = _Work(source, target, _parts(target), network, tile, precision, quality)
    with locked(work.parts, "--output"):
        _begin(work)
        layout, ticks = _encode_segments(work, progress)
        whole = _join(work, layout, ticks)
        publish(whole, target, overwrite=overwrite)
        shutil.rmtree(work.parts, ignore_errors=True)
    return Film(layout.upright_size, len(ticks), lost)


def check_film(source: Path, target: Path) -> list[str]:
    """Check before the work that an output can hold what a film contains.

    Args:
        source: The film.
        target: The output.

    Returns:
        The streams that are lost.

    Raises:
        ValueError: If the film cannot be read, or its sound does not fit.
        ImportError: If PyAV is not installed.
    """
    av = require_av()
    muxer, _ = WRITTEN[target.suffix.lower()]
    with opened(source) as (container, video):
        known = av.open(os.devnull, "w", format=muxer).supported_codecs
        lost = []
        for stream in container.streams:
            codec = stream.codec_context.name if stream.type in COPIED else None
            if stream.type == "audio" and codec not in known:
                raise ValueError(
                    f"{target} cannot hold the sound of {source} ({codec}): write an .mkv file."
                )
            if stream.index != video.index and codec not in known:
                lost.append(f"{stream.type} stream {stream.index}")
    return lost


def _parts(target: Path) -> Path:
    """The folder of a film's segments, beside the output."""
    name = os.fsencode(target.name)
    short = name[:SHORT].decode(errors="ignore")
    return target.with_name(f".{short}.{hashlib.sha256(name).hexdigest()[:8]}.parts")


def _begin(work: _Work) -> None:
    """Keep the segments of an earlier call if it was the same, else remove them."""
    weights = hashlib.sha256(type(work.network).__name__.encode())
    for name, tensor in work.network.state_dict().items():
        weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    record = {
        "film": digest_of(work.source).hex(),
        "network": weights.hexdigest(),
        "tile": work.tile,
        "precision": work.precision,
        "quality": work.quality,
        "segment": SEGMENT,
        "av": require_av().__version__,
    }
    path, content = work.parts / "film.json", json.dumps(record, indent=1)
    if not path.exists() or path.read_text() != content:
        for segment in work.parts.glob("*.nut"):
            segment.unlink()
        write_atomically(path, content)


def _encode_segments(work: _Work, progress: bool | None) -> tuple[Layout, list[int]]:
    """Deblur and encode what is missing; return the layout and the times of all frames."""
    layout, ticks, buffer = None, list[int](), list[Frame]()
    total = len(frame_times(work.source))
    bar: Bar[None] = progress_bar(total=total, desc=work.source.name, unit="frame", show=progress)
    with bar:
        for frame in read_frames(work.source):
            layout = frame.layout
            ticks.append(frame.ticks)
            number = (len(ticks) - 1) // SEGMENT
            if work.segment(number).exists():
                bar.update()
                continue
            buffer.append(frame)
            if len(buffer) == SEGMENT:
                _write_segment(work, number, buffer, bar.update)
                buffer = []
        if buffer:
            _write_segment(work, (len(ticks) - 1) // SEGMENT, buffer, bar.update)
    if layout is None:
        raise ValueError(f"The film {work.source} has no frames: replace or remove it.")
    return layout, ticks


def _write_segment(work: _Work, number: int, frames: list[Frame], tell: Any) -> None:
    """Deblur and encode successive frames."""
    av = require_av()
    temporary = work.segment(number).with_suffix(".tmp")
    with opened(work.source) as (_, source), av.open(str(temporary), "w", format="nut") as file:
        stream = _encoder(file, frames[0].layout, source, work)
        for frame in frames:
            sharp = deblur(
                frame.pixels,
                work.network,
                tile=work.tile,
                precision=work.precision,
                progress=False,
            )
            stored = turn_back(sharp, frame.layout.matrix)
            coded = yuv.encode(stored, _coding(frame.layout), _subsampling(frame.layout))
            for name in ("color_range", "colorspace"):
                setattr(coded, name, getattr(stream.codec_context, name))
            coded.pts, coded.time_base = frame.ticks, fraction(source.time_base)
            file.mux(stream.encode(coded))
            tell()
        file.mux(stream.encode())
    temporary.replace(work.segment(number))


def _coding(layout: Layout) -> yuv.Coding:
    bits = 8 if layout.coding.bits <= 8 else 10
    return yuv.Coding(layout.coding.matrix, layout.coding.full, bits)


def _subsampling(layout: Layout) -> str:
    """That of the film; 4:4:4 where its size leaves half a sample."""
    height, width = layout.size
    halved = {"420": height % 2 or width % 2, "422": width % 2}
    return "444" if halved.get(layout.subsampling) else layout.subsampling


def _encoder(
    file: "OutputContainer", layout: Layout, source: "VideoStream", work: _Work
) -> "VideoStream":
    """A stream that is tagged as the film is."""
    _, codec = WRITTEN[work.target.suffix.lower()]
    crf = round(BEST_CRF + CRF_PER_QUALITY * (100 - work.quality))
    options = {"crf": str(crf), **OPTIONS[codec]}
    rate = fraction(source.average_rate) or Fraction(25)
    stream: VideoStream = file.add_stream(codec, rate=rate, options=options)  # type: ignore[assignment]
    stream.height, stream.width = layout.size
    coding, deep = _coding(layout), _coding(layout).bits > 8
    stream.pix_fmt = f"yuv{_subsampling(layout)}p" + ("10le" if deep else "")
    context = stream.codec_context
    context.time_base = fraction(source.time_base) or Fraction(1, 1000)
    context.gop_size = SEGMENT
    if ratio := fraction(source.sample_aspect_ratio):
        context.sample_aspect_ratio = ratio
    for name, value in layout.tags.items():
        setattr(context, name, value)
    if layout.tags["colorspace"] == yuv.RGB:
        context.colorspace, context.color_range = coding.matrix, 1
    return stream


# --------------------------------------------------------------------------------------------------
# One file from the segments and the sound


def _join(work: _Work, layout: Layout, ticks: list[int]) -> Path:
    """Write the film from its segments and from what is copied of its source."""
    av = require_av()
    muxer, _ = WRITTEN[work.target.suffix.lower()]
    whole = work.parts / f"whole{work.target.suffix}"
    options = {"movflags": "faststart"} if muxer in ("mp4", "mov") else {}
    segments = [work.segment(number) for number in range(-(-len(ticks) // SEGMENT))]
    with (
        opened(work.source) as (container, source),
        av.open(str(segments[0])) as first,
        av.open(str(whole), "w", format=muxer, options=options) as file,
    ):
        file.metadata.update(container.metadata)
        video = file.add_stream_from_template(first.streams.video[0])
        video.time_base = fraction(source.time_base)
        video.set_display_matrix(layout.matrix)
        copies = {
            stream.index: file.add_stream_from_template(stream)
            for stream in container.streams
            if stream.type in COPIED and stream.codec_context.name in file.supported_codecs
        }
        _copy_tags({source.index: video, **copies}, container)
        packets = heapq.merge(
            _video_packets(segments, ticks, video),
            _copied_packets(container, copies),
            key=_seconds,
        )
        for packet in packets:
            file.mux(packet)
    with whole.open("rb+") as file_on_disk:
        os.fsync(file_on_disk.fileno())
    return whole


def _copy_tags(streams: dict[int, "Stream"], container: "InputContainer") -> None:
    for index, stream in streams.items():
        kept = {"language", "title", "handler_name", "creation_time"}
        tags = container.streams[index].metadata
        stream.metadata.update({name: tags[name] for name in kept & tags.keys()})


def _video_packets(
    segments: Iterable[Path], ticks: list[int], stream: "VideoStream"
) -> Iterator["Packet[Any]"]:
    av = require_av()
    last = ticks[-1] - ticks[-2] if len(ticks) > 1 else 1
    steps = chain((later - earlier for earlier, later in pairwise(ticks)), [last])
    times = zip(ticks, steps, strict=True)
    for segment in segments:
        with av.open(str(segment)) as file:
            for packet in file.demux(file.streams.video[0]):
                if packet.size:
                    packet.time_base = stream.time_base
                    packet.pts, packet.duration = next(times)
                    packet.dts = packet.pts
                    packet.stream = stream
                    yield packet


def _copied_packets(
    container: "InputContainer", copies: dict[int, "Stream"]
) -> Iterator["Packet[Any]"]:
    if not copies:
        return
    for packet in container.demux([container.streams[index] for index in copies]):
        if packet.dts is not None:
            packet.stream = copies[packet.stream_index]
            yield packet


def _seconds(packet: "Packet[Any]") -> Fraction:
    return (packet.dts or 0) * (fraction(packet.time_base) or Fraction(0))
