"""Walking the folders of a data set, and what their names say."""

import os
import re
from pathlib import Path

SPLITS = ("train", "val", "valid", "validation", "dev", "eval", "evaluation", "test")
SPLIT = re.compile(rf"({'|'.join(SPLITS)})(ing)?([-_ ]?(set|data))?", re.IGNORECASE)
IMAGES = re.compile(r"[-_ ]?(images?|imgs?|frames?|pictures?)$")  # the end of blurry_images
# how the names of folders begin that are not searched: hidden, of macOS, of Synology
HIDDEN = (".", "__MACOSX", "@eaDir")


def split_called(name: str) -> str:
    """Recognise a split by the name of a folder.

    >>> split_called("Training"), split_called("test_set"), split_called("street")
    ('train', 'test', '')

    Args:
        name: The name.

    Returns:
        One of `SPLITS`, "" for any other name.
    """
    match = SPLIT.fullmatch(name)
    return match[1].lower() if match else ""


def word_of(name: str) -> str:
    """Reduce the name of a folder to what it says of the kind of its images.

    >>> word_of("BlurryImages"), word_of("sharp_frames"), word_of("images")
    ('blurry', 'sharp', 'images')

    Args:
        name: The name.

    Returns:
        The name in lower case, without "images" and the like at its end.
    """
    return IMAGES.sub("", name.lower()) or name.lower()


def children(folder: Path | None) -> dict[str, Path]:
    """List the folders in a folder.

    Args:
        folder: The folder, which need not exist; None for none.

    Returns:
        The folders by their names in lower case, and by `word_of` where it is no other's name.
    """
    if folder is None or not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    exact = {name.lower(): folder / name for name in names}
    return {word_of(name): folder / name for name in reversed(names)} | exact


def folders_below(root: Path, depth: int | None = None) -> list[Path]:
    """List a folder and those below it, each once, without hidden ones.

    Links are followed where they lead to a folder that is not found without them, or are called
    like a split, as in val -> test.

    Args:
        root: The folder.
        depth: How many levels to descend, None for all.

    Returns:
        The folders, sorted.
    """
    above = {str(folder) for folder in root.resolve().parents}  # a link to them leads back here
    found, seen = [], set[tuple[str, str]]()
    folders, links = [(root, 0, "")], list[tuple[Path, int, str]]()
    while folders or links:
        links.sort()
        folder, level, copy = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(folder)
        if (copy, real) in seen or real in above:
            continue
        seen.add((copy, real))
        found.append(folder)
        if level == depth:
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(HIDDEN) and entry.is_dir():
                    linked = entry.is_symlink()
                    named = split_called(entry.name) if linked else ""
                    item = (folder / entry.name, level + 1, named or copy)
                    (links if linked else folders).append(item)
    return sorted(found)
