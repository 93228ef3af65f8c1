"""Metadata of image files, read from one file and written to another."""

import contextlib
import struct
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import colour, exif, extras, png, xmp
from .exif import ORIENTATION

FOREIGN_MODES = ("CMYK", "LAB")  # colours that have been converted, so that the profile is void
FOREIGN_PHOTOMETRICS = (5, 8, 9, 10)  # the same in TIFF
TIFF_PHOTOMETRIC = 262
PHOTOSHOP = b"Photoshop 3.0\0"
RESOURCE_IPTC = 0x0404
UNCOMPRESSED = 1
TIFF_X, TIFF_Y, TIFF_UNIT, TIFF_COMPRESSION, TIFF_ICC = 282, 283, 296, 259, 34675
CENTIMETRES = 3
LONGEST_BLOCKS = {"EXIF data": 65533, "XMP": 65502, "IPTC": 65500, "text": 65533}  # of JPEG
STORED = {  # what each format has a place for
    "JPEG": {"exif", "icc_profile", "xmp", "iptc", "texts", "dpi"},
    "PNG": {"exif", "icc_profile", "xmp", "iptc", "texts", "dpi"},
    "TIFF": {"exif", "icc_profile", "xmp", "iptc", "texts", "dpi"},
    "WEBP": {"exif", "icc_profile", "xmp"},
    "AVIF": {"exif", "icc_profile", "xmp"},
    "BMP": {"dpi"},
}
NAMES = {
    "exif": "EXIF data",
    "icc_profile": "colour profile",
    "xmp": "XMP",
    "iptc": "IPTC",
    "texts": "text",
    "dpi": "resolution",
}

Pixels = NDArray[np.uint8 | np.uint16]


class Metadata(TypedDict, total=False):
    """Everything a file stores besides its pixels.

    An absent key means "not given".

    Attributes:
        exif: EXIF block, beginning with "Exif", NUL, NUL.
        icc_profile: Colour profile.
        xmp: XMP packet.
        iptc: IPTC records.
        texts: Text by keyword, as in PNG; a JPEG's comment has the keyword "Comment".
        colour: PNG's chunks that say what the numbers mean.
        dpi: Resolution in pixels per inch, horizontal and vertical.
        compressed: Whether a TIFF was compressed.
        lossless: Whether the file was a lossless WebP.
        beside: What the file holds beside the image and no output does, such as "gain map".
    """

    exif: bytes
    icc_profile: bytes
    xmp: bytes
    iptc: bytes
    texts: dict[str, str]
    colour: list[png.Chunk]
    dpi: tuple[float, float]
    compressed: bool
    lossless: bool
    beside: list[str]


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


# --------------------------------------------------------------------------------------------------
# Reading


def collect(image: Image.Image, data: bytes, width: int, height: int) -> Metadata:
    """Read the metadata of an opened image.

    Args:
        image: The image as opened by Pillow.
        data: The file.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.

    Returns:
        The metadata that describes the upright image; damaged blocks are left out.
    """
    info = image.info
    found: Metadata = {}
    block, packet = info.get("exif"), info.get("xmp")
    if dpi := _dpi(info.get("dpi")):
        found["dpi"] = dpi
    if (profile := info.get("icc_profile")) and image.mode not in FOREIGN_MODES:
        found["icc_profile"] = profile
    resources = info.get("photoshop")
    if isinstance(resources, dict) and resources.get(RESOURCE_IPTC):
        found["iptc"] = resources[RESOURCE_IPTC]
    if image.format in ("JPEG", "MPO") and (comment := info.get("comment")):
        found["texts"] = {"Comment": _decoded(comment)}
    if image.format == "PNG":
        block, packet = _add_png(found, png.read_chunks(data), block, packet)
    if image.format == "WEBP" and b"VP8L" in data:
        found["lossless"] = True
    if image.format in ("AVIF", "HEIF") and (chunk := extras.container_colour(data)):
        found["colour"] = [chunk]
    if beside := extras.extras(image, data):
        found["beside"] = beside
    return _upright(found, block, packet, (width, height))


def _add_png(
    found: Metadata, chunks: png.Chunks, block: bytes | None, packet: bytes | str | None
) -> tuple[bytes | None, bytes | str | None]:
    """Add a PNG's texts, IPTC and colours; return its EXIF block and XMP packet."""
    block = chunks.exif or block
    packet = chunks.texts.pop(png.XMP_KEYWORD, packet)
    if chunks.colour:
        found["colour"] = chunks.colour
    for keyword in [name for name in chunks.texts if name.startswith(png.RAW_PROFILE)]:
        with contextlib.suppress(ValueError):
            content, kind = png.raw_profile(chunks.texts.pop(keyword)), keyword.split()[-1]
            block = content if kind in ("exif", "APP1") and not block else block
            packet = content if kind == "xmp" and not packet else packet
            if iptc := _iptc_of(kind, content):
                found["iptc"] = iptc
    if chunks.texts:
        found["texts"] = chunks.texts
    return block, packet


def collect_tiff(data: bytes, width: int, height: int) -> Metadata:
    """Read the metadata of a TIFF file.

    Args:
        data: The file.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.

    Returns:
        The metadata that describes the upright image; damaged blocks are left out.
    """
    entries, order, found = exif.parse(data).entries, exif.byte_order(data), Metadata()

    def number(tag: int) -> float | None:
        entry = entries.get(tag)
        if entry is None or entry.type not in (3, 4, 5):
            return None
        if entry.type == 5:
            above, below = struct.unpack_from(f"{order}II", entry.data)
            return float(above / below) if below else None
        return int(struct.unpack_from(f"{order}{'H' if entry.type == 3 else 'I'}", entry.data)[0])

    x, y, unit = number(TIFF_X), number(TIFF_Y), number(TIFF_UNIT)
    if x and y and unit != 1:
        scale = 2.54 if unit == CENTIMETRES else 1
        if dpi := _dpi((x * scale, y * scale)):
            found["dpi"] = dpi
    if TIFF_ICC in entries and number(TIFF_PHOTOMETRIC) not in FOREIGN_PHOTOMETRICS:
        found["icc_profile"] = entries[TIFF_ICC].data
    if exif.IPTC in entries:
        found["iptc"] = entries[exif.IPTC].data
    elif exif.PHOTOSHOP in entries and (iptc := _iptc(entries[exif.PHOTOSHOP].data)):
        found["iptc"] = iptc
    found["compressed"] = number(TIFF_COMPRESSION) != UNCOMPRESSED
    packet = entries[exif.XMP].data if exif.XMP in entries else None
    return _upright(found, exif.from_tiff(data), packet, (width, height))


def _upright(
    found: Metadata, block: bytes | None, packet: bytes | str | None, size: tuple[int, int]
) -> Metadata:
    """Add EXIF and XMP of the upright image."""
    # damaged metadata must not prevent reading the image
    with contextlib.suppress(ValueError, struct.error, IndexError):
        if block and (edited := exif.upright(block, *size)):
            found["exif"] = edited
    if packet:
        packet = packet.encode() if isinstance(packet, str) else packet
        if kept := xmp.upright(packet, *size):
            found["xmp"] = kept
    return found


def _decoded(text: bytes | str) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode().rstrip("\0")
    except UnicodeDecodeError:
        return text.decode("latin-1").rstrip("\0")


def _iptc_of(kind: str, content: bytes) -> bytes | None:
    """The IPTC records in one of PNG's raw profiles, bare or as a resource of Photoshop."""
    if kind not in ("iptc", "8bim"):
        return None
    return _iptc(content) if content.startswith(b"8BIM") else content


def _iptc(resources: bytes) -> bytes | None:
    """The IPTC records among Photoshop's image resources."""
    place = 0
    while resources[place : place + 4] == b"8BIM" and place + 12 <= len(resources):
        (kind,) = struct.unpack_from(">H", resources, place + 4)
        place += 6 + (resources[place + 6] + 2) // 2 * 2  # a name with its length, padded
        (size,) = struct.unpack_from(">I", resources, place)
        if kind == RESOURCE_IPTC:
            return resources[place + 4 : place + 4 + size]
        place += 4 + (size + 1) // 2 * 2
    return None


def _dpi(value: Any) -> tuple[float, float] | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
        x, y = (float(number) for number in value)
        return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
    return None


# --------------------------------------------------------------------------------------------------
# Writing


def losses(metadata: Metadata, format: str) -> list[str]:
    """List what a format has no place for.

    Args:
        metadata: The metadata of the image.
        format: Pillow's name of the format, such as "WEBP".

    Returns:
        The names of what is lost, such as "IPTC"; empty if everything is kept.
    """
    lost = [NAMES[key] for key in NAMES if key in metadata and key not in STORED[format]]
    if format == "BMP" and "colour" in metadata:
        lost.append("colour chunks")
    if format == "TIFF" and "texts" in metadata and _has_description(metadata):
        lost.append(NAMES["texts"])
    return lost + metadata.get("beside", [])


def check_fits(metadata: Metadata, format: str, *, grey: bool) -> None:
    """Check that a format can hold the metadata, apart from its `losses`.

    Args:
        metadata: The metadata of the image.
        format: Pillow's name of the format.
        grey: Whether the pixels are grey.

    Raises:
        ValueError: If a block is too long, or colours cannot be described.
    """
    if format not in ("PNG", "BMP"):
        profile_for(metadata, grey)
    if format != "JPEG":
        return
    blocks = {
        "EXIF data": metadata.get("exif", b""),
        "XMP": metadata.get("xmp", b""),
        "IPTC": metadata.get("iptc", b""),
        "text": joined_text(metadata).encode(),
    }
    for name, block in blocks.items():
        if len(block) > LONGEST_BLOCKS[name]:
            raise ValueError(
                f"JPEG holds at most {LONGEST_BLOCKS[name]} bytes of {name}, but this image has "
                f"{len(block)}: write it as .png or .tif."
            )


def profile_for(metadata: Metadata, grey: bool) -> bytes | None:
    """The profile for a format without PNG's colour chunks.

    Args:
        metadata: The metadata of the image.
        grey: Whether the pixels are grey.

    Returns:
        The image's own profile, or one made of its chunks; None if it has neither.

    Raises:
        ValueError: If the chunks cannot be converted.
    """
    chunks = metadata.get("colour", [])
    if "icc_profile" in metadata and b"cICP" not in dict(chunks):
        return metadata["icc_profile"]
    return colour.profile_of(chunks, grey)


def joined_text(metadata: Metadata) -> str:
    """All texts as one, for a format that has a single comment.

    Args:
        metadata: The metadata of the image.

    Returns:
        One line "keyword: text" each; a comment alone stands without its keyword.
    """
    texts = metadata.get("texts", {})
    if set(texts) == {"Comment"}:
        return texts["Comment"]
    return "\n".join(f"{keyword}: {text}" for keyword, text in texts.items())


def png_chunks(metadata: Metadata) -> list[png.Chunk]:
    """Make the PNG chunks for the metadata.

    Args:
        metadata: The metadata of the image.

    Returns:
        The chunks, to be placed after IHDR.
    """
    chunks = list(metadata.get("colour", []))
    if "icc_profile" in metadata:
        chunks = [chunk for chunk in chunks if chunk[0] != b"sRGB"]
        chunks.append(png.profile_chunk(metadata["icc_profile"]))
    if "dpi" in metadata:
        chunks.append(png.resolution_chunk(metadata["dpi"]))
    if "exif" in metadata:
        chunks.append((b"eXIf", metadata["exif"].removeprefix(exif.HEADER)))
    texts = dict(metadata.get("texts", {}))
    if "xmp" in metadata:
        texts[png.XMP_KEYWORD] = metadata["xmp"].decode(errors="replace")
    if "iptc" in metadata:
        texts[png.RAW_PROFILE + "iptc"] = png.as_raw_profile("iptc", metadata["iptc"])
    return chunks + [png.text_chunk(keyword, text) for keyword, text in texts.items()]


def jpeg_segments(metadata: Metadata) -> bytes:
    """Make the JPEG segment for IPTC, which Pillow does not write itself.

    Args:
        metadata: The metadata of the image.

    Returns:
        The segments, empty if there is nothing to write.
    """
    if "iptc" not in metadata:
        return b""
    records = metadata["iptc"]
    resource = struct.pack(">4sHHI", b"8BIM", RESOURCE_IPTC, 0, len(records)) + records
    content = PHOTOSHOP + resource + b"\0" * (len(records) % 2)
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def tiff_blocks(metadata: Metadata) -> dict[int, bytes]:
    """Make the TIFF tags for what stands outside EXIF.

    Args:
        metadata: The metadata of the image.

    Returns:
        Bytes by tag.
    """
    blocks = {}
    if "xmp" in metadata:
        blocks[exif.XMP] = metadata["xmp"]
    if "iptc" in metadata:
        blocks[exif.IPTC] = metadata["iptc"]
    if text := joined_text(metadata):
        blocks[exif.DESCRIPTION] = text.encode() + b"\0"
    return blocks


def _has_description(metadata: Metadata) -> bool:
    block = metadata.get("exif", b"").removeprefix(exif.HEADER)
    return bool(block) and exif.DESCRIPTION in exif.parse(block).entries
