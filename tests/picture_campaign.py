"""Two hundred pictures of every kind through a network that changes nothing.

    python tests/picture_campaign.py [--results FOLDER] [--seed 0] [--count 200]

Each case draws a format, a mode, a depth, a compression, an orientation, metadata and an output
format, and writes the picture with Pillow, tifffile or imagecodecs. Then `deblur_files` runs, and
other decoders compare: equal pixels wherever both formats are lossless, equal metadata or its name
among the losses, one sentence for what the output cannot hold, and never a lost file.
"""

import argparse
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pandas as pd
import tifffile
from PIL import Image, ImageCms, PngImagePlugin
from torch import nn

from deblurlib.data.metadata import turn
from deblurlib.data.pictures import read
from deblurlib.inference import deblur_files
from deblurlib.results import results_folder, save_table

SIZE = (40, 48)
LOSSY_LEVELS = 8  # of 255: what lossy formats may cost noisy colours on average
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="Anna"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x50\x00\x04Anna"  # the record By-line
MAKE, DATE, GPS, EXPOSURE, LATITUDE = 271, 36867, 34853, 33434, 2
COMPRESSIONS = (None, "lzw", "zlib", "packbits", "zstd")
FORMATS: dict[str, list[dict[str, Any]]] = {
    "png": [
        *({"mode": mode, "bits": 8} for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
        *({"mode": mode, "bits": 16} for mode in ("L", "LA", "RGB", "RGBA")),
    ],
    "jpg": [
        {"mode": mode, "bits": 8, "compression": compression}
        for mode, compression in itertools.product(
            ("L", "RGB", "CMYK"), ("baseline", "progressive")
        )
    ],
    "tif": [
        {"mode": mode, "bits": bits, "compression": compression}
        for mode, bits, compression in itertools.product(
            ("L", "LA", "RGB", "RGBA", "inverted", "planar", "big"), (8, 16), COMPRESSIONS
        )
    ],
    "webp": [
        {"mode": mode, "bits": 8, "compression": compression}
        for mode, compression in itertools.product(("RGB", "RGBA"), ("lossless", "lossy"))
    ],
    "avif": [{"mode": mode, "bits": 8, "compression": "lossy"} for mode in ("RGB", "RGBA")],
    "bmp": [{"mode": mode, "bits": 8} for mode in ("L", "RGB")],
}
KINDS = {  # which metadata the writers of this file can store in a format
    "png": ("exif", "icc", "xmp", "text", "dpi"),
    "jpg": ("exif", "icc", "xmp", "text", "dpi"),
    "tif": ("exif", "icc", "xmp", "iptc", "dpi"),
    "webp": ("exif", "icc", "xmp"),
    "avif": ("exif", "icc", "xmp"),
    "bmp": ("dpi",),
}
LOSSES = {
    "exif": "EXIF data",
    "icc": "colour profile",
    "xmp": "XMP",
    "iptc": "IPTC",
    "text": "text",
    "dpi": "resolution",
}


@dataclass
class Case:
    """One picture: how it is stored, and where it goes."""

    number: int
    format: str
    mode: str
    bits: int
    target: str
    compression: str | None = None
    orientation: int = 1
    metadata: tuple[str, ...] = ()
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def lossy(self) -> bool:
        return self.format in ("jpg", "avif") or self.compression == "lossy"


def cases(count: int = 200, seed: int = 0) -> Iterator[Case]:
    """Every variant of every format in turn, with random metadata, orientation and output."""
    rng = random.Random(seed)
    variants = [{"format": name, **kind} for name, kinds in FORMATS.items() for kind in kinds]
    rng.shuffle(variants)
    for number in range(count):
        variant = variants[number % len(variants)]
        stored = KINDS[variant["format"]]
        metadata = tuple(kind for kind in stored if rng.random() < 0.6)
        yield Case(
            number,
            **variant,
            target=rng.choice([variant["format"], "png", "tif", *FORMATS]),
            orientation=rng.randint(1, 8) if "exif" in metadata else 1,
            metadata=metadata,
            pixels=_pixels(np.random.default_rng((seed, number)), variant["mode"], variant["bits"]),
        )


def _pixels(rng: np.random.Generator, mode: str, bits: int) -> np.ndarray:
    """Smooth colours with some noise: extremes, odd levels, and transparency where there is any."""
    channels = {"1": 1, "L": 1, "P": 1, "inverted": 1, "LA": 2, "RGBA": 4, "CMYK": 4}.get(mode, 3)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [np.sin((x * (c + 1) + y * (c + 2)) / 11 + rng.random() * 6) for c in range(channels)]
    unit = np.stack(waves, -1) / 2 + 0.5 + rng.normal(0, 0.01, (*SIZE, channels))
    most = 2**bits - 1
    pixels = np.rint(unit.clip(0, 1) * most).astype(np.uint8 if bits == 8 else np.uint16)
    pixels[0, 0], pixels[-1, -1] = 0, most
    return pixels[..., 0] if channels == 1 else pixels


def write(case: Case, path: Path) -> np.ndarray:
    """Write the picture of a case, and return the upright pixels that any reader should find."""
    if case.format == "tif":
        return _write_tiff(case, path)
    options = _pillow_options(case)
    if case.bits == 16:
        data = imagecodecs.png_encode(case.pixels)
        path.write_bytes(_with_chunks(data, options))
        return np.ascontiguousarray(turn(case.pixels, case.orientation))
    image = Image.fromarray(case.pixels, {"CMYK": "CMYK"}.get(case.mode))
    if case.mode in ("1", "P"):
        image = image.convert(case.mode)
    if case.format == "webp":
        options["lossless"] = case.compression == "lossless"
        options["exact"] = True
    if case.format == "jpg":
        options["progressive"] = case.compression == "progressive"
        options["quality"] = 95
    image.save(path, {"jpg": "JPEG"}.get(case.format, case.format.upper()), **options)
    with Image.open(path) as stored:
        plain = stored.convert({"1": "L", "P": "RGB", "CMYK": "RGB"}.get(stored.mode, stored.mode))
        return np.ascontiguousarray(turn(np.asarray(plain), case.orientation))


def _pillow_options(case: Case) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "exif" in case.metadata:
        options["exif"] = _exif(case)
    if "icc" in case.metadata and case.mode not in ("CMYK", "L", "LA", "1"):
        options["icc_profile"] = SRGB
    if "xmp" in case.metadata and case.format != "png":
        options["xmp"] = XMP
    if "dpi" in case.metadata:
        options["dpi"] = (300, 300)
    if case.format == "png":
        info = PngImagePlugin.PngInfo()
        if "text" in case.metadata:
            info.add_text("Title", "A street")
        if "xmp" in case.metadata:
            info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = info
    elif "text" in case.metadata:
        options["comment"] = b"A street"
    return options


def _exif(case: Case) -> Image.Exif:
    tags = Image.Exif()
    tags[MAKE], tags[274] = "Maker", case.orientation
    tags.get_ifd(0x8769)[EXPOSURE], tags.get_ifd(0x8769)[DATE] = 0.02, "2026:11:30 09:00:00"
    tags.get_ifd(GPS)[LATITUDE], tags.get_ifd(GPS)[1] = (48.0, 8.0, 30.0), "N"
    return tags


def _with_chunks(data: bytes, options: dict[str, Any]) -> bytes:
    """The chunks that Pillow writes for the same options, in another encoder's file."""
    import io

    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG", **options)
    plain = io.BytesIO()
    Image.new("L", (1, 1)).save(plain, "PNG")
    whole, bare = file.getvalue(), plain.getvalue()
    before = whole[33 : whole.index(b"IDAT") - 4]
    after = whole[whole.index(b"IDAT") - 4 :][len(bare[bare.index(b"IDAT") - 4 :]) - 12 : -12]
    return data[:33] + before + data[33:-12] + after + data[-12:]


def _write_tiff(case: Case, path: Path) -> np.ndarray:
    pixels, options = case.pixels, {"compression": case.compression, "metadata": None}
    if case.mode == "inverted":
        options["photometric"] = "miniswhite"
    elif pixels.ndim == 3 and pixels.shape[2] > 2:
        options["photometric"] = "rgb"
    else:
        options["photometric"] = "minisblack"
    if case.mode in ("LA", "RGBA"):
        options["extrasamples"] = ["unassalpha"]
    if case.mode == "planar":
        options["planarconfig"] = "separate"
    tags = [(274, 3, 1, case.orientation, True)]
    if "exif" in case.metadata:
        tags.append((MAKE, 2, 6, b"Maker\0", True))
    if "xmp" in case.metadata:
        tags.append((700, 1, len(XMP), XMP, True))
    if "iptc" in case.metadata:
        tags.append((33723, 7, len(IPTC), IPTC, True))
    if "icc" in case.metadata and case.mode not in ("L", "LA", "inverted"):
        options["iccprofile"] = SRGB
    if "dpi" in case.metadata:
        options["resolution"], options["resolutionunit"] = (300, 300), 2
    stored = np.moveaxis(pixels, -1, 0) if case.mode == "planar" else pixels
    tifffile.imwrite(path, stored, bigtiff=case.mode == "big", extratags=tags, **options)
    most = np.iinfo(pixels.dtype).max
    shown = most - pixels if case.mode == "inverted" else pixels
    return np.ascontiguousarray(turn(shown, case.orientation))


# --------------------------------------------------------------------------------------------------
# Outcomes


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Deblur the picture of a case with the identity, and describe what came of it."""
    source, target = folder / f"in.{case.format}", folder / "out" / f"out.{case.target}"
    expected = write(case, source)
    before = source.read_bytes()
    row = deblur_files(source, target, nn.Identity())[0]
    there = target.is_file() and target.stat().st_size > 0
    outcome = {
        "case": case.number,
        "input": f"{case.format} {case.mode} {case.bits} bit {case.compression or ''}".strip(),
        "orientation": case.orientation,
        "stored_metadata": " ".join(case.metadata),
        "output": case.target,
        "outcome": row["state"],
        "lost_metadata": ", ".join(row["lost"]),
        "pixel_match": "",
        "wrong": "",
    }
    faults = [] if source.read_bytes() == before else ["the input has changed"]
    if row["state"] == "done":
        faults += [] if there else ["the output is missing"]
        outcome["pixel_match"], wrong = _compare(case, expected, target)
        faults += wrong
        faults += _metadata_faults(case, target, row["lost"])
    else:
        faults += ["a refused output exists"] if there else []
        sentence = row["error"] or ""
        holds = "holds" in sentence or "has no transparency" in sentence
        faults += [] if holds and sentence.count("\n") == 0 else [f"refused: {sentence}"]
        outcome["pixel_match"] = "refused"
    outcome["wrong"] = "; ".join(faults)
    return outcome


def _compare(case: Case, expected: np.ndarray, target: Path) -> tuple[str, list[str]]:
    found = _decode(target, case.bits)
    grey = expected.ndim == 2 or expected.shape[2] == 2
    if grey and found.ndim == 3 and found.shape[2] > 2 and case.target in ("webp", "avif"):
        expected = _in_colour(expected)  # WebP has no grey, AVIF none with transparency
    if found.shape != expected.shape:
        return "", [f"the shape is {found.shape} instead of {expected.shape}"]
    if found.dtype != expected.dtype:
        return "", [f"the type is {found.dtype} instead of {expected.dtype}"]
    error = np.abs(found.astype(int) - expected.astype(int))
    lossy_out = case.target in ("jpg", "avif") or (
        case.target == "webp" and not (case.format == "webp" and case.compression == "lossless")
    )
    if lossy_out:
        wrong = (
            [] if error.mean() < LOSSY_LEVELS else [f"the mean error is {error.mean():.1f} levels"]
        )
        return f"within {error.mean():.1f} levels on average", wrong
    return "equal", [] if not error.any() else [f"{(error > 0).sum()} numbers differ"]


def _in_colour(grey: np.ndarray) -> np.ndarray:
    planes = grey[..., None] if grey.ndim == 2 else grey
    return np.concatenate([np.repeat(planes[..., :1], 3, 2), planes[..., 1:]], 2)


def _decode(path: Path, bits: int) -> np.ndarray:
    """The pixels as another program reads them."""
    if path.suffix == ".tif":
        return tifffile.imread(path)
    if bits == 16:
        return np.squeeze(imagecodecs.png_decode(path.read_bytes()))
    with Image.open(path) as image:
        return np.asarray(image)


def _metadata_faults(case: Case, target: Path, lost: list[str]) -> Iterator[str]:
    found = read(target).metadata
    orientation, maker, has_place, exposure, description = _tags(target)
    if orientation != 1:
        yield f"the orientation is {orientation}"
    kept = {
        "exif": maker == "Maker",
        "icc": found.get("icc_profile") == SRGB,
        "xmp": b"Anna" in found.get("xmp", b""),
        "iptc": found.get("iptc", b"").startswith(IPTC),
        "text": "A street" in "".join(found.get("texts", {}).values()),
        "dpi": "dpi" in found and np.allclose(found["dpi"], 300, atol=0.1),
    }
    grey = case.mode in ("CMYK", "L", "LA", "1", "inverted")
    for kind in case.metadata:
        named = LOSSES[kind] in lost
        if kind == "icc" and grey:
            continue  # the writers above gave it none
        if kind == "text" and case.target == "tif":
            kept["text"] = "A street" in str(description)
        if kept[kind] == named:
            yield f"{kind} is kept and named lost" if named else f"{kind} is lost"
    whole = "exif" in case.metadata and case.format != "tif" and LOSSES["exif"] not in lost
    if whole and not (has_place and exposure):
        yield f"GPS is {has_place}, exposure {exposure}"


def _tags(path: Path) -> tuple[Any, ...]:
    """Orientation, maker, latitude, exposure and description, as another program reads them."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            tags = file.pages[0].tags
            values = [tags.valueof(code) for code in (274, MAKE, GPS, 34665, 270)]
        place = (values[2] or {}).get("GPSLatitude") == (48, 1, 8, 1, 30, 1)
        exposure = (values[3] or {}).get("ExposureTime")
        return values[0] or 1, values[1], place, exposure, values[4]
    with Image.open(path) as image:
        tags = image.getexif()
        place = tags.get_ifd(GPS).get(LATITUDE) == (48.0, 8.0, 30.0)
        return tags.get(274, 1), tags.get(MAKE), place, tags.get_ifd(34665).get(EXPOSURE), None


def main() -> int:
    """Run the campaign, write tables/pictures.csv, and return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", help="folder for results; default: that of this project")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    table = campaign(options.count, options.seed)
    path = results_folder(options.results) / "tables" / "pictures.csv"
    save_table(table, path, seed=options.seed)
    faulty = table[table.wrong != ""]
    print(table.groupby("outcome").size().to_string(), f"\n{len(faulty)} faults: {path}")
    print(faulty.to_string(index=False) if len(faulty) else "")
    return int(len(faulty) > 0)


def campaign(count: int = 200, seed: int = 0) -> pd.DataFrame:
    """Run all cases.

    Args:
        count: How many.
        seed: Determines them.

    Returns:
        One row per case.
    """
    rows = []
    for case in cases(count, seed):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(run(case, Path(folder)))
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(main())
