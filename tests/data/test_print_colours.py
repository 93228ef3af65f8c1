"""Print colours through a real profile, made here: lcms converts them, and we know the answer."""

import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from deblurlib.data import read_picture
from deblurlib.data.pictures import read

D50 = np.array([0.9642, 1.0, 0.8249])
TO_XYZ = np.array(  # linear sRGB, adapted to D50
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
INKS = np.array([[0, 160, 200], [200, 30, 120], [240, 220, 20], [35, 31, 32]])  # C, M, Y, K in sRGB
CORNERS = list(itertools.product((0, 1), repeat=4))  # without and with each ink


def printed(inks):
    """The sRGB colour of inks printed over each other: each takes its share of the light."""
    light = [linear(INKS[i] / 255) for i in range(4) if inks[i]]
    return encoded(np.prod([np.ones(3), *light], axis=0))


def linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encoded(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def lab(srgb):
    ratio = TO_XYZ @ linear(srgb) / D50
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def profile():
    """An ICC profile of a printer: a table with two steps per ink, from CMYK to Lab."""
    table = [lab(printed(corner)) * [2.55, 1, 1] + [0, 128, 128] for corner in CORNERS]
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4
    lut += np.rint(table).clip(0, 255).astype(np.uint8).tobytes() + ramp * 3
    text = b"A printer made for a test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *(D50 * 65536).astype(int)),
        b"A2B0": lut,
    }
    place, entries, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        entries += struct.pack(">4sII", name, place + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s",
        0,
        b"\0" * 4,
        0x02400000,
        b"prtr",
        b"CMYK",
        b"Lab ",
        b"\x07\xea\0\x01\0\x01" + b"\0" * 6,
        b"acsp",
    )
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(D50 * 65536).astype(int))
    whole = header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_print_colours_become_what_their_profile_says(tmp_path, suffix):
    inks = np.repeat(np.array(CORNERS, np.uint8) * 255, 64, axis=0).reshape(16, 8, 8, 4)
    image = Image.fromarray(np.concatenate(list(inks)), "CMYK")
    options = {"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}
    image.save(tmp_path / f"a{suffix}", icc_profile=profile(), **options)
    picture = read(tmp_path / f"a{suffix}")
    assert "icc_profile" not in picture.metadata  # the numbers are sRGB now
    found = picture.pixels.reshape(16, 8, 8, 3).mean((1, 2))
    expected = np.array([printed(corner) for corner in CORNERS]) * 255
    assert np.abs(found - expected).max() < 6  # the table has 8 bits of Lab
    naive = np.asarray(image.convert("RGB"), float).reshape(16, 8, 8, 3).mean((1, 2))
    assert np.abs(naive - expected).max() > 60
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}"), picture.pixels)
