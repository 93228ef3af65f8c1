"""Layouts of data sets: how folders are read as groups of blurry images and their partners.

Supported are GoPro, HIDE, REDS, RealBlur, BSD, DVD, crops, folders of two kinds side by side, and
images without ground truth (RWBI). Every layout is read into groups: the images of one sequence in
one variant.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from .finders import FINDERS
from .pairing import Group
from .trees import SPLITS, folders_below, split_called

LAYOUTS = {
    "sequences": "SEQUENCE/{blur,blur_gamma,sharp}/*.png",
    "reds": "{train,val}_{blur,blur_comp,blur_jpeg,sharp}/SEQUENCE/*",
    "realblur": "RealBlur-*/SCENE/{blur/blur_N,gt/gt_N}.png with RealBlur_*_list.txt",
    "bsd": "{train,valid,test}/SEQUENCE/{Blur,Sharp}/RGB/*.png",
    "hide": "{train,test}/**/*.png with GT/*.png",
    "input-target": "{input,target}/*.png",
    "two kinds": "two folders side by side: {blurry,sharp}, {A,B}, {blur_crops,sharp_crops}, …",
    "unpaired": "images without ground truth",
    "two folders": "two folders, paired by name",
}
DEPTH = 5  # levels of folders that are searched
PACKED = (".zip", ".tar", ".gz", ".lmdb", ".7z", ".rar")


def scan(root: Path) -> tuple[str, list[Group]]:
    """Recognise the layout of a data set and collect its images.

    Args:
        root: The root of the data set, or a folder above it.

    Returns:
        The layout, a key of `LAYOUTS`, and the groups in a fixed order.

    Raises:
        ValueError: If the folder does not exist or holds no images in a known layout.
    """
    if root.is_file():
        raise ValueError(f"The data folder {root} is a file: give the root of a data set.")
    if not root.is_dir():
        raise ValueError(f"The data folder {root} does not exist: give the root of a data set.")
    folders = folders_below(root, DEPTH)
    for layout, find in FINDERS.items():
        if groups := sorted(_each_once(find(root, folders)), key=_order):
            return layout, groups
    packed = [path.name for each in folders for path in each.iterdir() if path.suffix in PACKED]
    hint = f"unpack {packed[0]}, or " if packed else ""
    raise ValueError(
        f"{root} holds no images in a known layout: {hint}give a folder with train/ and test/ "
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
        f"{root} holds no pair, since no image has a partner of the same name: give partners equal "
        f"names, and lay it out as {LAYOUTS[layout]}."
    )


def choose_split(root: Path, groups: list[Group], split: str | None) -> tuple[list[Group], str]:
    """Select the groups of one split.

    Args:
        root: The root of the data set, for error messages.
        groups: Its groups.
        split: The split or a name of its folder such as "Training", "all" for every one, None if
            there is only one.

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
    chosen = found[0] if split is None else split_called(split) or split
    if chosen not in found:
        if found == [""]:
            raise ValueError(
                f"{root} has no splits, so it has no split {split!r}: leave the split out."
            )
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
        variant: "blur" or "blur_gamma", or one of several test sets or versions that lie side by
            side, such as "RealBlur_J" or "blur_jpeg"; None if there is at most one.

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
        names = " and ".join(f"`{name}`" for name in found)
        both = "both " if len(found) == 2 else ""
        raise ValueError(
            f"{root} holds {both}{names}, which differ by decibels: choose one with variant=…."
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
        "GoPro", "HIDE", "REDS", "RealBlur", "BSD", or None for any other data set.
    """
    if layout in ("sequences", "input-target") and all(map(_is_gopro, groups)):
        return "GoPro"
    names = {"hide": "HIDE", "reds": "REDS", "realblur": "RealBlur", "bsd": "BSD"}
    return names.get(layout)


def _each_once(groups: Iterable[Group]) -> list[Group]:
    """Leave out images that links to files show again, unless in a split of their own."""
    found = list(groups)
    images = [(group, key) for group in found for key in group.keys]
    linked = [(group, key) for group, key in images if group.blurry[key].is_symlink()]
    if not linked:
        return found
    real = functools.cache(Path.resolve)
    seen: set[tuple[str | Path, ...]] = set()
    for group, key in sorted(images, key=lambda image: image[0].blurry[image[1]].is_symlink()):
        files = _files_of(group, key, real)
        if group.blurry[key].is_symlink() and (group.split, *files) in seen:
            for each in (group.blurry, group.sharp or {}):
                each.pop(key, None)
        seen |= {(group.split, *files), ("", *files)}
    return [group for group in found if group.files]


def _files_of(group: Group, key: str, real: Callable[[Path], Path]) -> list[Path]:
    """Where the files of an image truly lie."""
    files = [group.blurry[key], *([group.sharp[key]] if group.sharp else [])]
    return [
        path.resolve() if path.is_symlink() else real(path.parent) / path.name for path in files
    ]


def _order(group: Group) -> tuple[int, str, str]:
    return ("", *SPLITS).index(group.split), group.sequence, group.variant or ""


def _is_gopro(group: Group) -> bool:
    names = [group.sequence] if group.variant else list(group.blurry)
    return bool(names) and all(re.search(r"GOPR\d{4}_\d\d_\d\d", name) for name in names)
