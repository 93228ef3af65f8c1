"""Folders of real pictures as data sets: GoPro, HIDE, REDS, RWBI, `input`/`target`, or any two folders; and what is in them.

Every layout is read into groups: the pictures of one sequence in one blur variant, each name -> (blurry file, sharp file).
"""

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from .pictures import is_picture, measure, read_picture
from .samples import Sample, to_tensor

SPLITS = ("train", "val", "valid", "validation", "test")
VARIANTS = ("blur", "blur_gamma")
LAYOUTS = {
    "sequences": "SEQUENCE/{blur,blur_gamma,sharp}/*.png",
    "reds": "{train,val}_{blur,sharp}/SEQUENCE/*.png",
    "hide": "{train,test}/**/*.png with GT/*.png",
    "input-target": "{input,target}/*.png",
    "unpaired": "pictures without ground truth",
    "two folders": "two folders, paired by name",
}
# pairs and sequences of the complete data sets: Nah et al. 2017 (GoPro), Shen et al. 2019 (HIDE), Nah et al. 2019 (REDS)
OFFICIAL = {
    "GoPro": {"train": (2103, 22), "test": (1111, 11)},
    "HIDE": {"train": (6397, None), "test": (2025, None)},
    "REDS": {"train": (24000, 240), "val": (3000, 30)},
}
FRAME = r"(.*?)(\d+)"  # name of a film's frame: what comes before the number, the number
FLAT_FRAME = (
    r"(.*[-_])(\d{6})"  # the same where all sequences lie in one folder: GOPR0372_07_00-000047
)
logger = logging.getLogger(__name__)


class PairedFolder(Dataset):
    """Blurry pictures of one split and one variant, each a Sample with its sharp partner and the sharp frames beside it.

    root: GoPro's original layout `train|test/SEQUENCE/{blur,blur_gamma,sharp}`, REDS, HIDE, `[split/]input|target`, one
    sequence folder that holds `blur` and `sharp`, or pictures without ground truth (RWBI; `sharp` is None).
    split: "all" takes every one; may be left out where there is one only. variant: "blur" or "blur_gamma", must be given
    where both exist.
    neighbours: also read `previous` and `following`, the sharp frames numbered one less and one more in the same sequence.
    Order: by split, sequence and name. `unmatched` lists files without a partner. Raises ValueError, one sentence, where
    root, split or variant do not fit, or (on access) a picture cannot be read or differs in size from its partner.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        variant: str | None = None,
        *,
        neighbours: bool = True,
    ):
        self.root = Path(root)
        self.layout, groups = _scan(self.root)
        groups, self.split = _choose_split(self.root, groups, split)
        groups, self.variant = _choose_variant(self.root, groups, variant)
        self._collect(groups, neighbours)

    @classmethod
    def from_folders(cls, blurry: str | Path, sharp: str | Path | None = None) -> "PairedFolder":
        """Any two folders whose pictures have equal names (the suffix may differ), subfolders included; sharp may be None."""
        dataset = cls.__new__(cls)
        dataset.root, dataset.layout, dataset.split, dataset.variant = (
            Path(blurry),
            "two folders",
            "",
            None,
        )
        for folder in (blurry, sharp):
            if folder is not None and not Path(folder).is_dir():
                raise ValueError(
                    f"The folder {folder} does not exist: give the folders of the blurry and the sharp pictures."
                )
        files = None if sharp is None else _pictures(Path(sharp))
        dataset._collect(
            [_Group("", "", None, _pictures(Path(blurry)), files, "")], neighbours=False
        )
        return dataset

    def _collect(self, groups, neighbours):
        self.neighbours = neighbours
        self.items = [(group, key) for group in groups for key in group.keys]
        self.unmatched = [path for group in groups for path in group.unmatched]
        if not self.items:
            raise ValueError(
                f"{self.root} holds no pair: no picture has a partner of the same name ({LAYOUTS[self.layout]})."
            )
        if self.unmatched:
            logger.warning(
                "%s: %d files have no partner and are left out.", self.root, len(self.unmatched)
            )

    @property
    def names(self) -> list[str]:
        """The name of every sample, SEQUENCE/FRAME, without reading it."""
        return [f"{group.sequence}/{key}".lstrip("/") for group, key in self.items]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        group, key = self.items[index]
        files = {"blurry": group.blurry[key]}
        if group.sharp is not None:
            files["sharp"] = group.sharp[key]
            if self.neighbours:
                files["previous"], files["following"] = (
                    group.neighbour(key, -1),
                    group.neighbour(key, +1),
                )
        pictures = {role: read_picture(path) for role, path in files.items() if path}
        for role, picture in pictures.items():
            if picture.shape != pictures["blurry"].shape:
                raise ValueError(
                    f"{files['blurry']} is {_size(pictures['blurry'])} but {files[role]} is {_size(picture)}: "
                    "a pair must be of equal size, so crop or remove it."
                )
        return Sample(
            name=self.names[index],
            **{role: to_tensor(picture) for role, picture in pictures.items()},
        )


def list_splits(root: str | Path) -> list[str]:
    """The splits below a data set's root, "" where its pairs belong to none."""
    return _splits(_scan(Path(root))[1])


# ---------------------------------------------------------------------------------------------------------------------
# What a folder holds


@dataclass
class SplitReport:
    """One split of a data set: its counts, what the complete one has, and what is wrong."""

    split: str
    pairs: dict[str, int]  # by variant; "" where the layout has none
    sequences: int
    sizes: dict[str, int]  # "1280 x 720" -> pairs
    official_pairs: int | None = None
    official_sequences: int | None = None
    unmatched: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)


@dataclass
class DataReport:
    """What check_data found. `ok`: every picture can be read and has a partner of its size; a part of a data set is ok too."""

    root: str
    layout: str = ""
    dataset: str | None = None
    paired: bool = True
    splits: list[SplitReport] = field(default_factory=list)
    absent_splits: dict[str, int] = field(
        default_factory=dict
    )  # of the complete data set: split -> pairs
    error: str | None = None

    @property
    def ok(self) -> bool:
        return not self.error and not any(
            s.unmatched or s.unreadable or s.mismatched for s in self.splits
        )

    def as_dict(self) -> dict:
        return json.loads(json.dumps({"ok": self.ok, **asdict(self)}))

    @property
    def text(self) -> str:
        if self.error:
            return self.error
        lines = [f"{self.root}: {self.dataset or 'pictures'} laid out as {LAYOUTS[self.layout]}"]
        for split in self.splits:
            lines += _describe(split, self)
        for split, pairs in self.absent_splits.items():
            lines.append(f"  {split}: absent; the complete {self.dataset} has {pairs} pairs here")
        problems = sum(
            len(s.unmatched) + len(s.unreadable) + len(s.mismatched) for s in self.splits
        )
        lines.append(
            "Every file can be read and has what it needs."
            if self.ok
            else f"{problems} files need attention."
        )
        return "\n".join(lines)


def check_data(root: str | Path) -> DataReport:
    """What lies below `root`: layout, splits, sequences, variants, pairs, sizes, faulty files, against the official counts.

    Every file is opened: PNG files are verified by their checksums, others are decoded. A folder that is no data set gives
    a report whose `error` says why, in one sentence.
    """
    report = DataReport(str(root))
    try:
        report.layout, groups = _scan(Path(root))
    except ValueError as error:
        report.error = str(error)
        return report
    report.paired = report.layout != "unpaired"
    report.dataset = _name_dataset(report.layout, groups)
    files = sorted({path for g in groups for path in g.files})
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        bar = tqdm(
            pool.map(_inspect, files),
            total=len(files),
            desc="checking",
            unit="file",
            disable=None,
            delay=2,
        )
        found = dict(zip(files, bar, strict=True))
    official = OFFICIAL.get(report.dataset, {})
    report.splits = [
        _report_split(name, groups, found, Path(root), official) for name in _splits(groups)
    ]
    report.absent_splits = {
        name: n for name, (n, _) in official.items() if name not in _splits(groups)
    }
    if not any(sum(s.pairs.values()) for s in report.splits):
        report.error = f"{root} holds no pair: no picture has a partner of the same name ({LAYOUTS[report.layout]})."
    return report


def _report_split(name, groups, found, root, official):
    here = [g for g in groups if g.split == name]
    report = SplitReport(
        name, {}, len({g.sequence for g in here if g.keys}), {}, *official.get(name, (None, None))
    )
    sizes, pairs = Counter(), Counter()
    for group in here:
        for key in group.keys:
            blurry, sharp = group.blurry[key], None if group.sharp is None else group.sharp[key]
            pairs[group.variant or ""] += 1
            sizes[found[blurry] or "unreadable"] += 1
            if sharp and found[blurry] and found[sharp] and found[blurry] != found[sharp]:
                report.mismatched.append(
                    f"{blurry.relative_to(root)} ({found[blurry]}, its partner {found[sharp]})"
                )
    report.pairs, report.sizes = dict(sorted(pairs.items())), dict(sizes.most_common())
    report.unmatched = sorted({str(p.relative_to(root)) for g in here for p in g.unmatched})
    report.unreadable = sorted(
        {str(p.relative_to(root)) for g in here for p in g.files if not found[p]}
    )
    return report


def _describe(split: SplitReport, report: DataReport) -> Iterator[str]:
    what = "pairs" if report.paired else "pictures without ground truth"
    counts = [
        f"{n} {what}" + (f" with `{variant}`" if variant else "")
        for variant, n in split.pairs.items()
    ]
    sequences = (
        f" in {split.sequences} sequence{'s' * (split.sequences != 1)}"
        if report.layout in ("sequences", "reds")
        else ""
    )
    sizes = _listed([f"{size} ({n})" for size, n in split.sizes.items()])
    yield f"  {split.split or 'no split'}: {', '.join(counts) or 'no pairs'}{sequences}; sizes {sizes}"
    if split.official_pairs:
        complete = split.official_pairs == max(split.pairs.values(), default=0)
        whole = (
            f"the complete {report.dataset} {split.split} split has {split.official_pairs} pairs"
        )
        folders = f" in {split.official_sequences} sequences" if split.official_sequences else ""
        yield f"    {'complete' if complete else 'a part'}: {whole}{folders}"
    if report.dataset == "GoPro" and report.layout == "sequences":
        for variant in set(VARIANTS) - split.pairs.keys():
            yield f"    only `{''.join(split.pairs)}`: the complete GoPro also has `{variant}`"
    faults = {
        "without a partner": split.unmatched,
        "unreadable": split.unreadable,
        "differing in size": split.mismatched,
    }
    for fault, files in faults.items():
        if files:
            yield f"    {fault}: {len(files)}: {_listed(files)}"


def _listed(items: list[str], most: int = 5) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _inspect(path: Path) -> str | None:
    """The size of a picture file as text, None where it cannot be read."""
    try:
        width, height = measure(path)
    except ValueError:
        return None
    return f"{width} x {height}"


# ---------------------------------------------------------------------------------------------------------------------
# Layouts


@dataclass(frozen=True)
class _Group:
    """The pictures of one sequence in one variant: files by name, without suffix."""

    split: str
    sequence: str
    variant: str | None
    blurry: dict[str, Path]
    sharp: dict[str, Path] | None  # None: there is no ground truth
    frames: str  # pattern of the names that are numbered frames of a film, "" where none are

    @property
    def keys(self) -> list[str]:
        return sorted(self.blurry if self.sharp is None else self.blurry.keys() & self.sharp.keys())

    @property
    def files(self) -> list[Path]:
        return [*self.blurry.values(), *(self.sharp or {}).values()]

    @property
    def unmatched(self) -> list[Path]:
        if self.sharp is None:
            return []
        lone = self.blurry.keys() ^ self.sharp.keys()
        return sorted(
            path
            for files in (self.blurry, self.sharp)
            for key, path in files.items()
            if key in lone
        )

    def neighbour(self, key: str, step: int) -> Path | None:
        match = re.fullmatch(self.frames, key) if self.frames else None
        return (
            self.sharp.get(f"{match[1]}{int(match[2]) + step:0{len(match[2])}d}") if match else None
        )


def _scan(root: Path) -> tuple[str, list[_Group]]:
    """The layout of a data set and its groups, in a fixed order."""
    if not root.is_dir():
        raise ValueError(f"The data folder {root} does not exist: give the root of a data set.")
    folders = list(_folders(root, depth=4))
    for layout, scan in (
        ("sequences", _scan_sequences),
        ("reds", _scan_reds),
        ("input-target", _scan_input_target),
        ("hide", _scan_hide),
    ):
        if groups := sorted(scan(root, folders), key=_order):
            return layout, groups
    if groups := list(_scan_unpaired(root, folders)):
        return "unpaired", groups
    raise ValueError(
        f"{root} holds no pictures in a layout that is known here: give a folder with train/ and test/ (GoPro, HIDE, REDS), "
        "with input/ and target/, or with blur/ and sharp/."
    )


def _order(group: _Group):
    return ("", *SPLITS).index(group.split), group.sequence, group.variant or ""


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """root and the folders below it, sorted, without hidden ones."""
    yield root
    if depth:
        with os.scandir(root) as entries:
            below = sorted(
                e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX"))
            )
        for name in below:
            yield from _folders(root / name, depth - 1)


def _scan_sequences(root, folders):
    for folder in folders:
        sharp, blurry = folder / "sharp", [v for v in VARIANTS if (folder / v).is_dir()]
        if blurry or sharp.is_dir():
            split, sequence = _place(root, folder)
            for variant in blurry or [None]:
                files = _pictures(folder / variant) if variant else {}
                yield _Group(
                    split, sequence or root.resolve().name, variant, files, _pictures(sharp), FRAME
                )


def _scan_reds(root, folders):
    for folder in folders:
        split = folder.name.removesuffix("_blur")
        if folder.name in ("train_blur", "val_blur"):
            blurry, sharp = (
                _by_parent(_pictures(folder.with_name(f"{split}_{kind}")))
                for kind in ("blur", "sharp")
            )
            for sequence in blurry.keys() | sharp.keys():
                yield _Group(
                    split, sequence, None, blurry.get(sequence, {}), sharp.get(sequence, {}), FRAME
                )


def _scan_input_target(root, folders):
    for folder in folders:
        if (folder / "input").is_dir() and (folder / "target").is_dir():
            split, sequence = _place(root, folder)
            blurry, sharp = (_pictures(folder / name) for name in ("input", "target"))
            yield _Group(split, sequence, None, blurry, sharp, FLAT_FRAME)


def _scan_hide(root, folders):
    for folder in folders:
        if (folder / "GT").is_dir() and any((folder / split).is_dir() for split in SPLITS):
            truth = {Path(key).name: path for key, path in _pictures(folder / "GT").items()}
            for split in (s for s in SPLITS if (folder / s).is_dir()):
                for part, blurry in _by_parent(
                    _pictures(folder / split)
                ).items():  # test-close-ups, test-long-shot
                    yield _Group(
                        split,
                        part,
                        None,
                        blurry,
                        {k: truth[k] for k in blurry.keys() & truth.keys()},
                        "",
                    )


def _scan_unpaired(root, folders):
    for folder in folders:
        if files := {key: path for key, path in _pictures(folder).items() if path.parent == folder}:
            yield _Group(*_place(root, folder), None, files, None, "")


def _place(root: Path, folder: Path) -> tuple[str, str]:
    """The split and the sequence that a folder's path below root names."""
    parts = folder.relative_to(root).parts
    split = next((part for part in parts if part in SPLITS), "")
    return split, "/".join(part for part in parts if part != split)


def _pictures(folder: Path) -> dict[str, Path]:
    """The picture files below a folder by their path without suffix (with it, where two differ in nothing else), sorted."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if is_picture(p)):
        name = path.relative_to(folder)
        key = name.with_suffix("").as_posix()
        files[name.as_posix() if key in files else key] = path
    return files


def _by_parent(files: dict[str, Path]) -> dict[str, dict[str, Path]]:
    groups = {}
    for key, path in files.items():
        parent, _, name = key.rpartition("/")
        groups.setdefault(parent, {})[name] = path
    return groups


def _splits(groups) -> list[str]:
    return sorted({g.split for g in groups}, key=("", *SPLITS).index)


def _choose_split(root, groups, split):
    found = _splits(groups)
    if split == "all":
        return groups, split
    if split is None and len(found) > 1:
        listed = ", ".join(s or "(none)" for s in found)
        raise ValueError(
            f"{root} holds the splits {listed}: say which with split=…, or take split='all'."
        )
    split = found[0] if split is None else split
    if split not in found:
        raise ValueError(
            f"{root} has no split {split!r}: it has {', '.join(repr(s) for s in found)}."
        )
    return [g for g in groups if g.split == split], split


def _choose_variant(root, groups, variant):
    found = sorted({g.variant for g in groups if g.variant})
    if not found and variant:
        raise ValueError(
            f"{root} has no folders `blur` or `blur_gamma`, so it has no variant {variant!r} to choose: leave it out."
        )
    if variant is None and len(found) > 1:
        raise ValueError(
            f"{root} holds both `blur` and `blur_gamma`, which differ by decibels: say which with variant=…."
        )
    variant = variant or (found[0] if found else None)
    if found and variant not in found:
        raise ValueError(f"{root} has no variant {variant!r}: it has {', '.join(found)}.")
    return [g for g in groups if g.variant in (variant, None)], variant


def _name_dataset(layout, groups) -> str | None:
    if layout in ("sequences", "input-target") and all(_is_gopro(g) for g in groups):
        return "GoPro"
    return {"hide": "HIDE", "reds": "REDS"}.get(layout)


def _is_gopro(group) -> bool:
    names = [group.sequence] if group.variant else list(group.blurry)
    return bool(names) and all(re.search(r"GOPR\d{4}_\d\d_\d\d", name) for name in names)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
