#!/usr/bin/env bash
# Guess: `cv2.imread` applies the stored orientation in every format that has one, and
# IMREAD_IGNORE_ORIENTATION and IMREAD_UNCHANGED switch this off.
#
# What happens: that holds for JPEG, PNG and WebP. A TIFF is rotated whatever the flags say. An
# AVIF written by Pillow is never rotated: its orientation is not in the EXIF but a property of
# the picture, as the standard recommends, and OpenCV does not read that property.
#
# Why it matters: a blur kernel or flow field that was estimated for the pixels as recorded
# (rolling shutter, gyroscope) is a quarter turn off in a TIFF, and a sharp AVIF does not line up
# with its blurry JPEG. If the picture is square or upside down, its shape does not reveal this.
#
# Seen with Python 3.11.7, numpy 2.4.6, Pillow 13.0.0, opencv-python-headless 5.0.0.93 (height x
# width; the picture is stored as 4x8, and its orientation 6 makes it 8x4; "upright" is
# Pillow's exif_transpose):
#   JPEG upright 8x4, IMREAD_COLOR 8x4, with IMREAD_IGNORE_ORIENTATION 4x8, IMREAD_UNCHANGED 4x8
#   PNG  upright 8x4, IMREAD_COLOR 8x4, with IMREAD_IGNORE_ORIENTATION 4x8, IMREAD_UNCHANGED 4x8
#   WEBP upright 8x4, IMREAD_COLOR 8x4, with IMREAD_IGNORE_ORIENTATION 4x8, IMREAD_UNCHANGED 4x8
#   AVIF upright 8x4, IMREAD_COLOR 4x8, with IMREAD_IGNORE_ORIENTATION 4x8, IMREAD_UNCHANGED 4x8
#   TIFF upright 8x4, IMREAD_COLOR 8x4, with IMREAD_IGNORE_ORIENTATION 8x4, IMREAD_UNCHANGED 8x4
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" \
  numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import io
import sys

import cv2
import numpy as np
from PIL import Image, ImageOps

picture = Image.fromarray(np.full((4, 8, 3), 90, np.uint8))
seen = {}
for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate clockwise
    target = io.BytesIO()
    picture.save(target, name, exif=exif)
    data = np.frombuffer(target.getvalue(), np.uint8)
    width, height = ImageOps.exif_transpose(Image.open(target)).size
    flags = (
        cv2.IMREAD_COLOR,
        cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
        cv2.IMREAD_UNCHANGED,
    )
    color, ignored, unchanged = ("{}x{}".format(*cv2.imdecode(data, flag).shape) for flag in flags)
    print(f"{name:4} upright {height}x{width}, IMREAD_COLOR {color}, "
          f"with IMREAD_IGNORE_ORIENTATION {ignored}, IMREAD_UNCHANGED {unchanged}")
    seen[name] = (f"{height}x{width}", color, ignored, unchanged)
usual = ("8x4", "8x4", "4x8", "4x8")
expected = dict.fromkeys(("JPEG", "PNG", "WEBP"), usual)
expected |= {"AVIF": ("8x4", "4x8", "4x8", "4x8"), "TIFF": ("8x4", "8x4", "8x4", "8x4")}
if seen != expected:
    sys.exit("The behaviour has changed.")
PY
