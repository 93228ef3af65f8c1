"""The checker of data sets and their reader judge every file alike."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

from deblurlib.data import png, read_picture
from deblurlib.data.check import _inspect


def odd_files(folder):
    """Files that a reader and a checker might judge differently."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    picture, turned = Image.fromarray(colour), Image.Exif()
    turned[0x0112] = 6
    picture.save(folder / "turned.png", exif=turned)
    picture.save(folder / "turned.tif", exif=turned)
    picture.save(folder / "turned.webp", exif=turned)
    picture.save(folder / "animated.png", save_all=True, append_images=[picture.rotate(90)])
    picture.save(folder / "animated.webp", save_all=True, append_images=[picture.rotate(90)])
    picture.save(folder / "pages.tif", save_all=True, append_images=[picture])
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("P").save(folder / "palette.png", transparency=3)
    picture.convert("1").save(folder / "bits.png")
    picture.save(folder / "gif.png", format="GIF")
    tifffile.imwrite(
        folder / "planar.tif",
        np.moveaxis(colour, -1, 0),
        planarconfig="separate",
        photometric="rgb",
    )
    tifffile.imwrite(
        folder / "big.tif", colour.astype(np.uint16) * 257, bigtiff=True, photometric="rgb"
    )
    tifffile.imwrite(folder / "float.tif", (colour / 255).astype(np.float32), photometric="rgb")
    tifffile.imwrite(folder / "five.tif", rng.integers(0, 9, (20, 30, 5), dtype=np.uint8))
    whole = (folder / "turned.png").read_bytes()
    (folder / "short.png").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.png").write_bytes(whole[:200] + bytes([whole[200] ^ 255]) + whole[201:])
    extra = png._packed(b"eXIf", turned.tobytes().removeprefix(b"Exif\0\0"))
    plain = io.BytesIO()
    picture.save(plain, "PNG")
    late = plain.getvalue()[:-12] + extra + plain.getvalue()[-12:]  # EXIF after the pixels
    (folder / "late_exif.png").write_bytes(late)
    (folder / "empty.png").write_bytes(b"")
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in colour[:5]))
    for name, data in (("few_rows", rows), ("no_stream", b"nothing")):
        body = png._packed(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 2, 0, 0, 0))
        body += png._packed(b"IDAT", data) + png._packed(b"IEND", b"")
        (folder / f"{name}.png").write_bytes(png.SIGNATURE + body)


def test_the_checker_and_the_reader_agree_on_every_file(tmp_path):
    odd_files(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        try:
            height, width = read_picture(path).shape[:2]
            found = f"{width} x {height}"
        except ValueError:
            found = None
        assert _inspect(path) == found, path.name
