#!/usr/bin/env bash
# Guess: EXIF as Pillow hands it out (`image.getexif().tobytes()`, or `image.info["exif"]` of a
# JPEG) can be passed to OpenCV's `imencodeWithMetadata`; if the leading six bytes "Exif\0\0" are
# not wanted there, OpenCV strips them, raises, or returns False.
#
# What happens: it returns True and stores the six bytes as part of the EXIF. Pillow tolerates
# them and still finds the orientation. OpenCV itself does not: it reads back no EXIF at all (PNG)
# or EXIF that it cannot interpret (the others), and `imdecode` no longer applies the orientation.
# Without the six bytes (`data[6:]`) both libraries do.
#
# Why it matters: a deblurred photograph that OpenCV saved with the EXIF of its input is sideways
# in OpenCV and upright in Pillow, so it no longer lines up with its sharp partner. A check with
# Pillow alone finds nothing wrong.
#
# Seen with Python 3.11.7, numpy 2.4.6, Pillow 13.0.0, opencv-python-headless 5.0.0.93 (sizes are
# height x width; the picture is stored as 4x8, and its orientation 6 makes it 8x4; PNG also
# prints "libpng warning: eXIf: invalid" when read):
#   .png   with the six bytes: returned True, Pillow 8x4, OpenCV 4x8, EXIF found: False
#   .png   without:            returned True, Pillow 8x4, OpenCV 8x4, EXIF found: True
#   .jpg   with the six bytes: returned True, Pillow 8x4, OpenCV 4x8, EXIF found: True
#   .jpg   without:            returned True, Pillow 8x4, OpenCV 8x4, EXIF found: True
#   .webp  with the six bytes: returned True, Pillow 8x4, OpenCV 4x8, EXIF found: True
#   .webp  without:            returned True, Pillow 8x4, OpenCV 8x4, EXIF found: True
#   .avif  with the six bytes: returned True, Pillow 8x4, OpenCV 4x8, EXIF found: True
#   .avif  without:            returned True, Pillow 8x4, OpenCV 8x4, EXIF found: True
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

exif = Image.Exif()
exif[0x0112] = 6  # orientation: rotate clockwise
full = exif.tobytes()
assert full.startswith(b"Exif\0\0")
picture = np.full((4, 8, 3), 90, np.uint8)
same = True
for extension in (".png", ".jpg", ".webp", ".avif"):
    for label, data in (("with the six bytes:", full), ("without:", full[6:])):
        returned, encoded = cv2.imencodeWithMetadata(
            extension, picture, [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(data, np.uint8)]
        )
        width, height = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded.tobytes()))).size
        rows, columns = cv2.imdecode(encoded, cv2.IMREAD_COLOR).shape[:2]
        found = cv2.IMAGE_METADATA_EXIF in cv2.imdecodeWithMetadata(encoded, cv2.IMREAD_COLOR)[1]
        print(f"{extension:6} {label:19} returned {returned}, Pillow {height}x{width}, "
              f"OpenCV {rows}x{columns}, EXIF found: {found}")
        expected = (4, 8) if data is full else (8, 4)
        same &= returned and (height, width) == (8, 4) and (rows, columns) == expected
        same &= found == (data is not full or extension != ".png")
if not same:
    sys.exit("The behaviour has changed.")
PY
