"""What image files hold besides the image that is read: films, gain maps, finer levels."""

import re
import struct
from collections.abc import Iterator

from PIL import Image

from .png import Chunk

FILM = re.compile(rb"\xff\xd9.{4}ftyp", re.DOTALL)  # an MP4 behind a JPEG's end
MOTION = (b"MotionPhoto", b"MicroVideo")  # in XMP, and in the block that Samsung appends
GAIN_MAP = (b"hdr-gain-map", b"HDRGainMap", b"hdrgainmap", b"urn:iso:std:iso:ts:21496")
PAGES_FOLLOW = b"MPF\0"  # begins the directory of the multi-picture format
PAGES, PREVIEW = 0xB002, "Large Thumbnail"  # there: its entries, and copies that do not count
SDR_PRIMARIES, SDR_CURVES = (1, 2), (1, 2, 6, 13, 14, 15)  # of H.273: BT.709 or sRGB, or unstated


def extras(image: Image.Image, data: bytes) -> list[str]:
    """List what stands beside the image and is not read, so that no output holds it.

    Args:
        image: The image as opened by Pillow.
        data: The file.

    Returns:
        Names such as "gain map"; previews of the same image do not count.
    """
    found = []
    if image.format in ("JPEG", "MPO"):
        packet = image.info.get("xmp", b"")
        packet = packet.encode() if isinstance(packet, str) else packet
        if (FILM.search(data) and any(mark in packet for mark in MOTION)) or _ends_in_film(data):
            found.append("film of a motion photo")
        if PAGES_FOLLOW in data and any(mark in data for mark in GAIN_MAP):
            found.append("gain map")
        elif _has_further_images(image):
            found.append("further images")
    if image.format in ("AVIF", "HEIF"):
        if any(mark in data for mark in GAIN_MAP):
            found.append("gain map")
        if (bits := _bits(data)) > 8:
            found.append(f"levels beyond 8 of {bits} bits")
    return found


def container_colour(data: bytes) -> Chunk | None:
    """Read what the numbers of an AVIF or HEIF file mean.

    Args:
        data: The file.

    Returns:
        The same as PNG's chunk cICP; None for the colours and curves of usual photographs, and for
        files that state nothing or hold a profile.
    """
    meta = _meta(data)
    place = meta.find(b"colrnclx")
    if place < 0 or b"colrprof" in meta or b"colrrICC" in meta or len(meta) < place + 15:
        return None
    primaries, curve, _, _ = struct.unpack_from(">HHHB", meta, place + 8)
    if (primaries in SDR_PRIMARIES and curve in SDR_CURVES) or max(primaries, curve) > 255:
        return None
    return b"cICP", bytes([primaries, curve, 0, 1])


def bits_of_jpeg(data: bytes) -> int | None:
    """Read the bits per channel of a JPEG file.

    Args:
        data: The file.

    Returns:
        The precision in its frame header, None if there is none.
    """
    place = 2
    while data[:2] == b"\xff\xd8" and place + 5 <= len(data) and data[place] == 0xFF:
        if data[place + 1] == 0xFF:  # fills up, and may stand before any marker
            place += 1
            continue
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[place + 4]
        place += 2 + length
    return None


def _ends_in_film(data: bytes) -> bool:
    """Whether an MP4 begins right behind the end of a JPEG, or Samsung's block names one."""
    found = FILM.search(data)
    return b"MotionPhoto_Data" in data[-4096:] or (
        found is not None and data[found.end() : found.end() + 4] in (b"mp42", b"isom", b"qt  ")
    )


def _has_further_images(image: Image.Image) -> bool:
    pages = (getattr(image, "mpinfo", None) or {}).get(PAGES, [])
    kinds = [str(page.get("Attribute", {}).get("MPType", "")) for page in pages[1:]]
    return any(not kind.startswith(PREVIEW) for kind in kinds)


def _bits(data: bytes) -> int:
    """The greatest number of bits per channel of the images in a container."""
    meta, most = _meta(data), 8
    for match in re.finditer(b"pixi", meta):
        count = meta[match.end() + 4] if match.end() + 4 < len(meta) else 0
        most = max([most, *meta[match.end() + 5 : match.end() + 5 + count]])
    return most if most <= 16 else 8


def _meta(data: bytes) -> bytes:
    """The box of a container that describes its images."""
    return next((content for kind, content in _boxes(data) if kind == b"meta"), b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield kind, data[place + 8 : place + length]
        place += length
