"""Picture files through the one reader and the one writer: formats, depths and metadata."""

import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from deblurlib.data import load_photograph, read_picture
from deblurlib.data.exif import EXIF, GPS, ORIENTATION
from deblurlib.data.metadata import turn
from deblurlib.data.pictures import (
    FORMATS,
    Picture,
    encode,
    is_picture,
    measure,
    read,
    to_8_bits,
)

RNG = np.random.default_rng(0)
# (24, 32, 3), in flat squares
PHOTO = np.kron(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
DEEP = RNG.integers(0, 65536, (24, 32, 4), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(path, pixels=PHOTO, **options):
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


def copied(source, target):
    """The picture after it was read and written again."""
    target.write_bytes(encode(read(source), target.suffix))
    return read(target)


# --------------------------------------------------------------------------------------------------
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
    result = copied(source, tmp_path / f"out{suffix}").pixels
    if suffix == ".webp" and channels == 4:  # colours under full transparency may be lost
        pixels, result = (np.where(x[..., -1:] > 0, x, 0) for x in (pixels, result))
    assert result.dtype == np.uint8 and np.array_equal(result, pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, suffix, channels):
    pixels = DEEP[..., :channels].squeeze()
    source = save_deep(tmp_path / f"in{suffix}", pixels)
    assert np.array_equal(read(source).pixels, pixels)
    result = copied(source, tmp_path / f"out{suffix}").pixels
    assert result.dtype == np.uint16 and np.array_equal(result, pixels)
    if suffix == ".tif" and channels > 1:  # another reader agrees
        assert np.array_equal(tifffile.imread(tmp_path / "out.tif"), pixels)
        with Image.open(tmp_path / "out.tif") as image:  # 2: alpha that is not multiplied in
            assert image.tag_v2.get(338) == (None if channels == 3 else (2,))


def test_jpeg_is_written_at_high_quality(tmp_path):
    source = save(tmp_path / "in.jpg", quality=95, subsampling=0)
    result = copied(source, tmp_path / "out.jpg").pixels
    assert np.abs(result.astype(int) - PHOTO).mean() < 3


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
        )
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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_in_separate_planes_are_put_together(tmp_path, dtype):
    pixels = np.ascontiguousarray(DEEP[..., :3]).astype(dtype)
    planes = pixels.transpose(2, 0, 1).copy()
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(tmp_path / "in.tif").pixels, pixels)
    assert np.array_equal(read_picture(tmp_path / "in.tif"), pixels)


def test_a_lossless_webp_stays_lossless_and_a_lossy_one_lossy(tmp_path):
    for lossless in (True, False):
        save(tmp_path / "in.webp", lossless=lossless)
        copied(tmp_path / "in.webp", tmp_path / f"{lossless}.webp")
        assert (b"VP8L" in (tmp_path / f"{lossless}.webp").read_bytes()[:64]) == lossless


@pytest.mark.parametrize("compression, kept", [("raw", 1), ("tiff_lzw", 8), ("packbits", 8)])
def test_a_compressed_tiff_is_deflated_which_every_reader_can_open(tmp_path, compression, kept):
    save(tmp_path / "in.tif", compression=compression)
    assert np.array_equal(copied(tmp_path / "in.tif", tmp_path / "out.tif").pixels, PHOTO)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages.first.compression == kept


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


# --------------------------------------------------------------------------------------------------
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
    copied(source, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif[271] == "Maker" and exif.get(ORIENTATION, 1) == 1
        assert exif.get_ifd(EXIF)[0x829A] == pytest.approx(0.05) and exif.get_ifd(GPS)[1] == "N"
        assert (exif.get_ifd(EXIF)[0xA002], exif.get_ifd(EXIF)[0xA003]) == image.size == (24, 32)
        assert image.info["icc_profile"] == SRGB
        if suffix != ".webp":  # has no place for it
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)
    if suffix != ".jpg":
        assert np.array_equal(read(tmp_path / f"out{suffix}").pixels, turn(pixels, 6))


def test_metadata_survives_a_change_of_format(tmp_path):
    source = save(
        tmp_path / "in.tif", exif=camera_exif(8).tobytes(), icc_profile=SRGB, dpi=(300, 200)
    )
    copied(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        exif = image.getexif()
        assert (exif[271], exif[ORIENTATION], image.info["icc_profile"]) == ("Maker", 1, SRGB)
        assert set(exif) == {271, ORIENTATION, EXIF, GPS}  # nothing of how the TIFF was stored


def test_damaged_metadata_does_not_cost_the_picture(tmp_path):
    save(tmp_path / "in.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff" + b"\xff" * 50)
    assert copied(tmp_path / "in.jpg", tmp_path / "out.jpg").pixels.shape == (24, 32, 3)


def test_metadata_of_a_16_bit_tiff_survives_twice(tmp_path):
    exif = camera_exif(1)
    exif[0x010E], exif[0x0132] = "Straße", "2020:01:02 03:04:05"  # description, date
    exif.get_ifd(GPS).update({1: "N", 2: (48.0, 8.0, 14.5)})
    pixels = np.ascontiguousarray(DEEP[..., :3])
    source = tmp_path / "a.tif"
    source.write_bytes(encode(Picture(pixels, "TIFF", {"exif": exif.tobytes()}), ".tif"))
    copied(source, tmp_path / "b.tif")
    copied(tmp_path / "b.tif", tmp_path / "c.png")
    for path in (source, tmp_path / "b.tif", tmp_path / "c.png"):
        with Image.open(path) as image:
            found = image.getexif()
            assert found[0x0132] == "2020:01:02 03:04:05" and found[0x010E].startswith("Stra")
            assert found.get_ifd(GPS) == {1: "N", 2: (48.0, 8.0, 14.5)}
            assert found.get_ifd(EXIF)[0x829A] == pytest.approx(0.05)


# --------------------------------------------------------------------------------------------------
# What data sets and the renderer make of it

GREY = np.array([[0, 1000, 20000], [30000, 60000, 65535]], np.uint16)
GREY_IN_8_BITS = np.rint(GREY / 257).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_photographs_keep_their_levels(tmp_path, suffix):
    path = save_deep(tmp_path / f"grey{suffix}", GREY)
    assert np.array_equal(read_picture(path), np.repeat(GREY[..., None], 3, 2))
    photograph = load_photograph(path)
    assert photograph.dtype == np.uint8
    assert np.array_equal(photograph, np.repeat(GREY_IN_8_BITS[..., None], 3, 2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_photographs_are_rounded_not_cut(tmp_path, suffix, channels):
    path = save_deep(tmp_path / f"colour{suffix}", DEEP[..., :channels])
    rounded = np.rint(DEEP[..., :3] / 257).astype(np.uint8)
    assert np.array_equal(load_photograph(path), rounded)
    assert not np.array_equal(load_photograph(path), DEEP[..., :3] >> 8)


def test_a_floating_point_photograph_is_refused_rather_than_white(tmp_path):
    tifffile.imwrite(tmp_path / "float.tif", np.full((4, 4), 300.0, np.float32))
    with pytest.raises(ValueError, match=r"float\.tif holds 32-bit numbers"):
        load_photograph(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif holds 32-bit numbers"):
        read_picture(tmp_path / "float.tif")


def test_every_level_of_16_bits_is_rounded_to_the_nearest_of_8_bits():
    levels = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_8_bits(levels), np.rint(levels / 257))
    assert np.array_equal(to_8_bits(np.arange(256, dtype=np.uint8)), np.arange(256))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_png_files_stand_upright_in_data_sets(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = np.ascontiguousarray(DEEP[..., :3])
    _, encoded = cv2.imencodeWithMetadata(
        ".png",
        pixels[..., ::-1].copy(),
        [cv2.IMAGE_METADATA_EXIF],
        [np.frombuffer(exif.tobytes().removeprefix(b"Exif\0\0"), np.uint8)],
    )
    (tmp_path / "in.png").write_bytes(encoded.tobytes())
    assert np.array_equal(read_picture(tmp_path / "in.png"), turn(pixels, orientation))


def test_8_bit_tiffs_keep_the_colours_under_their_alpha(tmp_path):
    pixels = DEEP.astype(np.uint8)
    save(tmp_path / "alpha.tif", pixels)
    assert np.array_equal(read_picture(tmp_path / "alpha.tif"), pixels[..., :3])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_8_bit_pictures_become_rgb_as_pillow_makes_them(tmp_path, mode):
    image = Image.fromarray(PHOTO).convert(mode)
    path = tmp_path / ("in.tif" if mode == "CMYK" else "in.png")
    image.save(path)
    photograph = load_photograph(path)
    assert np.array_equal(photograph, np.asarray(image.convert("RGB")))
    assert photograph.flags.c_contiguous and not photograph.flags.writeable  # it is cached


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_measuring_agrees_with_reading(tmp_path, suffix):
    path = save(tmp_path / f"in{suffix}", exif=camera_exif(6).tobytes())
    height, width = read(path).pixels.shape[:2]
    assert measure(path) == (width, height) == (24, 32)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=f"in{suffix} cannot be read"):
        measure(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damaged_16_bit_pictures_are_refused(tmp_path, suffix, damage):
    picture = Picture(np.ascontiguousarray(DEEP[..., :3]), "", {"exif": camera_exif(1).tobytes()})
    content = bytearray(encode(picture, suffix))
    middle = len(content) // 2
    content[middle : len(content) if damage == "cut" else middle + 40] = b"\0" * 40
    (tmp_path / f"in{suffix}").write_bytes(content)
    for function in (read, measure):
        with pytest.raises(ValueError, match=f"in{suffix} cannot be read"):
            function(tmp_path / f"in{suffix}")


def test_measuring_refuses_what_reading_refuses(tmp_path):
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    frames[0].save(tmp_path / "moves.png", save_all=True, append_images=frames[1:])
    for function in (read, measure, read_picture):
        with pytest.raises(ValueError, match="holds 2 frames"):
            function(tmp_path / "moves.png")


@pytest.mark.parametrize(
    "name, wanted", [("a.JPG", True), ("a.webp", True), ("._a.png", False), ("a.txt", False)]
)
def test_pictures_are_known_by_their_names(tmp_path, name, wanted):
    assert is_picture(tmp_path / name) == wanted


# --------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize("error", [struct.error("x"), KeyError("x"), AttributeError("x")])
@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_every_failure_of_an_encoder_is_one_sentence(monkeypatch, error, suffix):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises(ValueError, match="cannot be written as") as raised:
        encode(Picture(PHOTO, "PNG"), suffix)
    assert type(error).__name__ in str(raised.value) and "\n" not in str(raised.value)


def test_a_valid_tiff_of_another_kind_is_not_called_damaged(tmp_path):
    path = tmp_path / "float.tif"
    tifffile.imwrite(path, np.zeros((5, 5, 3), np.float32), photometric="rgb")
    with pytest.raises(ValueError, match="holds 32-bit numbers that are floating-point"):
        read(path)
