"""Pixels of every kind: right, or refused with the reason."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from deblurlib.data import read_picture
from deblurlib.data.pictures import Picture, encode, is_picture, png, read

RNG = np.random.default_rng(2)
DEEP = RNG.integers(0, 65536, (24, 32, 4), dtype=np.uint16)
EIGHT = RNG.integers(0, 256, (24, 32, 4), dtype=np.uint8)


def write_tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("pixels", [EIGHT, DEEP], ids=["8 bits", "16 bits"])
def test_every_number_of_channels_stays(tmp_path, channels, suffix, pixels):
    pixels = np.ascontiguousarray(pixels[..., :channels].squeeze())
    path = tmp_path / f"in{suffix}"
    path.write_bytes(encode(Picture(pixels, ""), suffix))
    found = read(path)
    assert found.pixels.dtype == pixels.dtype and np.array_equal(found.pixels, pixels)
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(path), pixels)
    elif pixels.dtype == np.uint16:  # another decoder agrees
        assert np.array_equal(imagecodecs.png_decode(path.read_bytes()).squeeze(), pixels)


def test_colours_under_full_transparency_survive_in_lossless_webp(tmp_path):
    pixels = EIGHT.copy()
    pixels[::2, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "in.webp", lossless=True, exact=True)
    (tmp_path / "out.webp").write_bytes(encode(read(tmp_path / "in.webp"), ".webp"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.webp")), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_level_of_a_16_bit_png_becomes_alpha(tmp_path, channels):
    pixels = np.ascontiguousarray(DEEP[..., :channels].squeeze())
    level = np.atleast_1d(pixels[3, 4]).astype(">u2").tobytes()
    path = tmp_path / "in.png"
    path.write_bytes(png.insert(png.encode_deep(pixels), [(b"tRNS", level)]))
    found = read(path).pixels
    assert found.shape == (24, 32, channels + 1)
    assert np.array_equal(found[..., :-1].squeeze(), pixels)
    assert found[3, 4, -1] == 0 and (found[..., -1] == 0).sum() == 1


@pytest.mark.parametrize("dtype, most", [(np.uint8, 255), (np.uint16, 65535)])
def test_premultiplied_alpha_is_divided_out(tmp_path, dtype, most):
    stored = np.array([[[most // 4, 0, most // 2, most // 2], [0, 0, 0, 0]]], dtype)
    path = write_tiff(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    found = read(path).pixels.astype(float) / most
    assert np.abs(found[0, 0] - [0.5, 0, 1, 0.5]).max() < 0.01 and not found[0, 1].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_channel_that_is_not_transparency_does_not_become_it(tmp_path, dtype):
    pixels = DEEP.astype(dtype)
    path = write_tiff(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    with pytest.raises(ValueError, match="4 channels, of which 1 are neither"):
        read(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_white_is_zero_and_bigtiff_in_both_readers(tmp_path, dtype, bigtiff):
    pixels = DEEP[..., 0].astype(dtype)
    path = write_tiff(tmp_path / "a.tif", pixels, photometric="miniswhite", bigtiff=bigtiff)
    assert np.array_equal(read(path).pixels, np.iinfo(dtype).max - pixels)
    assert np.array_equal(read_picture(path)[..., 1], np.iinfo(dtype).max - pixels)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressed_16_bit_tiffs(tmp_path, compression, predictor):
    if predictor and compression == "packbits":
        pytest.skip("has none")
    options = {"compression": compression, "predictor": predictor}
    path = write_tiff(tmp_path / "a.tif", DEEP[..., :3].copy(), photometric="rgb", **options)
    assert np.array_equal(read(path).pixels, DEEP[..., :3])


def test_12_bits_are_stretched_to_16(tmp_path):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = tmp_path / "a.tif"
    packed = imagecodecs.packints_encode(pixels.ravel(), 12)
    tags = [(256, 64), (257, 64), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 64)]
    tags.append((279, len(packed)))
    table = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    header = b"MM\0*" + struct.pack(">I", 8 + len(packed))
    path.write_bytes(header + packed + struct.pack(">H", len(tags)) + table + b"\0" * 4)
    assert np.array_equal(read(path).pixels, np.rint(pixels * (65535 / 4095)))


@pytest.mark.parametrize(
    "dtype, words",
    [
        (np.float16, "16-bit numbers that are floating-point"),
        (np.float32, "32-bit numbers that are floating-point"),
        (np.int16, "16-bit numbers that are signed"),
        (np.uint32, "32-bit numbers that are not unsigned integers of 8 or 16 bits"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_of_other_kinds_are_named(tmp_path, dtype, words, channels):
    pixels = np.zeros((5, 6, channels), dtype).squeeze()
    photometric = "rgb" if channels == 3 else "minisblack"
    path = write_tiff(tmp_path / "a.tif", pixels, photometric=photometric)
    with pytest.raises(ValueError, match=words):
        read(path)


def test_16_bit_print_colours_are_named(tmp_path):
    path = write_tiff(tmp_path / "a.tif", DEEP, photometric="separated")
    with pytest.raises(ValueError, match="CMYK of 16 bits"):
        read(path)


def test_the_thumbnail_page_of_a_tiff_is_not_a_second_picture(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(EIGHT[..., :3].copy(), photometric="rgb")
        file.write(EIGHT[::4, ::4, :3].copy(), photometric="rgb", subfiletype=1)
    assert np.array_equal(read(tmp_path / "a.tif").pixels, EIGHT[..., :3])


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_print_colours_are_converted_through_their_profile(tmp_path, monkeypatch, suffix):
    image = Image.new("CMYK", (8, 8), (200, 10, 10, 30))
    image.save(tmp_path / f"a{suffix}", icc_profile=b"\0" * 16 + b"CMYK" + b"\0" * 108)
    expected = Image.new("RGB", (8, 8), (1, 2, 3))
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda file: file.read()[16:20])
    monkeypatch.setattr(ImageCms, "profileToProfile", lambda *_, **__: expected)
    picture = read(tmp_path / f"a{suffix}")
    assert np.array_equal(picture.pixels, np.asarray(expected))
    assert "icc_profile" not in picture.metadata
    monkeypatch.undo()  # a profile that is damaged is ignored
    assert read(tmp_path / f"a{suffix}").pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".avif"])
def test_further_names_and_formats(tmp_path, suffix):
    flat = np.full((24, 32, 3), (200, 100, 50), np.uint8)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode(Picture(flat, ""), suffix, quality=100))
    assert is_picture(path) and np.abs(read(path).pixels.astype(int) - flat).max() <= 3


@pytest.mark.parametrize(
    "content, package",
    [
        (b"\0\0\0\x18ftypheic" + b"\0" * 64, "pillow-heif"),
        (b"\xff\x0a" + b"\0" * 64, "pillow-jxl-plugin"),
    ],
)
def test_a_format_of_a_plugin_names_the_package(tmp_path, monkeypatch, content, package):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl", None)
    path = tmp_path / "IMG_1.heic"
    path.write_bytes(content)
    assert is_picture(path)
    with pytest.raises(ValueError, match=f"pip install {package}"):
        read(path)


@pytest.mark.filterwarnings("error")
def test_the_shape_in_a_description_of_tifffile_is_that_of_the_output(tmp_path, caplog):
    pixels = np.arange(3 * 20 * 24, dtype=np.uint8).reshape(3, 20, 24)
    source = tmp_path / "planar.tif"
    tifffile.imwrite(
        source, pixels, photometric="rgb", planarconfig="separate", metadata={"place": "Ä"}
    )
    target = tmp_path / "out.tif"
    target.write_bytes(encode(read(source), ".tif"))
    with tifffile.TiffFile(target) as tiff:
        assert tiff.series[0].shape == (20, 24, 3)
        assert tiff.shaped_metadata[0] == {"shape": [20, 24, 3], "place": "Ä"}
    assert not caplog.records
