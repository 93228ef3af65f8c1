"""What stands beside the image in its file is named, since no output holds it."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from torch import nn

from deblurlib.data.extras import bits_of_jpeg
from deblurlib.data.pictures import read
from deblurlib.inference import deblur_files

Y, X = np.mgrid[:40, :48]
RGB = np.stack([X * 5, Y * 6, X + Y], -1).astype(np.uint8)
RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description {}/></rdf:RDF></x:xmpmeta>'
)
MOTION = RDF.format(
    'xmlns:G="http://ns.google.com/photos/1.0/camera/" G:MotionPhoto="1" G:MicroVideoOffset="24"'
)
GAIN = RDF.format('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"')
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def jpeg(xmp=None, pages=()):
    file, options = io.BytesIO(), {"xmp": xmp.encode()} if xmp else {}
    kind = "MPO" if pages else "JPEG"
    more = {"save_all": True, "append_images": [Image.fromarray(each) for each in pages]}
    Image.fromarray(RGB).save(file, kind, quality=95, **options, **(more if pages else {}))
    return file.getvalue()


def avif(bits, **colours):
    levels = (RGB.astype(np.uint16) << (bits - 8)) if bits > 8 else RGB
    return imagecodecs.avif_encode(levels, level=100, bitspersample=bits, **colours)


CASES = {
    "motion photo": (".jpg", lambda: jpeg(MOTION) + MP4, ["film of a motion photo"]),
    "motion photo without XMP": (".jpg", lambda: jpeg() + MP4, ["film of a motion photo"]),
    "Samsung's": (".jpg", lambda: jpeg() + MP4 + b"MotionPhoto_Data", ["film of a motion photo"]),
    "XMP whose film was cut off": (".jpg", lambda: jpeg(MOTION), []),
    "Ultra HDR": (".jpg", lambda: jpeg(GAIN, [RGB[::2, ::2]]), ["gain map"]),
    "XMP whose gain map was cut off": (".jpg", lambda: jpeg(GAIN), []),
    "stereo": (".jpg", lambda: jpeg(None, [RGB]), ["further images"]),
    "AVIF, 8 bits": (".avif", lambda: avif(8), []),
    "AVIF, 10 bits": (".avif", lambda: avif(10), ["levels beyond 8 of 10 bits"]),
    "AVIF, 12 bits": (".avif", lambda: avif(12), ["levels beyond 8 of 12 bits"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_no_output_holds_is_named(tmp_path, name):
    suffix, make, expected = CASES[name]
    source = tmp_path / f"in{suffix}"
    source.write_bytes(make())
    row = deblur_files(source, tmp_path / "out", nn.Identity())[0]
    assert (row["state"], row["lost"]) == ("done", expected)
    again = deblur_files(Path(row["output"]), tmp_path / "again", nn.Identity())[0]
    assert again["lost"] == []  # the output does not claim to hold it


def test_hdr_of_an_avif_is_kept_as_png_and_refused_where_it_would_be_lost(tmp_path):
    source = tmp_path / "in.avif"
    source.write_bytes(avif(10, primaries=9, transfer=16, matrix=9))
    refused = deblur_files(source, tmp_path / "out", nn.Identity())[0]
    assert refused["state"] == "failed" and "write it as .png" in refused["error"]
    kept = deblur_files(source, tmp_path / "out.png", nn.Identity())[0]
    assert kept["state"] == "done"
    data = (tmp_path / "out.png").read_bytes()
    assert struct.pack(">I4s4B", 4, b"cICP", 9, 16, 0, 1) in data
    assert (read(tmp_path / "out.png").pixels == read(source).pixels).all()


def test_a_jpeg_of_12_bits_is_not_called_damaged(tmp_path):
    path = tmp_path / "deep.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(RGB.astype(np.uint16) * 16, bitspersample=12))
    with pytest.raises(ValueError, match="is a JPEG of 12 bits per channel: convert it"):
        read(path)


def test_bits_are_found_behind_bytes_that_fill_up():
    deep = imagecodecs.jpeg_encode(RGB.astype(np.uint16) * 16, bitspersample=12)
    for data, bits in ((jpeg(), 8), (deep, 12), (b"\xff\xd8" + b"\xff" * 9, None), (b"", None)):
        assert bits_of_jpeg(data) == bits_of_jpeg(data[:2] + b"\xff" * 3 + data[2:]) == bits
