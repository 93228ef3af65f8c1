"""Which images to deblur and where each output goes, checked before any work."""

import glob
import mimetypes
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from PIL import Image

from ..data.pictures import FORMATS, READ_ONLY, is_picture
from ..data.video import is_film
from ..storage import check_writable
from ..wording import counted
from .films import WRITTEN

LONGEST_NAME, LONGEST_PATH = 255, 4096  # bytes, where the system does not state its own
LONGEST_TEMPORARY = 140  # bytes of the name under which `write_atomically` begins a file


class Plan(NamedTuple):
    """The work of one call.

    Attributes:
        jobs: Input and output of each image, in a fixed order.
        others: Files of other kinds among the inputs, which are left alone.
    """

    jobs: list[tuple[Path, Path]]
    others: list[Path]


def plan(
    inputs: str | Path | Iterable[str | Path], output: str | Path, compare: bool = False
) -> Plan:
    """Choose an output path for each image.

    What lies in the output folder is not an input, so that a second run does not deblur the
    results of the first.

    Args:
        inputs: One or several files, folders or patterns.
        output: A file or a folder, as for `deblur_files`.
        compare: Whether each output comes with a comparison image.

    Returns:
        The work.

    Raises:
        ValueError: If there is no image, two outputs would share a path, one would overwrite an
            input, has a name that is too long or cannot be written.
        FileNotFoundError: If an input does not exist.
    """
    inputs, output = [inputs] if isinstance(inputs, (str, Path)) else list(inputs), Path(output)
    names_a_file = _names_a_file(output)
    given, others = _without_others(inputs)
    found: dict[Path, tuple[Path, Path]] = {}  # the first mention of a file decides its output
    for item in _without_output(given, output):
        for path, below in find_pictures(item, aside=output, others=others):
            found.setdefault(path.resolve(), (path, below))
    if not found:
        raise ValueError("There is nothing to deblur: name images, or folders of images.")
    if names_a_file and len(found) == 1 and not any(Path(item).is_dir() for item in inputs):
        jobs = [(path, output) for path, _ in found.values()]
    elif names_a_file or (output.exists() and not output.is_dir()):
        raise ValueError(
            f"{output} is a single file: give a folder for {counted(len(found), 'image')} or for "
            "the images of a folder."
        )
    else:
        jobs = [(path, output / _writable(below)) for path, below in found.values()]
    _check_targets(jobs, found.keys(), compare)
    return Plan(jobs, list(dict.fromkeys(others)))


def find_pictures(
    item: str | Path, aside: Path | None = None, others: list[Path] | None = None
) -> Iterator[tuple[Path, Path]]:
    """Find the images that a file, a folder or a pattern refers to.

    Args:
        item: A file (with any extension), a folder, or a pattern as for `glob`.
        aside: A folder to exclude, None for none.
        others: A list to which visible files of other kinds are added, None for none.

    Yields:
        Each image, and its path below the folder named.

    Raises:
        ValueError: If the item is empty, or a folder holds no image.
        FileNotFoundError: If nothing matches.
    """
    if item == "":  # such as an unset variable of a shell; pathlib takes it for the current folder
        raise ValueError("The name of an input is empty: give an image, a folder or a pattern.")
    path, others = Path(item), [] if others is None else others
    if path.is_dir():
        apart = aside.resolve() if aside and aside.is_dir() else None
        pictures = sorted(_walk(path, None if apart == path.resolve() else apart, others))
        if not pictures:
            raise ValueError(
                f"{path} holds no images ({', '.join(sorted(FORMATS))}): give another folder."
            )
        yield from ((picture, picture.relative_to(path)) for picture in pictures)
    elif path.exists():
        yield path, Path(path.name)
    elif glob.has_magic(str(item)):
        matches = [match for match in _matches(path) if not _is_below(match, aside)]
        others += [m for m in matches if m.is_file() and _is_other(m)]
        matches = [match for match in matches if is_film(match) or _holds_pictures(match)]
        if not matches:
            raise FileNotFoundError(f"No image matches {item}: check the pattern.")
        for match in matches:
            yield from find_pictures(match, aside, others)
    else:
        raise FileNotFoundError(
            f"{path} does not exist: give an image, a folder of images, or a pattern."
        )


def _names_a_file(output: Path) -> bool:
    """Whether an output is a file rather than a folder.

    A file of a kind that is not written is refused: it would become a folder of that name.
    """
    if output.is_dir():
        return False
    suffix = output.suffix.lower()
    known = suffix in READ_ONLY or suffix in Image.registered_extensions()
    written = [*FORMATS, *WRITTEN]
    if suffix not in written and (known or mimetypes.guess_type(output.name)[0]):
        raise ValueError(
            f"{output} has the unsupported file extension {output.suffix!r}: use one of "
            f"{', '.join(written)}, or give a folder."
        )
    return suffix in written


def _without_others(inputs: Sequence[str | Path]) -> tuple[list[str | Path], list[Path]]:
    """Set aside files of other kinds, which a shell adds for `folder/*`; a single input stays."""
    others = [Path(item) for item in inputs if item != "" and _is_other(Path(item))]
    kept = [item for item in inputs if Path(item) not in others]
    return (kept, others) if kept else (list(inputs), [])


def _is_other(path: Path) -> bool:
    return path.is_file() and not is_picture(path) and not is_film(path)


def _without_output(items: Sequence[str | Path], output: Path) -> list[str | Path]:
    """Leave out what a shell's pattern has found in the output folder, if anything else is left."""
    kept = [item for item in items if item == "" or not _is_below(Path(item), output)]
    return kept or list(items)


def _is_below(path: Path, folder: Path | None) -> bool:
    """Whether a path is a folder that exists, or lies in it."""
    return (
        folder is not None and folder.is_dir() and path.resolve().is_relative_to(folder.resolve())
    )


def _matches(path: Path) -> list[Path]:
    """What a pattern matches; brackets that match nothing stand for themselves."""
    existing = next(parent for parent in path.parents if parent.exists())
    rest = str(path.relative_to(existing))
    for pattern in (rest, rest.replace("[", "[[]")):
        # pathlib has no patterns that begin at the root
        whole = str(Path(glob.escape(str(existing))) / pattern)
        if found := sorted(glob.glob(whole, recursive=True)):  # noqa: PTH207
            return [Path(name) for name in found]
    return []


def _holds_pictures(path: Path) -> bool:
    return any(True for _ in _walk(path, None, [])) if path.is_dir() else is_picture(path)


def _walk(folder: Path, aside: Path | None, others: list[Path]) -> Iterator[Path]:
    """The images below a folder, without hidden folders and `aside`."""
    for parent, folders, files in os.walk(folder, onerror=_fail):
        below = Path(parent)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (aside is None or (below / name).resolve() != aside)
        ]
        for path in (below / name for name in files if not name.startswith(".")):
            if is_picture(path):
                yield path
            else:
                others.append(path)


def _fail(error: OSError) -> NoReturn:
    raise error  # a folder that cannot be listed must not pass for an empty one


def _writable(path: Path) -> Path:
    """The name of an output: of a format that can be read only, it becomes PNG or Matroska."""
    if is_film(path):
        return path if path.suffix.lower() in WRITTEN else path.with_suffix(".mkv")
    return path.with_suffix(".png") if path.suffix.lower() in READ_ONLY else path


# --------------------------------------------------------------------------------------------------
# Checks


def _check_targets(jobs: list[tuple[Path, Path]], inputs: Iterable[Path], compare: bool) -> None:
    sources, taken = set(inputs), dict[str, Path]()
    for folder in dict.fromkeys(target.parent for _, target in jobs):
        check_writable(folder)
    folded = _ignores_case(jobs[0][1].parent)
    for source, target in jobs:
        written = WRITTEN if is_film(source) else FORMATS
        if target.suffix.lower() not in written:
            raise ValueError(
                f"{target} has the unsupported file extension {target.suffix!r} for {source}: use "
                f"one of {', '.join(written)}."
            )
        for path in outputs(source, target, compare):
            _check_name(source, path)
            if path.resolve() in sources:
                raise ValueError(
                    f"{path} is an input: choose another output, since inputs are never changed."
                )
            name = unicodedata.normalize("NFC", str(path)).casefold() if folded else str(path)
            if name in taken:
                raise ValueError(
                    f"{source} and {taken[name]} would both be written to {path}: deblur them "
                    "one by one."
                )
            taken[name] = source


def _check_name(source: Path, path: Path) -> None:
    """Refuse an output that is a folder, or whose name, or temporary name, is too long."""
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path.is_dir, it takes paths of any length
        raise ValueError(f"{path}, the output for {source}, is a folder: choose another output.")
    length = len(os.fsencode(path.name))
    longest = _limit(path.parent, "PC_NAME_MAX", LONGEST_NAME)
    if length > longest:
        raise ValueError(
            f"The name of {path} has {length} bytes, but names have at most {longest}: rename "
            f"{source}."
        )
    length = len(os.fsencode(path.parent.absolute())) + 1 + max(length, LONGEST_TEMPORARY)
    longest = _limit(path.parent, "PC_PATH_MAX", LONGEST_PATH)
    if length >= longest:
        raise ValueError(
            f"The path of the output for {source} would have {length} bytes, but paths have fewer "
            f"than {longest}: choose an output folder with a shorter path."
        )


def _limit(folder: Path, name: str, otherwise: int) -> int:
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))  # noqa: PTH110
    try:
        return os.pathconf(nearest, name)
    except (AttributeError, OSError, ValueError):  # Windows, and file systems that do not tell
        return otherwise


def _ignores_case(folder: Path) -> bool:
    """Whether names that differ in case alone are one file, as on macOS and Windows."""
    whole = folder.resolve()
    nearest = next(path for path in (whole, *whole.parents) if path.exists())
    other = nearest.parent / nearest.name.swapcase()
    return other != nearest and other.exists() and other.samefile(nearest)


def outputs(source: Path, target: Path, compare: bool) -> list[Path]:
    """List the files that an input becomes.

    Args:
        source: An image or a film.
        target: Its output.
        compare: Whether images come with a comparison; films never do.

    Returns:
        The output, and the comparison image if there is one.
    """
    return [target, comparison(target)] if compare and not is_film(source) else [target]


def comparison(target: Path) -> Path:
    """Name the comparison image of an output.

    Args:
        target: The output.

    Returns:
        NAME_compare.jpg beside it.
    """
    return target.with_name(f"{target.stem}_compare.jpg")
