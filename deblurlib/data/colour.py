"""What the numbers of a picture mean: ICC profiles, and PNG's chunks as a profile."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from .png import Chunk

D50 = np.array([0.9642, 1.0, 0.8249])
SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
SRGB_GAMMA = 45455
SRGB_CODE = bytes([1, 13, 0, 1])  # cICP: primaries, curve, matrix, full range
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image of print colours to sRGB, through its profile if it has one.

    Args:
        image: A CMYK image.

    Returns:
        The image in RGB; without a usable profile converted as Pillow does.
    """
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def is_for(profile: bytes, grey: bool) -> bool:
    """Whether a profile describes grey or RGB numbers.

    Args:
        profile: The ICC profile.
        grey: Whether the pixels are grey; else they are RGB.

    Returns:
        Whether the colour space in the profile's header is the one of the pixels.
    """
    return profile[16:20] == (b"GRAY" if grey else b"RGB ")


def profile_of(chunks: list[Chunk], grey: bool) -> bytes | None:
    """Convert PNG's colour chunks to an ICC profile, for a format that has no such chunks.

    Args:
        chunks: The chunks cICP, gAMA, cHRM and sRGB of the file.
        grey: Whether the pixels are grey.

    Returns:
        The profile; None if the chunks say sRGB, which needs none.

    Raises:
        ValueError: If a curve such as PQ or HLG would need more than a gamma.
    """
    found = dict(chunks)
    code = found.get(b"cICP")
    if code == SRGB_CODE or (code is None and b"sRGB" in found):
        return None
    if code is not None:
        raise ValueError(
            f"Its colours (cICP {', '.join(map(str, code))}) cannot be stored in this format: "
            "write it as .png."
        )
    gamma = struct.unpack(">I", found.get(b"gAMA", struct.pack(">I", SRGB_GAMMA)))[0]
    points = struct.unpack(">8I", found.get(b"cHRM", struct.pack(">8I", *SRGB_CHROMATICITIES)))
    if abs(gamma - SRGB_GAMMA) < 50 and np.abs(np.subtract(points, SRGB_CHROMATICITIES)).max() < 50:
        return None
    if not gamma or 0 in points[1::2]:
        return None  # damaged chunks say nothing
    return _profile(1e5 / gamma, np.array(points) / 1e5, grey)


def _profile(gamma: float, points: np.ndarray, grey: bool) -> bytes:
    """An ICC profile of version 2: a matrix and one gamma."""
    white, *primaries = (_xyz(x, y) for x, y in points.reshape(4, 2))
    columns = np.stack(primaries, 1)
    columns = columns * np.linalg.solve(columns, white)
    cones = BRADFORD @ white
    columns = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / cones) @ BRADFORD @ columns
    curve = b"curv" + struct.pack(">IIH", 0, 1, min(round(gamma * 256), 65535)) + b"\0\0"
    name = b"PNG gamma\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78,
        b"cprt": b"text\0\0\0\0" + b"None\0",
        b"wtpt": _xyz_tag(D50),
    }
    if grey:
        tags[b"kTRC"] = curve
    else:
        tags |= {f"{c}XYZ".encode(): _xyz_tag(xyz) for c, xyz in zip("rgb", columns.T, strict=True)}
        tags |= {f"{c}TRC".encode(): curve for c in "rgb"}
    table, body, place = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += tag + struct.pack(">II", place + len(body), len(content))
        body += content
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x",
        place + len(body),
        0x02100000,
        b"mntr",
        b"GRAY" if grey else b"RGB ",
        b"XYZ ",
        b"acsp",
    )
    header += struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1, (1 - x - y) / y])


def _xyz_tag(xyz: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in xyz))
