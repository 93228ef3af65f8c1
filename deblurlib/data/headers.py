"""Checking pairs by the headers of their files, in a fraction of the time of reading them."""

import functools
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from . import metadata as meta
from .pictures import measure

# how complete files end
ENDINGS = {"PNG": b"\0\0\0\0IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


def glance(path: Path) -> tuple[int, int]:
    """Read the size of an image from its header, if the file is complete to its last bytes.

    Damage between the header and the end of a file shows only when its pixels are read.

    Args:
        path: The file.

    Returns:
        Width and height of the upright image in pixels.

    Raises:
        ValueError: As for `deblurlib.data.pictures.measure`, which also checks other formats than
            PNG and JPEG.
    """
    try:
        if path.is_file():  # opening a pipe would block
            with (
                path.open("rb") as file,
                warnings.catch_warnings(action="ignore"),
                Image.open(file) as image,
            ):
                ending = ENDINGS.get(image.format or "")
                if ending is not None and getattr(image, "n_frames", 1) == 1:
                    turned = "exif" in image.info and meta.orientation(image) >= 5
                    size = image.size[::-1] if turned else image.size
                    file.seek(-len(ending), os.SEEK_END)
                    if file.read() == ending:
                        return size
    except Exception:
        pass
    return measure(path)


def find_faults(
    pairs: Sequence[Mapping[str, Path]], smallest: int, *, moving: bool
) -> Iterator[str | None]:
    """Check pairs by the headers of their files.

    Args:
        pairs: The files of each pair, by field of its sample.
        smallest: Minimum number of pixels per side.
        moving: Whether each pair needs a sharp frame before or after it.

    Yields:
        For each pair what is wrong with it, None if nothing is.
    """
    size_of = functools.cache(glance)  # a sharp frame belongs to up to three pairs
    for files in pairs:
        try:
            sizes = {path: size_of(path) for path in files.values()}
        except ValueError as error:
            yield str(error).rpartition(": ")[0]  # without the advice
            continue
        if moving and not {"previous", "following"} & files.keys():
            yield f"{files['blurry']} has no sharp frame before or after it to show its motion"
        else:
            yield _wrong_size(files["blurry"], sizes, smallest)


def _wrong_size(blurry: Path, sizes: Mapping[Path, tuple[int, int]], smallest: int) -> str | None:
    width, height = sizes[blurry]
    for path, (other_width, other_height) in sizes.items():
        if (other_width, other_height) != (width, height):
            return f"{blurry} is {width} x {height} but {path} is {other_width} x {other_height}"
    if min(width, height) < smallest:
        return f"{blurry} is {width} x {height}, smaller than a crop of {smallest} x {smallest}"
    return None
