"""Checking a folder of real images: layout, counts, sizes and faulty files."""

import filecmp
import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..progress import progress_bar
from ..wording import counted
from .finders import VARIANTS
from .layouts import LAYOUTS, name_dataset, scan, splits_of, without_pairs
from .pairing import Group, find_pictures
from .pictures import measure


@dataclass(frozen=True)
class Official:
    """Published counts of a complete split.

    Attributes:
        pairs: Number of pairs.
        sequences: Number of sequences, None if unpublished.
    """

    pairs: int
    sequences: int | None = None


# Nah et al. 2017 (GoPro), Shen et al. 2019 (HIDE), Nah et al. 2019 (REDS), Rim et al. 2020
# (RealBlur, each of J and R), Zhong et al. 2020 (BSD, each exposure)
OFFICIAL = {
    "GoPro": {
        "train": Official(pairs=2103, sequences=22),
        "test": Official(pairs=1111, sequences=11),
    },
    "HIDE": {
        "train": Official(pairs=6397),
        "test": Official(pairs=2025),
    },
    "REDS": {
        "train": Official(pairs=24000, sequences=240),
        "val": Official(pairs=3000, sequences=30),
    },
    "RealBlur": {
        "train": Official(pairs=3758, sequences=182),
        "test": Official(pairs=980, sequences=50),
    },
    "BSD": {
        "train": Official(pairs=6000, sequences=60),
        "valid": Official(pairs=2000, sequences=20),
        "test": Official(pairs=3000, sequences=20),
    },
}
IMAGES = ("image", "images")
MOST_LISTED = 5  # sizes or files in one line of a report


@dataclass
class SplitReport:
    """One split of a data set.

    Attributes:
        split: Name of the split, "" for none.
        pairs: Number of pairs by variant, "" in layouts without variants.
        sequences: Number of sequences.
        sizes: Number of pairs by size, such as "1280 x 720".
        official_pairs: Pairs of the complete split, None if unknown.
        official_sequences: Sequences of the complete split, None if unknown.
        unmatched: Files without a partner.
        unreadable: Files that cannot be read.
        mismatched: Blurry files that differ in size from their partners.
        identical: Blurry files with the content of their partners, or links to them.
    """

    split: str
    pairs: dict[str, int]
    sequences: int
    sizes: dict[str, int]
    official_pairs: int | None = None
    official_sequences: int | None = None
    unmatched: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    identical: list[str] = field(default_factory=list)

    @property
    def faulty(self) -> int:
        """Number of files that need attention.

        A still scene may have identical pairs, but a split of nothing else has no blur at all.
        """
        no_blur = len(self.identical) == sum(self.pairs.values())
        return (
            len({*self.unmatched, *self.unreadable})
            + len(self.mismatched)
            + no_blur * len(self.identical)
        )

    @property
    def faults(self) -> dict[str, list[str]]:
        """The files that need attention, by what is wrong with them."""
        return {
            "without a partner": self.unmatched,
            "unreadable": self.unreadable,
            "differing in size": self.mismatched,
            "identical to their sharp images": self.identical,
        }


@dataclass
class DataReport:
    """Report of `check_data`.

    Attributes:
        root: The folder.
        layout: A key of `deblurlib.data.layouts.LAYOUTS`, "" if `error` is set.
        dataset: "GoPro", "HIDE", "REDS", "RealBlur", "BSD", or None for any other data set.
        paired: Whether there is ground truth.
        splits: A report per split.
        absent_splits: Number of pairs of each split that is missing here.
        outside: Images that do not belong to the layout and are not used.
        error: Why the folder is not a data set, in one sentence; None if it is one.
    """

    root: str
    layout: str = ""
    dataset: str | None = None
    paired: bool = True
    splits: list[SplitReport] = field(default_factory=list)
    absent_splits: dict[str, int] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every image can be read and has a partner of its size that is not itself.

        Missing parts of a data set do not count as faults.
        """
        return not self.error and not self._faulty

    @property
    def _faulty(self) -> int:
        return sum(split.faulty for split in self.splits)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON.

        Returns:
            `ok` and the attributes, with dictionaries and lists in place of classes.
        """
        plain: dict[str, Any] = json.loads(json.dumps({"ok": self.ok, **asdict(self)}))
        return plain

    @property
    def text(self) -> str:
        """The report as text, on several lines."""
        if self.error:
            return self.error
        lines = [f"{self.root}: {self.dataset or 'images'} laid out as {LAYOUTS[self.layout]}"]
        for split in self.splits:
            lines += _describe(split, self)
        for name, pairs in self.absent_splits.items():
            here = counted(pairs, "pair")
            lines.append(f"  {name}: absent; the complete {self.dataset} has {here} here")
        if self.outside:
            lines.append(f"  not used, outside this layout: {_counted(self.outside)}")
        lines.append(
            "Every file can be read and has what it needs."
            if self.ok
            else f"{counted(self._faulty, 'file needs', 'files need')} attention."
        )
        return "\n".join(lines)


def check_data(root: str | Path) -> DataReport:
    """Check a folder of real images, and compare its counts with the published ones.

    Every file is opened: PNG files are verified by their checksums, others are decoded.

    Args:
        root: The root of the data set.

    Returns:
        Layout, splits, sequences, variants, pairs, sizes and faulty files; for a folder that is
        not a data set, a report whose `error` says why.
    """
    report = DataReport(str(root))
    try:
        report.layout, groups = scan(Path(root))
    except ValueError as error:
        report.error = str(error)
        return report
    report.paired = report.layout != "unpaired"
    report.dataset = name_dataset(report.layout, groups)
    files = sorted({path for group in groups for path in group.files})
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        sizes = pool.map(_inspect, files)
        bar = progress_bar(sizes, desc="check", total=len(files), unit="file", delay=2)
        found = dict(zip(files, bar, strict=True))
    used = set(map(Path.resolve, files))
    others = [path for path in find_pictures(Path(root)) if path.resolve() not in used]
    report.outside = [str(path.relative_to(root)) for path in others]
    official = OFFICIAL.get(report.dataset or "", {})
    here = splits_of(groups)
    for name in here:
        inside = [group for group in groups if group.split == name]
        report.splits.append(_report_split(name, inside, found, Path(root), official.get(name)))
    report.absent_splits = {
        name: complete.pairs for name, complete in official.items() if name not in here
    }
    if not any(sum(split.pairs.values()) for split in report.splits):
        report.error = without_pairs(Path(root), report.layout)
    return report


def _report_split(
    name: str,
    groups: list[Group],
    found: dict[Path, str | None],
    root: Path,
    official: Official | None,
) -> SplitReport:
    sizes, pairs = Counter[str](), Counter[str]()
    mismatched, identical = [], []
    for group in groups:
        for key in group.keys:
            blurry = group.blurry[key]
            size, partner = found[blurry], found[group.sharp[key]] if group.sharp else None
            pairs[group.variant or ""] += 1
            sizes[size or "unreadable"] += 1
            if size and partner and size != partner:
                mismatched.append(f"{blurry.relative_to(root)} ({size}, its partner {partner})")
            elif (
                size
                and partner
                and group.sharp
                and filecmp.cmp(blurry, group.sharp[key], shallow=False)
            ):
                identical.append(str(blurry.relative_to(root)))
    unmatched = {path for group in groups for path in group.unmatched}
    unreadable = {path for group in groups for path in group.files if not found[path]}
    return SplitReport(
        split=name,
        pairs=dict(sorted(pairs.items())),
        sequences=len({group.sequence for group in groups if group.keys}),
        sizes=dict(sizes.most_common()),
        official_pairs=official.pairs if official else None,
        official_sequences=official.sequences if official else None,
        unmatched=sorted(str(path.relative_to(root)) for path in unmatched),
        unreadable=sorted(str(path.relative_to(root)) for path in unreadable),
        mismatched=mismatched,
        identical=identical,
    )


def _describe(split: SplitReport, report: DataReport) -> Iterator[str]:
    kind = ("pair",) if report.paired else tuple(f"{n} without ground truth" for n in IMAGES)
    counts = [
        counted(n, *kind) + (f" with `{variant}`" if variant else "")
        for variant, n in split.pairs.items()
    ]
    words = ", ".join(counts) or "no pairs"
    if report.layout in ("sequences", "reds", "realblur", "bsd"):
        words += f" in {counted(split.sequences, 'sequence')}"
    sizes = _listed([f"{size} ({n})" for size, n in split.sizes.items()])
    yield f"  {split.split or 'no split'}: {words}; sizes {sizes}"
    if split.official_pairs:
        complete = split.official_pairs == max(split.pairs.values(), default=0)
        folders = f" in {split.official_sequences} sequences" if split.official_sequences else ""
        yield (
            f"    {'complete' if complete else 'a part'}: the complete {report.dataset} "
            f"{split.split} split has {split.official_pairs} pairs{folders}"
        )
    if report.dataset == "GoPro" and report.layout == "sequences":
        for variant in set(VARIANTS) - split.pairs.keys():
            yield f"    only `{''.join(split.pairs)}`: the complete GoPro also has `{variant}`"
    for fault, files in split.faults.items():
        if files:
            yield f"    {fault}: {_counted(files)}"


def _counted(files: list[str]) -> str:
    return f"{len(files)}: {_listed(files)}"


def _listed(items: list[str]) -> str:
    more = len(items) - MOST_LISTED
    return ", ".join(items[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _inspect(path: Path) -> str | None:
    """The size of an image file as text, None if it cannot be read."""
    try:
        width, height = measure(path)
    except ValueError:
        return None
    return f"{width} x {height}"
