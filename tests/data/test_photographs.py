"""The bundled photographs: disjoint splits, all attributed."""

import hashlib
import re
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deblurlib.data import SceneDataset, list_photographs, load_photograph
from deblurlib.data.photographs import (
    BUNDLED,
    COLLECTIONS,
    DEFAULT_COLLECTION,
    SPLITS,
    is_collection,
)

BUNDLED_PIXELS = "f6cf69f0ab4e847c6fae7eda572d05db52144a8cd9e969cfed394eca301c8b70"
ATTRIBUTION = (BUNDLED / "ATTRIBUTION.md").read_text(encoding="utf-8")


def attributed(heading):
    """The rows of the table under a heading, by file."""
    section = ATTRIBUTION.split(f"## {heading}")[1].split("\n## ")[0]
    rows = [
        line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row for row in rows}


def test_every_bundled_file_has_a_complete_row_and_every_row_a_file():
    files = {path.name for path in BUNDLED.iterdir() if path.suffix != ".md"}
    rows = attributed('Bundled here: the collection "first"')
    added = attributed('Bundled here: added by the collection "wide"')
    assert not rows.keys() & added.keys()
    rows |= added
    assert rows.keys() == files
    for name, cells in rows.items():
        assert len(cells) == 5 and all(cell.strip() for cell in cells), name
        assert re.search(r"CC-BY-4\.0|CC0-1\.0", cells[3]), name


def test_every_picture_read_from_a_package_has_a_row():
    borrowed = {
        name
        for names in COLLECTIONS["wide"].values()
        for name in names
        if not name.startswith("photos/")
    }
    assert attributed("Read from installed packages").keys() == borrowed


@pytest.mark.parametrize("photos", COLLECTIONS)
def test_no_picture_is_on_two_sides(photos):
    paths = [path for split in SPLITS for path in list_photographs(split, photos)]
    assert (
        len(paths)
        == len(set(paths))
        == len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths})
    )


def test_the_wide_collection_uses_every_bundled_file_and_keeps_sides():
    paths = {path for split in SPLITS for path in list_photographs(split, "wide")}
    assert {path for path in paths if path.parent == BUNDLED} == set(BUNDLED.glob("*.jpg"))
    for split in SPLITS:
        first, wide = (list_photographs(split, photos) for photos in ("first", "wide"))
        assert wide[: len(first)] == first and len(wide) > len(first)
    sizes = {split: len(list_photographs(split, "wide")) for split in SPLITS}
    assert sizes == {"train": 20, "validation": 6, "test": 12}


def small_and_grey(path):
    """An 8x8 thumbnail without its mean, of unit length."""
    grey = cv2.cvtColor(load_photograph(path), cv2.COLOR_RGB2GRAY).astype(np.float64)
    small = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA)
    small -= small.mean()
    return small / np.linalg.norm(small)


def test_no_two_photographs_of_different_sides_are_alike():
    thumbnails = {
        split: {path.name: small_and_grey(path) for path in list_photographs(split, "wide")}
        for split in SPLITS
    }
    for one, other in combinations(SPLITS, 2):
        for name, picture in thumbnails[one].items():
            for other_name, twin in thumbnails[other].items():
                mirrored = max(np.vdot(picture, twin), np.vdot(picture, twin[:, ::-1]))
                assert mirrored < 0.95, (name, other_name)


def test_the_bundled_files_have_the_pixels_that_scenes_were_rendered_from():
    text = "".join(
        hashlib.sha256((BUNDLED / Path(name).name).read_bytes()).hexdigest()
        for split in SPLITS
        for name in COLLECTIONS["wide"][split]
        if name.startswith("photos/")
    )
    assert hashlib.sha256(text.encode()).hexdigest() == BUNDLED_PIXELS
    added = [p for s in SPLITS for p in list_photographs(s, "wide")[len(list_photographs(s)) :]]
    assert sum(path.stat().st_size for path in added) < 2.5e6


def test_scenes_of_the_default_collection_are_those_of_the_first():
    assert DEFAULT_COLLECTION == "first"
    default, first, wide = (
        [SceneDataset("test", 4, 48, photos=photos).scene(i).sharp for i in range(4)]
        for photos in (None, "first", "wide")
    )
    assert np.array_equal(default, first) and not np.array_equal(default, wide)


@pytest.mark.parametrize("photos", COLLECTIONS)
def test_pictures_are_rgb_and_large_enough_to_cut_from(photos):
    for split in SPLITS:
        for path in list_photographs(split, photos):
            picture = load_photograph(path)
            assert (
                picture.dtype.name == "uint8"
                and picture.shape[2] == 3
                and min(picture.shape[:2]) >= 300
            ), path


def test_a_folder_with_the_name_of_a_collection_is_given_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "wide").mkdir()
    for i in range(10):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "wide" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    assert len(list_photographs("test", "wide")) == 12
    assert [p.stem for p in list_photographs("test", "./wide")] == ["1"]
    assert is_collection("wide") and is_collection(None)
    assert not is_collection("./wide") and not is_collection(tmp_path / "wide")


def test_a_folder_of_pictures_takes_their_place(tmp_path):
    for i in range(23):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "._05.png").write_bytes(b"left behind by macOS")
    sides = {split: [p.stem for p in list_photographs(split, tmp_path)] for split in SPLITS}
    assert sides["validation"] == ["00", "10", "20"] and sides["test"] == ["01", "11", "21"]
    assert sorted(name for side in sides.values() for name in side) == [
        f"{i:02d}" for i in range(23)
    ]


def test_wrong_splits_and_small_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no split 'dev'"):
        list_photographs("dev")
    with pytest.raises(ValueError, match="holds 0 images: at least 10"):
        list_photographs("train", tmp_path)
    with pytest.raises(ValueError, match="wider is not a folder of photographs: give one, or the"):
        list_photographs("train", "wider")
