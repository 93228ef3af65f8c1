"""Deblurring files: what is read and written, where files go, and what is never written."""

import errno
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from torch import nn
from typer.testing import CliRunner

from deblurlib import storage
from deblurlib.cli.app import app
from deblurlib.data.exif import ORIENTATION
from deblurlib.data.metadata import turn
from deblurlib.data.pictures import Picture, encode, read
from deblurlib.inference import files, planning
from deblurlib.inference.files import deblur_files, side_by_side
from deblurlib.inference.planning import find_pictures, plan
from deblurlib.inference.sharpness import sharpness

RNG = np.random.default_rng(0)
# (24, 32, 3), in flat squares
PHOTO = np.kron(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
DEEP = RNG.integers(0, 65536, (24, 32, 4), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Invert(nn.Module):
    def forward(self, x):
        return 1 - x


def call(*arguments):
    return CliRunner().invoke(app, ["deblur", *map(str, arguments)])


def save(path, pixels=PHOTO, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


# --------------------------------------------------------------------------------------------------
# One picture


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("deep", [False, True])
def test_depth_colours_and_alpha_are_kept(tmp_path, channels, deep):
    if deep and channels == 2:
        pytest.skip("no format holds 16 bits of grey and alpha")
    pixels = DEEP[..., 0] if channels is None else DEEP[..., :channels]
    pixels = np.ascontiguousarray(pixels if deep else pixels.astype(np.uint8))
    (tmp_path / "in.png").write_bytes(encode(Picture(pixels, "PNG"), ".png"))
    (row,) = deblur_files(tmp_path / "in.png", tmp_path / "out.tif", Invert())
    assert row["state"] == "done", row["error"]
    expected = np.iinfo(pixels.dtype).max - pixels
    if channels in (2, 4):
        expected[..., -1] = pixels[..., -1]
    result = read(tmp_path / "out.tif").pixels
    assert result.dtype == pixels.dtype and np.array_equal(result, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_output_stands_upright_with_the_metadata_of_the_input(tmp_path, suffix):
    exif = Image.Exif()
    exif[271], exif[ORIENTATION] = "Maker", 6
    save(tmp_path / "in.png", exif=exif, icc_profile=SRGB)
    deblur_files(tmp_path / "in.png", tmp_path / f"out{suffix}", Invert())
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert (image.getexif()[271], image.getexif()[ORIENTATION]) == ("Maker", 1)
        assert image.info["icc_profile"] == SRGB
        difference = np.asarray(image.convert("RGB")).astype(int) - (255 - turn(PHOTO, 6))
        assert np.abs(difference).mean() < 25  # WebP halves the colours' resolution


# --------------------------------------------------------------------------------------------------
# Where files go


def test_a_folder_keeps_its_structure_and_other_files_stay_where_they_are(tmp_path):
    for name in (
        "a.png",
        "below/b.JPG",
        "below/with space/c ü.tif",
        ".hidden/d.png",
        "below/._e.png",
    ):
        save(
            tmp_path / "in" / name,
            format="TIFF" if name.endswith("tif") else "JPEG" if name.endswith("JPG") else "PNG",
        )
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    rows = deblur_files(tmp_path / "in", tmp_path / "out", Invert())
    written = sorted(
        str(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    )
    assert written == ["a.png", "below/b.JPG", "below/with space/c ü.tif"] and {
        row["state"] for row in rows
    } == {"done"}


def test_files_folders_and_patterns_together(tmp_path):
    for name in ("a.png", "b1.png", "b2.png", "c/d.png"):
        save(tmp_path / name)
    jobs = plan(
        [tmp_path / "a.png", tmp_path / "b*.png", tmp_path / "c", tmp_path / "a.png"],
        tmp_path / "out",
    ).jobs
    assert [target.name for _, target in jobs] == ["a.png", "b1.png", "b2.png", "d.png"]
    assert len(plan(f"{tmp_path}/**/*.png", tmp_path / "out").jobs) == 4


def test_the_output_below_the_input_is_not_deblurred_again(tmp_path):
    save(tmp_path / "a.png")
    deblur_files(tmp_path, tmp_path / "sharp", Invert())
    assert [source.name for source, _ in plan(tmp_path, tmp_path / "sharp").jobs] == ["a.png"]


def test_one_picture_may_go_to_a_file_of_another_format(tmp_path):
    save(tmp_path / "a.png")
    (row,) = deblur_files(tmp_path / "a.png", tmp_path / "new" / "b.jpg", Invert())
    assert row["state"] == "done" and (row["width"], row["height"]) == (32, 24)
    assert Image.open(tmp_path / "new" / "b.jpg").format == "JPEG"


def test_links_that_go_round_in_circles_are_not_followed(tmp_path):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    assert len(plan(tmp_path / "in", tmp_path / "out").jobs) == 1


@pytest.mark.parametrize(
    "inputs, output, sentence",
    [
        (["nothing.png"], "out", "nothing.png does not exist"),
        (["x*.png"], "out", "No image matches"),
        (["empty"], "out", "empty holds no images"),
        ([""], "out", "name of an input is empty"),
        (["a.png"], "a.png", "a.png is an input"),
        (["a.png"], "link.png", "link.png is an input"),
        (["a.png"], ".", "a.png is an input"),
        (["a.png", "b"], "out.png", "out.png is a single file: give a folder"),
        (["a.png", "b"], "new.png", "new.png is a single file: give a folder"),
        (["a.png", "b"], "file", "file is a single file: give a folder for 2 images"),
        (["a.png", "b/a.png"], "out", "would both be written to"),
        (["notes.txt"], "out", "unsupported file extension '.txt'"),
        ([], "out", "nothing to deblur"),
    ],
)
def test_a_wrong_call_is_one_sentence_before_any_work(
    tmp_path, monkeypatch, inputs, output, sentence
):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png"), save(tmp_path / "b" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "out.png").write_text("")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "link.png").symlink_to("a.png")
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as raised:
        deblur_files(inputs, output, Invert())
    assert "\n" not in str(raised.value) and not (tmp_path / "out").exists()


# --------------------------------------------------------------------------------------------------
# The command


def snapshot(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_bad_picture_is_named_and_the_rest_done(tmp_path):
    save(tmp_path / "in/a.png"), save(tmp_path / "in/c.jpg")
    (tmp_path / "in/b.png").write_bytes((tmp_path / "in/a.png").read_bytes()[:60])
    before = snapshot(tmp_path / "in")
    result = call(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 1 and "2 of 3 images deblurred" in result.stdout
    assert len(result.stderr.strip().splitlines()) == 1 and "b.png cannot be read" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.jpg"]
    assert snapshot(tmp_path / "in") == before


BAD = ["struct.error", "KeyError", "RecursionError", "UnicodeDecodeError", "cv2.error", "OSError"]


def raiser(name):
    error = {
        "struct.error": struct.error("ushort format requires 0 <= number <= 65535"),
        "KeyError": KeyError(34665),
        "RecursionError": RecursionError("maximum\nrecursion depth"),
        "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        "cv2.error": cv2.error("bad depth"),
        "OSError": OSError("encoder error -2"),
    }[name]

    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("step", ["read", "deblur", "encode", "side_by_side"])
@pytest.mark.parametrize("name", BAD)
def test_no_exception_of_one_picture_stops_the_batch(tmp_path, monkeypatch, step, name):
    for letter in "abc":
        save(tmp_path / "in" / f"{letter}.png")
    real, fail, calls = getattr(files, step), raiser(name), []

    def second_fails(*arguments, **options):
        calls.append(1)
        return (fail if len(calls) == 2 else real)(*arguments, **options)

    monkeypatch.setattr(files, step, second_fails)
    rows = deblur_files(tmp_path / "in", tmp_path / "out", Invert(), compare=step == "side_by_side")
    states = ["done", "failed", "done"]
    assert [row["state"] for row in rows] == states
    sentence = rows[1]["error"]
    assert "b.png" in sentence and "\n" not in sentence and "Traceback" not in sentence
    assert (tmp_path / "out" / "c.png").exists()


def test_metadata_that_no_encoder_takes_costs_one_picture_only(tmp_path):
    save(tmp_path / "in" / "a.png"), save(tmp_path / "in" / "b.png")
    long = Image.Exif()
    long[0x010E] = "x" * 70000  # JPEG holds 64 kB of EXIF
    save(tmp_path / "in" / "a.png", exif=long)
    rows = [
        row
        for name in "ab"
        for row in deblur_files(
            tmp_path / "in" / f"{name}.png", tmp_path / "out" / f"{name}.jpg", Invert()
        )
    ]
    assert [row["state"] for row in rows] == ["failed", "done"]
    assert "a.png" in rows[0]["error"]
    assert "JPEG holds at most 65533 bytes of EXIF data" in rows[0]["error"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_stops_the_batch(tmp_path, monkeypatch, code):
    save(tmp_path / "in" / "a.png"), save(tmp_path / "in" / "b.png")

    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "write_atomically", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        deblur_files(tmp_path / "in", tmp_path / "out", Invert())


def test_a_picture_that_does_not_fit_its_format_is_named(tmp_path):
    save(tmp_path / "in.png", DEEP.astype(np.uint8))
    (row,) = deblur_files(tmp_path / "in.png", tmp_path / "out.jpg", Invert())
    assert row["state"] == "failed"
    assert "in.png: JPEG has no transparency" in row["error"]


def test_the_comparison_of_16_bit_pictures_is_rounded():
    deep = np.full((8, 8, 3), 200, np.uint16)  # 200 / 257 is nearer to 1 than to 0
    assert (side_by_side(deep, deep).pixels[:, :8] == 1).all()


def test_what_exists_is_replaced_on_request_only(tmp_path):
    source = save(tmp_path / "a.png")
    assert call(source, "-o", tmp_path / "out").exit_code == 0
    first = snapshot(tmp_path / "out")
    again = call(source, "-o", tmp_path / "out")
    assert again.exit_code == 0 and snapshot(tmp_path / "out") == first
    assert "0 of 1 image deblurred" in again.stdout
    assert "1 existed already, --overwrite replaces them" in again.stdout and not again.stderr
    os.utime(source, (2**33, 2**33))  # the image was changed afterwards
    changed = call(source, "-o", tmp_path / "out")
    assert changed.exit_code == 1 and snapshot(tmp_path / "out") == first
    assert "a.png is older than " in changed.stderr and "--overwrite" in changed.stderr
    assert call(source, "-o", tmp_path / "out", "--overwrite").exit_code == 0
    assert snapshot(tmp_path / "out") != first


def test_compare_writes_before_and_after(tmp_path):
    source = save(tmp_path / "a.png")
    assert call(source, "-o", tmp_path / "out", "--compare").exit_code == 0
    before_after = np.asarray(Image.open(tmp_path / "out" / "a_compare.jpg"))
    assert before_after.shape == (24, 66, 3)
    assert (
        np.abs(before_after[:, :32].astype(int) - PHOTO).mean() < 12
        and before_after[:, 32:34].min() > 200
    )


def test_a_comparison_that_is_missing_is_added_and_a_deblurred_picture_stays(tmp_path):
    source = save(tmp_path / "a.png")
    assert call(source, "-o", tmp_path / "out").exit_code == 0
    first = snapshot(tmp_path / "out")
    assert call(source, "-o", tmp_path / "out", "--compare").exit_code == 0
    both = snapshot(tmp_path / "out")
    assert first.items() < both.items() and len(both) == 2


def test_a_rerun_after_a_full_disk_ends_well_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png")
    fsync, calls = os.fsync, []

    def fill(descriptor):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    full = call(tmp_path / "in", "-o", tmp_path / "out")
    assert full.exit_code == 1 and f"{tmp_path / 'out' / 'b.png'}: No space left" in full.stderr
    again = call(tmp_path / "in", "-o", tmp_path / "out")
    assert again.exit_code == 0 and "2 of 3 images deblurred" in again.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png"]


def test_what_a_killed_process_left_is_removed_even_if_nothing_is_left_to_do(tmp_path):
    source = save(tmp_path / "a.png")
    deblur_files(source, tmp_path / "out", Invert())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = tmp_path / "out" / f".b.png.{storage._host}.{process.pid}.0.tmp"
    left.write_bytes(b"partial")
    deblur_files(source, tmp_path / "out", Invert())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_picture_that_another_process_writes_meanwhile_is_replaced_on_request_only(
    tmp_path, overwrite
):
    class Rival(nn.Module):
        def forward(self, x):
            save(tmp_path / "out" / "a.png", PHOTO * 0)
            return 1 - x

    (row,) = deblur_files(save(tmp_path / "a.png"), tmp_path / "out", Rival(), overwrite=overwrite)
    assert row["state"] == "done" and row["error"] is None
    result = read(tmp_path / "out" / "a.png").pixels
    assert np.array_equal(result, 255 - PHOTO if overwrite else PHOTO * 0)


def test_an_output_whose_folder_is_a_file_is_refused_before_the_work(tmp_path):
    save(tmp_path / "in" / "below" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "below").write_text("a file")
    with pytest.raises(ValueError, match="below is a file, so there is no folder"):
        deblur_files(tmp_path / "in", tmp_path / "out", Invert())


def test_json_is_for_machines(tmp_path):
    save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_text("no picture")
    result = call(tmp_path / "in", "-o", tmp_path / "out", "--json", "--tile", "32")
    report = json.loads(result.stdout)
    assert (report["model"], report["done"], result.exit_code) == ("svdn", 1, 1)
    assert [(row["state"], row["width"]) for row in report["pictures"]] == [
        ("done", 32),
        ("failed", None),
    ]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--tile", "big"], "--tile is 'big'"),
        (["--tile", "-3"], "--tile is '-3'"),
        (["--model", "svdm"], "There is no model 'svdm'"),
        (["--weights", "nowhere.safetensors"], "There is no weights file nowhere.safetensors"),
        (["--device", "gpu"], "There is no device 'gpu'"),
        (["--quality", "0"], "Invalid value for '--quality'"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(tmp_path, arguments, sentence, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = call(save(tmp_path / "a.png"), "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and sentence in result.stderr and not (tmp_path / "out").exists()


def test_names_that_cannot_be_listed_are_an_error_not_an_empty_folder(tmp_path, monkeypatch):
    save(tmp_path / "in/a.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        plan(tmp_path / "in", tmp_path / "out")


# --------------------------------------------------------------------------------------------------
# Names with brackets, folders with other files, formats that are only read


def test_brackets_of_a_folder_that_exists_are_no_pattern(tmp_path):
    wanted = save(tmp_path / "Holiday [2024]" / "a.png")
    save(tmp_path / "Holiday 2" / "b.png")
    found = [path for path, _ in find_pictures(str(tmp_path / "Holiday [2024]" / "*.png"))]
    assert found == [wanted]
    assert [path for path, _ in find_pictures(str(tmp_path / "Holiday [2-3]" / "*.png"))] == [
        tmp_path / "Holiday 2" / "b.png"
    ]


def test_files_of_other_kinds_are_counted_and_left_alone(tmp_path):
    save(tmp_path / "in" / "a.png")
    for name in ("Thumbs.db", "notes.txt", ".hidden", "sub/film.mp4"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    others = plan(tmp_path / "in", tmp_path / "out").others
    assert sorted(path.name for path in others) == ["Thumbs.db", "film.mp4", "notes.txt"]
    assert [below.name for _, below in find_pictures(str(tmp_path / "in" / "*"))][:1] == ["a.png"]


def test_an_image_of_a_format_that_is_only_read_becomes_png(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "IMG_1.HEIC").touch()
    assert plan(tmp_path / "in", tmp_path / "out").jobs == [
        (tmp_path / "in" / "IMG_1.HEIC", tmp_path / "out" / "IMG_1.png")
    ]


def test_what_the_output_format_cannot_hold_is_listed(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.jpg", comment=b"by Anna")
    assert deblur_files(tmp_path / "a.jpg", tmp_path / "a.webp", Invert())[0]["lost"] == ["text"]
    assert deblur_files(tmp_path / "a.jpg", tmp_path / "a.png", Invert())[0]["lost"] == []


def test_a_shell_that_names_every_file_of_a_folder_gets_the_images_deblurred(tmp_path):
    for name in ("a.png", "b.png"):
        save(tmp_path / "in" / name)
    for name in ("Thumbs.db", "notes.txt"):
        (tmp_path / "in" / name).write_text("")
    result = call(*sorted((tmp_path / "in").iterdir()), "-o", tmp_path / "out", "--json")
    report = json.loads(result.stdout)
    assert (report["done"], result.exit_code) == (2, 0)
    assert [Path(name).name for name in report["skipped"]] == ["Thumbs.db", "notes.txt"]
    words = call(tmp_path / "in" / "*", "-o", tmp_path / "out")
    assert "2 other files (Thumbs.db, notes.txt) skipped" in words.stdout


def test_a_second_run_into_a_subfolder_does_not_deblur_its_own_output(tmp_path):
    source = save(tmp_path / "in" / "a.png")
    out = tmp_path / "in" / "sharp"
    deblur_files(source, out, Invert())
    for inputs in (
        tmp_path / "in",
        str(tmp_path / "in" / "*"),
        str(tmp_path / "in" / "**" / "*.png"),
        [source, out],  # what a shell makes of in/*
        [source, out / "a.png"],
    ):
        assert plan(inputs, out).jobs == [(source, out / "a.png")], inputs


def test_brackets_that_match_nothing_stand_for_themselves(tmp_path):
    wanted = save(tmp_path / "[2024] a.png")
    assert [path for path, _ in find_pictures(str(tmp_path / "[2024] *.png"))] == [wanted]


@pytest.mark.parametrize("name", ["sharp.gif", "sharp.mp4", "sharp.HEIC", "sharp.txt"])
def test_a_file_of_a_kind_that_is_not_written_does_not_become_a_folder(tmp_path, name):
    with pytest.raises(ValueError, match="unsupported file extension"):
        deblur_files(save(tmp_path / "a.png"), tmp_path / name, Invert())
    assert not (tmp_path / name).exists()
    assert plan(tmp_path / "a.png", tmp_path / "holiday.2024").jobs[0][1].name == "a.png"


def test_outputs_that_cannot_be_written_are_refused_before_the_work(tmp_path, monkeypatch):
    long = save(tmp_path / ("x" * 246 + ".png"))
    with pytest.raises(ValueError, match=r"has 258 bytes, but names have at most 255: rename"):
        deblur_files(long, tmp_path / "out", Invert(), compare=True)
    deep = tmp_path / "/".join(["y" * 200] * 20)
    with pytest.raises(ValueError, match="choose an output folder with a shorter path"):
        deblur_files(save(tmp_path / "a.png"), deep, Invert())
    (tmp_path / "folder" / "a.png").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"a\.png, is a folder: choose another output"):
        deblur_files(tmp_path / "a.png", tmp_path / "folder", Invert())
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(ValueError, match="is not writable: choose another one"):
        deblur_files(tmp_path / "a.png", tmp_path / "out", Invert())
    assert not (tmp_path / "out").exists()


def test_names_that_differ_in_case_alone_collide_where_they_are_one_file(tmp_path, monkeypatch):
    inputs = [save(tmp_path / "1" / "a.png"), save(tmp_path / "2" / "A.PNG", format="PNG")]
    assert len(plan(inputs, tmp_path / "out").jobs) == 2
    monkeypatch.setattr(planning, "_ignores_case", lambda folder: True)
    with pytest.raises(ValueError, match="would both be written to"):
        plan(inputs, tmp_path / "out")


class Soften(nn.Module):
    def forward(self, x):
        return nn.functional.avg_pool2d(nn.functional.pad(x, [1] * 4, "reflect"), 3, 1)


def test_an_image_that_did_not_get_sharper_is_named(tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.png"), save(tmp_path / "in" / "flat.png", PHOTO * 0)
    soft, flat = deblur_files(tmp_path / "in", tmp_path / "out", Soften())
    assert 0 < soft["sharpness"] < soft["sharpness_before"] < 1
    assert flat["sharpness"] is None and flat["sharpness_before"] is None
    (same,) = deblur_files(tmp_path / "in" / "a.png", tmp_path / "same", nn.Identity())
    assert same["sharpness"] == same["sharpness_before"] == soft["sharpness_before"]
    monkeypatch.setattr("deblurlib.models.load_model", lambda *_, **__: Soften())
    shown = call(tmp_path / "in", "-o", tmp_path / "out2").stdout
    assert "1 image (a.png) did not get sharper: keep the original." in shown


def test_strength_mixes_the_image_and_the_restored_one(tmp_path):
    source = save(tmp_path / "a.png")
    for strength in (0, 0.25, 1):
        deblur_files(source, tmp_path / str(strength), Invert(), strength=strength)
        found = read(tmp_path / str(strength) / "a.png").pixels
        expected = (1 - strength) * PHOTO.astype(float) + strength * (255.0 - PHOTO)
        assert np.abs(found - expected).max() <= 0.5
    with pytest.raises(ValueError, match="strength is 2: give a number from 0 to 1"):
        deblur_files(source, tmp_path / "out", Invert(), strength=2)


def test_large_images_are_measured_in_windows():
    large = np.tile(PHOTO, (90, 70, 1))  # 4.8 megapixels
    assert abs(sharpness(large) - sharpness(large[:1000, :1000])) < 0.02
    assert sharpness(large[:600, :600].astype(np.uint16) * 257) == sharpness(large[:600, :600])
    assert sharpness(PHOTO[:2]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_in_another_encoding_is_deblurred_and_printed(tmp_path):
    """As of files that were unpacked from an old archive."""
    name = os.fsdecode(b"caf\xe9.png")
    source = save(tmp_path / "in" / name)
    command = [sys.executable, "-m", "deblurlib", "deblur", source, "-o", tmp_path / "out"]
    command += ["--model", "aspdc", "--strength", "0"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    shown = subprocess.run(command, capture_output=True, env=strict, check=True)
    assert rb"caf\udce9.png) did not get sharper" in shown.stdout
    assert (read(tmp_path / "out" / name).pixels == PHOTO).all()


def test_a_png_with_a_long_compressed_text_is_not_called_damaged(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 2_000_000, zip=True)
    source = save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(ValueError, match="texts or profile are too long: strip its metadata"):
        read(source)
