"""EXIF blocks as bytes: directories are read, edited in place and moved, and keep every type.

A block is a small TIFF file. Values are never decoded, apart from the few that describe the
pixels: a maker's note, whose offsets count from the start of the block, stays where it is.
"""

import struct
from dataclasses import dataclass, field
from typing import Literal

ORIENTATION = 0x0112
EXIF = 0x8769
GPS = 0x8825
INTEROPERABILITY = 0xA005
PIXEL_WIDTH = 0xA002
PIXEL_HEIGHT = 0xA003
XMP = 700
IPTC = 33723
PHOTOSHOP = 34377
LAYERS = 37724
DESCRIPTION = 270
# TIFF tags that describe how the pixels are stored, or hold another copy of them
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
        XMP,  # kept apart, as are IPTC and the ICC profile
        IPTC,
        PHOTOSHOP,  # Photoshop's resources: thumbnails, layers; IPTC is kept apart
        34675,  # ICC profile
        LAYERS,
    ]
)
HEADER = b"Exif\0\0"
POINTERS = (EXIF, GPS, INTEROPERABILITY)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
BIG_SIZES = {16: 8, 17: 8, 18: 8}  # of BigTIFF
SHORT, LONG = 3, 4
DEEPEST = 3  # directories inside directories
ByteOrder = Literal["<", ">"]


@dataclass(frozen=True)
class Entry:
    """One value of a directory.

    Attributes:
        type: TIFF's number of the type.
        count: Number of elements.
        data: The elements in the byte order of the block.
        position: Where the entry stands in the block.
    """

    type: int
    count: int
    data: bytes
    position: int = 0


@dataclass
class Directory:
    """One directory of a block, with those that it points to.

    Attributes:
        entries: Values by tag, without the pointers.
        children: Directories by the tag of their pointer.
        start: Where the directory stands in the block.
        end: Where its pointer to the next directory stands.
        following: Offset of the next directory, 0 for none.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    children: dict[int, "Directory"] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    following: int = 0


def byte_order(data: bytes | bytearray) -> ByteOrder:
    """Read the byte order of a block or a TIFF file.

    Args:
        data: The block, without the header "Exif".

    Returns:
        "<" (little-endian) or ">".

    Raises:
        ValueError: If it does not begin as a TIFF file.
    """
    if data[:2] not in (b"II", b"MM"):
        raise ValueError("This is not a TIFF structure: give the content of a TIFF or EXIF block.")
    return "<" if data[:2] == b"II" else ">"


def parse(data: bytes) -> Directory:
    """Read the first directory of a block or a TIFF file, and those that it points to.

    Args:
        data: The block, without the header "Exif"; TIFF or BigTIFF.

    Returns:
        The directory; entries that are damaged or of unknown types are left out.

    Raises:
        ValueError: If the block has no directory.
    """
    order = byte_order(data)
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    return _parse(data, order, big, start, DEEPEST)


def _parse(data: bytes, order: ByteOrder, big: bool, start: int, depth: int) -> Directory:
    counter, entry_form, offset_form = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    room = struct.calcsize(f"<{offset_form}")
    width = struct.calcsize(f"<{entry_form}") + room
    try:
        (count,) = struct.unpack_from(f"{order}{counter}", data, start)
        first = start + struct.calcsize(f"<{counter}")
        end = first + count * width
        (following,) = struct.unpack_from(f"{order}{offset_form}", data + b"\0" * 8, end)
    except struct.error:
        raise ValueError("The EXIF directory is damaged: remove it.") from None
    directory = Directory(start=start, end=end, following=following)
    for position in range(first, end, width):
        tag, kind, number = struct.unpack_from(f"{order}{entry_form}", data, position)
        size = (SIZES | BIG_SIZES if big else SIZES).get(kind, 0) * number
        place = position + width - room
        (offset,) = struct.unpack_from(f"{order}{offset_form}", data, place)
        value = data[place : place + size] if size <= room else data[offset : offset + size]
        if tag in POINTERS:
            if depth and 8 <= offset < len(data):
                directory.children[tag] = _parse(data, order, big, offset, depth - 1)
        elif size and len(value) == size:
            directory.entries[tag] = Entry(kind, number, value, position)
    return directory


def serialise(directory: Directory, order: ByteOrder, start: int) -> bytes:
    """Write a directory, followed by its values and its children.

    Args:
        directory: The directory.
        order: Byte order of its values.
        start: Offset in the file at which the bytes will stand; even.

    Returns:
        The bytes; values of BigTIFF's own types are left out.
    """
    rows: dict[int, Entry | Directory] = {
        tag: entry for tag, entry in directory.entries.items() if entry.type in SIZES
    }
    rows |= directory.children
    table = struct.pack(f"{order}H", len(rows))
    place, values = start + 2 + 12 * len(rows) + 4, b""
    for tag, row in sorted(rows.items()):
        offset = place + len(values)
        if isinstance(row, Directory):
            table += struct.pack(f"{order}HHII", tag, LONG, 1, offset)
            values += _even(serialise(row, order, offset))
        elif len(row.data) <= 4:
            table += struct.pack(f"{order}HHI", tag, row.type, row.count) + row.data.ljust(4, b"\0")
        else:
            table += struct.pack(f"{order}HHII", tag, row.type, row.count, offset)
            values += _even(row.data)
    return table + b"\0" * 4 + values


def from_tiff(data: bytes) -> bytes:
    """Make an EXIF block of a TIFF file's tags.

    Args:
        data: The TIFF file.

    Returns:
        The block, beginning with "Exif", NUL, NUL, without what describes the file's pixels.

    Raises:
        ValueError: If the file has no directory.
    """
    directory, order = parse(data), byte_order(data)
    directory.entries = {
        tag: entry for tag, entry in directory.entries.items() if tag not in STORAGE_TAGS
    }
    return HEADER + _wrap(directory, order)


def _wrap(directory: Directory, order: ByteOrder) -> bytes:
    signature = b"II" if order == "<" else b"MM"
    return signature + struct.pack(f"{order}HI", 42, 8) + serialise(directory, order, 8)


def upright(block: bytes, width: int, height: int) -> bytes | None:
    """Make a block describe the upright image alone: orientation 1, its size, no thumbnail.

    Everything else keeps its place and its bytes.

    Args:
        block: The block, with or without "Exif", NUL, NUL.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.

    Returns:
        The block, beginning with "Exif", NUL, NUL; None if nothing would remain.

    Raises:
        ValueError: If the block is damaged.
    """
    data = bytearray(block.removeprefix(HEADER))
    order, directory = byte_order(data), parse(bytes(data))
    _remove_thumbnail(data, order, directory)
    details = directory.children.get(EXIF, Directory())
    for entries, tag, value in (
        (directory.entries, ORIENTATION, 1),
        (details.entries, PIXEL_WIDTH, width),
        (details.entries, PIXEL_HEIGHT, height),
    ):
        if entry := entries.get(tag):
            struct.pack_into(f"{order}HII", data, entry.position + 2, LONG, 1, value)
            if tag == ORIENTATION:
                struct.pack_into(f"{order}HIHH", data, entry.position + 2, SHORT, 1, value, 0)
    _remove_entries(data, order, directory, STORAGE_TAGS)
    kept = set(directory.entries) - STORAGE_TAGS - {ORIENTATION}
    return HEADER + bytes(data) if kept or directory.children else None


def without_orientation(block: bytes) -> bytes:
    """Take the orientation out of a block.

    Args:
        block: The block, beginning with "Exif", NUL, NUL.

    Returns:
        The block without the entry; everything else keeps its place and its bytes.
    """
    data = bytearray(block.removeprefix(HEADER))
    _remove_entries(data, byte_order(data), parse(bytes(data)), frozenset([ORIENTATION]))
    return HEADER + bytes(data)


def _remove_entries(
    data: bytearray, order: ByteOrder, directory: Directory, unwanted: frozenset[int]
) -> None:
    """Take tags and the pointer to the thumbnail out of the first directory."""
    table = [bytes(data[at : at + 12]) for at in range(directory.start + 2, directory.end, 12)]
    kept = []
    for row in table:
        (tag,) = struct.unpack_from(f"{order}H", row)
        if tag not in unwanted and (tag not in POINTERS or tag in directory.children):
            kept.append(row)
        elif (entry := directory.entries.get(tag)) and len(entry.data) > 4:
            _clear(data, struct.unpack_from(f"{order}I", row, 8)[0], len(entry.data))
    rows = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + b"\0" * 4
    room = directory.end + 4 - directory.start
    data[directory.start : directory.start + room] = rows.ljust(room, b"\0")


def _remove_thumbnail(data: bytearray, order: ByteOrder, directory: Directory) -> None:
    """Clear the small picture of the second directory; cut the block if it stands at the end."""
    if not 8 <= directory.following < len(data):
        return
    second = _parse(bytes(data), order, False, directory.following, 0)
    offset, length = (second.entries.get(tag) for tag in (0x0201, 0x0202))
    if offset and length and len(offset.data) == len(length.data) == 4:
        (start,), (size,) = (struct.unpack(f"{order}I", entry.data) for entry in (offset, length))
        if start + size >= len(data) > start >= second.end:
            del data[start:]
        else:
            _clear(data, start, size)


def _clear(data: bytearray, start: int, size: int) -> None:
    end = min(start + size, len(data))
    data[start:end] = b"\0" * max(end - start, 0)


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
