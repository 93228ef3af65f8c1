"""The bundled photographs: disjoint splits, all attributed."""

import hashlib
import re

import pytest
from PIL import Image

from deblurlib.data import list_photographs, load_photograph
from deblurlib.data.photographs import BUNDLED, SPLITS

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
    rows = attributed("Bundled here")
    assert rows.keys() == files
    for name, cells in rows.items():
        assert len(cells) == 5 and all(cell.strip() for cell in cells), name
        assert re.search(r"CC-BY-4\.0|CC0-1\.0", cells[3]), name


def test_every_picture_read_from_a_package_has_a_row():
    borrowed = {
        name for names in SPLITS.values() for name in names if not name.startswith("photos/")
    }
    assert attributed("Read from installed packages").keys() == borrowed


def test_no_picture_is_on_two_sides():
    paths = [path for split in SPLITS for path in list_photographs(split)]
    assert (
        len(paths)
        == len(set(paths))
        == len({hashlib.sha256(path.read_bytes()).hexdigest() for path in paths})
    )
    assert {path for path in paths if path.parent == BUNDLED} == set(BUNDLED.glob("*.jpg"))


def test_pictures_are_rgb_and_large_enough_to_cut_from():
    for split in SPLITS:
        for path in list_photographs(split):
            picture = load_photograph(path)
            assert (
                picture.dtype.name == "uint8"
                and picture.shape[2] == 3
                and min(picture.shape[:2]) >= 300
            ), path


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
