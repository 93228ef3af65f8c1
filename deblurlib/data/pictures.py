"""Image files: the only reader and the only writer of PNG, JPEG, TIFF, WebP and BMP.

Pillow reads and writes images of 8 bits per channel and writes 16-bit grey. OpenCV decodes 16-bit
images, whose colours Pillow would cut to 8 bits, and writes them as PNG; tifffile writes TIFF.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from . import metadata as meta
from .metadata import Pixels

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
READABLE = {*FORMATS.values(), "MPO"}  # MPO: a phone's JPEG that contains a second image
KEPT_MODES = ("L", "LA", "RGB", "RGBA")
PLAIN_MODES = {  # what other modes become: 1-bit, palette, premultiplied alpha, print colours …
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}
TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")  # lossless, in Pillow
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO = 0
UNSIGNED = 1
LONGEST_SIDES = {"JPEG": 65500, "WEBP": 16383}  # pixels
QUALITY = 95


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


class Unsupported(ValueError):
    """A valid image of an unsupported kind; the message continues "The image PATH …"."""


def is_picture(path: Path) -> bool:
    """Recognise an image file by its name.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether its extension is one of `FORMATS` and its name does not begin with a dot.
    """
    return path.suffix.lower() in FORMATS and not path.name.startswith(".")


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
    with _opened(Path(path)) as (image, data):
        return _read(image, data)


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

    The pixels of a PNG file are not decoded: its checksums tell as much in a fraction of the time.

    Args:
        path: The file, as for `read`.

    Returns:
        Width and height of the upright image in pixels.

    Raises:
        ValueError: As for `read`.
    """
    with _opened(Path(path)) as (image, data):
        if image.format == "PNG":
            _bits(image, data)
            turned = "exif" in image.info and meta.orientation(image) >= 5
            size = image.size[::-1] if turned else image.size
            image.verify()
            return size
        height, width = _read(image, data).pixels.shape[:2]
        return width, height


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
def _opened(path: Path) -> Iterator[tuple[Image.Image, bytes]]:
    """Open an image; every error inside becomes one sentence that names the file."""
    if path.exists() and not path.is_file():  # opening a pipe would block
        raise ValueError(
            f"The image {path} cannot be read (it is not a regular file): replace or remove it."
        )
    data = b""
    try:
        data = path.read_bytes()
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            _check_kind(image)
            yield image, data
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
        elif data.startswith(TIFF_SIGNATURES):  # Pillow does not tell these cases apart
            reason = "it is damaged, or its numbers are not 8 or 16 bits of grey or RGB"
        else:
            reason = "it is damaged or not a picture"
        raise ValueError(
            f"The image {path} cannot be read ({reason}): replace or remove it."
        ) from error


def _check_kind(image: Image.Image) -> None:
    if image.format not in READABLE:
        known = ", ".join(sorted(set(FORMATS.values())))
        raise Unsupported(f"is in the format {image.format}: convert it to one of {known}.")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise Unsupported(f"holds {frames} frames: save the one you want as a separate image.")


def _read(image: Image.Image, data: bytes) -> Picture:
    bits, orientation = _bits(image, data), meta.orientation(image)
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    size = tags.get(meta.WIDTH, image.width), tags.get(meta.HEIGHT, image.height)
    width, height = size[::-1] if orientation >= 5 else size
    lossless = image.format == "WEBP" and b"VP8L" in data
    metadata = meta.collect(image, width, height, lossless=lossless)
    pixels: Pixels
    if bits == 16:
        pixels = _deep_pixels(image, data, orientation)
    else:
        ImageOps.exif_transpose(image, in_place=True)  # also decodes: damaged files raise here
        pixels = np.asarray(_plain(image))
    if pixels.shape[:2] != (height, width):
        raise Unsupported("decodes to a size that its header does not state: replace or remove it.")
    return Picture(pixels, "JPEG" if image.format == "MPO" else str(image.format), metadata)


def _bits(image: Image.Image, data: bytes) -> int:
    """The depth to read an image with: 8 or 16 bits per channel."""
    if image.format == "PNG":
        return 16 if data[24] == 16 else 8
    if isinstance(image, TiffImageFile):
        bits = max(np.atleast_1d(image.tag_v2.get(meta.BITS_PER_SAMPLE, 1)))
        kinds = np.atleast_1d(image.tag_v2.get(meta.SAMPLE_FORMAT, UNSIGNED))
        if bits > 16 or any(kind != UNSIGNED for kind in kinds):
            raise Unsupported(
                f"holds {bits}-bit numbers that are not unsigned integers of 8 or 16 bits: "
                "convert it."
            )
        return 16 if bits > 8 else 8
    return 8


def _deep_pixels(image: Image.Image, data: bytes, orientation: int) -> NDArray[np.uint16]:
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if tags.get(meta.PLANES, 1) != 1 and len(image.getbands()) > 1:  # OpenCV would mix them up
        raise Unsupported(
            "holds 16-bit colours in separate planes: save it with the colours of each pixel side "
            "by side."
        )
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError("broken data")
    if pixels.dtype != np.uint16:
        raise Unsupported("holds 16-bit numbers in an unsupported layout: convert it.")
    deep = np.asarray(_swapped(pixels) if pixels.ndim == 3 else pixels, np.uint16)
    if tags.get(meta.PHOTOMETRIC) == WHITE_IS_ZERO:
        deep = np.subtract(65535, deep)
    if image.format == "PNG":  # OpenCV turns TIFF itself
        deep = np.ascontiguousarray(meta.turn(deep, orientation))
    return deep


def _plain(image: Image.Image) -> Image.Image:
    """The image in one of KEPT_MODES, converted without loss if possible."""
    transparent = "transparency" in image.info
    if image.mode in KEPT_MODES and not transparent:
        return image
    target = PLAIN_MODES.get(image.mode, image.mode)
    if target not in KEPT_MODES:
        raise Unsupported(
            f"has the pixel format {image.mode}: convert it to 8 or 16 bits of grey or RGB."
        )
    return image.convert({"L": "LA", "RGB": "RGBA"}.get(target, target) if transparent else target)


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
    check_fits(picture.pixels, suffix)
    format = FORMATS[suffix.lower()]
    try:
        if picture.pixels.dtype == np.uint16 and picture.pixels.ndim == 3:
            return _deep_png(picture) if format == "PNG" else _deep_tiff(picture)
        return _encode_by_pillow(picture, format, quality)
    except MemoryError:
        raise
    except Exception as error:  # encoders raise many types for metadata that they cannot write
        raise ValueError(
            f"The image cannot be written as {format} ({type(error).__name__}: {error}): "
            "choose another output format."
        ) from error


def check_fits(pixels: Pixels, suffix: str) -> None:
    """Check that a format can hold an image.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16.
        suffix: Extension of the file, one of `FORMATS`.

    Raises:
        ValueError: If the format cannot hold the image's transparency, bit depth or size.
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


def _encode_by_pillow(picture: Picture, format: str, quality: int) -> bytes:
    kept, file = picture.metadata, io.BytesIO()
    options: dict[str, object] = {
        name: value for name, value in kept.items() if name in ("exif", "icc_profile", "dpi", "xmp")
    }
    if format in ("JPEG", "WEBP"):
        options["quality"] = quality
    if format == "JPEG":
        options["subsampling"] = 0
    if format == "WEBP":
        options["lossless"] = kept.get("lossless", False)
    if format == "TIFF":
        compression = kept.get("compression")
        options["compression"] = (
            compression if compression in TIFF_COMPRESSIONS else "tiff_adobe_deflate"
        )
    Image.fromarray(picture.pixels).save(file, format, **options)
    return file.getvalue()


def _deep_png(picture: Picture) -> bytes:
    """16-bit colour by OpenCV, with its writer of metadata."""
    kept, kinds, blocks = picture.metadata, [], []
    if "exif" in kept:
        kinds.append(cv2.IMAGE_METADATA_EXIF)
        blocks.append(np.frombuffer(kept["exif"].removeprefix(b"Exif\0\0"), np.uint8))
    if "icc_profile" in kept:
        kinds.append(cv2.IMAGE_METADATA_ICCP)
        blocks.append(np.frombuffer(kept["icc_profile"], np.uint8))
    _, encoded = cv2.imencodeWithMetadata(".png", _swapped(picture.pixels), kinds, blocks)
    data = encoded.tobytes()
    return data[: meta.PNG_HEADER] + meta.png_chunks(kept) + data[meta.PNG_HEADER :]


def _deep_tiff(picture: Picture) -> bytes:
    """16-bit colour by tifffile, deflated."""
    file, kept = io.BytesIO(), picture.metadata
    tifffile.imwrite(
        file,
        picture.pixels,
        byteorder="<",
        photometric="rgb",
        extrasamples=["unassalpha"] if picture.pixels.shape[2] == 4 else None,
        compression="zlib",
        resolution=kept.get("dpi"),
        resolutionunit="inch" if "dpi" in kept else None,
        iccprofile=kept.get("icc_profile"),
        extratags=meta.tiff_tags(kept),
        metadata=None,
        software=False,
    )
    meta.add_directories(file, kept)
    return file.getvalue()


def _swapped(pixels: np.ndarray) -> np.ndarray:
    """RGB(A) as OpenCV's BGR(A), and back."""
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
