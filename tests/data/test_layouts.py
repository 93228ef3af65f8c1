"""Data sets as people have them: sixty folders, and what `check_data` and `PairedFolder` say."""

import functools
import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from deblurlib.data import PairedFolder, check_data

NAMES = ("000001", "000002", "000003")


@functools.cache
def encoded(suffix, level=99):
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    Image.fromarray(np.full((16, 20, 3), level, np.uint8)).save(file, kind)
    return file.getvalue()


def grow(root, *folders, names=NAMES, suffix="png"):
    """Images in every folder that braces such as train/{blur,sharp} stand for."""
    for folder in folders:
        options = re.findall(r"\{(.*?)\}", folder)
        if options:
            for option in options[0].split(","):
                once = folder.replace("{" + options[0] + "}", option, 1)
                grow(root, once, names=names, suffix=suffix)
            continue
        for name in names:
            path = root / folder / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(suffix, zlib.crc32(str(path).encode()) % 251))


def tree(*folders, **options):
    return lambda root: grow(root, *folders, **options)


def both(*makers):
    return lambda root: [make(root) for make in makers]


def realblur(root, kinds="J", listed=True, scenes=3):
    for kind in kinds:
        folder = f"RealBlur-{kind}_ECC_IMCORR_centroid_itensity_ref"
        for i in range(1, scenes + 1):
            for role in ("blur", "gt"):
                names = [f"{role}_{n}" for n in (1, 2)]
                grow(root, f"{folder}/scene{i:03d}/{role}", names=names)
        if listed:
            for split, members in (("train", range(1, scenes)), ("test", [scenes])):
                lines = [
                    f"{folder}/scene{i:03d}/gt/gt_{n}.png {folder}/scene{i:03d}/blur/blur_{n}.png"
                    for i in members
                    for n in (1, 2)
                ]
                (root / f"RealBlur_{kind}_{split}_list.txt").write_text("\n".join(lines))


def hide(root):
    for folder, names in {
        "train": ["1fromGOPR0950"],
        "test/test-close-ups": ["15fromGOPR1"],
        "test/test-long-shot": ["9fromGOPR2"],
    }.items():
        grow(root, folder, "GT", names=names)


FLAT = ("GOPR0384_11_00-000001", "GOPR0384_11_00-000002", "GOPR0384_11_05-000003")
GOPRO = "{train,test}/GOPR0372_07_00/"
CROPS = ("GOPR0372_07_00-000001_s001", "GOPR0372_07_00-000001_s002")
# how to make it; then layout, data set, and pairs by split and variant
PAIRED = {
    "GoPro": (
        tree(GOPRO + "{blur,blur_gamma,sharp}"),
        "sequences",
        "GoPro",
        {"train": {"blur": 3, "blur_gamma": 3}, "test": {"blur": 3, "blur_gamma": 3}},
    ),
    "GoPro, one split": (
        tree("test/GOPR0384_11_00/{blur,sharp}"),
        "sequences",
        "GoPro",
        {"test": {"blur": 3}},
    ),
    "GoPro, zipped name above": (
        tree("GOPRO_Large/train/GOPR0372_07_00/{blur,sharp}"),
        "sequences",
        "GoPro",
        {"train": {"blur": 3}},
    ),
    "GoPro, without splits": (
        tree("GOPR0372_07_00/{blur,sharp}"),
        "sequences",
        "GoPro",
        {"": {"blur": 3}},
    ),
    "GoPro, capitals": (
        tree(GOPRO + "{Blur,Sharp}"),
        "sequences",
        "GoPro",
        {"train": {"blur": 3}, "test": {"blur": 3}},
    ),
    "GoPro, all capitals": (
        tree("train/GOPR0372_07_00/{BLUR,SHARP}"),
        "sequences",
        "GoPro",
        {"train": {"blur": 3}},
    ),
    "GoPro, flat": (
        tree("{train,test}/{input,target}", names=FLAT),
        "input-target",
        "GoPro",
        {"train": {"": 3}, "test": {"": 3}},
    ),
    "GoPro, flat, with sharp": (
        tree("test/{blur,sharp}", names=FLAT),
        "sequences",
        None,
        {"test": {"blur": 3}},
    ),
    "own sequence": (tree("{blur,sharp}"), "sequences", None, {"": {"blur": 3}}),
    "own sequences": (tree("{street,park}/{blur,sharp}"), "sequences", None, {"": {"blur": 6}}),
    "splits inside": (
        tree("{blur,sharp}/{train,test}"),
        "sequences",
        None,
        {"train": {"blur": 3}, "test": {"blur": 3}},
    ),
    "macOS leftovers": (
        both(
            tree("train/a/{blur,sharp}"),
            tree("__MACOSX/train/a/{blur,sharp}"),
            tree("train/a/blur", names=["._000001"]),
        ),
        "sequences",
        None,
        {"train": {"blur": 3}},
    ),
    "REDS": (
        tree("{train,val}_{blur,sharp}/{000,001}"),
        "reds",
        "REDS",
        {"train": {"": 6}, "val": {"": 6}},
    ),
    "REDS, in splits": (
        tree("train/train_{blur,sharp}/000", "val/val_{blur,sharp}/000"),
        "reds",
        "REDS",
        {"train": {"": 3}, "val": {"": 3}},
    ),
    "REDS, per archive": (
        both(tree("train_blur/train/train_blur/000"), tree("train_sharp/train/train_sharp/000")),
        "reds",
        "REDS",
        {"train": {"": 3}},
    ),
    "REDS, archive in its own folder": (
        both(tree("train_blur/train_blur/000"), tree("train_sharp/train_sharp/000")),
        "reds",
        "REDS",
        {"train": {"": 3}},
    ),
    "REDS, JPEG": (
        both(tree("val_blur_jpeg/000", suffix="jpg"), tree("val_sharp/000")),
        "reds",
        "REDS",
        {"val": {"": 3}},
    ),
    "REDS, JPEG and plain": (
        both(tree("val_{blur_jpeg,blur_comp}/000", suffix="jpg"), tree("val_{blur,sharp}/000")),
        "reds",
        "REDS",
        {"val": {"blur": 3, "blur_comp": 3, "blur_jpeg": 3}},
    ),
    "REDS, bicubic": (
        tree("val_{blur_bicubic,sharp_bicubic}/X4/000", "val_{blur,sharp}/000"),
        "reds",
        "REDS",
        {"val": {"blur": 3, "blur_bicubic": 3}},
    ),
    "REDS, 300": (
        both(tree("val_blur_jpeg_300", suffix="jpg"), tree("val_sharp_300")),
        "reds",
        "REDS",
        {"val": {"": 3}},
    ),
    "HIDE": (hide, "hide", "HIDE", {"train": {"": 1}, "test": {"": 2}}),
    "RealBlur-J": (realblur, "realblur", "RealBlur", {"train": {"": 4}, "test": {"": 2}}),
    "RealBlur-J, inside": (
        lambda root: realblur(root / "RealBlur"),
        "realblur",
        "RealBlur",
        {"train": {"": 4}, "test": {"": 2}},
    ),
    "RealBlur, no lists": (
        lambda root: realblur(root, listed=False),
        "realblur",
        "RealBlur",
        {"": {"": 6}},
    ),
    "RealBlur, J and R": (
        lambda root: realblur(root, "JR"),
        "realblur",
        "RealBlur",
        {"train": {"RealBlur-J": 4, "RealBlur-R": 4}, "test": {"RealBlur-J": 2, "RealBlur-R": 2}},
    ),
    "BSD": (
        tree("{train,valid,test}/{000,001}/{Blur,Sharp}/RGB"),
        "bsd",
        "BSD",
        {"train": {"": 6}, "valid": {"": 6}, "test": {"": 6}},
    ),
    "BSD, one exposure": (
        tree("BSD_1ms8ms/test/000/{Blur,Sharp}/RGB"),
        "bsd",
        "BSD",
        {"test": {"": 3}},
    ),
    "DVD": (
        tree("quantitative_datasets/{720p_240fps_1,IMG_0001}/{input,GT}", suffix="jpg"),
        "two kinds",
        None,
        {"": {"": 6}},
    ),
    "DVD, in splits": (
        tree("{train,test}/IMG_0001/{input,GT}", suffix="jpg"),
        "two kinds",
        None,
        {"train": {"": 3}, "test": {"": 3}},
    ),
    "NAFNet crops": (
        tree("train/{blur_crops,sharp_crops}", names=CROPS),
        "two kinds",
        None,
        {"train": {"": 2}},
    ),
    "NAFNet crops and test": (
        both(tree("train/{input_crops,target_crops}", names=CROPS)),
        "two kinds",
        None,
        {"train": {"": 2}},
    ),
    "A and B": (tree("{train,test}/{A,B}"), "two kinds", None, {"train": {"": 3}, "test": {"": 3}}),
    "A and B, splits inside": (
        tree("{A,B}/{train,test}"),
        "two kinds",
        None,
        {"train": {"": 3}, "test": {"": 3}},
    ),
    "trainA and trainB": (
        tree("{trainA,trainB,testA,testB}"),
        "two kinds",
        None,
        {"train": {"": 3}, "test": {"": 3}},
    ),
    "blurry and sharp": (tree("{blurry,sharp}"), "two kinds", None, {"": {"": 3}}),
    "Blurred and Clear": (tree("{Blurred,Clear}"), "two kinds", None, {"": {"": 3}}),
    "blur and gt": (tree("test/{blur,gt}"), "two kinds", None, {"test": {"": 3}}),
    "input and groundtruth": (tree("{input,groundtruth}"), "two kinds", None, {"": {"": 3}}),
    "lq and gt": (tree("val/{lq,gt}"), "two kinds", None, {"val": {"": 3}}),
    "Input and Target": (tree("{Input,Target}"), "input-target", None, {"": {"": 3}}),
    "train_blur and train_gt": (
        tree("{train_blur,train_gt}"),
        "two kinds",
        None,
        {"train": {"": 3}},
    ),
    "other suffixes": (
        both(tree("input", suffix="jpg"), tree("target", suffix="png")),
        "input-target",
        None,
        {"": {"": 3}},
    ),
    "jpg beside png": (
        both(tree("{input,target}"), tree("{input,target}", suffix="jpg")),
        "input-target",
        None,
        {"": {"": 6}},
    ),
    "MPRNet's test sets": (
        tree("test/{GoPro,HIDE,RealBlur_J,RealBlur_R}/{input,target}"),
        "input-target",
        None,
        {"test": {"GoPro": 3, "HIDE": 3, "RealBlur_J": 3, "RealBlur_R": 3}},
    ),
    "GoPro, training and testing": (
        tree("{training,Testing}/GOPR0372_07_00/{blur,sharp}"),
        "sequences",
        "GoPro",
        {"train": {"blur": 3}, "test": {"blur": 3}},
    ),
    "splits of any name": (
        tree("{Train,VAL,test_set}/{input,target}"),
        "input-target",
        None,
        {"train": {"": 3}, "val": {"": 3}, "test": {"": 3}},
    ),
    "splits of rarer names": (
        tree("{dev,eval,valid}/GOPR0372_07_00/{blur,sharp}"),
        "sequences",
        "GoPro",
        {"valid": {"blur": 3}, "dev": {"blur": 3}, "eval": {"blur": 3}},
    ),
    "splits of any name, inside": (
        tree("{Input,Target}/{Training,testdata}"),
        "input-target",
        None,
        {"train": {"": 3}, "test": {"": 3}},
    ),
    "REDS, capitals": (tree("{Train_Blur,Train_Sharp}/000"), "reds", "REDS", {"train": {"": 3}}),
    "HIDE, other case": (tree("{Test,gt}", names=["1"]), "hide", "HIDE", {"test": {"": 1}}),
    "BSD, other case": (tree("Test/000/{blur,sharp}/rgb"), "bsd", "BSD", {"test": {"": 3}}),
    "BSD, all exposures": (
        tree("{BSD_1ms8ms,BSD_2ms16ms}/test/000/{Blur,Sharp}/RGB"),
        "bsd",
        "BSD",
        {"test": {"BSD_1ms8ms": 3, "BSD_2ms16ms": 3}},
    ),
    "RealBlur, capitals": (
        tree("RealBlur-J/Scene001/{blur,gt}"),
        "realblur",
        "RealBlur",
        {"": {"": 3}},
    ),
    "images in the names": (
        tree("{BlurryImages,GroundTruth}"),
        "two kinds",
        None,
        {"": {"": 3}},
    ),
    "blurry and clean": (tree("{blurry,clean}"), "two kinds", None, {"": {"": 3}}),
    "inputs and targets": (tree("test/{inputs,targets}"), "two kinds", None, {"test": {"": 3}}),
    "thumbnails of a NAS": (
        both(tree("{input,target}"), tree("input/@eaDir/000001.png", suffix="jpg")),
        "input-target",
        None,
        {"": {"": 3}},
    ),
    "MPRNet's training set": (
        tree("train/GoPro/{input,target}", names=FLAT),
        "input-target",
        "GoPro",
        {"train": {"": 3}},
    ),
}


@pytest.mark.parametrize("name", PAIRED)
def test_pairs_are_recognised_and_counted(tmp_path, name):
    make, layout, dataset, pairs = PAIRED[name]
    make(tmp_path)
    report = check_data(tmp_path)
    assert (report.layout, report.dataset, report.error) == (layout, dataset, None), report.text
    assert {split.split: split.pairs for split in report.splits} == pairs
    assert report.ok and report.paired and not report.outside, report.text
    assert "without ground truth" not in report.text
    for split, variants in pairs.items():
        for variant, count in variants.items():
            dataset = PairedFolder(tmp_path, split, variant or None)
            assert len(dataset) == count and dataset[0].sharp is not None
            kinds = {path.suffix for path in dataset.files_of(0).values()}
            assert len(kinds) == 1 or "JPEG" in name or "300" in name or name == "other suffixes"
    if any(len(variants) > 1 for variants in pairs.values()):
        with pytest.raises(ValueError, match="differ by decibels: choose one with variant="):
            PairedFolder(tmp_path, next(iter(pairs)))


@pytest.mark.parametrize("by", ["a folder's link", "links", "hard links", "copies"])
def test_sharp_images_as_their_own_blurry_ones_are_found(tmp_path, by):
    grow(tmp_path, "sharp")
    if by == "a folder's link":
        (tmp_path / "blur").symlink_to("sharp")
    else:
        (tmp_path / "blur").mkdir()
    for path in sorted((tmp_path / "sharp").iterdir()):
        copy = tmp_path / "blur" / path.name
        if by == "links":
            copy.symlink_to(path)
        elif by == "hard links":
            copy.hardlink_to(path)
        elif by == "copies":
            copy.write_bytes(path.read_bytes())
    report = check_data(tmp_path)
    assert not report.ok and report.splits[0].pairs == {"blur": 3}
    assert report.text.splitlines()[2:] == [
        "    identical to their sharp images: 3: blur/000001.png, blur/000002.png, blur/000003.png",
        "3 files need attention.",
    ]


def test_a_still_scene_is_named_but_is_no_fault(tmp_path):
    grow(tmp_path, "{blur,sharp}")
    still = tmp_path / "sharp" / "000002.png"
    (tmp_path / "blur" / still.name).write_bytes(still.read_bytes())
    report = check_data(tmp_path)
    assert report.ok and report.splits[0].identical == ["blur/000002.png"]
    assert "identical to their sharp images: 1: blur/000002.png" in report.text


def test_a_sharp_image_that_is_a_link_to_nowhere_does_not_end_the_report(tmp_path):
    grow(tmp_path, "{blur,sharp}")
    lost = tmp_path / "sharp" / "000002.png"
    lost.unlink()
    lost.symlink_to(tmp_path / "nowhere.png")
    report = check_data(tmp_path)
    assert not report.ok and report.splits[0].unreadable == ["sharp/000002.png"]


UNPAIRED = {
    "RWBI": tree("{1,2}", suffix="jpg"),
    "one folder": tree("."),
    "one folder, a mark without a partner": tree(".", names=["sharpener", "blur_1", "sharp_2"]),
    "folders": tree("{holiday,party,dog}"),
    "DVD's qualitative part": tree("qualitative_datasets/{alley,boat}/input", suffix="jpg"),
    "a and b without pairs": both(tree("a", names=["1", "2"]), tree("b", names=["3"])),
}


@pytest.mark.parametrize("name", UNPAIRED)
def test_images_without_ground_truth_are_called_so(tmp_path, name):
    UNPAIRED[name](tmp_path)
    report = check_data(tmp_path)
    assert report.ok and report.layout == "unpaired" and not report.paired
    assert "images without ground truth" in report.text
    assert PairedFolder(tmp_path)[0].sharp is None


REFUSED = {
    "GOPRO_Large_all": (tree("{train,test}/GOPR0372_07_00"), "sharp frames without blurry images"),
    "sharp alone": (tree("sharp"), "sharp frames without blurry images"),
    "train_sharp alone": (tree("train_sharp/000"), "sharp frames without blurry images"),
    "gt alone": (tree("test/GT"), "sharp frames without blurry images"),
    "blur alone": (tree("train/GOPR0372_07_00/blur"), "holds no pair"),
    "REDS without its sharp part": (tree("train_blur/000"), "holds no pair"),
    "sharp beside an unknown name": (tree("{sharp,fotos}"), "which is no known name of blurry"),
    "both kinds in one folder": (
        tree(".", names=["7_blur", "7_sharp", "8_blur", "8_sharp"]),
        "in one folder, such as 7_blur.png and 7_sharp.png: move them",
    ),
    "marks in front": (
        tree("{a1,a2}", names=["Blurred-7", "GT-7"]),
        "such as a1/Blurred-7.png and a1/GT-7.png",
    ),
    "kinds in the names of partners": (
        both(tree("blur", names=["1_blur", "2_blur"]), tree("sharp", names=["1_sharp"])),
        "give partners equal names",
    ),
    "two unknown names": (tree("{shaky,tripod}"), "no known names of the two kinds"),
    "an LMDB": (lambda root: (root / "blur_crops.lmdb").mkdir(), "unpack blur_crops.lmdb, or give"),
    "an archive": (lambda root: (root / "train.zip").write_bytes(b""), "unpack train.zip, or give"),
    "nothing": (lambda root: None, "holds no images in a known layout: give a folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_pairs_is_refused_with_the_reason(tmp_path, name):
    make, reason = REFUSED[name]
    make(tmp_path)
    report = check_data(tmp_path)
    assert not report.ok and reason in report.text and "without ground truth" not in report.text
    with pytest.raises(ValueError, match=re.escape(reason)):
        PairedFolder(tmp_path)


def test_there_are_sixty_layouts():
    assert len(PAIRED) + len(UNPAIRED) + len(REFUSED) >= 60


def test_images_outside_the_layout_are_named(tmp_path):
    grow(tmp_path, "train/GOPR0372_07_00/{blur,sharp}", "previews")
    report = check_data(tmp_path)
    assert report.ok and len(report.outside) == 3
    assert "not used, outside this layout: 3: previews/000001.png" in report.text


def test_only_one_of_two_files_of_a_name_pairs_by_its_suffix(tmp_path):
    grow(tmp_path, "input", suffix="jpg", names=["1"])
    grow(tmp_path, "{input,target}", suffix="png", names=["1"])
    pairs = PairedFolder(tmp_path)
    assert [path.name for path in pairs.files_of(0).values()] == ["1.png", "1.png"]
    assert [path.name for path in pairs.unmatched] == ["1.jpg"] and len(pairs) == 1
