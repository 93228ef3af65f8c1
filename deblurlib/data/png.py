"""PNG: its chunks, and a writer for 16 bits per channel, which Pillow lacks for colours."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = len(SIGNATURE) + 25  # after IHDR
COLOUR_CHUNKS = (b"cICP", b"gAMA", b"cHRM", b"sRGB", b"mDCV", b"cLLI")
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
LONGEST_TEXT = 1 << 26  # bytes after decompression
METRE = 1 / 0.0254  # inches

Chunk = tuple[bytes, bytes]  # type, content


@dataclass
class Chunks:
    """What a PNG file stores besides its pixels.

    Attributes:
        colour: The chunks that say what the numbers mean, in the file's order.
        texts: Text by keyword.
        transparent: Content of the chunk tRNS.
        exif: Content of the chunk eXIf.
    """

    colour: list[Chunk] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    transparent: bytes | None = None
    exif: bytes | None = None


def read_chunks(data: bytes) -> Chunks:
    """Read the ancillary chunks of a file.

    Args:
        data: The PNG file.

    Returns:
        Its chunks; texts that are damaged are left out.
    """
    found = Chunks()
    for kind, content in _chunks(data):
        if kind in COLOUR_CHUNKS:
            found.colour.append((kind, content))
        elif kind == b"tRNS":
            found.transparent = content
        elif kind == b"eXIf":
            found.exif = content
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            try:
                keyword, text = _text(kind, content)
            except (ValueError, IndexError, zlib.error):
                continue
            found.texts[keyword] = text
    return found


def check_pixels(data: bytes) -> None:
    """Check that the compressed pixels are complete, without decoding them.

    Args:
        data: The PNG file.

    Raises:
        ValueError: If the stream is damaged or shorter than the header demands.
    """
    width, height, bits, kind, *_, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    wanted = height * (1 + (width * channels * bits + 7) // 8)
    stream, found, place = zlib.decompressobj(), 0, len(SIGNATURE)
    try:
        while place + 8 <= len(data) and not stream.eof:
            length, name = struct.unpack_from(">I4s", data, place)
            content = data[place + 8 : place + 8 + length] if name == b"IDAT" else b""
            while content and found <= wanted:
                found += len(stream.decompress(content, 1 << 20))
                content = stream.unconsumed_tail
            place += 12 + length
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not interlaced and found < wanted:
        raise ValueError(f"{found} bytes of pixels instead of {wanted}")


def _chunks(data: bytes) -> Iterator[Chunk]:
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind != b"IDAT":
            yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def _text(kind: bytes, content: bytes) -> tuple[str, str]:
    keyword, rest = content.split(b"\0", 1)
    if kind == b"tEXt":
        return keyword.decode("latin-1"), rest.decode("latin-1")
    if kind == b"zTXt":
        return keyword.decode("latin-1"), _inflated(rest[1:]).decode("latin-1")
    compressed, rest = rest[0], rest[2:]
    _, _, text = rest.split(b"\0", 2)  # language, translated keyword
    return keyword.decode("latin-1"), (_inflated(text) if compressed else text).decode()


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, LONGEST_TEXT)


def raw_profile(text: str) -> bytes:
    """Decode a "Raw profile type …", as ImageMagick and exiftool store binary blocks in texts.

    Args:
        text: The text: a name, a length, and hexadecimal digits.

    Returns:
        The block.

    Raises:
        ValueError: If the text is damaged.
    """
    words = text.split()
    if len(words) < 3:
        raise ValueError("The raw profile is damaged: remove it.")
    return bytes.fromhex("".join(words[2:]))


def as_raw_profile(name: str, block: bytes) -> str:
    """Encode a binary block as a text; the inverse of `raw_profile`.

    Args:
        name: Name of the block, such as "iptc".
        block: The block.

    Returns:
        The text.
    """
    digits = block.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(block):8}", *lines, ""])


def text_chunk(keyword: str, text: str) -> Chunk:
    """Make the chunk of a text.

    Args:
        keyword: 1 to 79 Latin-1 characters.
        text: The text; stored as UTF-8 if it, or the keyword, asks for it.

    Returns:
        The chunk.
    """
    name = keyword.encode("latin-1", "replace")[:79]
    if keyword != XMP_KEYWORD and _is_latin(text):
        return b"tEXt", name + b"\0" + text.encode("latin-1")
    return b"iTXt", name + b"\0\0\0\0\0" + text.encode()


def _is_latin(text: str) -> bool:
    try:
        return "\0" not in text and bool(text.encode("latin-1") or True)
    except UnicodeEncodeError:
        return False


def resolution_chunk(dpi: tuple[float, float]) -> Chunk:
    """Make the chunk of a resolution.

    Args:
        dpi: Horizontal and vertical resolution in pixels per inch.

    Returns:
        The chunk.
    """
    return b"pHYs", struct.pack(">IIB", *(round(value * METRE) for value in dpi), 1)


def profile_chunk(profile: bytes) -> Chunk:
    """Make the chunk of a colour profile.

    Args:
        profile: The ICC profile.

    Returns:
        The chunk.
    """
    return b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)


def insert(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Insert chunks after the header of a file.

    Args:
        data: The PNG file.
        chunks: The chunks, in order.

    Returns:
        The file with the chunks.
    """
    added = b"".join(_packed(kind, content) for kind, content in chunks)
    whole = memoryview(data)
    return b"".join((whole[:HEADER_END], added, whole[HEADER_END:]))


def _packed(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def encode_deep(pixels: NDArray[np.uint16]) -> bytes:
    """Encode an image of 16 bits per channel.

    Each row is filtered as its left, upper or Paeth neighbour predicts it best.

    Args:
        pixels: (H, W) or (H, W, C) with 1 to 4 channels.

    Returns:
        The PNG file.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    step = 2 * channels
    packer = zlib.compressobj(6)
    parts, above = [], np.zeros(rows.shape[1], np.int16)
    for line in rows:
        row = line.astype(np.int16)
        left = np.concatenate([np.zeros(step, np.int16), row[:-step]])
        corner = np.concatenate([np.zeros(step, np.int16), above[:-step]])
        guesses = {1: left, 2: above, 4: _paeth(left, above, corner)}
        errors = {code: (row - guess).astype(np.uint8) for code, guess in guesses.items()}
        best = min(
            errors, key=lambda code: int(np.abs(errors[code].view(np.int8), dtype=int).sum())
        )
        parts.append(packer.compress(bytes([best]) + errors[best].tobytes()))
        above = row
    parts.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + b"".join(
        _packed(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b""))
    )


def _paeth(
    left: NDArray[np.int16], above: NDArray[np.int16], corner: NDArray[np.int16]
) -> NDArray[np.int16]:
    estimate = left + above - corner
    a, b, c = (np.abs(estimate - neighbour) for neighbour in (left, above, corner))
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
