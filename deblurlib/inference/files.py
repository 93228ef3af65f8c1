"""Deblurring picture files: PNG, JPEG, TIFF, WebP, BMP in, the same out, with what cameras and editors wrote beside the pixels.

Pillow reads and writes 8 bits and 16-bit grey; OpenCV decodes 16-bit colour, which Pillow would cut to 8 bits.
"""

import contextlib
import errno
import glob
import io
import os
import struct
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin
from torch import nn
from tqdm.auto import tqdm

from ..data.photographs import PICTURE_SUFFIXES
from ..results import write_atomically
from .deblurring import deblur, resolve_network
from .tiles import Tiles

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
READABLE = {
    *FORMATS.values(),
    "MPO",
}  # MPO: the JPEG of phones, with a second picture behind the first
KEPT_MODES = ("L", "LA", "RGB", "RGBA")
PLAIN_MODES = {  # what others become: 1-bit, palette, premultiplied alpha, print colours …
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
OTHER_COLOURS = ("CMYK", "LAB")  # their ICC profiles do not describe RGB
ORIENTATION, EXIF, GPS, PIXEL_WIDTH, PIXEL_HEIGHT = 0x0112, 0x8769, 0x8825, 0xA002, 0xA003
PHOTOMETRIC, PLANES, WHITE_IS_ZERO = 262, 284, 0
# tags of a TIFF that say how its pixels are stored, and so do not survive a new file
STORAGE_TAGS = {
    *range(254, 260),
    262,
    263,
    264,
    265,
    266,
    273,
    277,
    278,
    279,
    280,
    281,
    282,
    283,
    284,
    292,
    293,
    296,
    297,
    317,
    320,
    *range(322, 326),
    330,
    332,
    338,
    339,
    340,
    341,
    347,
    *range(512, 522),
    529,
    530,
    531,
    532,
    700,
    34675,
}
QUALITY = 95
MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next picture would meet them, too
LARGEST_JPEG = 65500


@dataclass
class Picture:
    """A picture file: pixels (H, W) or (H, W, 2 to 4), uint8 or uint16, upright; and what is written beside them."""

    pixels: np.ndarray
    format: str
    metadata: dict = field(
        default_factory=dict
    )  # as Pillow's save takes it: exif, icc_profile, dpi, xmp, compression, lossless


# ---------------------------------------------------------------------------------------------------------------------
# Many pictures


def deblur_files(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    model: str | nn.Module = "svdn",
    device: str = "auto",
    tile: int | str | None = None,
    *,
    force: bool = False,
    compare: bool = False,
    quality: int = QUALITY,
    progress: bool | None = None,
) -> list[dict]:
    """Deblur files, folders (with all below them) and patterns such as "*.jpg" into `output`; one row a picture.

    output: a file for one picture, if it ends as a picture does, else a folder, in which the structure of the input folders is
    kept. compare: also write NAME_compare.jpg, before and after side by side. Each file is written under a temporary name, then
    renamed; inputs are never written to, existing outputs only with `force`.
    A row has input, output, state ("done", "exists", "failed"), width, height, seconds and error; a picture that cannot be read
    or deblurred does not stop the others. Raises ValueError or FileNotFoundError for a wrong call, before any work, and OSError
    where the disk is full or read-only.
    """
    jobs = plan(inputs, output, compare)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}: give a number from 1 to 100.")
    network, rows = resolve_network(model, device), []
    Tiles(network, (1, 1), tile)  # a wrong tile is the call's fault, not each picture's
    bar = tqdm(
        jobs, desc="pictures", unit="picture", disable=None if progress is None else not progress
    )
    for source, target in bar:
        began = time.perf_counter()
        row = {
            "input": str(source),
            "output": str(target),
            "state": "done",
            "width": None,
            "height": None,
            "error": None,
        }
        try:
            row |= _deblur_file(source, target, network, tile, force, compare, quality, progress)
        except (ValueError, OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
                raise
            row |= {"state": "failed", "error": _sentence(error)}
        rows.append(row | {"seconds": round(time.perf_counter() - began, 2)})
    return rows


def _deblur_file(source, target, network, tile, force, compare, quality, progress) -> dict:
    comparison = _comparison(target)
    for path in [target, comparison] if compare else [target]:
        if path.exists() and not force:
            return {"state": "exists", "error": f"{path} exists: --force writes it anew."}
    picture = read(source)
    _check_that_it_can_hold(picture, target)  # before the work, not after
    sharp = Picture(
        deblur(picture.pixels, network, tile=tile, progress=progress),
        picture.format,
        picture.metadata,
    )
    write_atomically(target, encode(sharp, target.suffix, quality))
    if compare:
        write_atomically(comparison, encode(side_by_side(picture.pixels, sharp.pixels), ".jpg", 90))
    return {"height": picture.pixels.shape[0], "width": picture.pixels.shape[1]}


def _comparison(target: Path) -> Path:
    return target.with_name(f"{target.stem}_compare.jpg")


def plan(
    inputs: str | Path | Iterable[str | Path], output: str | Path, compare: bool = False
) -> list[tuple[Path, Path]]:
    """(input, output) of every picture, in a fixed order; ValueError where two would go to one place, or one over an input."""
    inputs, output = [inputs] if isinstance(inputs, (str, Path)) else list(inputs), Path(output)
    found = {}  # the first mention of a file decides where it goes
    for item in inputs:
        for path, below in find_pictures(item, aside=output):
            found.setdefault(path.resolve(), (path, below))
    if not found:
        raise ValueError("There is nothing to deblur: name pictures, or folders of pictures.")
    alone = len(found) == 1 and not any(Path(item).is_dir() for item in inputs)
    if alone and output.suffix.lower() in FORMATS and not output.is_dir():
        jobs = [(next(iter(found.values()))[0], output)]
    elif (output.exists() or output.suffix.lower() in FORMATS) and not output.is_dir():
        raise ValueError(
            f"{output} is one file: give a folder for what comes from {len(found)} pictures, or from a folder."
        )
    else:
        jobs = [(path, output / below) for path, below in found.values()]
    taken = {}
    for source, target in jobs:
        if target.suffix.lower() not in FORMATS:
            raise ValueError(
                f"{target.name} ends as no picture that can be written: use one of {', '.join(FORMATS)}."
            )
        for path in [target, _comparison(target)] if compare else [target]:
            if path.resolve() in found:
                raise ValueError(
                    f"{path} is an input: choose another output, since inputs are never changed."
                )
            if path in taken:
                raise ValueError(
                    f"{source} and {taken[path]} would both be written to {path}: deblur them one by one."
                )
            taken[path] = source
    return jobs


def find_pictures(item: str | Path, aside: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """The pictures that a file, a folder or a pattern names, each with its path below that folder; none below `aside`."""
    path = Path(item)
    if path.is_dir():
        aside = (
            aside.resolve()
            if aside and aside.is_dir() and aside.resolve() != path.resolve()
            else None
        )
        pictures = sorted(_walk(path, aside))
        if not pictures:
            raise ValueError(
                f"{path} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}): give another folder."
            )
        yield from ((picture, picture.relative_to(path)) for picture in pictures)
    elif path.exists():
        yield path, Path(path.name)
    elif glob.has_magic(str(item)):
        matches = [
            p
            for p in map(Path, sorted(glob.glob(str(item), recursive=True)))
            if p.is_dir() or _is_picture(p)
        ]
        if not matches:
            raise FileNotFoundError(f"No picture matches {item}: check the pattern.")
        for match in matches:
            yield from find_pictures(match, aside)
    else:
        raise FileNotFoundError(
            f"{path} does not exist: give a picture, a folder of pictures, or a pattern."
        )


def _walk(folder: Path, aside: Path | None) -> Iterator[Path]:
    def fail(error):
        raise error  # a folder that cannot be listed must not pass for an empty one

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [
            n
            for n in folders
            if not n.startswith(".") and (aside is None or (Path(parent) / n).resolve() != aside)
        ]
        yield from (path for path in (Path(parent) / name for name in files) if _is_picture(path))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def side_by_side(before: np.ndarray, after: np.ndarray) -> Picture:
    """Both pictures in 8 bits beside each other, a white line between them, transparency on white."""
    gap = np.full((before.shape[0], max(before.shape[1] // 50, 2), 3), 255, np.uint8)
    both = np.concatenate([_on_white(before), gap, _on_white(after)], 1)
    if max(both.shape) > LARGEST_JPEG:
        image = Image.fromarray(both)
        image.thumbnail((LARGEST_JPEG, LARGEST_JPEG))
        both = np.asarray(image)
    return Picture(both, "JPEG")


def _on_white(pixels):
    pixels = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    image = Image.fromarray(pixels).convert("RGBA")
    return np.asarray(
        Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    )


# ---------------------------------------------------------------------------------------------------------------------
# Reading


def read(path: str | Path) -> Picture:
    """A picture file, turned upright. ValueError, one sentence, for anything that is none, is damaged, or has several frames."""
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"The picture {path} is no file: replace or remove it.")
    try:
        data = path.read_bytes()
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            return _read(image, data)
    except Unsupported as error:
        raise ValueError(f"The picture {path} {error}") from None
    except Image.DecompressionBombError:
        raise ValueError(
            f"The picture {path} says it has more than {2 * Image.MAX_IMAGE_PIXELS} pixels: cut it up."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders have many names for a damaged file
        if isinstance(error, OSError) and error.errno:
            reason = os.strerror(error.errno).lower()
        else:
            reason = "it is damaged, or no picture"
        raise ValueError(
            f"The picture {path} cannot be read ({reason}): replace or remove it."
        ) from error


class Unsupported(ValueError):
    """What a file holds that is not deblurred; the sentence goes on after "The picture …"."""


def _read(image: Image.Image, data: bytes) -> Picture:
    if image.format not in READABLE:
        raise Unsupported(
            f"is in the format {image.format}: convert it to {', '.join(sorted(set(FORMATS.values())))}."
        )
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise Unsupported(
            f"holds {image.n_frames} frames: save the one you want as a picture of its own."
        )
    bits, orientation = _bits(image, data), image.getexif().get(ORIENTATION, 1)
    size = image.size if image.format != "TIFF" else (image.tag_v2[256], image.tag_v2[257])
    size = size[::-1] if orientation in (5, 6, 7, 8) else size
    exif = _portable_exif(image, *size)
    ImageOps.exif_transpose(image, in_place=True)  # loads it, too: what is damaged raises here
    metadata = {name: image.info.get(name) for name in ("icc_profile", "xmp", "compression")}
    metadata |= {
        "exif": exif,
        "dpi": _dpi(image),
        "lossless": image.format == "WEBP" and b"VP8L" in data,
    }
    if image.mode in OTHER_COLOURS:
        del metadata["icc_profile"]
    pixels = _deep_pixels(image, data, orientation) if bits == 16 else np.asarray(_plain(image))
    if pixels.shape[1::-1] != size:
        raise Unsupported("is decoded to another size than it says: replace or remove it.")
    return Picture(
        pixels,
        "JPEG" if image.format == "MPO" else image.format,
        {k: v for k, v in metadata.items() if v},
    )


def _bits(image, data) -> int:
    """8 or 16 bits a channel."""
    if image.format == "PNG":
        return 16 if data[24] == 16 else 8
    if image.format == "TIFF":
        bits, kinds = (
            np.atleast_1d(image.tag_v2.get(tag, default)) for tag, default in ((258, 1), (339, 1))
        )
        if max(bits) > 16 or any(kind != 1 for kind in kinds):
            raise Unsupported(
                f"holds {max(bits)}-bit numbers that are not unsigned integers of 8 or 16 bits: convert it."
            )
        return 16 if max(bits) > 8 else 8
    return 8


def _deep_pixels(image, data, orientation) -> np.ndarray:
    tiff = image.format == "TIFF"
    if (
        tiff and image.tag_v2.get(PLANES, 1) != 1 and len(image.getbands()) > 1
    ):  # OpenCV would mix the colours up
        raise Unsupported(
            "holds 16-bit colours in separate planes: save it with the colours of a pixel side by side."
        )
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise Unsupported("holds 16-bit numbers in a way that is not known here: convert it.")
    if pixels.ndim == 3:
        pixels = _swapped(pixels)
    if not tiff:
        return np.ascontiguousarray(turn(pixels, orientation))  # OpenCV turns TIFF itself
    return 65535 - pixels if image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO else pixels


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The picture upright, by EXIF's orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _plain(image) -> Image.Image:
    """In one of KEPT_MODES, without loss where there is one."""
    transparent = "transparency" in image.info
    if image.mode in KEPT_MODES and not transparent:
        return image
    target = PLAIN_MODES.get(image.mode, image.mode)
    if target not in KEPT_MODES:
        raise Unsupported(
            f"has the pixel format {image.mode}: convert it to 8 or 16 bits of grey or RGB."
        )
    return image.convert({"L": "LA", "RGB": "RGBA"}.get(target, target) if transparent else target)


def _portable_exif(image, width, height) -> bytes | None:
    """The EXIF block for the upright picture of that size: orientation 1, and nothing of how a TIFF was stored."""
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
    except Exception:  # a damaged block of metadata is no reason to refuse the picture
        return None


def _dpi(image) -> tuple[float, float] | None:
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, KeyError):
        x, y = (float(value) for value in image.info["dpi"])
        return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def encode(picture: Picture, suffix: str, quality: int = QUALITY) -> bytes:
    """The bytes of a picture file of that suffix, with the picture's metadata as far as the format has a place for it.

    quality: of JPEG and of WebP, unless the picture came from a lossless WebP. ValueError where the format cannot hold it.
    """
    _check_that_it_can_hold(picture, Path(f"picture{suffix}"))
    format, kept = FORMATS[suffix.lower()], picture.metadata
    if picture.pixels.dtype == np.uint16 and picture.pixels.ndim == 3:
        return _deep_png(picture) if format == "PNG" else _deep_tiff(picture)
    options = {name: kept[name] for name in ("exif", "icc_profile", "dpi", "xmp") if name in kept}
    if format in ("JPEG", "WEBP"):
        options["quality"] = quality
    if format == "JPEG":
        options["subsampling"] = 0
    if format == "WEBP":
        options["lossless"] = kept.get("lossless", False)
    if format == "TIFF":
        options["compression"] = kept.get("compression", "tiff_adobe_deflate")
        if options["compression"] not in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            options["compression"] = "tiff_adobe_deflate"
    file = io.BytesIO()
    Image.fromarray(picture.pixels).save(file, format, **options)
    return file.getvalue()


def _check_that_it_can_hold(picture, path):
    format, channels = (
        FORMATS[path.suffix.lower()],
        picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1,
    )
    if format in ("JPEG", "BMP") and channels in (2, 4):
        raise ValueError(
            f"{format} has no transparency, which this picture has: write it as .png, .tif or .webp."
        )
    if format not in ("PNG", "TIFF") and picture.pixels.dtype == np.uint16:
        raise ValueError(
            f"{format} holds 8 bits a channel, and this picture has 16: write it as .png or .tif."
        )
    largest = {"JPEG": LARGEST_JPEG, "WEBP": 16383}.get(format, 2**31)
    if max(picture.pixels.shape[:2]) > largest:
        raise ValueError(f"{format} has at most {largest} pixels a side: write it as .png or .tif.")


def _deep_png(picture) -> bytes:
    """16-bit colour by OpenCV, with the chunks for metadata put in behind the header."""
    _, encoded = cv2.imencode(".png", _swapped(picture.pixels))
    data, kept, chunks = encoded.tobytes(), picture.metadata, b""
    if "icc_profile" in kept:
        chunks += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(kept["icc_profile"]))
    if "dpi" in kept:
        chunks += _chunk(
            b"pHYs", struct.pack(">IIB", *(round(dpi / 0.0254) for dpi in kept["dpi"]), 1)
        )  # a metre
    if "exif" in kept:
        chunks += _chunk(b"eXIf", kept["exif"].removeprefix(b"Exif\0\0"))
    header = 8 + 25  # the signature, IHDR
    return data[:header] + chunks + data[header:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def _deep_tiff(picture) -> bytes:
    """16-bit colour in deflated strips of about a megabyte, behind a directory that Pillow writes."""
    pixels, kept = picture.pixels.astype("<u2", copy=False), picture.metadata
    height, width, channels = pixels.shape
    lines = max(1, 2**20 // (width * channels * 2))
    strips = [
        zlib.compress(np.ascontiguousarray(pixels[i : i + lines]), 6)
        for i in range(0, height, lines)
    ]
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    exif = Image.Exif()
    exif.load(kept.get("exif", b""))
    for tag in exif:
        directory[tag] = dict(exif.get_ifd(tag)) if tag in (EXIF, GPS) else exif[tag]
    directory[256], directory[257], directory[258] = width, height, (16,) * channels
    directory[259], directory[262], directory[277], directory[278] = 8, 2, channels, lines
    directory[279] = tuple(map(len, strips))
    directory[273] = tuple(
        int(n) for n in np.cumsum([0, *directory[279][:-1]])
    )  # save() adds where the strips begin
    if channels == 4:
        directory[338] = 2  # alpha that is not multiplied in
    if "dpi" in kept:
        directory[282], directory[283], directory[296] = *kept["dpi"], 2
    if "icc_profile" in kept:
        directory[34675] = kept["icc_profile"]
    file = io.BytesIO()
    file.write(b"II*\0\x08\0\0\0")
    directory.save(file)
    return file.getvalue() + b"".join(strips)


def _swapped(pixels):
    """RGB(A) as BGR(A), and back: OpenCV's order."""
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
