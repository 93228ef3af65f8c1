"""Deblurring image files, one after the other, so that one bad file never stops the others."""

import errno
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from PIL import Image
from torch import nn

from ..data.metadata import Pixels, losses
from ..data.pictures import (
    FORMATS,
    LONGEST_SIDES,
    QUALITY,
    Picture,
    check_fits,
    encode,
    read,
    to_8_bits,
)
from ..data.video import is_film, require_av
from ..progress import progress_bar
from ..storage import NO_SPACE, remove_leftovers, write_atomically
from .deblurring import check_strength, deblur, resolve_network
from .films import deblur_film
from .planning import Plan, outputs, plan
from .precision import choose_precision
from .sharpness import sharpness
from .tiles import Tiles
from .windows import parameter_of

MACHINE_ERRORS = (*NO_SPACE, errno.EROFS)  # they would stop the next image too
COMPARISON_QUALITY = 90
logger = logging.getLogger(__name__)


class Row(TypedDict):
    """The outcome for one image or film.

    Attributes:
        input: Path of the image.
        output: Path of the deblurred image.
        state: "done", "exists" (the output was left alone) or "failed".
        width: Width in pixels, None unless it is done.
        height: Height in pixels, None unless it is done.
        frames: Number of frames of a film that is done, else None.
        sharpness_before: Score of the image, see `sharpness.sharpness`; None unless an image was
            deblurred now.
        sharpness: Score of the output; not above `sharpness_before` if it did not get sharper.
        lost: Metadata or streams that the output has no place for, such as "IPTC".
        error: One sentence if it failed, or if the output that exists is older than the image.
        seconds: Processing time.
    """

    input: str
    output: str
    state: Literal["done", "exists", "failed"]
    width: int | None
    height: int | None
    frames: int | None
    sharpness_before: float | None
    sharpness: float | None
    lost: list[str]
    error: str | None
    seconds: float


@dataclass(frozen=True)
class _Batch:
    """Settings shared by all images of a batch."""

    network: nn.Module
    precision: str
    tile: int | str | None
    overwrite: bool
    compare: bool
    quality: int
    strength: float
    progress: bool | None


def deblur_files(  # noqa: PLR0913 - the public face of a command line
    inputs: str | Path | Iterable[str | Path] | Plan,
    output: str | Path,
    model: str | nn.Module = "svdn",
    device: str = "auto",
    tile: int | str | None = None,
    *,
    overwrite: bool = False,
    compare: bool = False,
    quality: int = QUALITY,
    precision: str = "auto",
    strength: float = 1.0,
    progress: bool | None = None,
) -> list[Row]:
    """Deblur files, folders (with all their subfolders) and patterns such as "*.jpg".

    Films that are named, or match a pattern, are deblurred frame by frame; those in folders are
    left alone. An image that cannot be read, deblurred or written does not stop the others. Each
    output is written under a temporary name, then renamed; inputs are never changed. Several
    processes may deblur into one folder.

    Args:
        inputs: One or several files, folders or patterns, or the `planning.plan` made of them.
        output: A file name with an image extension if there is a single input; otherwise a folder,
            in which the structure of the input folders is kept.
        model: Name of a model with shipped weights, or a network.
        device: Where to compute: "auto", "cpu", "cuda", "cuda:1", …
        tile: Side of the tiles in pixels, as for `deblur`.
        overwrite: Replace outputs that exist; otherwise they are left alone.
        compare: Also write NAME_compare.jpg, the image before and after side by side.
        quality: Quality of JPEG, lossy WebP and films, 1 to 100.
        precision: What to compute in: "fp32", "bf16" or "auto", as for `deblur`.
        strength: Share of the change that is applied to images, as for `deblur`.
        progress: Show a progress bar; None shows one on a terminal.

    Returns:
        One row per image, in a fixed order.

    Raises:
        ValueError: If an argument is invalid, before any work.
        FileNotFoundError: If an input does not exist, before any work.
        ImportError: If there is a film, and PyAV is not installed.
        OSError: If the disk is full or read-only; a later call continues.
    """
    jobs = (inputs if isinstance(inputs, Plan) else plan(inputs, output, compare)).jobs
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}: give a number from 1 to 100.")
    check_strength(strength)
    if any(is_film(source) for source, _ in jobs):
        require_av()
    network = resolve_network(model, device)
    Tiles(network, (1, 1), tile)  # an invalid tile is an error of the call, not of each image
    chosen = choose_precision(precision, network, parameter_of(network).device)
    batch = _Batch(network, chosen, tile, overwrite, compare, quality, strength, progress)
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
        frames=None,
        sharpness_before=None,
        sharpness=None,
        lost=[],
        error=None,
        seconds=0.0,
    )
    began = time.perf_counter()
    planned = outputs(source, target, batch.compare)
    wanted = [path for path in planned if batch.overwrite or not path.exists()]
    try:
        if wanted and is_film(source):
            _deblur_film(source, target, batch, row)
        elif wanted:
            _deblur_picture(source, target, wanted, batch, row)
        else:
            row["state"], row["error"] = "exists", _outdated(source, planned)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
            raise
        logger.debug("%s failed", source, exc_info=True)
        row["state"], row["error"] = "failed", _sentence(source, error)
    row["seconds"] = round(time.perf_counter() - began, 2)
    return row


def _deblur_film(source: Path, target: Path, batch: _Batch, row: Row) -> None:
    film = deblur_film(
        source,
        target,
        batch.network,
        batch.tile,
        precision=batch.precision,
        quality=batch.quality,
        overwrite=batch.overwrite,
        progress=batch.progress,
    )
    (row["height"], row["width"]), row["frames"] = film.size, film.frames
    row["lost"] = film.lost


def _outdated(source: Path, planned: list[Path]) -> str | None:
    """One sentence if an image was changed after it was deblurred, None if it was not."""
    changed = source.stat().st_mtime_ns
    older = [path for path in planned if path.stat().st_mtime_ns < changed]
    return f"{older[0]} is older than {source}: replace it with --overwrite." if older else None


def _deblur_picture(
    source: Path, target: Path, wanted: list[Path], batch: _Batch, row: Row
) -> None:
    """Write those of the outputs that are wanted; each is encoded without the pixels of others."""
    picture = read(source)
    check_fits(picture.pixels, target.suffix, picture.metadata)  # before the work, not after
    sharp = deblur(
        picture.pixels,
        batch.network,
        tile=batch.tile,
        precision=batch.precision,
        strength=batch.strength,
        progress=batch.progress,
    )
    scores = [sharpness(picture.pixels), sharpness(sharp)]
    for path in wanted[::-1]:  # the comparison, then the output, which does not need the original
        if path == target:
            picture.pixels = sharp
            content = encode(picture, target.suffix, batch.quality)
        else:
            content = encode(side_by_side(picture.pixels, sharp), ".jpg", COMPARISON_QUALITY)
        _write(path, content, batch.overwrite)
    row["height"], row["width"] = sharp.shape[:2]
    row["sharpness_before"], row["sharpness"] = scores
    row["lost"] = losses(picture.metadata, FORMATS[target.suffix.lower()])


def _write(path: Path, content: bytes, overwrite: bool) -> None:
    """Write an output; without `overwrite`, one that another process has just written stays."""
    try:
        write_atomically(path, content, overwrite=overwrite)
    except FileExistsError:
        if not path.is_file():
            raise


def _sentence(source: Path, error: Exception) -> str:
    """The error in one sentence that names the file, and the type of an unusual error."""
    words = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename and error.strerror:
        words = f"{error.filename}: {error.strerror}."
    if type(error) in (ValueError, MemoryError) or isinstance(error, OSError):
        return words if str(source) in words else f"{source}: {words or type(error).__name__}"
    reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
    kind = "film" if is_film(source) else "image"
    return f"The {kind} {source} cannot be deblurred ({reason}): convert it to another format."


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
