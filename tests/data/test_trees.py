"""Links in data sets: what is reached twice counts once."""

import pytest

from deblurlib.data import PairedFolder, check_data
from tests.data.test_layouts import grow

# what links to what below a tree of train/GOPR1/{blur,sharp}, of three pairs; then pairs by split
LINKS = {
    "a split again": ("latest", "train", {"train": 3}),
    "a split under another name": ("val", "train", {"train": 3, "val": 3}),
    "a sequence": ("train/again", "train/GOPR1", {"train": 3}),
    "the root": ("train/GOPR1/up", ".", {"train": 3}),
    "above the root": ("train/up", "..", {"train": 3}),
    "the sharp images": ("train/GOPR1/GT", "train/GOPR1/sharp", {"train": 3}),
}


@pytest.mark.parametrize("name", LINKS)
def test_images_that_links_reach_again_count_once(tmp_path, name):
    link, target, pairs = LINKS[name]
    root = tmp_path / "data"
    grow(root, "train/GOPR1/{blur,sharp}")
    (root / link).symlink_to(root / target)
    report = check_data(root)
    assert {split.split: split.pairs["blur"] for split in report.splits} == pairs
    assert report.ok and not report.outside, report.text
    assert len(PairedFolder(root, "all")) == sum(pairs.values())


def test_links_to_files_count_once_and_links_out_of_the_folder_are_followed(tmp_path):
    root = tmp_path / "data"
    grow(root, "street/{blur,sharp}")
    for kind in ("blur", "sharp"):
        (root / "street" / kind / "000009.png").symlink_to(root / "street" / kind / "000001.png")
        grow(tmp_path, f"disk/{kind}/night")
        (root / kind).mkdir()
        (root / kind / "night").symlink_to(tmp_path / "disk" / kind / "night")
    report = check_data(root)
    assert report.ok and report.splits[0].pairs == {"blur": 6} and not report.outside, report.text
    assert len(PairedFolder(root)) == 6


def test_two_links_to_one_sharp_image_are_two_pairs(tmp_path):
    grow(tmp_path, "{blur,sharp}")
    (tmp_path / "sharp" / "000002.png").unlink()
    (tmp_path / "sharp" / "000002.png").symlink_to("000001.png")
    assert len(PairedFolder(tmp_path)) == 3


def test_a_file_with_two_faults_is_counted_once(tmp_path):
    grow(tmp_path, "{input,target}")
    (tmp_path / "input" / "000004.png").symlink_to("nowhere.png")
    report = check_data(tmp_path)
    assert report.text.endswith("1 file needs attention.")
    assert report.splits[0].unmatched == report.splits[0].unreadable == ["input/000004.png"]


def test_a_split_is_found_by_the_name_of_its_folder_and_none_is_said_to_be_absent(tmp_path):
    grow(tmp_path, "{Training,testing}/GOPR1/{blur,sharp}", "one/{blur,sharp}")
    assert PairedFolder(tmp_path, "Training").split == "train"
    with pytest.raises(ValueError, match="no split 'val': choose one of '', 'train', 'test'"):
        PairedFolder(tmp_path, "val")
    with pytest.raises(ValueError, match="one has no splits, so it has no split 'train': leave"):
        PairedFolder(tmp_path / "one", "train")


def test_a_file_is_not_said_to_be_a_folder_that_does_not_exist(tmp_path):
    (tmp_path / "train.zip").write_bytes(b"")
    assert "is a file: give the root" in check_data(tmp_path / "train.zip").text


def test_two_folders_of_one_split_keep_their_names(tmp_path):
    grow(tmp_path, "{train,Training}/GOPR1/{blur,sharp}")
    names = PairedFolder(tmp_path).names
    assert len(set(names)) == 6 and names[0] == "Training/GOPR1/000001"
    assert check_data(tmp_path).splits[0].sequences == 2


def test_a_selection_by_links_counts_once_unless_it_is_a_split(tmp_path):
    grow(tmp_path, "train/GOPR1/{blur,sharp}")
    for folder in ("small/GOPR1", "val/GOPR1"):
        for kind in ("blur", "sharp"):
            link = tmp_path / folder / kind / "000001.png"
            link.parent.mkdir(parents=True)
            link.symlink_to(tmp_path / "train/GOPR1" / kind / link.name)
    pairs = {split.split: split.pairs for split in check_data(tmp_path).splits}
    assert pairs == {"train": {"blur": 3}, "val": {"blur": 1}}
    assert len(PairedFolder(tmp_path, "val")) == len(PairedFolder(tmp_path / "small")) == 1
