"""Opening image files with Pillow and its plugins, and the modes that are kept."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

from . import colour
from .errors import Unsupported
from .extras import bits_of_jpeg

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".bmp": "BMP",
}
READ_ONLY = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}
PLUGINS = {"HEIF": "pillow-heif", "JXL": "pillow-jxl-plugin"}  # they register with Pillow
READABLE = {*FORMATS.values(), "MPO", *PLUGINS}  # MPO: a phone's JPEG that contains a second image
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
JXL_SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
KEPT_MODES = ("L", "LA", "RGB", "RGBA")
PLAIN_MODES = {  # what other modes become: 1-bit, palette, premultiplied alpha …
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Open an image of a supported kind with Pillow.

    Args:
        data: The file.

    Yields:
        The image, not yet decoded.

    Raises:
        Unsupported: If the format needs a plugin that is missing, is none of `READABLE`, has other
            than 8 bits in a JPEG, or the file has several frames.
    """
    plugin = _plugin(data)
    if plugin == "HEIF":
        with suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
            plugin = None
    elif plugin == "JXL":
        with suppress(ImportError):
            import pillow_jxl  # noqa: F401 - registers itself

            plugin = None
    if plugin:
        raise Unsupported(
            f"is in the format {plugin}, which needs another package: "
            f"`pip install {PLUGINS[plugin]}`."
        )
    if (bits := bits_of_jpeg(data)) not in (None, 8):
        raise Unsupported(f"is a JPEG of {bits} bits per channel: convert it to a 16-bit TIFF.")
    with Image.open(io.BytesIO(data)) as image:
        if image.format not in READABLE:
            known = ", ".join(sorted(set(FORMATS.values())))
            raise Unsupported(f"is in the format {image.format}: convert it to one of {known}.")
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format not in ("MPO", "TIFF"):  # `tiff` counts its pages
            raise Unsupported(f"holds {frames} frames: save the one you want as a separate image.")
        yield image


def _plugin(data: bytes) -> str | None:
    """The format of a file that needs a plugin of Pillow, by its first bytes."""
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS and b"avif" not in data[8:64]:
        return "HEIF"
    return "JXL" if data.startswith(JXL_SIGNATURES) else None


def plain(image: Image.Image) -> Image.Image:
    """Convert an image to one of `KEPT_MODES`, without loss if possible.

    Args:
        image: The image; it is decoded if it is not yet.

    Returns:
        The image in grey or RGB, with alpha if it has transparency.

    Raises:
        Unsupported: If its pixel format has no counterpart in 8 bits.
    """
    transparent = "transparency" in image.info
    if image.mode == "CMYK":
        return colour.to_srgb(image)
    if image.mode in KEPT_MODES and not transparent:
        return image
    target = PLAIN_MODES.get(image.mode, image.mode)
    if target not in KEPT_MODES:
        raise Unsupported(
            f"has the pixel format {image.mode}: convert it to 8 or 16 bits of grey or RGB."
        )
    return image.convert({"L": "LA", "RGB": "RGBA"}.get(target, target) if transparent else target)
