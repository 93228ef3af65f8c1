"""Deblurring image files: find them, plan the outputs, and process the batch."""

import errno
import glob
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, TypedDict

import numpy as np
from PIL import Image
from torch import nn

from ..data.metadata import Pixels, losses
from ..data.pictures import (
    FORMATS,
    LONGEST_SIDES,
    QUALITY,
    READ_ONLY,
    Picture,
    check_fits,
    encode,
    is_picture,
    read,
    to_8_bits,
)
from ..progress import progress_bar
from ..storage import remove_leftovers, write_atomically
from .deblurring import deblur, resolve_network
from .tiles import Tiles

MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # they would stop the next image too
COMPARISON_QUALITY = 90
logger = logging.getLogger(__name__)


class Row(TypedDict):
    """The outcome for one image.

    Attributes:
        input: Path of the image.
        output: Path of the deblurred image.
        state: "done", "exists" (the output was left alone) or "failed".
        width: Width in pixels, None unless it is done.
        height: Height in pixels, None unless it is done.
        lost: Metadata that the output's format has no place for, such as "IPTC".
        error: One sentence if it failed, or if the output that exists is older than the image.
        seconds: Processing time.
    """

    input: str
    output: str
    state: Literal["done", "exists", "failed"]
    width: int | None
    height: int | None
    lost: list[str]
    error: str | None
    seconds: float


@dataclass(frozen=True)
class _Batch:
    """Settings shared by all images of a batch."""

    network: nn.Module
    tile: int | str | None
    force: bool
    compare: bool
    quality: int
    progress: bool | None


def deblur_files(  # noqa: PLR0913 - the public face of a command line
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
) -> list[Row]:
    """Deblur files, folders (with all their subfolders) and patterns such as "*.jpg".

    An image that cannot be read, deblurred or written does not stop the others. Each output is
    written under a temporary name, then renamed; inputs are never changed. Several processes may
    deblur into one folder.

    Args:
        inputs: One or several files, folders or patterns.
        output: A file name with an image extension if there is a single input; otherwise a folder,
            in which the structure of the input folders is kept.
        model: Name of a model with shipped weights, or a network.
        device: Where to compute: "auto", "cpu", "cuda", "cuda:1", …
        tile: Side of the tiles in pixels, as for `deblur`.
        force: Overwrite existing outputs.
        compare: Also write NAME_compare.jpg, the image before and after side by side.
        quality: Quality of JPEG and lossy WebP, 1 to 100.
        progress: Show a progress bar; None shows one on a terminal.

    Returns:
        One row per image, in a fixed order.

    Raises:
        ValueError: If an argument is invalid, before any work.
        FileNotFoundError: If an input does not exist, before any work.
        OSError: If the disk is full or read-only; a later call continues.
    """
    jobs = plan(inputs, output, compare)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}: give a number from 1 to 100.")
    network = resolve_network(model, device)
    Tiles(network, (1, 1), tile)  # an invalid tile is an error of the call, not of each image
    batch = _Batch(network, tile, force, compare, quality, progress)
    for folder in {target.parent for _, target in jobs}:
        remove_leftovers(folder)
    bar = progress_bar(jobs, desc="deblur", unit="image", show=progress)
    return [_deblur_file(source, target, batch) for source, target in bar]


def _deblur_file(source: Path, target: Path, batch: _Batch) -> Row:
    row = Row(
        input=str(source),
        output=str(target),
        state="done",
        width=None,
        height=None,
        lost=[],
        error=None,
        seconds=0.0,
    )
    began = time.perf_counter()
    comparison = _comparison(target)
    outputs = [target, comparison] if batch.compare else [target]
    wanted = [path for path in outputs if batch.force or not path.exists()]
    try:
        if wanted:
            picture = _deblur_one(source, target, wanted, batch)
            row["height"], row["width"] = picture.pixels.shape[:2]
            row["lost"] = losses(picture.metadata, FORMATS[target.suffix.lower()])
        else:
            row["state"], row["error"] = "exists", _outdated(source, outputs)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
            raise
        logger.debug("%s failed", source, exc_info=True)
        row["state"], row["error"] = "failed", _sentence(source, error)
    row["seconds"] = round(time.perf_counter() - began, 2)
    return row


def _outdated(source: Path, outputs: list[Path]) -> str | None:
    """One sentence if an image was changed after it was deblurred, None if it was not."""
    changed = source.stat().st_mtime_ns
    older = [path for path in outputs if path.stat().st_mtime_ns < changed]
    return f"{older[0]} is older than {source}: overwrite it with --force." if older else None


def _deblur_one(source: Path, target: Path, wanted: list[Path], batch: _Batch) -> Picture:
    """Write those of the outputs that are wanted; return the blurry image."""
    picture = read(source)
    check_fits(picture.pixels, target.suffix, picture.metadata)  # before the work, not after
    sharp = deblur(picture.pixels, batch.network, tile=batch.tile, progress=batch.progress)
    for path in wanted:
        if path == target:
            result = Picture(sharp, picture.format, picture.metadata)
            content = encode(result, target.suffix, batch.quality)
        else:
            content = encode(side_by_side(picture.pixels, sharp), ".jpg", COMPARISON_QUALITY)
        _write(path, content, batch.force)
    return picture


def _write(path: Path, content: bytes, force: bool) -> None:
    """Write an output; without force, one that another process has just written stays."""
    try:
        write_atomically(path, content, overwrite=force)
    except FileExistsError:
        if not path.is_file():
            raise


def _sentence(source: Path, error: Exception) -> str:
    """The error in one sentence that names the file, and the type of an unusual error."""
    words = " ".join(str(error).split())
    if type(error) in (ValueError, MemoryError) or isinstance(error, OSError):
        return words if str(source) in words else f"{source}: {words or type(error).__name__}"
    reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"The image {source} cannot be deblurred ({reason}): convert it to another format."


def side_by_side(before: Pixels, after: Pixels) -> Picture:
    """Compose a comparison image.

    Args:
        before: (H, W) or (H, W, C), uint8 or uint16.
        after: The same shape.

    Returns:
        Both side by side in 8-bit RGB, separated by a white line, transparency on white.
    """
    gap = np.full((before.shape[0], max(before.shape[1] // 50, 2), 3), 255, np.uint8)
    both = np.concatenate([_on_white(before), gap, _on_white(after)], 1)
    longest = LONGEST_SIDES["JPEG"]
    if max(both.shape) > longest:
        image = Image.fromarray(both)
        image.thumbnail((longest, longest))
        both = np.asarray(image)
    return Picture(both, "JPEG")


def _on_white(pixels: Pixels) -> np.ndarray:
    image = Image.fromarray(to_8_bits(pixels)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


# --------------------------------------------------------------------------------------------------
# Which files, and where to


def plan(
    inputs: str | Path | Iterable[str | Path], output: str | Path, compare: bool = False
) -> list[tuple[Path, Path]]:
    """Choose an output path for each image.

    Args:
        inputs: One or several files, folders or patterns.
        output: A file or a folder, as for `deblur_files`.
        compare: Whether each output comes with a comparison image.

    Returns:
        (input, output) of every image, in a fixed order.

    Raises:
        ValueError: If there is no image, two outputs would share a path, or one would overwrite an
            input.
        FileNotFoundError: If an input does not exist.
    """
    inputs, output = [inputs] if isinstance(inputs, (str, Path)) else list(inputs), Path(output)
    found: dict[Path, tuple[Path, Path]] = {}  # the first mention of a file decides its output
    for item in inputs:
        for path, below in find_pictures(item, aside=output):
            found.setdefault(path.resolve(), (path, below))
    if not found:
        raise ValueError("There is nothing to deblur: name images, or folders of images.")
    names_a_file = output.suffix.lower() in FORMATS and not output.is_dir()
    if names_a_file and len(found) == 1 and not any(Path(item).is_dir() for item in inputs):
        jobs = [(path, output) for path, _ in found.values()]
    elif names_a_file or (output.exists() and not output.is_dir()):
        raise ValueError(
            f"{output} is a single file: give a folder for {len(found)} images or for the images "
            "of a folder."
        )
    else:
        jobs = [(path, output / _writable(below)) for path, below in found.values()]
    _check_targets(jobs, found.keys(), compare)
    return jobs


def _writable(path: Path) -> Path:
    """The name of an output: of a format that can be read only, it becomes PNG."""
    return path.with_suffix(".png") if path.suffix.lower() in READ_ONLY else path


def _check_targets(jobs: list[tuple[Path, Path]], inputs: Iterable[Path], compare: bool) -> None:
    sources, taken = set(inputs), dict[Path, Path]()
    for source, target in jobs:
        if target.suffix.lower() not in FORMATS:
            raise ValueError(
                f"{target} has the unsupported file extension {target.suffix!r}: use one of "
                f"{', '.join(FORMATS)}."
            )
        for path in [target, _comparison(target)] if compare else [target]:
            if path.resolve() in sources:
                raise ValueError(
                    f"{path} is an input: choose another output, since inputs are never changed."
                )
            if path in taken:
                raise ValueError(
                    f"{source} and {taken[path]} would both be written to {path}: deblur them "
                    "one by one."
                )
            taken[path] = source


def _comparison(target: Path) -> Path:
    return target.with_name(f"{target.stem}_compare.jpg")


def find_pictures(item: str | Path, aside: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """Find the images that a file, a folder or a pattern refers to.

    Args:
        item: A file (with any extension), a folder, or a pattern as for `glob`.
        aside: A folder to exclude, None for none.

    Yields:
        Each image, and its path below the folder named.

    Raises:
        ValueError: If the item is empty, or a folder holds no image.
        FileNotFoundError: If nothing matches.
    """
    if item == "":  # such as an unset variable of a shell; pathlib takes it for the current folder
        raise ValueError("The name of an input is empty: give an image, a folder or a pattern.")
    path = Path(item)
    if path.is_dir():
        apart = aside.resolve() if aside and aside.is_dir() else None
        pictures = sorted(_walk(path, None if apart == path.resolve() else apart))
        if not pictures:
            raise ValueError(
                f"{path} holds no images ({', '.join(sorted(FORMATS))}): give another folder."
            )
        yield from ((picture, picture.relative_to(path)) for picture in pictures)
    elif path.exists():
        yield path, Path(path.name)
    elif glob.has_magic(str(item)):
        # pathlib has no patterns that begin at the root
        found = map(Path, sorted(glob.glob(_pattern(path), recursive=True)))  # noqa: PTH207
        matches = [match for match in found if _holds_pictures(match)]
        if not matches:
            raise FileNotFoundError(f"No image matches {item}: check the pattern.")
        for match in matches:
            yield from find_pictures(match, aside)
    else:
        raise FileNotFoundError(
            f"{path} does not exist: give an image, a folder of images, or a pattern."
        )


def _holds_pictures(path: Path) -> bool:
    return any(True for _ in _walk(path, None)) if path.is_dir() else is_picture(path)


def _pattern(path: Path) -> str:
    """A path as a pattern, in which brackets of folders that exist stand for themselves."""
    existing = next(parent for parent in path.parents if parent.exists())
    return str(Path(glob.escape(str(existing))) / path.relative_to(existing))


def count_others(inputs: Iterable[str | Path]) -> int:
    """Count the files of other kinds in the folders among the inputs, which are left alone.

    Args:
        inputs: Files, folders or patterns.

    Returns:
        The number of files that are neither images nor hidden, in folders that are not hidden.
    """
    total = 0
    for folder in filter(Path.is_dir, map(Path, inputs)):
        for _, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            total += sum(not name.startswith(".") and not is_picture(Path(name)) for name in files)
    return total


def _walk(folder: Path, aside: Path | None) -> Iterator[Path]:
    """The images below a folder, without hidden folders and `aside`."""
    for parent, folders, files in os.walk(folder, onerror=_fail):
        below = Path(parent)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (aside is None or (below / name).resolve() != aside)
        ]
        yield from (path for path in (below / name for name in files) if is_picture(path))


def _fail(error: OSError) -> NoReturn:
    raise error  # a folder that cannot be listed must not pass for an empty one
