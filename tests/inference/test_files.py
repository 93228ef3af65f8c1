"""Picture files in and out: formats, depths, what stands beside the pixels, where files go, and what is never written."""

import json
import os

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from torch import nn
from typer.testing import CliRunner

from deblurlib.cli.app import app
from deblurlib.data.metadata import EXIF, GPS, ORIENTATION
from deblurlib.data.pictures import Picture, encode, read, turn
from deblurlib.inference.files import deblur_files, plan

RNG = np.random.default_rng(0)
PHOTO = np.kron(
    RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8)
)  # (24, 32, 3), in flat squares
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


def save_deep(path, pixels):
    cv2.imwrite(
        str(path), pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    )
    return path


def camera_exif(orientation=6):
    exif = Image.Exif()
    exif[271], exif[ORIENTATION] = "Maker", orientation
    exif.get_ifd(EXIF).update({0x829A: 0.05, 0xA002: 32, 0xA003: 24})
    exif.get_ifd(GPS)[1] = "N"
    return exif


def inverted(source, target):
    """The output for a network that inverts, after the command has done its work."""
    (row,) = deblur_files(source, target, Invert())
    assert row["state"] == "done", row["error"]
    return read(target)


# ---------------------------------------------------------------------------------------------------------------------
# Formats


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_eight_bits_without_loss(tmp_path, suffix, channels):
    if suffix == ".bmp" and channels in (2, 4):
        pytest.skip("BMP has no transparency")
    if suffix == ".webp" and channels < 3:
        pytest.skip("WebP has no grey")
    pixels = DEEP[..., :channels].astype(np.uint8).squeeze()
    source = save(
        tmp_path / f"in{suffix}",
        pixels,
        **({"lossless": True, "exact": True} if suffix == ".webp" else {}),
    )
    assert np.array_equal(read(source).pixels, pixels)
    expected = 255 - pixels
    if channels in (2, 4):
        expected[..., -1] = pixels[..., -1]
    result = inverted(source, tmp_path / f"out{suffix}").pixels
    if suffix == ".webp" and channels == 4:  # colours below transparency may go
        expected, result = (np.where(x[..., -1:] > 0, x, 0) for x in (expected, result))
    assert result.dtype == np.uint8 and np.array_equal(result, expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, suffix, channels):
    pixels = DEEP[..., :channels].squeeze()
    source = save_deep(tmp_path / f"in{suffix}", pixels)
    assert np.array_equal(read(source).pixels, pixels)
    expected = 65535 - pixels
    if channels == 4:
        expected[..., -1] = pixels[..., -1]
    result = inverted(source, tmp_path / f"out{suffix}").pixels
    assert result.dtype == np.uint16 and np.array_equal(result, expected)
    if suffix == ".tif" and channels > 1:  # another reader agrees
        assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), expected)


def test_jpeg_is_written_at_high_quality(tmp_path):
    source = save(tmp_path / "in.jpg", quality=95, subsampling=0)
    result = inverted(source, tmp_path / "out.jpg").pixels
    assert np.abs(result.astype(int) - (255 - PHOTO)).mean() < 3


@pytest.mark.parametrize(
    "mode, expected",
    [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("LA", "LA"), ("YCbCr", "RGB"), ("LAB", "RGB")],
)
def test_unusual_pixel_formats_become_plain_ones(tmp_path, mode, expected):
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            Image.fromarray(PHOTO),
            ImageCms.createProfile("sRGB"),
            ImageCms.createProfile("LAB"),
            outputMode="LAB",
        )  # noqa: E501
    else:
        image = Image.fromarray(PHOTO).convert(mode)
    suffix = {"CMYK": "jpg", "YCbCr": "jpg", "LAB": "tif"}.get(mode, "png")
    image.save(tmp_path / f"in.{suffix}", icc_profile=SRGB if mode == "CMYK" else None)
    picture = read(tmp_path / f"in.{suffix}")
    assert (
        picture.pixels.shape == (24, 32, *{"L": (), "LA": (2,), "RGB": (3,)}[expected])
        and "icc_profile" not in picture.metadata
    )
    if mode == "P":
        assert np.abs(picture.pixels.astype(int) - PHOTO).mean() < 60


def test_a_transparent_palette_keeps_its_transparency(tmp_path):
    image = Image.fromarray(PHOTO).quantize(4)
    image.info["transparency"] = 0
    image.save(tmp_path / "in.png", transparency=0)
    assert set(np.unique(read(tmp_path / "in.png").pixels[..., 3])) == {0, 255}


def test_the_pictures_of_phones_are_taken_for_the_jpeg_that_they_begin_with(tmp_path):
    first, second = Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)
    first.save(
        tmp_path / "in.jpg", "MPO", save_all=True, append_images=[second], quality=95, subsampling=0
    )
    picture = read(tmp_path / "in.jpg")
    assert picture.format == "JPEG" and np.abs(picture.pixels.astype(int) - PHOTO).mean() < 3


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_a_picture_that_moves_is_refused(tmp_path, suffix):
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    frames[0].save(tmp_path / f"in{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"(holds 2 frames|is in the format GIF)"):
        read(tmp_path / f"in{suffix}")


def test_floating_point_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((5, 5), np.float32))
    with pytest.raises(ValueError, match="32-bit numbers"):
        read(tmp_path / "in.tif")


@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"tile": (16, 16)},
        {"compression": "zlib"},
        {"bigtiff": True},
        {"photometric": "miniswhite"},
    ],
)
def test_unusual_sixteen_bit_tiffs(tmp_path, options):
    inverse = options.get("photometric") == "miniswhite"
    pixels = DEEP[..., 0] if inverse else np.ascontiguousarray(DEEP[..., :3])
    tifffile.imwrite(tmp_path / "in.tif", pixels, **({"photometric": "rgb"} | options))
    assert np.array_equal(read(tmp_path / "in.tif").pixels, 65535 - pixels if inverse else pixels)


def test_colours_in_separate_planes_are_refused_rather_than_mixed_up(tmp_path):
    tifffile.imwrite(
        tmp_path / "in.tif",
        DEEP[..., :3].transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig="separate",
    )
    with pytest.raises(ValueError, match="separate planes"):
        read(tmp_path / "in.tif")


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_lossy(tmp_path):
    for lossless in (True, False):
        save(tmp_path / "in.webp", lossless=lossless)
        inverted(tmp_path / "in.webp", tmp_path / f"{lossless}.webp")
        assert (b"VP8L" in (tmp_path / f"{lossless}.webp").read_bytes()[:64]) == lossless


def test_compression_of_a_tiff_is_kept(tmp_path):
    save(tmp_path / "in.tif", compression="tiff_lzw")
    inverted(tmp_path / "in.tif", tmp_path / "out.tif")
    with Image.open(tmp_path / "out.tif") as image:
        assert image.info["compression"] == "tiff_lzw"


@pytest.mark.parametrize(
    "pixels, suffix, sentence",
    [
        (np.zeros((4, 4, 4), np.uint8), ".jpg", "JPEG has no transparency"),
        (np.zeros((4, 4, 3), np.uint16), ".jpg", "JPEG holds 8 bits"),
        (np.zeros((4, 4), np.uint16), ".webp", "WEBP holds 8 bits"),
        (np.zeros((1, 20000), np.uint8), ".webp", "at most 16383 pixels per side"),
    ],
)
def test_what_a_format_cannot_hold_is_said(pixels, suffix, sentence):
    with pytest.raises(ValueError, match=sentence):
        encode(Picture(pixels, "PNG"), suffix)


# ---------------------------------------------------------------------------------------------------------------------
# What stands beside the pixels


def test_turning_agrees_with_pillow(tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        source = save(tmp_path / "in.png", exif=exif)
        assert np.array_equal(read(source).pixels, turn(PHOTO, orientation))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_metadata_is_kept_and_the_picture_stands_upright(tmp_path, suffix, depth):
    if depth == 16 and suffix in (".jpg", ".webp"):
        pytest.skip("8 bits only")
    source = tmp_path / f"in{suffix}"
    if depth == 8:
        lossless = {"lossless": True} if suffix == ".webp" else {}
        save(source, exif=camera_exif().tobytes(), icc_profile=SRGB, dpi=(300, 200), **lossless)
        pixels = PHOTO
    else:
        exif = camera_exif().tobytes()
        pixels = DEEP[..., :3]
        picture = Picture(pixels, "", {"exif": exif, "icc_profile": SRGB, "dpi": (300.0, 200.0)})
        source.write_bytes(encode(picture, suffix))
    inverted(source, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif[271] == "Maker" and exif.get(ORIENTATION, 1) == 1
        assert exif.get_ifd(EXIF)[0x829A] == pytest.approx(0.05) and exif.get_ifd(GPS)[1] == "N"
        assert (exif.get_ifd(EXIF)[0xA002], exif.get_ifd(EXIF)[0xA003]) == image.size == (24, 32)
        assert image.info["icc_profile"] == SRGB
        if suffix != ".webp":  # has no place for it
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)
    if suffix != ".jpg":
        expected = (255 if depth == 8 else 65535) - turn(pixels, 6)
        assert np.array_equal(read(tmp_path / f"out{suffix}").pixels, expected)


def test_metadata_survives_a_change_of_format(tmp_path):
    source = save(
        tmp_path / "in.tif", exif=camera_exif(8).tobytes(), icc_profile=SRGB, dpi=(300, 200)
    )
    inverted(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        exif = image.getexif()
        assert (exif[271], exif[ORIENTATION], image.info["icc_profile"]) == ("Maker", 1, SRGB)
        assert set(exif) == {271, ORIENTATION, EXIF, GPS}  # nothing of how the TIFF was stored


def test_damaged_metadata_does_not_cost_the_picture(tmp_path):
    save(tmp_path / "in.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff" + b"\xff" * 50)
    assert inverted(tmp_path / "in.jpg", tmp_path / "out.jpg").pixels.shape == (24, 32, 3)


# ---------------------------------------------------------------------------------------------------------------------
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
    )
    assert [target.name for _, target in jobs] == ["a.png", "b1.png", "b2.png", "d.png"]
    assert len(plan(f"{tmp_path}/**/*.png", tmp_path / "out")) == 4


def test_the_output_below_the_input_is_not_deblurred_again(tmp_path):
    save(tmp_path / "a.png")
    deblur_files(tmp_path, tmp_path / "sharp", Invert())
    assert [source.name for source, _ in plan(tmp_path, tmp_path / "sharp")] == ["a.png"]


def test_one_picture_may_go_to_a_file_of_another_format(tmp_path):
    save(tmp_path / "a.png")
    (row,) = deblur_files(tmp_path / "a.png", tmp_path / "new" / "b.jpg", Invert())
    assert row["state"] == "done" and (row["width"], row["height"]) == (32, 24)
    assert Image.open(tmp_path / "new" / "b.jpg").format == "JPEG"


def test_links_that_go_round_in_circles_are_not_followed(tmp_path):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    assert len(plan(tmp_path / "in", tmp_path / "out")) == 1


@pytest.mark.parametrize(
    "inputs, output, sentence",
    [
        (["nothing.png"], "out", "nothing.png does not exist"),
        (["x*.png"], "out", "No picture matches"),
        (["empty"], "out", "empty holds no pictures"),
        (["a.png"], "a.png", "a.png is an input"),
        (["a.png"], "link.png", "link.png is an input"),
        (["a.png"], ".", "a.png is an input"),
        (["a.png", "b"], "out.png", "out.png is one file: give a folder"),
        (["a.png", "b"], "new.png", "new.png is one file: give a folder"),
        (["a.png", "b"], "file", "file is one file: give a folder for the output of 2 pictures"),
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


# ---------------------------------------------------------------------------------------------------------------------
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
    assert result.exit_code == 1 and "2 of 3 pictures deblurred" in result.stdout
    assert len(result.stderr.strip().splitlines()) == 1 and "b.png cannot be read" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.jpg"]
    assert snapshot(tmp_path / "in") == before


def test_what_exists_is_overwritten_with_force_only(tmp_path):
    source = save(tmp_path / "a.png")
    assert call(source, "-o", tmp_path / "out").exit_code == 0
    first = snapshot(tmp_path / "out")
    again = call(source, "-o", tmp_path / "out")
    assert (
        again.exit_code == 1
        and "exists: overwrite it with --force" in again.stderr
        and snapshot(tmp_path / "out") == first
    )
    assert call(source, "-o", tmp_path / "out", "--force").exit_code == 0
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
