"""Groups of images: those of one sequence in one variant, and how files are paired by name."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .pictures import is_picture
from .trees import folders_below


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


def find_pictures(folder: Path) -> list[Path]:
    """Find the image files below a folder, without those in hidden folders.

    Args:
        folder: The folder; its subfolders are searched too.

    Returns:
        The files, sorted.
    """
    return sorted(path for each in folders_below(folder) for path in _pictures_in(each))


def _pictures_in(folder: Path) -> list[Path]:
    """The image files in a folder, sorted; broken links among them, so that they are reported."""
    return sorted(path for path in folder.iterdir() if is_picture(path) and not path.is_dir())


def pictures_below(folder: Path | None, *, deep: bool = True) -> dict[str, Path]:
    """Collect the image files below a folder.

    Args:
        folder: The folder; None for none.
        deep: Whether its subfolders are searched too.

    Returns:
        The files, sorted, by their path below the folder without extension; several paths that
        differ in nothing else keep theirs.
    """
    if folder is None:
        return {}
    found = find_pictures(folder) if deep else _pictures_in(folder)
    names = [path.relative_to(folder) for path in found]
    counts = Counter(name.with_suffix("").as_posix() for name in names)
    keys = (name.with_suffix("").as_posix() for name in names)
    return {
        key if counts[key] == 1 else name.as_posix(): path
        for key, name, path in zip(keys, names, found, strict=True)
    }


def aligned(
    blurry: dict[str, Path], sharp: dict[str, Path]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Let files keep their extensions in both folders where one has several of a name.

    Args:
        blurry: Files of `pictures_below`.
        sharp: Those that they are paired with.

    Returns:
        Both, so that 1.png beside 1.jpg pairs with 1.png and not with 1.jpg.
    """
    both = (blurry, sharp)
    several = {
        key.removesuffix(path.suffix)
        for files in both
        for key, path in files.items()
        if key.endswith(path.suffix)
    }
    first, second = (
        {f"{key}{path.suffix}" if key in several else key: path for key, path in files.items()}
        for files in both
    )
    return first, second
