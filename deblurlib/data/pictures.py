"""Image files: the only reader and the only writer of PNG, JPEG, TIFF, WebP, AVIF and BMP.

Pillow reads and writes images of 8 bits per channel. OpenCV decodes PNG of 16 bits, whose colours
Pillow would cut to 8, tifffile reads and writes TIFF, and `png` writes PNG of 16 bits.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..pixels import strips
from . import exif, png, tiff
from . import metadata as meta
from .errors import Unsupported
from .metadata import Pixels
from .opening import FORMATS, READ_ONLY, opened, plain

__all__ = [
    "FORMATS",
    "READ_ONLY",
    "Picture",
    "Unsupported",
    "check_fits",
    "encode",
    "is_picture",
    "measure",
    "read",
    "read_picture",
    "to_8_bits",
]

LONGEST_SIDES = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65535}  # pixels
QUALITY = 95
ORDERS: dict[exif.ByteOrder, Literal["little", "big"]] = {"<": "little", ">": "big"}


@dataclass
class Picture:
    """The content of an image file, upright.

    Attributes:
        pixels: (H, W) grey, or (H, W, C) with C = 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha);
            uint8 or uint16.
        format: Pillow's name of the file format, such as "PNG".
        metadata: Everything that the file stores besides the pixels.
    """

    pixels: Pixels
    format: str
    metadata: meta.Metadata = field(default_factory=meta.Metadata)


def is_picture(path: Path) -> bool:
    """Recognise an image file by its name.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether its extension is one of `FORMATS` or `READ_ONLY` and its name does not begin with a
        dot.
    """
    return path.suffix.lower() in {**FORMATS, **READ_ONLY} and not path.name.startswith(".")


# --------------------------------------------------------------------------------------------------
# Reading


def read(path: str | Path) -> Picture:
    """Read an image file and turn it upright.

    Args:
        path: The file; its content, not its extension, decides on the format.

    Returns:
        The image with its alpha channel, bit depth and metadata.

    Raises:
        ValueError: In one sentence, if the file is damaged, is not an image, has several frames,
            or holds numbers other than unsigned integers of up to 16 bits.
    """
    with _loaded(Path(path)) as data:
        return _read(data)


def read_picture(path: str | Path) -> Pixels:
    """Read an image file as RGB: the reader of data sets.

    Args:
        path: The file, as for `read`.

    Returns:
        (H, W, 3) RGB, upright and without alpha: uint16 from files of more than 8 bits per
        channel, else uint8.

    Raises:
        ValueError: As for `read`.
    """
    pixels = read(path).pixels
    if pixels.ndim == 2 or pixels.shape[2] == 2:
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        return np.repeat(grey[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def measure(path: str | Path) -> tuple[int, int]:
    """Check that `read` can read an image file, and return its size.

    The pixels of a PNG file are not decoded: its checksums and the length of its stream tell as
    much in less time.

    Args:
        path: The file, as for `read`.

    Returns:
        Width and height of the upright image in pixels.

    Raises:
        ValueError: As for `read`.
    """
    with _loaded(Path(path)) as data:
        if not data.startswith(png.SIGNATURE):
            height, width = _read(data).pixels.shape[:2]
            return width, height
        with opened(data) as image:
            chunks = png.read_chunks(data)
            told = chunks.exif or any(
                keyword.startswith((png.XMP_KEYWORD, png.RAW_PROFILE)) for keyword in chunks.texts
            )
            turned = bool(told) and meta.orientation(image) >= 5
        png.check_pixels(data)
        with opened(data) as image:  # the orientation may have read to the end
            image.verify()
            return image.size[::-1] if turned else image.size


def to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Round pixels to the nearest of the 256 levels of 8 bits.

    Args:
        pixels: Any shape; uint8 or uint16.

    Returns:
        The same shape, uint8: 16-bit levels are divided by 257, 8-bit ones are returned unchanged.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


@contextmanager
def _loaded(path: Path) -> Iterator[bytes]:
    """The content of a file; every error inside becomes one sentence that names it."""
    if path.exists() and not path.is_file():  # opening a pipe would block
        raise ValueError(
            f"The image {path} cannot be read (it is not a regular file): replace or remove it."
        )
    try:
        with warnings.catch_warnings(action="ignore"):
            yield path.read_bytes()
    except Unsupported as error:
        raise ValueError(f"The image {path} {error}") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise ValueError(
            f"The image {path} claims to have more than {most} pixels: cut it into smaller ones."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many types for a damaged file
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno).lower()
        elif "MAX_TEXT" in str(error):  # Pillow's protection against compressed gigabytes
            reason = "its compressed texts or profile are too long: strip its metadata"
        else:
            reason = "it is damaged or not a picture"
        raise ValueError(
            f"The image {path} cannot be read ({reason}): replace or remove it."
        ) from error


def _read(data: bytes) -> Picture:
    if data.startswith(tiff.SIGNATURES):
        return _read_tiff(data)
    with opened(data) as image:
        turned, size = meta.orientation(image), image.size
        if image.format == "PNG":
            png.check_pixels(data)  # Pillow makes rows that are missing black
        pixels: Pixels
        if image.format == "PNG" and data[24] == 16:
            pixels = _deep_png_pixels(data)
        else:
            pixels = _pixels(plain(image))  # decodes: damaged files raise here
        _check_size(pixels, size)
        pixels = np.ascontiguousarray(meta.turn(pixels, turned))
        height, width = pixels.shape[:2]
        metadata = meta.collect(image, data, width, height)
        return Picture(pixels, "JPEG" if image.format == "MPO" else str(image.format), metadata)


def _read_tiff(data: bytes) -> Picture:
    _check_bomb(data)
    pixels = tiff.read_pixels(data)
    entry = exif.parse(data).entries.get(exif.ORIENTATION)
    turned = int.from_bytes(entry.data[:2], ORDERS[exif.byte_order(data)]) if entry else 1
    if pixels is None:
        with opened(data) as image:
            pixels = _pixels(plain(image))
    pixels = np.ascontiguousarray(meta.turn(pixels, turned))
    height, width = pixels.shape[:2]
    return Picture(pixels, "TIFF", meta.collect_tiff(data, width, height))


def _pixels(image: Image.Image) -> Pixels:
    """The pixels of an image, copied strip by strip: Pillow's own way takes their memory twice."""
    channels = len(image.getbands())
    width, height = image.size
    image.load()
    pixels = np.empty((height, width, channels)[: 2 + (channels > 1)], np.uint8)
    top = 0
    for strip in strips(pixels):
        strip[:] = np.asarray(image.crop((0, top, width, top + len(strip))))
        top += len(strip)
    return pixels


def _check_size(pixels: Pixels, size: tuple[int, int]) -> None:
    if pixels.shape[1::-1] != size:
        raise Unsupported("decodes to a size that its header does not state: replace or remove it.")


def _check_bomb(data: bytes) -> None:
    """Refuse a TIFF of more pixels than Pillow would open, before they are decoded."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    if most and tiff.count_pixels(data) > most:
        raise Image.DecompressionBombError


def _deep_png_pixels(data: bytes) -> NDArray[np.uint16]:
    """PNG of 16 bits, with one level made transparent by the chunk tRNS as an alpha channel."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise OSError("broken data")
    pixels = np.asarray(_swapped(decoded) if decoded.ndim == 3 else decoded, np.uint16)
    kind, transparent = data[25], png.read_chunks(data).transparent
    if kind in (0, 4):  # grey, which OpenCV repeats in three channels if there is alpha
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        pixels = np.stack([grey, pixels[..., 3]], -1) if kind == 4 else grey
    elif kind == 2:
        pixels = pixels[..., :3]
    if transparent and kind in (0, 2):
        level = np.frombuffer(transparent[: 2 if kind == 0 else 6], ">u2")
        colours = pixels[..., None] if kind == 0 else pixels
        alpha = np.where((colours == level).all(-1, keepdims=True), 0, 65535)
        pixels = np.concatenate([colours, alpha.astype(np.uint16)], -1)
    return np.ascontiguousarray(pixels)


# --------------------------------------------------------------------------------------------------
# Writing


def encode(picture: Picture, suffix: str, quality: int = QUALITY) -> bytes:
    """Encode an image as a file.

    Args:
        picture: The image; its metadata is kept if the format can store it.
        suffix: Extension of the file, one of `FORMATS`.
        quality: Quality of JPEG, and of WebP unless the image came from a lossless one, 1 to 100.

    Returns:
        The content of the file.

    Raises:
        ValueError: If the format cannot hold the image, or the encoder fails.
    """
    check_fits(picture.pixels, suffix, picture.metadata)
    try:
        return _encode(picture, FORMATS[suffix.lower()], quality)
    except MemoryError:
        raise
    except Exception as error:  # encoders raise many types for metadata that they cannot write
        raise ValueError(
            f"The image cannot be written as {FORMATS[suffix.lower()]} "
            f"({type(error).__name__}: {error}): choose another output format."
        ) from error


def check_fits(pixels: Pixels, suffix: str, metadata: meta.Metadata | None = None) -> None:
    """Check that a format can hold an image.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.
        suffix: Extension of the file, one of `FORMATS`.
        metadata: The metadata of the image, None to check the pixels alone.

    Raises:
        ValueError: If the format cannot hold the image's transparency, bit depth, size or metadata.
    """
    format = FORMATS[suffix.lower()]
    if format in ("JPEG", "BMP") and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        raise ValueError(
            f"{format} has no transparency, but this image does: write it as .png, .tif or .webp."
        )
    if format not in ("PNG", "TIFF") and pixels.dtype == np.uint16:
        raise ValueError(
            f"{format} holds 8 bits per channel, but this image has 16: write it as .png or .tif."
        )
    longest = LONGEST_SIDES.get(format, 2**31)
    if max(pixels.shape[:2]) > longest:
        raise ValueError(
            f"{format} holds at most {longest} pixels per side: write the image as .png or .tif."
        )
    if metadata is not None:
        meta.check_fits(metadata, format, grey=_is_grey(pixels))


def _encode(picture: Picture, format: str, quality: int) -> bytes:
    pixels, kept = picture.pixels, picture.metadata
    if format == "PNG":
        deep = pixels.dtype == np.uint16
        data = png.encode_deep(np.asarray(pixels, np.uint16)) if deep else _by_pillow(pixels, "PNG")
        return png.insert(data, meta.png_chunks(kept))
    if format == "BMP":
        return _by_pillow(pixels, format, **({"dpi": kept["dpi"]} if "dpi" in kept else {}))
    profile = meta.profile_for(kept, _is_grey(pixels))
    if format == "TIFF":
        return tiff.write(
            pixels,
            kept.get("exif"),
            compressed=kept.get("compressed", True),
            dpi=kept.get("dpi"),
            profile=profile,
            blocks=meta.tiff_blocks(kept),
        )
    options: dict[str, object] = {"quality": quality, "icc_profile": profile}
    options |= {name: value for name, value in kept.items() if name in ("exif", "xmp")}
    if format == "JPEG":
        options |= {"subsampling": 0, "extra": meta.jpeg_segments(kept)}
        options |= {"dpi": kept["dpi"]} if "dpi" in kept else {}
        if text := meta.joined_text(kept):
            options["comment"] = text.encode()
    if format == "AVIF" and "exif" in kept:  # Pillow rewrites a block that has an orientation
        options["exif"] = exif.without_orientation(kept["exif"])
    if format == "WEBP":
        options |= {"lossless": kept.get("lossless", False), "exact": True}
    return _by_pillow(pixels, format, **options)


def _by_pillow(pixels: Pixels, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def _is_grey(pixels: Pixels) -> bool:
    return pixels.ndim == 2 or pixels.shape[2] == 2


def _swapped(pixels: np.ndarray) -> np.ndarray:
    """RGB(A) as OpenCV's BGR(A), and back."""
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
