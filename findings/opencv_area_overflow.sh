#!/usr/bin/env bash
# Guess: `cv2.resize(..., interpolation=cv2.INTER_AREA)` averages the pixels under each output
# pixel, so a picture of a single level keeps that level at any size.
#
# What happens: when both sides shrink by a whole factor, 8-bit pixels are summed in a signed
# 32-bit integer. Once the sum for an output pixel reaches 2^31 it wraps, and the result is 0 or
# some other wrong level, without an error or a warning. 12 megapixels at level 179 are enough, or
# 24 at level 90; a 4K frame (8.3 megapixels) just fits, even in white. Whether a factor counts as
# whole depends on 1 / (1 / factor) in floating point: 4000 does, 4001 does not, and then the
# result is right. 16-bit and float32 pixels are summed in float32, which loses 1 % over 24
# megapixels. `cv2.mean` is exact.
#
# Why it matters: shrinking a photograph to one pixel, or to a few, is a common way to measure
# exposure, to match the brightness of a sharp and a blurry picture, or to build the top of a
# pyramid. It works on video frames and fails on bright photographs.
#
# Seen with Python 3.11.7, numpy 2.4.6, opencv-python-headless 5.0.0.93:
#   2160x3840 uint8   level 255 -> 1x1: 255
#   4000x3000 uint8   level 178 -> 1x1: 178
#   4000x3000 uint8   level 179 -> 1x1: 0
#   4001x3000 uint8   level 179 -> 1x1: 179
#   6000x4000 uint8   level 90 -> 1x1: 0
#   6000x4000 uint8   level 200 -> 1x1: 21
#   6000x4000 uint16  level 200 -> 1x1: 198
#   6000x4000 float32 level 200 -> 1x1: 198
#   6000x4000 uint8   level 200, cv2.mean: 200
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import cv2
import numpy as np

CASES = (  # height, width, type, level, level of the one output pixel
    (2160, 3840, "uint8", 255, 255),
    (4000, 3000, "uint8", 178, 178),
    (4000, 3000, "uint8", 179, 0),
    (4001, 3000, "uint8", 179, 179),
    (6000, 4000, "uint8", 90, 0),
    (6000, 4000, "uint8", 200, 21),
    (6000, 4000, "uint16", 200, 198),
    (6000, 4000, "float32", 200, 198),
)
same = True
for height, width, kind, level, expected in CASES:
    picture = np.full((height, width), level, kind)
    seen = round(float(cv2.resize(picture, (1, 1), interpolation=cv2.INTER_AREA)[0, 0]))
    print(f"{height}x{width} {kind:7} level {level} -> 1x1: {seen}")
    same &= seen == expected
mean = round(cv2.mean(np.full((6000, 4000), 200, np.uint8))[0])
print(f"6000x4000 uint8   level 200, cv2.mean: {mean}")
if not same or mean != 200:
    sys.exit("The behaviour has changed.")
PY
