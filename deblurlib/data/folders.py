"""Folders of real images as a data set: GoPro, HIDE, REDS, RWBI, `input`/`target`, any two."""

import logging
from collections.abc import Iterator
from pathlib import Path

from torch.utils.data import Dataset

from .layouts import Group, choose_split, choose_variant, pictures_below, scan, without_pairs
from .pictures import read_picture
from .samples import Sample, to_tensor

logger = logging.getLogger(__name__)


class PairedFolder(Dataset[Sample]):
    """Blurry images of one split and one variant, with their sharp partners and sharp neighbours.

    Samples are ordered by split, sequence and name. An unreadable image, or one that differs in
    size from its partner, raises ValueError when its sample is read.

    Args:
        root: GoPro's original layout `train|test/SEQUENCE/{blur,blur_gamma,sharp}`, REDS, HIDE,
            `[split/]input|target`, one sequence folder with `blur` and `sharp`, or images
            without ground truth (RWBI; `sharp` is None).
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
        dataset = cls.__new__(cls)
        dataset.root = Path(blurry)
        dataset.layout = "two folders"
        dataset.split = ""
        dataset.variant = None
        group = Group(
            split="",
            sequence="",
            variant=None,
            blurry=pictures_below(Path(blurry)),
            sharp=None if sharp is None else pictures_below(Path(sharp)),
        )
        dataset._collect([group], neighbours=False)
        return dataset

    def _collect(self, groups: list[Group], neighbours: bool) -> None:
        self.neighbours = neighbours
        self.items = [(group, key) for group in groups for key in group.keys]
        self.unmatched = [path for group in groups for path in group.unmatched]
        if not self.items:
            raise ValueError(without_pairs(self.root, self.layout))
        if self.unmatched:
            logger.warning(
                "%s: %d files have no partner and are left out.", self.root, len(self.unmatched)
            )

    @property
    def names(self) -> list[str]:
        """The name of every sample, SEQUENCE/FRAME, without reading it."""
        return [f"{group.sequence}/{key}".lstrip("/") for group, key in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        group, key = self.items[index]
        files: dict[str, Path | None] = {"blurry": group.blurry[key]}
        if group.sharp is not None:
            files["sharp"] = group.sharp[key]
            if self.neighbours:
                files["previous"] = group.neighbour(key, -1)
                files["following"] = group.neighbour(key, +1)
        pictures = {role: read_picture(path) for role, path in files.items() if path}
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
