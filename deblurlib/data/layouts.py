"""Layouts of data sets: how folders are read as groups of blurry images and their partners.

Supported are GoPro, HIDE, REDS, `input`/`target`, and images without ground truth (RWBI). Every
layout is read into groups: the images of one sequence in one blur variant.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .pictures import is_picture

SPLITS = ("train", "val", "valid", "validation", "test")
VARIANTS = ("blur", "blur_gamma")
LAYOUTS = {
    "sequences": "SEQUENCE/{blur,blur_gamma,sharp}/*.png",
    "reds": "{train,val}_{blur,sharp}/SEQUENCE/*.png",
    "hide": "{train,test}/**/*.png with GT/*.png",
    "input-target": "{input,target}/*.png",
    "unpaired": "images without ground truth",
    "two folders": "two folders, paired by name",
}
# names of video frames: prefix and number
FRAME = r"(.*?)(\d+)"
FLAT_FRAME = r"(.*[-_])(\d{6})"  # all sequences in one folder, as in GOPR0372_07_00-000047
DEPTH = 4  # levels of folders that are searched
HIDDEN = (".", "__MACOSX")  # how the names of folders begin that are not searched


@dataclass(frozen=True)
class Group:
    """The images of one sequence in one variant, by name without extension.

    Attributes:
        split: The split that they belong to, "" for none.
        sequence: Name of the sequence, unique within the split.
        variant: "blur" or "blur_gamma", None in layouts that have no variants.
        blurry: The blurry images.
        sharp: The sharp images, None without ground truth.
        frames: Pattern of the names of numbered video frames, None if they are not numbered.
    """

    split: str
    sequence: str
    variant: str | None
    blurry: dict[str, Path]
    sharp: dict[str, Path] | None
    frames: str | None = None

    @property
    def keys(self) -> list[str]:
        """Sorted names of the images that have every required partner."""
        return sorted(self.blurry if self.sharp is None else self.blurry.keys() & self.sharp.keys())

    @property
    def files(self) -> list[Path]:
        """All files of the group."""
        return [*self.blurry.values(), *(self.sharp or {}).values()]

    @property
    def unmatched(self) -> list[Path]:
        """Files without a partner, sorted."""
        if self.sharp is None:
            return []
        lone = self.blurry.keys() ^ self.sharp.keys()
        both = [*self.blurry.items(), *self.sharp.items()]
        return sorted(path for key, path in both if key in lone)

    def neighbour(self, key: str, step: int) -> Path | None:
        """Find a sharp frame near another one.

        Args:
            key: Name of an image.
            step: How many frames later, negative for earlier ones.

        Returns:
            The sharp frame of that number in the same sequence, None if there is none.
        """
        match = re.fullmatch(self.frames, key) if self.frames else None
        if match is None or self.sharp is None:
            return None
        return self.sharp.get(f"{match[1]}{int(match[2]) + step:0{len(match[2])}d}")


def scan(root: Path) -> tuple[str, list[Group]]:
    """Recognise the layout of a data set and collect its images.

    Args:
        root: The root of the data set, or a folder above it.

    Returns:
        The layout, a key of `LAYOUTS`, and the groups in a fixed order.

    Raises:
        ValueError: If the folder does not exist or holds no images in a known layout.
    """
    if not root.is_dir():
        raise ValueError(f"The data folder {root} does not exist: give the root of a data set.")
    folders = list(_folders(root, DEPTH))
    for layout, find in (
        ("sequences", _find_sequences),
        ("reds", _find_reds),
        ("input-target", _find_input_target),
        ("hide", _find_hide),
    ):
        if groups := sorted(find(root, folders), key=_order):
            return layout, groups
    if groups := list(_find_unpaired(root, folders)):
        return "unpaired", groups
    raise ValueError(
        f"{root} holds no images in a known layout: give a folder with train/ and test/ "
        "(GoPro, HIDE, REDS), with input/ and target/, or with blur/ and sharp/."
    )


def list_splits(root: str | Path) -> list[str]:
    """List the splits of a data set.

    Args:
        root: The root of the data set.

    Returns:
        The splits, "" for pairs that belong to none, in the order of `SPLITS`.

    Raises:
        ValueError: As for `scan`.
    """
    return splits_of(scan(Path(root))[1])


def splits_of(groups: Iterable[Group]) -> list[str]:
    """List the splits of groups.

    Args:
        groups: Groups of images.

    Returns:
        The splits, "" for none, in the order of `SPLITS`.
    """
    return sorted({group.split for group in groups}, key=("", *SPLITS).index)


def without_pairs(root: Path, layout: str) -> str:
    """Compose the error message for a data set without pairs.

    Args:
        root: The root of the data set.
        layout: A key of `LAYOUTS`.

    Returns:
        One sentence.
    """
    return (
        f"{root} holds no pair, since no image has a partner of the same name: lay it out as "
        f"{LAYOUTS[layout]}."
    )


def choose_split(root: Path, groups: list[Group], split: str | None) -> tuple[list[Group], str]:
    """Select the groups of one split.

    Args:
        root: The root of the data set, for error messages.
        groups: Its groups.
        split: The split, "all" for every one, None if there is only one.

    Returns:
        The groups of the split, and its name.

    Raises:
        ValueError: If the split does not exist, or several exist and none was chosen.
    """
    found = splits_of(groups)
    if split == "all":
        return groups, split
    if split is None and len(found) > 1:
        listed = ", ".join(name or "(none)" for name in found)
        raise ValueError(
            f"{root} holds the splits {listed}: choose one with split=…, or use split='all'."
        )
    chosen = found[0] if split is None else split
    if chosen not in found:
        listed = ", ".join(map(repr, found))
        raise ValueError(f"{root} has no split {chosen!r}: choose one of {listed}.")
    return [group for group in groups if group.split == chosen], chosen


def choose_variant(
    root: Path, groups: list[Group], variant: str | None
) -> tuple[list[Group], str | None]:
    """Select the groups of one blur variant.

    Args:
        root: The root of the data set, for error messages.
        groups: Its groups.
        variant: "blur" or "blur_gamma", None if there is at most one.

    Returns:
        The groups of the variant, and its name, None in layouts without variants.

    Raises:
        ValueError: If the variant does not exist, or two exist and none was chosen.
    """
    found = sorted({group.variant for group in groups if group.variant})
    if not found and variant:
        raise ValueError(
            f"{root} has no folders `blur` or `blur_gamma`, so it has no variant {variant!r}: "
            "leave the variant out."
        )
    if variant is None and len(found) > 1:
        raise ValueError(
            f"{root} holds both `blur` and `blur_gamma`, which differ by decibels: "
            "choose one with variant=…."
        )
    chosen = variant or (found[0] if found else None)
    if found and chosen not in found:
        raise ValueError(f"{root} has no variant {chosen!r}: choose one of {', '.join(found)}.")
    return [group for group in groups if group.variant in (chosen, None)], chosen


def name_dataset(layout: str, groups: Iterable[Group]) -> str | None:
    """Recognise a published data set.

    Args:
        layout: A key of `LAYOUTS`.
        groups: The groups of the data set.

    Returns:
        "GoPro", "HIDE", "REDS", or None for any other data set.
    """
    if layout in ("sequences", "input-target") and all(map(_is_gopro, groups)):
        return "GoPro"
    return {"hide": "HIDE", "reds": "REDS"}.get(layout)


def find_pictures(folder: Path) -> list[Path]:
    """Find the image files below a folder, without those in hidden folders.

    Args:
        folder: The folder; its subfolders are searched too.

    Returns:
        The files, sorted.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if is_picture(path)
        and not any(part.startswith(HIDDEN) for part in path.relative_to(folder).parts)
    )


def pictures_below(folder: Path) -> dict[str, Path]:
    """Collect the image files below a folder.

    Args:
        folder: The folder; its subfolders are searched too.

    Returns:
        The files, sorted, by their path below the folder without extension; the extension is kept
        if two paths differ in nothing else.
    """
    files: dict[str, Path] = {}
    for path in find_pictures(folder):
        name = path.relative_to(folder)
        key = name.with_suffix("").as_posix()
        files[name.as_posix() if key in files else key] = path
    return files


def _order(group: Group) -> tuple[int, str, str]:
    return ("", *SPLITS).index(group.split), group.sequence, group.variant or ""


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Yield root and the folders below it, sorted, without hidden ones."""
    yield root
    if depth:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
        for name in sorted(names):
            if not name.startswith(HIDDEN):
                yield from _folders(root / name, depth - 1)


def _find_sequences(root: Path, folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        sharp = folder / "sharp"
        found: list[str | None] = [name for name in VARIANTS if (folder / name).is_dir()]
        if not found and not sharp.is_dir():
            continue
        split, sequence = _place(root, folder)
        for variant in found or [None]:
            yield Group(
                split=split,
                sequence=sequence or root.resolve().name,
                variant=variant,
                blurry=pictures_below(folder / variant) if variant else {},
                sharp=pictures_below(sharp),
                frames=FRAME,
            )


def _find_reds(root: Path, folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        if folder.name not in ("train_blur", "val_blur"):
            continue
        split = folder.name.removesuffix("_blur")
        blurry = _by_parent(pictures_below(folder))
        sharp = _by_parent(pictures_below(folder.with_name(f"{split}_sharp")))
        for sequence in blurry.keys() | sharp.keys():
            yield Group(
                split=split,
                sequence=sequence,
                variant=None,
                blurry=blurry.get(sequence, {}),
                sharp=sharp.get(sequence, {}),
                frames=FRAME,
            )


def _find_input_target(root: Path, folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        if (folder / "input").is_dir() and (folder / "target").is_dir():
            split, sequence = _place(root, folder)
            yield Group(
                split=split,
                sequence=sequence,
                variant=None,
                blurry=pictures_below(folder / "input"),
                sharp=pictures_below(folder / "target"),
                frames=FLAT_FRAME,
            )


def _find_hide(root: Path, folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        found = [split for split in SPLITS if (folder / split).is_dir()]
        if not found or not (folder / "GT").is_dir():
            continue
        truth = {Path(key).name: path for key, path in pictures_below(folder / "GT").items()}
        for split in found:
            parts = _by_parent(pictures_below(folder / split))  # test-close-ups, test-long-shot
            for part, blurry in parts.items():
                yield Group(
                    split=split,
                    sequence=part,
                    variant=None,
                    blurry=blurry,
                    sharp={key: truth[key] for key in blurry.keys() & truth.keys()},
                )


def _find_unpaired(root: Path, folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        below = pictures_below(folder)
        if files := {key: path for key, path in below.items() if path.parent == folder}:
            split, sequence = _place(root, folder)
            yield Group(split=split, sequence=sequence, variant=None, blurry=files, sharp=None)


def _place(root: Path, folder: Path) -> tuple[str, str]:
    """The split and the sequence that a folder's path below root names."""
    parts = folder.relative_to(root).parts
    split = next((part for part in parts if part in SPLITS), "")
    return split, "/".join(part for part in parts if part != split)


def _by_parent(files: dict[str, Path]) -> dict[str, dict[str, Path]]:
    groups: dict[str, dict[str, Path]] = {}
    for key, path in files.items():
        parent, _, name = key.rpartition("/")
        groups.setdefault(parent, {})[name] = path
    return groups


def _is_gopro(group: Group) -> bool:
    names = [group.sequence] if group.variant else list(group.blurry)
    return bool(names) and all(re.search(r"GOPR\d{4}_\d\d_\d\d", name) for name in names)
