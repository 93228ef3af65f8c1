"""Pairs of blurry and sharp images from high-speed films, made as those of GoPro were.

A blurry image is the mean of N successive frames, its sharp partner the frame in the middle. Pairs
follow each other without overlap, so the sharp neighbours of a frame are N frames away. A film
becomes sequences of up to `PAIRS_PER_SEQUENCE` pairs, each with a number N of its own:

    OUTPUT/[SPLIT/]FILM_BLOCK_nN/{blur or blur_gamma,sharp}/000001.png

Source: Nah et al., CVPR 2017, section 3: means of 7 to 13 frames at 240 per second.
"""

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..progress import progress_bar
from ..provenance import digest_of
from ..storage import check_writable, write_atomically
from .finders import VARIANTS
from .flow import dis_flow
from .metadata import Pixels
from .pictures import Picture, encode, is_picture
from .scenes import RESPONSE
from .trees import SPLITS
from .video import HDR, Frame, frame_times, is_film, read_frames

PAIRS_PER_SEQUENCE = 25
GAP = (0.5, 1.5)  # intervals outside of these multiples of the median break an exposure
LONGEST_STEP = 4.0  # pixels from frame to frame from which a mean shows copies instead of blur
FASTEST = 95  # percent of the pixels that may move less than the step that is reported
SMALLEST = 16  # pixels per side that optical flow needs


class Row(TypedDict):
    """What became of one film.

    Attributes:
        video: Path of the film.
        state: "done" or "failed".
        sequences: Names of its sequences.
        pairs: Number of its pairs, those of earlier calls included.
        gaps: Exposures left out because frames are missing there.
        width: Width of the pairs in pixels, None if it failed.
        height: Height in pixels, None if it failed.
        step: How far the faster parts of the picture move from frame to frame, in pixels (median
            over the pairs of the 95th percentile); None if no pair was new.
        error: One sentence if it failed.
    """

    video: str
    state: Literal["done", "failed"]
    sequences: list[str]
    pairs: int
    gaps: int
    width: int | None
    height: int | None
    step: float | None
    error: str | None


class Slot(NamedTuple):
    """The place of a pair: its sequence, its number there, and how many frames it averages."""

    sequence: str
    number: int
    averaged: int


@dataclass
class Exposure:
    """The frames of one blurry image, added up as they come.

    Attributes:
        slot: Where the pair belongs.
        kept: Whether frames are added up, or only counted because the pair exists.
        gamma: Exponent from levels to what is averaged.
        seen: Number of frames so far.
        total: (H, W, 3) float32, their sum.
        frames: The frames whose pixels are still needed, by their number in the exposure.
    """

    slot: Slot
    kept: bool
    gamma: float
    seen: int = 0
    total: NDArray[np.float32] | None = None
    frames: dict[int, Pixels] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        """Add a frame.

        Args:
            frame: The next frame of the film.
        """
        middle, last = self.slot.averaged // 2, self.slot.averaged - 1
        if self.kept:
            pixels = frame.pixels
            values = _light(pixels, self.gamma)
            self.total = values if self.total is None else self.total + values
            if self.seen in (0, middle, middle + 1, last):
                self.frames[self.seen] = pixels
        self.seen += 1

    @property
    def sharp(self) -> Pixels:
        """The frame in the middle."""
        return self.frames[self.slot.averaged // 2]

    def blurry(self) -> Pixels:
        """Return the mean of the frames, rounded."""
        assert self.total is not None
        dtype = self.sharp.dtype
        mean = (self.total / self.slot.averaged) ** (1 / self.gamma)
        return np.rint(mean * np.iinfo(dtype).max).astype(dtype)

    def content(self, role: str) -> bytes:
        """Encode one of the files of the pair.

        Args:
            role: "sharp" or "blurry" for a PNG file, "first" or "last" for the flow to that frame.

        Returns:
            The content of the file.
        """
        if role in ("sharp", "blurry"):
            pixels = self.sharp if role == "sharp" else self.blurry()
            return encode(Picture(pixels, "PNG"), ".png")
        frame = self.frames[0 if role == "first" else self.slot.averaged - 1]
        return _flo(dis_flow(self.sharp, frame))


def make_pairs(
    videos: str | Path | Iterable[str | Path],
    output: str | Path,
    frames: tuple[int, int] = (7, 13),
    variant: str = "blur",
    *,
    split: str | None = None,
    seed: int = 0,
    flow: bool = False,
    progress: bool | None = None,
) -> list[Row]:
    """Make pairs of blurry and sharp images from films.

    A film that cannot be read does not stop the others. Each file is written under a temporary
    name, then renamed; the same call continues after an interruption, and another variant of the
    same pairs can be added.

    Args:
        videos: One or several films, or folders of films.
        output: The root of the new data set.
        frames: Least and greatest number of frames that are averaged. Each sequence draws an odd
            number between them, so that there is a middle frame.
        variant: "blur" averages the levels of the frames, "blur_gamma" the light, levels^2.2.
        split: One of `trees.SPLITS`, such as "train"; None for a data set without splits.
        seed: Seed of the numbers of frames.
        flow: Also write the optical flow (dense inverse search) from the sharp frame to the first
            and to the last frame of its exposure, as flow/NUMBER_first.flo and NUMBER_last.flo.
        progress: Show a progress bar; None shows one on a terminal.

    Returns:
        One row per film.

    Raises:
        ValueError: If an argument is wrong, before any work.
        FileNotFoundError: If a film does not exist, before any work.
        ImportError: If PyAV is not installed.
        OSError: If the disk is full or read-only.
    """
    counts = _odd_numbers(frames)
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}: choose one of {', '.join(VARIANTS)}.")
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}: choose one of {', '.join(SPLITS)}, or none.")
    check_writable(Path(output))
    films = _find_films([videos] if isinstance(videos, str | Path) else videos)
    maker = _Maker(Path(output) / (split or ""), counts, variant, seed, flow, progress)
    return [maker.make(film) for film in films]


@dataclass(frozen=True)
class _Maker:
    """The settings of a call."""

    folder: Path
    counts: list[int]
    variant: str
    seed: int
    flow: bool
    progress: bool | None

    def make(self, film: Path) -> Row:
        row = Row(
            video=str(film),
            state="done",
            sequences=[],
            pairs=0,
            gaps=0,
            width=None,
            height=None,
            step=None,
            error=None,
        )
        try:
            self._write(film, row)
        except ValueError as error:
            row["state"], row["error"] = "failed", str(error)
        return row

    def _write(self, film: Path, row: Row) -> None:
        times = frame_times(film)
        self._record(film, times)
        steps = []
        bar = progress_bar(
            self._exposures(film, times, row), desc=film.name, unit="pair", show=self.progress
        )
        for exposure in bar:
            row["pairs"] += 1
            if exposure.slot.sequence not in row["sequences"]:
                row["sequences"].append(exposure.slot.sequence)
            if exposure.kept:
                self._save(exposure)
                steps.append(_step(exposure))
        found = [step for step in steps if step is not None]
        row["step"] = round(median(found), 2) if found else None
        if not row["pairs"]:
            several = f" to {self.counts[-1]}" if self.counts[1:] else ""
            raise ValueError(
                f"{film} has too few successive frames for a pair of {self.counts[0]}{several}: "
                "average fewer."
            )

    def _exposures(self, film: Path, times: list[Fraction | None], row: Row) -> Iterator[Exposure]:
        """Yield the complete exposures of a film."""
        slots = self._slots(film.stem)
        interval, before = _interval(times), None
        exposure = self._begin(next(slots))
        for frame in read_frames(film):
            _check_range(film, frame)
            row["height"], row["width"] = frame.layout.upright_size
            if before is not None and _is_gap(frame.time - before, interval):
                row["gaps"] += 1  # the next number stays free: its neighbours are not neighbours
                exposure = self._begin(next(slots))
            before = frame.time
            exposure.add(frame)
            if exposure.seen == exposure.slot.averaged:
                yield exposure
                exposure = self._begin(next(slots))

    def _begin(self, slot: Slot) -> Exposure:
        missing = not all(path.exists() for path in self._files(slot).values())
        return Exposure(slot, missing, RESPONSE[self.variant])

    def _slots(self, stem: str) -> Iterator[Slot]:
        for block in range(10**6):
            random = np.random.default_rng([self.seed, zlib.crc32(os.fsencode(stem)), block])
            count = self.counts[random.integers(len(self.counts))]
            for number in range(1, PAIRS_PER_SEQUENCE + 1):
                yield Slot(f"{stem}_{block:03d}_n{count:02d}", number, count)

    def _files(self, slot: Slot) -> dict[str, Path]:
        home, name = self.folder / slot.sequence, f"{slot.number:06d}"
        files = {
            "sharp": home / "sharp" / f"{name}.png",
            "blurry": home / self.variant / f"{name}.png",
        }
        if self.flow:
            files |= {end: home / "flow" / f"{name}_{end}.flo" for end in ("first", "last")}
        return files

    def _save(self, exposure: Exposure) -> None:
        """Write those files of a pair that are missing."""
        for role, path in self._files(exposure.slot).items():
            if not path.exists():
                write_atomically(path, exposure.content(role))

    def _record(self, film: Path, times: list[Fraction | None]) -> None:
        """Say beside the sequences where they come from; refuse to mix them with others."""
        interval = _interval(times)
        record = {
            "film": film.name,
            "sha256": digest_of(film).hex(),
            "frames_per_second": round(float(1 / interval), 3) if interval else None,
            "averaged": self.counts,
            "seed": self.seed,
            "pairs_per_sequence": PAIRS_PER_SEQUENCE,
        }
        path = self.folder / f"{film.stem}.json"
        content = json.dumps(record, indent=1) + "\n"
        if path.exists() and path.read_text() != content:
            raise ValueError(
                f"{path} describes pairs of another film or with other settings: choose another "
                "output folder, or remove it together with its sequences."
            )
        write_atomically(path, content)


def _find_films(items: Iterable[str | Path]) -> list[Path]:
    """The films, each once; folders stand for all films in them."""
    found: dict[Path, Path] = {}
    for item in items:
        path = Path(item)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give a film or a folder of films.")
        if is_picture(path) and path.is_file():
            raise ValueError(f"{path} is an image: give a film or a folder of films.")
        films = sorted(filter(is_film, path.rglob("*"))) if path.is_dir() else [path]
        if not films:
            raise ValueError(f"{path} holds no film: give another folder.")
        for film in films:
            found.setdefault(film.resolve(), film)
    names: dict[str, Path] = {}
    for film in found.values():
        other = names.setdefault(film.stem, film)
        if other is not film:
            raise ValueError(
                f"{other} and {film} would share the sequences {film.stem}_…: rename one of them."
            )
    if not names:
        raise ValueError("There is no film: give one or several.")
    return list(names.values())


def _odd_numbers(frames: tuple[int, int]) -> list[int]:
    first, last = frames
    numbers = [n for n in range(first, last + 1) if n % 2]
    if first < 2 or not numbers:
        raise ValueError(
            f"frames is {first}..{last}: give a range that holds an odd number of at least 3, so "
            "that there is a frame in the middle."
        )
    return numbers


def _interval(times: list[Fraction | None]) -> Fraction | None:
    """The median time between two frames in seconds, None if the film does not state times."""
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(known) < 2:
        return None
    return median(later - earlier for earlier, later in pairwise(known))


def _is_gap(step: Fraction, interval: Fraction | None) -> bool:
    return bool(interval) and not GAP[0] <= step / (interval or 1) <= GAP[1]


def _check_range(film: Path, frame: Frame) -> None:
    curve = HDR.get(frame.layout.tags["color_trc"])
    if curve:
        raise ValueError(
            f"{film} is an HDR film ({curve}), whose levels cannot be averaged like those of a "
            "photograph: convert it to BT.709 first."
        )


def _light(pixels: Pixels, gamma: float) -> NDArray[np.float32]:
    white = np.iinfo(pixels.dtype).max
    levels = np.arange(white + 1, dtype=np.float32) / np.float32(white)
    return np.asarray((levels**gamma)[pixels], np.float32)


def _step(exposure: Exposure) -> float | None:
    """How far the faster parts of the picture move from the sharp frame to the next."""
    following = exposure.frames.get(exposure.slot.averaged // 2 + 1)
    if following is None or min(following.shape[:2]) < SMALLEST:
        return None
    moved = dis_flow(exposure.sharp, following, "ultrafast")
    length = float(np.percentile(np.hypot(moved[..., 0], moved[..., 1]), FASTEST))
    return length if math.isfinite(length) else None


def _flo(flow: NDArray[np.float32]) -> bytes:
    """The format of the Middlebury data set: "PIEH", width, height, then (u, v) row by row."""
    height, width = flow.shape[:2]
    return b"PIEH" + np.array([width, height], "<i4").tobytes() + flow.astype("<f4").tobytes()
