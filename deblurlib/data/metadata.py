"""Metadata of image files, read from one file and written to another."""

import contextlib
import io
from typing import Any, TypedDict

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.TiffTags import LONG

ORIENTATION = 0x0112
EXIF = 0x8769
GPS = 0x8825
PIXEL_WIDTH = 0xA002
PIXEL_HEIGHT = 0xA003
WIDTH = 256
HEIGHT = 257
BITS_PER_SAMPLE = 258
PHOTOMETRIC = 262
PLANES = 284
SAMPLE_FORMAT = 339
# TIFF tags that describe how the pixels are stored and are not copied to a new file
STORAGE_TAGS = frozenset(
    [
        *range(254, 260),  # subfile type, size, bits, compression
        *range(262, 267),  # photometric interpretation, thresholding, cell, fill order
        273,  # strip offsets
        *range(277, 285),  # samples, rows per strip, byte counts, extremes, resolution, planes
        *range(292, 294),  # fax options
        *range(296, 298),  # resolution unit, page number
        317,  # predictor
        320,  # colour map
        *range(322, 326),  # tiles
        330,  # subdirectories
        332,  # ink set
        *range(338, 342),  # extra samples, sample format, extremes
        347,  # JPEG tables
        *range(512, 522),  # old-style JPEG
        *range(529, 533),  # YCbCr
        700,  # XMP, kept apart
        34675,  # ICC profile, kept apart
    ]
)
OTHER_COLOURS = ("CMYK", "LAB")  # modes whose ICC profiles do not describe RGB
METRE = 1 / 0.0254  # inches
PNG_HEADER = 8 + 25  # bytes: the signature and the chunk IHDR

Pixels = NDArray[np.uint8 | np.uint16]


class Metadata(TypedDict, total=False):
    """Everything a file stores besides its pixels, named as in Pillow's `save`.

    An absent key means "not given".

    Attributes:
        exif: EXIF block, beginning with "Exif", NUL, NUL.
        icc_profile: Colour profile.
        xmp: XMP packet.
        dpi: Resolution in pixels per inch, horizontal and vertical.
        compression: Pillow's name of a TIFF's compression.
        lossless: Whether the file was a lossless WebP.
    """

    exif: bytes
    icc_profile: bytes
    xmp: bytes
    dpi: tuple[float, float]
    compression: str
    lossless: bool


def orientation(image: Image.Image) -> int:
    """Read the orientation of an opened image.

    Args:
        image: The image as opened by Pillow, not yet turned upright.

    Returns:
        EXIF's orientation, 1 (upright) to 8; 1 if the file has none.
    """
    return int(image.getexif().get(ORIENTATION, 1))


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Turn an image upright.

    Args:
        pixels: (H, W) or (H, W, C).
        orientation: EXIF's orientation, 1 to 8.

    Returns:
        A view of the pixels, (H, W, …) for orientations 1 to 4, (W, H, …) for 5 to 8.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def collect(image: Image.Image, width: int, height: int, *, lossless: bool) -> Metadata:
    """Read the metadata of an opened image.

    Args:
        image: The image as opened by Pillow, not yet turned upright.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.
        lossless: Whether the file is a lossless WebP.

    Returns:
        The metadata that describes the upright image; damaged blocks are left out.
    """
    found: Metadata = {}
    if exif := _upright_exif(image, width, height):
        found["exif"] = exif
    if (profile := image.info.get("icc_profile")) and image.mode not in OTHER_COLOURS:
        found["icc_profile"] = profile
    if xmp := image.info.get("xmp"):
        found["xmp"] = xmp
    if dpi := _dpi(image):
        found["dpi"] = dpi
    if compression := image.info.get("compression"):
        found["compression"] = compression
    if lossless:
        found["lossless"] = True
    return found


def png_chunks(metadata: Metadata) -> bytes:
    """Make the PNG chunk for the resolution, which OpenCV does not write itself.

    Args:
        metadata: The metadata of the image.

    Returns:
        The chunks, to be placed after IHDR.
    """
    chunks = io.BytesIO()
    if "dpi" in metadata:
        per_metre = (round(dpi * METRE).to_bytes(4, "big") for dpi in metadata["dpi"])
        PngImagePlugin.putchunk(chunks, b"pHYs", *per_metre, b"\x01")
    return chunks.getvalue()


ExtraTag = tuple[int | str, int, int, Any, bool]


def tiff_tags(metadata: Metadata) -> list[ExtraTag]:
    """Convert EXIF's tags for tifffile.

    Args:
        metadata: The metadata of the image.

    Returns:
        `extratags` of `tifffile.imwrite`: (code, type, count, value, write once), where the
        pointers to the EXIF and GPS directories are placeholders for `add_directories`.
    """
    if "exif" not in metadata:
        return []
    file = io.BytesIO()  # Pillow knows each tag's type
    Image.new("L", (1, 1)).save(file, "TIFF", exif=metadata["exif"])
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        tags = [tag for tag in tiff.pages.first.tags if tag.code not in STORAGE_TAGS]
        names: dict[int, str] = {EXIF: "ExifTag", GPS: "GPSTag"}  # tifffile refuses the numbers
        return [
            (names[tag.code], LONG, 1, 8, True)
            if tag.code in names
            else (tag.code, tag.dtype, tag.count, tag.value, True)
            for tag in tags
        ]


def add_directories(file: io.BytesIO, metadata: Metadata) -> None:
    """Append the EXIF and GPS directories to a TIFF file that was written with `tiff_tags`.

    Args:
        file: The file, which is changed in place.
        metadata: The metadata of the image.
    """
    exif = Image.Exif()
    exif.load(metadata.get("exif", b""))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        entries = {tag.code: tag.offset for tag in tiff.pages.first.tags}
    for tag in (EXIF, GPS):
        if tag not in exif:
            continue
        directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0", group=tag)
        for key, value in exif.get_ifd(tag).items():
            directory[key] = value
        file.write(b"\0" * (file.seek(0, io.SEEK_END) % 2))  # directories begin at even bytes
        start = file.tell()
        file.write(directory.tobytes(start))
        # by hand: newer versions of tifffile's overwrite also clear the directory pointed to before
        file.seek(entries[tag] + 8)  # after the entry's code, type and count
        file.write(start.to_bytes(4, "little"))


def _upright_exif(image: Image.Image, width: int, height: int) -> bytes | None:
    """The EXIF block for the upright image: orientation 1, its size, no `STORAGE_TAGS`."""
    try:
        source, exif = image.getexif(), Image.Exif()
        for tag, value in source.items():
            if tag not in STORAGE_TAGS and tag not in (EXIF, GPS, ORIENTATION):
                exif[tag] = value
        for tag in (EXIF, GPS):
            if values := dict(source.get_ifd(tag)):
                exif[tag] = values
        if {PIXEL_WIDTH, PIXEL_HEIGHT} & set(exif.get(EXIF, ())):
            exif[EXIF] |= {PIXEL_WIDTH: width, PIXEL_HEIGHT: height}
        if not dict(exif):
            return None
        exif[ORIENTATION] = 1
        return exif.tobytes()
    except Exception:  # damaged metadata must not prevent reading the image
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, KeyError):
        x, y = (float(value) for value in image.info["dpi"])
        return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
    return None
