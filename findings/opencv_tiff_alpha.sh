#!/usr/bin/env bash
# Guess: IMREAD_UNCHANGED returns the colours and the alpha that a lossless file stores, whatever
# the format and bit depth.
#
# What happens: from an 8-bit TIFF with "unassociated" alpha (the kind that Pillow writes), the
# colours come back multiplied by alpha, and still so under IMREAD_COLOR, which drops the alpha
# channel. PNG and 16-bit TIFF return what is stored. Where alpha is 0, the colours are lost.
#
# Why it matters: a picture with a mask in its alpha channel is darker from TIFF than from PNG,
# and darker at 8 bits than at 16. A blurry picture read this way differs from its sharp partner
# in brightness as well as in sharpness, and nothing warns of it.
#
# Seen with Python 3.11.7, numpy 2.4.6, Pillow 13.0.0, tifffile 2026.3.3, opencv-python-headless
# 5.0.0.93 (stored in all files: red 200, green 100, blue 10, alpha 128; 16-bit values are divided
# by 257):
#   8-bit PNG:   IMREAD_UNCHANGED 200 100 10 128, IMREAD_COLOR 200 100 10
#   8-bit TIFF:  IMREAD_UNCHANGED 100 50 5 128, IMREAD_COLOR 100 50 5
#   16-bit TIFF: IMREAD_UNCHANGED 200 100 10 128, IMREAD_COLOR 200 100 10
#   the 8-bit TIFF through Pillow: 200 100 10 128
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" \
  numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import io
import sys

import cv2
import numpy as np
import tifffile
from PIL import Image

rgba = np.full((4, 4, 4), (200, 100, 10, 128), np.uint8)
files = {name: io.BytesIO() for name in ("8-bit PNG:", "8-bit TIFF:", "16-bit TIFF:")}
Image.fromarray(rgba).save(files["8-bit PNG:"], "PNG")
Image.fromarray(rgba).save(files["8-bit TIFF:"], "TIFF")
tifffile.imwrite(
    files["16-bit TIFF:"],
    rgba.astype(np.uint16) * 257,
    photometric="rgb",
    extrasamples=["unassalpha"],
)


def first_pixel(file, flag):
    picture = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), flag)
    scale = 257 if picture.dtype == np.uint16 else 1
    blue, green, red, *alpha = (picture[0, 0] // scale).tolist()
    return [red, green, blue, *alpha]


seen = {}
for name, file in files.items():
    unchanged = first_pixel(file, cv2.IMREAD_UNCHANGED)
    color = first_pixel(file, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    print(f"{name:12} IMREAD_UNCHANGED", *unchanged, end=", IMREAD_COLOR ")
    print(*color)
    seen[name] = (unchanged, color)
pillow = np.asarray(Image.open(files["8-bit TIFF:"]))[0, 0].tolist()
print("the 8-bit TIFF through Pillow:", *pillow)
stored = ([200, 100, 10, 128], [200, 100, 10])
multiplied = ([100, 50, 5, 128], [100, 50, 5])
expected = {"8-bit PNG:": stored, "8-bit TIFF:": multiplied, "16-bit TIFF:": stored}
if seen != expected or pillow != stored[0]:
    sys.exit("The behaviour has changed.")
PY
