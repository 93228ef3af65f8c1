"""Folders of real images as a data set: every layout of `layouts`, and any two folders."""

import copy
import functools
import logging
from collections.abc import Iterator
from pathlib import Path

from torch.utils.data import Dataset

from ..wording import counted
from .headers import find_faults
from .layouts import (
    choose_split,
    choose_variant,
    scan,
    splits_of,
    without_pairs,
)
from .pairing import Group, aligned, pictures_below
from .pictures import read_picture
from .samples import Sample, to_tensor

logger = logging.getLogger(__name__)


class PairedFolder(Dataset[Sample]):
    """Blurry images of one split and one variant, with their sharp partners and sharp neighbours.

    Samples are ordered by split, sequence and name. An unreadable image, or one that differs in
    size from its partner, raises ValueError when its sample is read.

    Args:
        root: GoPro's original layout `train|test/SEQUENCE/{blur,blur_gamma,sharp}`, REDS, HIDE,
            RealBlur, BSD, DVD, two folders side by side such as `[split/]input|target`, one
            sequence folder with `blur` and `sharp`, or images without ground truth (RWBI; `sharp`
            is None).
        split: The split, "all" for every one; None if there is only one.
        variant: "blur" or "blur_gamma"; None unless both exist.
        neighbours: Also read `previous` and `following`, the sharp frames numbered one less and
            one more in the same sequence.

    Attributes:
        root: The root of the data set.
        layout: A key of `deblurlib.data.layouts.LAYOUTS`.
        split: The split that was chosen, "" in layouts without splits.
        variant: The variant that was chosen, None in layouts without variants.
        unmatched: Files without a partner, which are left out.

    Raises:
        ValueError: If the root is not a data set, or the split or variant is not in it.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        variant: str | None = None,
        *,
        neighbours: bool = True,
    ) -> None:
        self.root = Path(root)
        self.layout, groups = scan(self.root)
        groups, self.split = choose_split(self.root, groups, split)
        groups, self.variant = choose_variant(self.root, groups, variant)
        self._collect(groups, neighbours)

    @classmethod
    def for_training(
        cls,
        root: str | Path,
        split: str | None = None,
        variant: str | None = None,
        *,
        neighbours: bool = True,
    ) -> "PairedFolder":
        """Collect the pairs to train on: as the constructor, but the split "train" is the default.

        Args:
            root: As for the constructor, but with ground truth.
            split: The split, "all" for every one; None for "train" or, in a data set without
                splits, all pairs.
            variant: As for the constructor.
            neighbours: As for the constructor.

        Returns:
            The data set.

        Raises:
            ValueError: As for the constructor, or if the data set has splits but none is called
                "train" and none was chosen, or if it has no sharp images.
        """
        folder = Path(root)
        layout, groups = scan(folder)
        found = splits_of(groups)
        if split is None and found != [""]:
            if "train" not in found:
                listed = " and ".join(name or "(none)" for name in found)
                raise ValueError(
                    f"{root} has no split 'train', only {listed}: choose the split to train on."
                )
            split = "train"
        groups, split = choose_split(folder, groups, split)
        if any(group.sharp is None for group in groups):
            raise ValueError(
                f"{root} holds images without ground truth: give a data set of blurry and sharp "
                "images."
            )
        groups, variant = choose_variant(folder, groups, variant)
        return cls._made(folder, layout, split, variant, groups, neighbours=neighbours)

    @classmethod
    def from_folders(cls, blurry: str | Path, sharp: str | Path | None = None) -> "PairedFolder":
        """Pair the images of any two folders by name.

        Args:
            blurry: Folder of the blurry images; its subfolders are included.
            sharp: Folder of the sharp images, under the same names (extensions may differ);
                None without ground truth.

        Returns:
            The data set, without neighbours.

        Raises:
            ValueError: If a folder does not exist, or nothing in them forms a pair.
        """
        for folder in (blurry, sharp):
            if folder is not None and not Path(folder).is_dir():
                raise ValueError(
                    f"The folder {folder} does not exist: give the folders of the blurry and the "
                    "sharp images."
                )
        pair = aligned(
            pictures_below(Path(blurry)), pictures_below(None if sharp is None else Path(sharp))
        )
        group = Group(
            split="",
            sequence="",
            variant=None,
            blurry=pair[0],
            sharp=None if sharp is None else pair[1],
        )
        return cls._made(Path(blurry), "two folders", "", None, [group], neighbours=False)

    @classmethod
    def _made(
        cls,
        root: Path,
        layout: str,
        split: str,
        variant: str | None,
        groups: list[Group],
        *,
        neighbours: bool,
    ) -> "PairedFolder":
        dataset = cls.__new__(cls)
        dataset.root, dataset.layout = root, layout
        dataset.split, dataset.variant = split, variant
        dataset._collect(groups, neighbours)
        return dataset

    def _collect(self, groups: list[Group], neighbours: bool) -> None:
        self.neighbours = neighbours
        self.items = [(group, key) for group in groups for key in group.keys]
        self.unmatched = [path for group in groups for path in group.unmatched]
        if not self.items:
            raise ValueError(without_pairs(self.root, self.layout))
        if self.unmatched:
            _warn_of_unmatched(self.root, len(self.unmatched))

    def checked(
        self,
        count: int | None = None,
        *,
        smallest: int = 1,
        moving: bool = False,
        skip_bad: bool = False,
    ) -> "PairedFolder":
        """Check the pairs by the headers of their files, without reading the pixels.

        Args:
            count: Number of pairs, from the first; None for all.
            smallest: Minimum number of pixels per side.
            moving: Whether each pair needs a sharp frame before or after it.
            skip_bad: Leave faulty pairs out, and log how many, rather than raise an error.

        Returns:
            The data set of these pairs.

        Raises:
            ValueError: If a pair is unreadable, truncated, too small, of two sizes or without its
                neighbours, and `skip_bad` is False; or if fewer than `count` pairs remain, or none.
        """
        first = len(self) if count is None or skip_bad else min(count, len(self))
        pairs = [self.files_of(i) for i in range(first)]
        faults = list(find_faults(pairs, smallest, moving=moving))
        bad = [fault for fault in faults if fault is not None]
        if bad and not skip_bad:
            among = f"more of {counted(first, 'pair')}"
            others = counted(len(bad) - 1, f"{among} is", f"{among} are")
            more = f", and {others} faulty" if bad[1:] else ""
            raise ValueError(
                f"{bad[0]}{more}: replace or remove the files, train on smaller crops if they are "
                "too small, or leave the pairs out with skip_bad (--skip-bad)."
            )
        sound = copy.copy(self)
        sound.items = [self.items[i] for i, fault in enumerate(faults) if fault is None]
        if bad:
            logger.warning(
                "%s: %s left out: %s.",
                self.root,
                counted(len(bad), f"of {counted(first, 'pair')} is", f"of {first} pairs are"),
                "; ".join(bad),
            )
        if len(sound) < (1 if count is None else count):
            raise ValueError(
                f"{self.root} has {counted(len(sound), 'usable pair')}, but "
                f"{counted(count, 'is', 'are') if count else 'at least 1 is'} asked for: ask for "
                "fewer, or add some."
            )
        sound.items = sound.items[:count]
        return sound

    @property
    def names(self) -> list[str]:
        """The name of every sample, SEQUENCE/FRAME, without reading it."""
        return [f"{group.sequence}/{key}".lstrip("/") for group, key in self.items]

    @property
    def files(self) -> list[Path]:
        """The files that the samples are read from, sorted."""
        return sorted({path for i in range(len(self)) for path in self.files_of(i).values()})

    def files_of(self, index: int) -> dict[str, Path]:
        """List the files of one sample.

        Args:
            index: Number of the sample.

        Returns:
            The files by field of the sample: "blurry", "sharp", "previous", "following".
        """
        group, key = self.items[index]
        files: dict[str, Path | None] = {"blurry": group.blurry[key]}
        if group.sharp is not None:
            files["sharp"] = group.sharp[key]
            if self.neighbours:
                files["previous"] = group.neighbour(key, -1)
                files["following"] = group.neighbour(key, +1)
        return {role: path for role, path in files.items() if path is not None}

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        files = self.files_of(index)
        pictures = {role: read_picture(path) for role, path in files.items()}
        height, width = pictures["blurry"].shape[:2]
        for role, picture in pictures.items():
            if picture.shape[:2] != (height, width):
                raise ValueError(
                    f"{files['blurry']} is {width} x {height} but {files[role]} is "
                    f"{picture.shape[1]} x {picture.shape[0]}: a pair must be of equal size, so "
                    "crop or remove it."
                )
        tensors = {role: to_tensor(picture) for role, picture in pictures.items()}
        return Sample(name=self.names[index], **tensors)


@functools.cache
def _warn_of_unmatched(root: Path, count: int) -> None:
    """Say once per process that files are left out."""
    files = counted(count, "file has no partner and is", "files have no partner and are")
    logger.warning("%s: %s left out.", root, files)
