"""What stands beside the pixels: kept byte by byte, and nothing announced that is gone."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from deblurlib.data import exif as blocks
from deblurlib.data import xmp
from deblurlib.data.metadata import losses
from deblurlib.data.pictures import Picture, check_fits, encode, read

RNG = np.random.default_rng(1)
PHOTO = np.kron(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
NOTE, COMMENT, INDEX = 0x927C, 0x9286, 1
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
    b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    b'GCamera:MotionPhoto="1" hdrgm:Version="1.0" tiff:Orientation="6" dc:format="image/jpeg">'
    b"<Container:Directory><rdf:Seq/></Container:Directory>"
    b"<dc:creator><rdf:Seq><rdf:li>Anna</rdf:li></rdf:Seq></dc:creator>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PLAIN_PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- kept as it is --></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x07Caption"


def camera_block(order="<", note=b"MAKER\0\1\2" * 8):
    """EXIF as a camera writes it: the types matter as much as the values."""
    details = blocks.Directory(
        {
            0x829A: blocks.Entry(5, 1, struct.pack(f"{order}II", 1, 50)),
            0x9101: blocks.Entry(7, 4, b"\1\2\3\0"),  # ComponentsConfiguration
            NOTE: blocks.Entry(7, len(note), note),
            COMMENT: blocks.Entry(7, 13, b"ASCII\0\0\0hello"),
            0xA002: blocks.Entry(3, 1, struct.pack(f"{order}H", 32)),
        },
        {blocks.INTEROPERABILITY: blocks.Directory({INDEX: blocks.Entry(2, 4, b"R03\0")})},
    )
    root = blocks.Directory(
        {
            271: blocks.Entry(2, 6, b"Maker\0"),
            blocks.ORIENTATION: blocks.Entry(3, 1, struct.pack(f"{order}H", 1)),
        },
        {blocks.EXIF: details},
    )
    return blocks.HEADER + blocks._wrap(root, order)


def flat(directory):
    """Types and values, without where they stand and the pointers."""
    return {
        **{tag: (entry.type, entry.data) for tag, entry in directory.entries.items()},
        **{tag: flat(child) for tag, child in directory.children.items()},
    }


def block_of(path):
    return blocks.parse(read(path).metadata["exif"].removeprefix(blocks.HEADER))


def save(path, **options):
    Image.fromarray(PHOTO).save(path, **options)
    return path


def copied(source, target):
    target.write_bytes(encode(read(source), target.suffix))
    return target


# --------------------------------------------------------------------------------------------------
# EXIF


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_exif_keeps_every_type_note_and_directory(tmp_path, order, source, target):
    first = tmp_path / f"in{source}"
    first.write_bytes(encode(Picture(PHOTO, "", {"exif": camera_block(order)}), source))
    found = flat(block_of(copied(first, tmp_path / f"out{target}")))
    wanted = flat(blocks.parse(camera_block(order).removeprefix(blocks.HEADER)))
    wanted[blocks.EXIF][0xA002] = (4, struct.pack(f"{order}I", 32))
    if target == ".avif":  # turns by a box of its own
        del wanted[blocks.ORIENTATION]
    assert found == wanted


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("tag, name", [(blocks.EXIF, "ExifTag"), (blocks.GPS, "GPSTag")])
def test_a_compressed_tiff_with_a_directory_is_read_and_written(tmp_path, compression, tag, name):
    source, file = tmp_path / "a.tif", io.BytesIO()
    pointer = [(name, 4, 1, 8, True)]
    options = {"photometric": "rgb", "byteorder": "<", "metadata": None, "extratags": pointer}
    tifffile.imwrite(file, PHOTO, compression=compression, **options)
    data = file.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        place = opened.pages.first.tags[tag].offset + 8
    content = bytearray(data)
    content += b"\0" * (len(content) % 2)
    struct.pack_into("<I", content, place, len(content))
    directory = blocks.Directory({1: blocks.Entry(2, 2, b"N\0")})
    source.write_bytes(content + blocks.serialise(directory, "<", len(content)))
    copied(source, tmp_path / "b.tif")
    assert flat(block_of(tmp_path / "b.tif").children[tag]) == {1: (2, b"N\0")}
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), PHOTO)


def test_the_thumbnail_of_a_camera_does_not_survive(tmp_path):
    block = bytearray(camera_block().removeprefix(blocks.HEADER))
    first = blocks.parse(bytes(block))
    small = b"\xff\xd8blurry\xff\xd9"
    struct.pack_into("<I", block, first.end, len(block))
    start = len(block) + 2 + 2 * 12 + 4
    block += struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, start, 0x202, 4, 1, len(small), 0) + small
    save(tmp_path / "in.jpg", exif=blocks.HEADER + bytes(block))
    found = read(tmp_path / "in.jpg").metadata["exif"]
    assert b"blurry" not in found and block_of(tmp_path / "in.jpg").following == 0
    assert flat(block_of(tmp_path / "in.jpg"))[blocks.EXIF][NOTE][1].startswith(b"MAKER")


def test_a_note_of_a_maker_stays_where_its_offsets_expect_it(tmp_path):
    save(tmp_path / "in.jpg", exif=camera_block())
    before, after = camera_block(), read(tmp_path / "in.jpg").metadata["exif"]
    assert before.index(b"MAKER") == after.index(b"MAKER")


def test_a_block_too_long_for_jpeg_is_refused_before_the_work():
    metadata = {"exif": camera_block(note=b"n" * 70000)}
    with pytest.raises(ValueError, match="JPEG holds at most 65533 bytes of EXIF data"):
        check_fits(PHOTO, ".jpg", metadata)
    check_fits(PHOTO, ".png", metadata)


# --------------------------------------------------------------------------------------------------
# Stale content


def test_layers_and_thumbnails_of_a_tiff_are_dropped_but_its_iptc_is_kept(tmp_path):
    resources = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 6) + b"blurry"
    resources += b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
    tags = [(34377, 7, len(resources), resources, True), (37724, 7, 6, b"blurry", True)]
    tifffile.imwrite(tmp_path / "in.tif", PHOTO, photometric="rgb", extratags=tags)
    copied(tmp_path / "in.tif", tmp_path / "out.tif")
    assert b"blurry" not in (tmp_path / "out.tif").read_bytes()
    assert read(tmp_path / "out.tif").metadata["iptc"] == IPTC


def test_xmp_no_longer_announces_what_is_gone():
    packet = xmp.upright(PACKET, 24, 32)
    for gone in (b"MotionPhoto", b"hdrgm:Version", b"Container:Directory"):
        assert gone in PACKET and gone not in packet
    assert b'tiff:Orientation="1"' in packet
    for kept in (b"<rdf:li>Anna</rdf:li>", b'dc:format="image/jpeg"', b"xmlns:dc="):
        assert kept in packet
    assert xmp.upright(PLAIN_PACKET, 24, 32) == PLAIN_PACKET


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_xmp_and_iptc_and_texts_survive(tmp_path, source, target):
    metadata = {"xmp": PLAIN_PACKET, "iptc": IPTC, "texts": {"Comment": "Grüße aus Łódź"}}
    first = tmp_path / f"in{source}"
    first.write_bytes(encode(Picture(PHOTO, "", metadata), source))
    second = read(copied(first, tmp_path / f"out{target}")).metadata
    assert second["xmp"] == PLAIN_PACKET
    both = {source, target}
    assert (second.get("iptc") == IPTC) == both.isdisjoint({".webp", ".avif"})
    if both.isdisjoint({".webp", ".avif", ".tif"}):
        assert second["texts"] == metadata["texts"]
    assert losses(metadata, "WEBP") == ["IPTC", "text"] and not losses(metadata, "JPEG")


def test_comments_of_jpeg_and_texts_of_png_are_told_to_tiff(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Anna")
    info.add_itxt("Title", "Łódź", zip=True)
    save(tmp_path / "in.png", pnginfo=info)
    assert read(tmp_path / "in.png").metadata["texts"] == {"Author": "Anna", "Title": "Łódź"}
    copied(tmp_path / "in.png", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.pages.first.tags[270].value == "Author: Anna\nTitle: Łódź"


# --------------------------------------------------------------------------------------------------
# PNG's colour chunks

LINEAR = (b"gAMA", struct.pack(">I", 100000))
WIDE = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
PQ = (b"cICP", bytes([9, 16, 0, 1]))


def png_with(path, deep, *chunks):
    pixels = PHOTO.astype(np.uint16) * 257 if deep else PHOTO
    path.write_bytes(encode(Picture(pixels, "PNG", {"colour": list(chunks)}), ".png"))
    return path


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("chunk", [LINEAR, WIDE, PQ, (b"sRGB", b"\0")])
def test_colour_chunks_of_png_are_kept(tmp_path, deep, chunk):
    data = copied(png_with(tmp_path / "a.png", deep, chunk), tmp_path / "b.png").read_bytes()
    packed = struct.pack(">I", len(chunk[1])) + b"".join(chunk)
    assert packed + struct.pack(">I", zlib.crc32(b"".join(chunk))) in data
    assert data.index(chunk[0]) < data.index(b"IDAT")


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
def test_colour_chunks_become_a_profile_elsewhere(tmp_path, suffix):
    copied(png_with(tmp_path / "a.png", False, LINEAR, WIDE), tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    grey = Image.new("RGB", (1, 1), (55, 55, 55))  # a linear 55 looks like 128 of sRGB
    shown = ImageCms.profileToProfile(grey, profile, ImageCms.createProfile("sRGB"))
    assert np.abs(np.array(shown.getpixel((0, 0))) - 128).max() <= 1


def test_a_curve_that_no_profile_describes_is_refused_before_the_work(tmp_path):
    picture = read(png_with(tmp_path / "a.png", True, PQ))
    with pytest.raises(ValueError, match=r"cICP .* cannot be stored"):
        check_fits(picture.pixels, ".tif", picture.metadata)
    check_fits(picture.pixels, ".png", picture.metadata)
