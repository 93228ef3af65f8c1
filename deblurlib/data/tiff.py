"""TIFF: pixels of any layout and depth as plain arrays, and the writer; both by tifffile."""

import io
import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

from . import exif
from .errors import Unsupported

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
REDUCED = 1  # bit of the subfile type: a thumbnail of another page
UNSPECIFIED, PREMULTIPLIED = 0, 1
ENTRY_VALUE = 8  # bytes of an entry before its value: code, type and count
POINTER_NAMES = {exif.EXIF: "ExifTag", exif.GPS: "GPSTag"}  # tifffile refuses the numbers
PLAIN = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB)
OTHERS = {
    PHOTOMETRIC.PALETTE: "palette colours",
    PHOTOMETRIC.SEPARATED: "CMYK",
    PHOTOMETRIC.YCBCR: "YCbCr",
    PHOTOMETRIC.CIELAB: "LAB",
    PHOTOMETRIC.ICCLAB: "LAB",
    PHOTOMETRIC.ITULAB: "LAB",
    PHOTOMETRIC.CFA: "the raw data of a sensor",
    PHOTOMETRIC.LINEAR_RAW: "the raw data of a sensor",
    PHOTOMETRIC.LOGLUV: "LogLuv",
}
BY_PILLOW = (  # fax and JPEG inside TIFF
    COMPRESSION.CCITTRLE,
    COMPRESSION.CCITTFAX3,
    COMPRESSION.CCITTFAX4,
    COMPRESSION.OJPEG,
    COMPRESSION.JPEG,
)

ExtraTag = tuple[int | str, int, int, Any, bool]
Pixels = NDArray[np.uint8 | np.uint16]


def read_pixels(data: bytes) -> Pixels | None:
    """Read the pixels of a file, as they are stored.

    Args:
        data: The TIFF file.

    Returns:
        (H, W) or (H, W, C), uint8 or uint16, not yet turned upright, with straight alpha; numbers
        of 9 to 15 bits are stretched to 16. None if Pillow reads files of this kind: palettes,
        8-bit print colours, black and white.

    Raises:
        Unsupported: If the file has several pages or holds anything but unsigned integers of up to
            16 bits.
        Exception: Whatever the decoder raises for a damaged file.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        subfiles = [int(getattr(page.keyframe, "subfiletype", 0)) for page in file.pages]
        pages = [kind for kind in subfiles if not kind & REDUCED]
        if len(pages) > 1:
            raise Unsupported(
                f"holds {len(pages)} frames: save the one you want as a separate image."
            )
        page = file.pages.first
        _check(page)
        if page.photometric not in PLAIN or page.compression in BY_PILLOW or page.bitspersample < 8:
            return None
        return _plain(page, _decoded(page))


def count_pixels(data: bytes) -> int:
    """Read the number of pixels from a file's header.

    Args:
        data: The TIFF file.

    Returns:
        Width times height.

    Raises:
        Exception: If the header is damaged.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        return int(page.imagewidth) * int(page.imagelength)


def _check(page: TiffPage) -> None:
    bits, kind = page.bitspersample, OTHERS.get(PHOTOMETRIC(page.photometric))
    if page.sampleformat != 1:
        words = {2: "signed", 3: "floating-point"}.get(page.sampleformat, "unusual")
        raise Unsupported(
            f"holds {bits}-bit numbers that are {words}, not unsigned integers of 8 or 16 bits: "
            "convert it."
        )
    if bits > 16:
        raise Unsupported(
            f"holds {bits}-bit numbers that are not unsigned integers of 8 or 16 bits: convert it."
        )
    if kind and (bits > 8 or kind.startswith("the raw") or kind == "LogLuv"):
        raise Unsupported(f"holds {kind} of {bits} bits: convert it to RGB.")
    if page.imagedepth > 1:
        raise Unsupported(f"holds a volume of {page.imagedepth} slices: save the one you want.")
    colours = 3 if page.photometric == PHOTOMETRIC.RGB else 1
    extra = page.samplesperpixel - colours
    if page.photometric not in PLAIN or extra <= 0:
        return
    if extra > 1 or UNSPECIFIED in page.extrasamples:
        raise Unsupported(
            f"holds {page.samplesperpixel} channels, of which {extra} are neither colours nor "
            "transparency: save the colours as a separate image."
        )


def _decoded(page: TiffPage) -> NDArray[Any]:
    try:
        return np.asarray(page.asarray())
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise Unsupported(
            f"is compressed by {COMPRESSION(page.compression).name}, which needs another package: "
            "`pip install imagecodecs`, or save it without compression."
        ) from None


def _plain(page: TiffPage, stored: NDArray[Any]) -> Pixels:
    """Channels last, straight alpha, black at 0, 8 or 16 full bits."""
    pixels = stored
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels, 0, -1)
    if page.samplesperpixel == 1:
        pixels = pixels.reshape(page.imagelength, page.imagewidth)
    bits, most = page.bitspersample, 255 if page.bitspersample == 8 else 65535
    if 8 < bits < 16:
        whole = (1 << bits) - 1
        pixels = (pixels.astype(np.uint32) * 65535 + whole // 2) // whole
    pixels = np.array(pixels, np.uint8 if most == 255 else np.uint16)  # in native byte order
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        if pixels.ndim == 2:
            pixels = most - pixels
        else:
            pixels[..., 0] = most - pixels[..., 0]
    if PREMULTIPLIED in page.extrasamples:
        alpha = pixels[..., -1:].astype(np.uint64)
        straight = (pixels[..., :-1] * np.uint64(most) + alpha // 2) // np.maximum(alpha, 1)
        pixels[..., :-1] = np.minimum(straight, most)
    return np.ascontiguousarray(pixels)


def write(
    pixels: Pixels,
    block: bytes | None,
    *,
    compressed: bool,
    dpi: tuple[float, float] | None,
    profile: bytes | None,
    blocks: dict[int, bytes],
) -> bytes:
    """Write a TIFF file that every reader opens: deflated or raw, with straight alpha.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.
        block: The EXIF block.
        compressed: Whether to deflate the pixels.
        dpi: Resolution in pixels per inch.
        profile: ICC profile.
        blocks: Further tags with bytes as their values.

    Returns:
        The content of the file.
    """
    data = (block or b"").removeprefix(exif.HEADER)
    order = exif.byte_order(data) if data else "<"
    directory = exif.parse(data) if data else exif.Directory()
    tags: list[ExtraTag] = [
        (tag, entry.type, len(told), told, True)
        if tag == exif.DESCRIPTION and (told := _description(entry.data, pixels.shape))
        else (tag, entry.type, entry.count, entry.data, True)
        for tag, entry in directory.entries.items()
        if tag not in exif.STORAGE_TAGS
    ]
    tags += [
        (name, 4, 1, 8, True) for tag, name in POINTER_NAMES.items() if tag in directory.children
    ]
    present = directory.entries
    tags += [
        (tag, 2 if tag == exif.DESCRIPTION else 7, len(value), value, True)
        for tag, value in blocks.items()
        if tag not in present
    ]
    file, channels = io.BytesIO(), 1 if pixels.ndim == 2 else pixels.shape[2]
    alpha: Sequence[str] | None = ["unassalpha"] if channels in (2, 4) else None
    tifffile.imwrite(
        file,
        pixels,
        byteorder=order,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=alpha,
        compression="zlib" if compressed else None,
        resolution=dpi,
        resolutionunit="inch" if dpi else None,
        iccprofile=profile,
        extratags=tags,
        metadata=None,
        software=False,
    )
    _add_directories(file, directory, order)
    return file.getvalue()


def _description(data: bytes, shape: tuple[int, ...]) -> bytes | None:
    """The description that tifffile writes, with the shape of these pixels; None for any other."""
    if not data.startswith(b'{"shape":'):
        return None
    with suppress(ValueError):
        told = json.loads(data.rstrip(b"\0"))
        return json.dumps({**told, "shape": shape}).encode("ascii") + b"\0"
    return None


def _add_directories(file: io.BytesIO, directory: exif.Directory, order: exif.ByteOrder) -> None:
    """Append the EXIF and GPS directories, to which the file has placeholders."""
    if not directory.children:
        return
    entries = _positions(file)
    for tag in POINTER_NAMES:
        if tag in directory.children:
            file.write(b"\0" * (file.seek(0, io.SEEK_END) % 2))  # directories begin at even bytes
            start = file.tell()
            file.write(exif.serialise(directory.children[tag], order, start))
            # by hand: newer versions of tifffile's overwrite clear the directory pointed to before
            file.seek(entries[tag] + ENTRY_VALUE)
            file.write(struct.pack(f"{order}I", start))


def _positions(file: io.BytesIO) -> dict[int, int]:
    """Where each entry of the first directory stands."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        return {tag.code: tag.offset for tag in tiff.pages.first.tags}
