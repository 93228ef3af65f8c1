"""Every layout of real data, built small in a temporary folder, and every way to break one."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deblurlib.data import PairedFolder, check_data, list_splits, read_picture
from deblurlib.evaluation import evaluate

REAL_DATA = os.environ.get("DEBLURLIB_REAL_DATA")
real = pytest.mark.skipif(not REAL_DATA, reason="DEBLURLIB_REAL_DATA names no folder of real pairs")


def write(path, value=0.5, size=(24, 32)):
    """A flat picture of that value: a test can tell by it which file was read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), round(value * 255), np.uint8)).save(path)
    return path


def write_sequence(folder, frames, variants=("blur",), suffix="png"):
    for frame in frames:
        write(folder / "sharp" / f"{frame:06d}.{suffix}", frame / 255)
        for variant in variants:
            write(
                folder / variant / f"{frame:06d}.{suffix}",
                (100 if variant == "blur" else 200) / 255,
            )


def value(tensor):
    return None if tensor is None else round(tensor.mean().item() * 255)


# --------------------------------------------------------------------------------------------------
# Layouts


def test_gopro_with_both_variants(tmp_path):
    write_sequence(tmp_path / "train/GOPR0372_07_01", [1], ("blur", "blur_gamma"))
    write_sequence(tmp_path / "train/GOPR0372_07_00", [47, 48, 50], ("blur", "blur_gamma"))
    write_sequence(tmp_path / "test/GOPR0384_11_00", [1, 2], ("blur", "blur_gamma"))
    pairs = PairedFolder(tmp_path, "train", "blur_gamma")
    assert pairs.names == [
        f"GOPR0372_07_0{s}" for s in ("0/000047", "0/000048", "0/000050", "1/000001")
    ]
    assert (len(pairs), pairs.split, pairs.variant, pairs.unmatched) == (
        4,
        "train",
        "blur_gamma",
        [],
    )
    assert [value(s.blurry) for s in pairs] == [200] * 4
    assert [value(s.sharp) for s in pairs] == [47, 48, 50, 1]
    assert value(PairedFolder(tmp_path, "train", "blur")[0].blurry) == 100
    with pytest.raises(ValueError, match=r"holds both `blur` and `blur_gamma`.*variant="):
        PairedFolder(tmp_path, "train")
    with pytest.raises(ValueError, match="holds the splits train, test: choose one"):
        PairedFolder(tmp_path, variant="blur")
    with pytest.raises(ValueError, match="no split 'validation': choose one of 'train', 'test'"):
        PairedFolder(tmp_path, "validation", "blur")
    assert list_splits(tmp_path) == ["train", "test"]
    assert PairedFolder(tmp_path, "all", "blur").names[3:] == [
        "GOPR0372_07_01/000001",
        "GOPR0384_11_00/000001",
        "GOPR0384_11_00/000002",
    ]


def test_neighbours_are_the_sharp_frames_of_consecutive_numbers(tmp_path):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [8, 9, 10, 12])
    write_sequence(tmp_path / "train/GOPR0372_07_01", [11])
    samples = list(PairedFolder(tmp_path))
    assert [value(s.previous) for s in samples] == [None, 8, 9, None, None]
    assert [value(s.following) for s in samples] == [9, 10, None, None, None]
    assert all(
        s.previous is None and s.following is None for s in PairedFolder(tmp_path, neighbours=False)
    )


def test_one_variant_needs_no_choice_and_another_is_refused(tmp_path):
    write_sequence(tmp_path / "test/GOPR0384_11_00", [1])
    pairs = PairedFolder(tmp_path)
    assert (pairs.split, pairs.variant, pairs[0].name) == ("test", "blur", "GOPR0384_11_00/000001")
    with pytest.raises(ValueError, match="no variant 'blur_gamma': choose one of blur"):
        PairedFolder(tmp_path, variant="blur_gamma")


def test_a_sequence_folder_by_itself(tmp_path):
    write_sequence(tmp_path / "street", [3, 4])
    pairs = PairedFolder(tmp_path / "street")
    assert pairs.names == ["street/000003", "street/000004"] and value(pairs[0].following) == 4


def test_a_root_above_the_data_set(tmp_path):
    write_sequence(tmp_path / "GOPRO_Large/train/GOPR0372_07_00", [3])
    assert PairedFolder(tmp_path, "train").names == ["GOPRO_Large/GOPR0372_07_00/000003"]


@pytest.mark.parametrize("prefix", ["", "test/"])
def test_input_and_target(tmp_path, prefix):
    for i, name in enumerate(
        ["GOPR0384_11_00-000001", "GOPR0384_11_00-000002", "GOPR0384_11_05-000003"]
    ):
        write(tmp_path / prefix / "input" / f"{name}.png", 0.8)
        write(tmp_path / prefix / "target" / f"{name}.png", (i + 1) / 255)
    pairs = PairedFolder(tmp_path)
    assert pairs.split == prefix.rstrip("/") and len(pairs) == 3
    assert [value(s.following) for s in pairs] == [2, None, None]
    with pytest.raises(ValueError, match="no folders `blur` or `blur_gamma`"):
        PairedFolder(tmp_path, variant="blur")


def test_hide(tmp_path):
    for folder, names in {
        "train": ["1fromGOPR0950", "2fromGOPR0951"],
        "test/test-close-ups": ["15fromGOPR1"],
        "test/test-long-shot": ["9fromGOPR2", "10fromGOPR2"],
    }.items():
        for name in names:
            write(tmp_path / folder / f"{name}.png", 0.4)
            write(tmp_path / "GT" / f"{name}.png", 0.6)
    assert PairedFolder(tmp_path, "train").names == ["1fromGOPR0950", "2fromGOPR0951"]
    pairs = PairedFolder(tmp_path, "test")
    assert pairs.names == [
        "test-close-ups/15fromGOPR1",
        "test-long-shot/10fromGOPR2",
        "test-long-shot/9fromGOPR2",
    ]
    assert all(
        value(s.blurry) == 102
        and value(s.sharp) == 153
        and s.previous is None
        and s.following is None
        for s in pairs
    )
    report = check_data(tmp_path)
    assert report.dataset == "HIDE" and "the complete HIDE test split has 2025 pairs" in report.text


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_reds(tmp_path, prefix):
    for sequence in ("000", "001"):
        for frame in (0, 1, 2):
            write(tmp_path / prefix / "train_blur" / sequence / f"{frame:08d}.png", 0.5)
            write(tmp_path / prefix / "train_sharp" / sequence / f"{frame:08d}.png", frame / 255)
    pairs = PairedFolder(tmp_path, "train")
    assert pairs.names[2:4] == ["000/00000002", "001/00000000"]
    assert [value(s.following) for s in pairs] == [1, 2, None] * 2
    report = check_data(tmp_path)
    assert (
        report.dataset == "REDS"
        and "24000 pairs in 240 sequences" in report.text
        and "absent" in report.text
    )


def test_pictures_without_ground_truth(tmp_path):
    write(tmp_path / "1/a.jpg", 0.5)
    write(tmp_path / "2/a.jpg", 0.5)
    pictures = PairedFolder(tmp_path)
    assert pictures.names == ["1/a", "2/a"] and pictures[0].sharp is None
    report = check_data(tmp_path)
    assert report.ok and not report.paired and "2 images without ground truth" in report.text


def test_any_two_folders(tmp_path):
    for name in ("b", "a", "below/c"):
        write(tmp_path / "soft" / f"{name}.jpg", 0.2)
        write(tmp_path / "crisp" / f"{name}.png", 0.7)
    lone = write(tmp_path / "soft/z.jpg")
    pairs = PairedFolder.from_folders(tmp_path / "soft", tmp_path / "crisp")
    assert pairs.names == ["a", "b", "below/c"] and pairs.unmatched == [lone]
    assert abs(value(pairs[0].sharp) - 178) <= 1 and abs(value(pairs[0].blurry) - 51) <= 1
    assert PairedFolder.from_folders(tmp_path / "soft")[3].sharp is None
    with pytest.raises(ValueError, match="nowhere does not exist"):
        PairedFolder.from_folders(tmp_path / "soft", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no pair"):
        PairedFolder.from_folders(tmp_path / "soft/below", tmp_path / "crisp/below/..")


# --------------------------------------------------------------------------------------------------
# Pictures


def test_names_with_spaces_and_any_alphabet(tmp_path):
    root = tmp_path / "Ünscharfe Bilder 写真"
    write_sequence(root / "train/GOPR0001_01_00 été", [1, 2])
    assert len([s.sharp for s in PairedFolder(root)]) == 2 and check_data(root).ok


def test_depths_and_modes_of_colour(tmp_path):
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (20, 24, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / "deep.tif"), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / "deep_grey.png"), deep[..., 0])
    Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGBA").save(tmp_path / "alpha.png")
    Image.fromarray((deep[..., 0] >> 8).astype(np.uint8)).save(tmp_path / "grey.png")
    assert np.array_equal(read_picture(tmp_path / "deep.png"), deep)
    assert np.array_equal(read_picture(tmp_path / "deep.tif"), deep)
    assert np.array_equal(read_picture(tmp_path / "deep_grey.png"), np.repeat(deep[..., :1], 3, 2))
    assert np.array_equal(read_picture(tmp_path / "alpha.png"), deep >> 8)
    assert np.array_equal(read_picture(tmp_path / "grey.png"), np.repeat(deep[..., :1] >> 8, 3, 2))
    sample = PairedFolder(tmp_path)[3]
    assert (
        sample.name == "deep_grey" and sample.blurry.min() >= 0 and 0.9 < sample.blurry.max() <= 1
    )
    assert check_data(tmp_path).ok


def test_pictures_stand_upright(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6  # to be turned clockwise
    Image.new("RGB", (32, 20)).save(tmp_path / "turned.jpg", exif=tags)
    assert read_picture(tmp_path / "turned.jpg").shape == (32, 20, 3)
    assert check_data(tmp_path).splits[0].sizes == {"20 x 32": 1}


def noisy(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(
        path
    )
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_and_false_pictures_are_named(tmp_path, suffix):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [1, 2, 3], suffix=suffix)
    cut = noisy(tmp_path / f"train/GOPR0372_07_00/blur/000002.{suffix}")
    cut.write_bytes(cut.read_bytes()[:-300])
    (tmp_path / f"train/GOPR0372_07_00/sharp/000003.{suffix}").write_text("no picture")
    pairs = PairedFolder(tmp_path, neighbours=False)
    assert value(pairs[0].sharp) == 1
    for i, name in ((1, f"blur/000002.{suffix}"), (2, f"sharp/000003.{suffix}")):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            pairs[i]
    report = check_data(tmp_path)
    assert not report.ok
    assert report.splits[0].unreadable == [
        f"train/GOPR0372_07_00/{f}/00000{i}.{suffix}" for f, i in (("blur", 2), ("sharp", 3))
    ]
    assert "unreadable: 2" in report.text


def test_truncated_16_bit_pictures_are_named(tmp_path):
    cv2.imwrite(
        str(tmp_path / "deep.png"),
        np.random.default_rng(0).integers(0, 65536, (20, 24, 3), dtype=np.uint16),
    )
    (tmp_path / "deep.png").write_bytes((tmp_path / "deep.png").read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"deep\.png cannot be read"):
        read_picture(tmp_path / "deep.png")


def test_pairs_of_different_size_are_named(tmp_path):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [1, 5])
    write(tmp_path / "train/GOPR0372_07_00/sharp/000005.png", size=(24, 30))
    with pytest.raises(
        ValueError, match=r"blur/000005.png is 32 x 24 but .*sharp/000005.png is 30 x 24"
    ):
        PairedFolder(tmp_path)[1]
    assert check_data(tmp_path).splits[0].mismatched == [
        "train/GOPR0372_07_00/blur/000005.png (32 x 24, its partner 30 x 24)"
    ]


def test_files_without_a_partner_are_reported(tmp_path, caplog):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [1, 2, 3])
    (tmp_path / "train/GOPR0372_07_00/sharp/000002.png").unlink()
    write(tmp_path / "train/GOPR0372_07_00/sharp/000009.png")
    write(tmp_path / "train/GOPR0372_07_00/sharp/._000001.png")  # left behind by macOS: no picture
    pairs = PairedFolder(tmp_path)
    assert [path.name for path in pairs.unmatched] == ["000002.png", "000009.png"] and len(
        pairs
    ) == 2
    assert "2 files have no partner" in caplog.text
    report = check_data(tmp_path)
    assert not report.ok and "without a partner: 2" in report.text


def test_two_files_of_one_name_are_not_mixed_up(tmp_path):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [1])
    twin = write(tmp_path / "train/GOPR0372_07_00/blur/000001.jpg", 0.9)
    pairs = PairedFolder(tmp_path)
    assert (
        len(pairs) == 1 and len(pairs.unmatched) == 1 and pairs.unmatched[0].parent == twin.parent
    )


# --------------------------------------------------------------------------------------------------
# Folders that are no data set, and the report


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: root.mkdir(), "holds no images in a known layout"),
        (lambda root: write(root / "train/A/blur/1.png"), "holds no pair"),
        (lambda root: write(root / "train/A/sharp/1.png"), "holds no pair"),
    ],
)
def test_what_is_no_data_set(tmp_path, make, reason):
    make(tmp_path / "data")
    with pytest.raises(ValueError, match=reason) as raised:
        PairedFolder(tmp_path / "data")
    assert "\n" not in str(raised.value) and str(tmp_path / "data") in str(raised.value)
    report = check_data(tmp_path / "data")
    assert not report.ok and reason in report.text and "\n" not in report.text


def test_report_of_a_part_of_gopro(tmp_path):
    write_sequence(tmp_path / "train/GOPR0372_07_00", [1, 2], ("blur", "blur_gamma"))
    write_sequence(tmp_path / "train/GOPR0374_11_00", [1], ("blur",))
    report = check_data(tmp_path)
    assert report.ok and report.dataset == "GoPro" and report.absent_splits == {"test": 1111}
    (train,) = report.splits
    assert (train.pairs, train.sequences, train.sizes) == (
        {"blur": 3, "blur_gamma": 2},
        2,
        {"32 x 24": 5},
    )
    assert (train.official_pairs, train.official_sequences) == (2103, 22)
    for words in (
        "3 pairs with `blur`, 2 pairs with `blur_gamma` in 2 sequences",
        "a part",
        "2103 pairs in 22",
        "test: absent",
    ):
        assert words in report.text
    assert json.loads(json.dumps(report.as_dict()))["splits"][0]["pairs"] == {
        "blur": 3,
        "blur_gamma": 2,
    }


# --------------------------------------------------------------------------------------------------
# Real pairs


@real
def test_real_gopro_pairs():
    root = Path(REAL_DATA) / "gopro_sample"
    report = check_data(root)
    assert report.ok and report.dataset == "GoPro" and "only `blur`" in report.text
    (train,) = report.splits
    assert (train.pairs, train.sequences, train.sizes) == ({"blur": 40}, 1, {"1280 x 720": 40})
    pairs = PairedFolder(root, neighbours=False)
    psnr = evaluate(None, pairs, ["rgb-psnr"])["blurry rgb-psnr"]
    assert len(psnr) == 40 and psnr.mean() == pytest.approx(23.84, abs=0.02)
    sample = PairedFolder(root)[5]
    assert (
        sample.name == "GOPR0372_07_00/000052"
        and sample.previous.shape == sample.following.shape == (3, 720, 1280)
    )


@real
def test_real_reds_pairs():
    pairs = PairedFolder(Path(REAL_DATA) / "reds_small")
    assert (
        len(pairs) == 20
        and pairs[0].name == "train_000/00000000"
        and pairs[0].blurry.shape == (3, 180, 320)
    )
