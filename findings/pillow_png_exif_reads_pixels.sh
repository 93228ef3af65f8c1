#!/usr/bin/env bash
# Guess: Pillow opens files lazily, so `Image.open(path).getexif()` reads the head of the file and
# decodes no pixels.
#
# What happens: if no EXIF precedes the pixels of a PNG, `getexif()` reads the file to its end and
# decodes the whole picture, since the PNG standard allows EXIF after the pixels. JPEG, TIFF, and
# a PNG whose EXIF comes first need next to nothing. Most PNGs have no EXIF, so the slow case is
# the usual one.
#
# Why it matters: sorting a folder of sharp and blurry PNG frames by orientation or exposure time
# decodes every frame, and training decodes it again. A fault in the pixels also surfaces here,
# where only metadata was asked for. `"exif" in image.info` right after `open` tells whether EXIF
# precedes the pixels.
#
# Seen with Python 3.11.7, numpy 2.4.6, Pillow 13.0.0:
#   PNG without EXIF: file of 3005232 bytes, getexif() reads 3005187 of them; pixels decoded: True
#   PNG with EXIF: file of 3005270 bytes, getexif() reads 0 of them; pixels decoded: False
#   JPEG without EXIF: file of 603271 bytes, getexif() reads 0 of them; pixels decoded: False
#   TIFF without EXIF: file of 3000140 bytes, getexif() reads 132 of them; pixels decoded: False
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 pillow==13.0.0
PYTHONPATH="$site" "$python" - <<'PY'
import io
import sys

import numpy as np
from PIL import Image


class Counted(io.BytesIO):
    """A file in memory that counts the bytes read from it."""

    count = 0

    def read(self, *size):
        data = super().read(*size)
        self.count += len(data)
        return data


pixels = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
exif = Image.Exif()
exif[0x010E] = "x"
whole = {}
for name, options in (("PNG", {}), ("PNG", {"exif": exif}), ("JPEG", {}), ("TIFF", {})):
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, name, **options)
    file = Counted(target.getvalue())
    opened = Image.open(file)
    before = file.count
    opened.getexif()
    read, size = file.count - before, len(target.getvalue())
    decoded = opened._im is not None
    case = f"{name} {'with' if options else 'without'} EXIF"
    print(f"{case}: file of {size} bytes, getexif() reads {read} of them; "
          f"pixels decoded: {decoded}")
    whole[case] = (read > 0.99 * size, decoded)
yes, no = (True, True), (False, False)
expected = dict.fromkeys(("PNG with EXIF", "JPEG without EXIF", "TIFF without EXIF"), no)
if whole != expected | {"PNG without EXIF": yes}:
    sys.exit("The behaviour has changed.")
PY
