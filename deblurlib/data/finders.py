"""Recognising layouts of data sets by the names of their folders and files."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .pairing import Group, aligned, pictures_below
from .trees import SPLITS, children, split_called, word_of

VARIANTS = ("blur", "blur_gamma")
# names of video frames: prefix and number
FRAME = r"(.*?)(\d+)"
FLAT_FRAME = r"(.*[-_])(\d{6})"  # all sequences in one folder, as in GOPR0372_07_00-000047
TRUTH = ("gt", "groundtruth", "ground_truth", "clear", "clean")
# names of folders, in lower case, that hold one kind of image beside the other kind
KINDS = {
    "input": ("target", "sharp", *TRUTH),
    "inputs": ("targets",),
    "blur": ("target", *TRUTH),
    **dict.fromkeys(("blurry", "blurred", "motion_blurred"), ("sharp", "target", *TRUTH)),
    "lq": ("gt", "hq"),
    "a": ("b",),
    "blur_crops": ("sharp_crops",),
    "input_crops": ("target_crops",),
    **{f"{split}a": (f"{split}b",) for split in SPLITS},
    **{f"{split}_blur": (f"{split}_gt", f"{split}_target") for split in SPLITS},
}
SHARP = {"sharp", "sharp_crops", *(f"{split}_sharp" for split in SPLITS)} | {
    name for partners in KINDS.values() for name in partners if name not in ("b", "hq")
}
# what names of files say where both kinds lie in one folder
MARKS = [
    re.compile(rf"(?<![^\W_])(?:{names})(?![^\W_])", re.IGNORECASE)
    for names in ("blur|blurry|blurred", "sharp|gt|target|groundtruth|clear|clean")
]
# test sets that are often collected in one folder
COLLECTED = re.compile(r"gopro|hide|reds|dvd|bsd|realblur[-_]?[jr]", re.IGNORECASE)
REDS = re.compile(r"(train|val|test)_(blur|sharp)((?:_\w+)?)")  # in lower case
GOPRO = re.compile(r"GOPR\d{4}_\d\d_\d\d\w*")
REALBLUR = re.compile(r"(realblur[-_][jr]).*", re.IGNORECASE)
BSD = re.compile(r"bsd_\w+", re.IGNORECASE)  # one exposure, as BSD_1ms8ms
LIST = re.compile(r"realblur_([jr])_(train|test)_list\.txt", re.IGNORECASE)

Find = Callable[[Path, Sequence[Path]], Iterator[Group]]


def _find_sequences(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    found = {folder: children(folder) for folder in folders}
    found = {
        folder: inside
        for folder, inside in found.items()
        if "sharp" in inside or (set(VARIANTS) & set(inside) and not _has_partner(inside))
    }
    if not any(set(VARIANTS) & set(inside) for inside in found.values()):
        return
    for folder, inside in found.items():
        variants: list[str | None] = [name for name in VARIANTS if name in inside]
        for variant in variants or [None]:
            blurry = inside[variant] if variant else None
            for split, sequence, *files in _by_split(root, folder, blurry, inside.get("sharp")):
                yield Group(
                    split=split,
                    sequence=sequence or root.resolve().name,
                    variant=variant,
                    blurry=files[0],
                    sharp=files[1],
                    frames=FRAME,
                )


def _find_reds(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    files: dict[str, dict[str, dict[str, Path]]] = {}  # by part, such as train_sharp, and sequence
    for folder in folders:
        name = folder.name.lower()
        nested = any(REDS.fullmatch(each) or split_called(each) for each in children(folder))
        if REDS.fullmatch(name) and not nested:
            files.setdefault(name, {}).update(_by_parent(pictures_below(folder)))
    named = {name: match for name in files if (match := REDS.fullmatch(name)) is not None}
    parts = {name: match for name, match in named.items() if match[2] == "blur"}
    names = {folder.name.lower() for folder in folders}
    parts = {n: m for n, m in parts.items() if not {f"{m[1]}_gt", f"{m[1]}_target"} & names}
    several = len({match[3] for match in parts.values()}) > 1
    for name, match in parts.items():
        split, kind = match[1], match[3]
        wanted = [f"{split}_sharp{kind}", f"{split}_sharp{kind[-4:]}", f"{split}_sharp"]
        sharp = next((files[each] for each in wanted if each in files), {})
        blurry = files[name]
        for sequence in blurry.keys() | (set() if several else sharp.keys()):
            pair = aligned(blurry.get(sequence, {}), sharp.get(sequence, {}))
            yield Group(
                split=split,
                sequence=sequence,
                variant=f"blur{kind}" if several else None,
                blurry=pair[0],
                sharp=pair[1],
                frames=FRAME,
            )


def _find_realblur(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    listed = _realblur_lists(root, folders)
    sets = {str(m[1]) for folder in folders if (m := REALBLUR.fullmatch(folder.name))}
    for folder in folders:
        inside = children(folder)
        if not folder.name.lower().startswith("scene") or not {"blur", "gt"} <= set(inside):
            continue
        blurry, sharp = (
            {key.rpartition("_")[2]: path for key, path in pictures_below(inside[name]).items()}
            for name in ("blur", "gt")
        )
        collection = next((m[1] for p in folder.parents if (m := REALBLUR.fullmatch(p.name))), "")
        place = f"{collection[-1:].lower()}/{folder.name.lower()}"
        split = next((name for name, scenes in listed.items() if place in scenes), "")
        yield Group(
            split=split,
            sequence=folder.name,
            variant=collection if len(sets) > 1 else None,
            blurry=blurry,
            sharp=sharp,
        )


def _realblur_lists(root: Path, folders: Sequence[Path]) -> dict[str, set[str]]:
    """The scenes of each split, such as j/scene001, from the lists beside the images."""
    listed: dict[str, set[str]] = {}
    for folder in dict.fromkeys([root, *folders]):
        for path in folder.glob("*_list.txt"):
            if match := LIST.fullmatch(path.name):
                scenes = re.findall(r"/(scene\d+)/", path.read_text(errors="replace"))
                kind = match[1].lower()
                listed.setdefault(match[2].lower(), set()).update(f"{kind}/{s}" for s in scenes)
    return listed


def _find_bsd(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    exposures = {folder.name for folder in folders if BSD.fullmatch(folder.name)}
    for folder in folders:
        inside = children(folder)
        pair = [children(inside.get(name)).get("rgb") for name in ("blur", "sharp")]
        if all(pair):
            split, sequence = _place(root, folder)
            blurry, sharp = aligned(*map(pictures_below, pair))
            exposure = next((p.name for p in folder.parents if p.name in exposures), None)
            yield Group(
                split=split,
                sequence=sequence,
                variant=exposure if len(exposures) > 1 else None,
                blurry=blurry,
                sharp=sharp,
                frames=FRAME,
            )


def _find_input_target(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    return _side_by_side(root, folders, {"input": ("target",)})


def _find_two_kinds(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    return _side_by_side(root, folders, KINDS)


def _side_by_side(
    root: Path, folders: Sequence[Path], kinds: dict[str, tuple[str, ...]]
) -> Iterator[Group]:
    found: list[tuple[str, str, dict[str, Path], dict[str, Path]]] = []
    for folder in folders:
        inside = children(folder)
        for name, partners in kinds.items():
            partner = next((p for p in partners if p in inside), None)
            if name in inside and partner is not None:
                own = next(
                    (split for split in SPLITS if name in (f"{split}a", f"{split}_blur")), ""
                )
                for split, sequence, *files in _by_split(
                    root, folder, inside[name], inside[partner]
                ):
                    if name.endswith("a") and not set(files[0]) & set(files[1]):
                        continue  # folders that happen to be called a and b
                    found.append((own or split, sequence, files[0], files[1]))
    collections = {match[0] for _, sequence, *_ in found if (match := COLLECTED.search(sequence))}
    for split, sequence, blurry, sharp in found:
        match = COLLECTED.search(sequence)
        yield Group(
            split=split,
            sequence=sequence,
            variant=match[0] if match and len(collections) > 1 else None,
            blurry=blurry,
            sharp=sharp,
            frames=FLAT_FRAME if any(re.fullmatch(FLAT_FRAME, key) for key in blurry) else FRAME,
        )


def _find_hide(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    for folder in folders:
        inside = children(folder)
        if "gt" not in inside:
            continue
        truth = {Path(key).name: path for key, path in pictures_below(inside["gt"]).items()}
        for split, below in _splits_in(folder):
            parts = _by_parent(pictures_below(below))  # test-close-ups, test-long-shot
            for part, blurry in parts.items():
                yield Group(
                    split=split,
                    sequence=part,
                    variant=None,
                    blurry=blurry,
                    sharp={key: truth[key] for key in blurry.keys() & truth.keys()},
                )


def _refuse_sharp(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    """Raise a ValueError for sharp frames, which must never count as blurry images."""
    found = [folder for _, folder in _holding_pictures(root, folders)]
    sharp = [folder for folder in found if _is_sharp(root, folder)]
    others = [folder for folder in found if folder not in sharp]
    if sharp and others:
        raise ValueError(
            f"{root} holds sharp images in {sharp[0].relative_to(root)} and others in "
            f"{others[0].relative_to(root)}, which is no known name of blurry images: call it "
            "blur, blurry or input, or pair the folders with PairedFolder.from_folders."
        )
    if sharp:
        raise ValueError(
            f"{root} holds no pair, but sharp frames without blurry images, as GOPRO_Large_all "
            "does: give the data set that has both."
        )
    return iter(())


def _is_sharp(root: Path, folder: Path) -> bool:
    """Whether names say that a folder holds sharp frames, as all of GOPRO_Large_all do."""
    parts = [root.resolve().name, *folder.relative_to(root).parts]
    return bool(SHARP & {word_of(part) for part in parts} or GOPRO.fullmatch(parts[-1]))


def _find_unpaired(root: Path, folders: Sequence[Path]) -> Iterator[Group]:
    found = list(_holding_pictures(root, folders))
    for group, _ in found:
        _refuse_mixed(root, group)
    if len(found) == 2 and _look_like_a_pair(*found):
        names = [folder.relative_to(root) for _, folder in found]
        raise ValueError(
            f"{root} holds images of equal names in {names[0]} and {names[1]}, which are no "
            "known names of the two kinds: call them blurry and sharp, or pair them with "
            "PairedFolder.from_folders."
        )
    return (group for group, _ in found)


def _refuse_mixed(root: Path, group: Group) -> None:
    """Raise a ValueError if one folder holds both kinds, as 1_blur.png beside 1_sharp.png."""
    blurry, sharp = (
        {mark.sub("", path.stem): path for path in group.blurry.values() if mark.search(path.stem)}
        for mark in MARKS
    )
    both = sorted(blurry.keys() & sharp.keys())
    if both:
        names = " and ".join(str(kind[both[0]].relative_to(root)) for kind in (blurry, sharp))
        raise ValueError(
            f"{root} holds blurry and sharp images in one folder, such as {names}: move them into "
            "the folders blur and sharp, under equal names."
        )


def _look_like_a_pair(first: tuple[Group, Path], second: tuple[Group, Path]) -> bool:
    """Whether two folders hold images of equal names and are not numbered like sequences."""
    keys = [group.blurry.keys() for group, _ in (first, second)]
    folders = [folder for _, folder in (first, second)]
    numbered = any(re.search(r"\d", folder.name) for folder in folders)
    equal = len(keys[0] & keys[1]) >= 0.9 * max(map(len, keys))
    return equal and not numbered and folders[0].parent == folders[1].parent


def _holding_pictures(root: Path, folders: Sequence[Path]) -> Iterator[tuple[Group, Path]]:
    for folder in folders:
        files = pictures_below(folder, deep=False)
        if files:
            split, sequence = _place(root, folder)
            yield (
                Group(split=split, sequence=sequence, variant=None, blurry=files, sharp=None),
                folder,
            )


FINDERS: dict[str, Find] = {
    "reds": _find_reds,
    "realblur": _find_realblur,
    "bsd": _find_bsd,
    "sequences": _find_sequences,
    "input-target": _find_input_target,
    "hide": _find_hide,
    "two kinds": _find_two_kinds,
    "sharp only": _refuse_sharp,
    "unpaired": _find_unpaired,
}


# --------------------------------------------------------------------------------------------------
# Folders and names


def _has_partner(inside: dict[str, Path]) -> bool:
    """Whether `blur` has a partner that is not called `sharp`."""
    return any(partner in inside for partner in KINDS["blur"])


def _by_split(
    root: Path, folder: Path, blurry: Path | None, sharp: Path | None
) -> Iterator[tuple[str, str, dict[str, Path], dict[str, Path]]]:
    """Split, sequence and paired files of two folders, which may hold the splits as folders."""
    split, sequence = _place(root, folder)
    inside = [_splits_in(each) for each in (blurry, sharp)]
    names = list(dict.fromkeys(name for name, _ in inside[0 if blurry else 1]))
    if not names:
        yield (split, sequence, *aligned(pictures_below(blurry), pictures_below(sharp)))
    for name in names:
        pair = (pictures_below(dict(each).get(name)) for each in inside)
        yield (name, sequence, *aligned(*pair))


def _splits_in(folder: Path | None) -> list[tuple[str, Path]]:
    """The folders in a folder that are called like splits, under the names of these."""
    found = {path: split_called(path.name) for path in children(folder).values()}
    return [(split, path) for path, split in found.items() if split]


def _place(root: Path, folder: Path) -> tuple[str, str]:
    """The split and the sequence that a folder's path below root names."""
    parts = folder.relative_to(root).parts
    part = next(filter(split_called, parts), "")
    split = split_called(part)
    if not split:
        return split, "/".join(parts)
    at = parts.index(part)
    beside = _splits_in(root.joinpath(*parts[:at]))
    shared = [name for name, _ in beside].count(split) > 1  # train beside Training
    return split, "/".join((*parts[: at + shared], *parts[at + 1 :]))


def _by_parent(files: dict[str, Path]) -> dict[str, dict[str, Path]]:
    groups: dict[str, dict[str, Path]] = {}
    for key, path in files.items():
        parent, _, name = key.rpartition("/")
        groups.setdefault(parent, {})[name] = path
    return groups
