#!/usr/bin/env bash
# Guess: `cv2.remap` interpolates between pixels as exactly as the type of its numbers allows, so
# float64 is at least as exact as float32, and two channels are two pictures of one channel.
#
# What happens: in OpenCV 5, float32 arrays of one, three or four channels are interpolated exactly.
# float64 arrays, and arrays of two channels of any type, are still moved in steps of 1/32 pixel: a
# shift of 0.3 pixels becomes 10/32, and one of 0.01 becomes none.
#
# Why it matters: a flow field has two channels, so warping a flow by a flow (a consistency check,
# or adding two motions) is rounded, and so is a picture that was converted to float64 for accuracy.
# On this ramp the error is 6 % of the shift; small motions vanish. Converting to float32, and
# splitting the channels, is exact.
#
# Seen with Python 3.11.7, numpy 2.4.6, opencv-python-headless 5.0.0.93 (a ramp moved by 0.3 pixels,
# and by 0.01):
#   float32, 1 channel: 0.3000 0.0100
#   float32, 2 channels: 0.3125 0.0000
#   float32, 3 channels: 0.3000 0.0100
#   float64, 1 channel: 0.3125 0.0000
#   float64, 3 channels: 0.3125 0.0000
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import cv2
import numpy as np

rows, columns = np.indices((40, 60), dtype=np.float32)


def moved(dtype, channels, shift):
    """How far a ramp of one level per pixel appears to move, in pixels."""
    ramp = np.repeat(columns[..., None], channels, axis=2).astype(dtype)
    found = cv2.remap(ramp, columns + np.float32(shift), rows, cv2.INTER_LINEAR)
    return float((found.reshape(40, 60, channels) - ramp)[10, 10, 0])


seen = {}
for dtype, channels in (("float32", 1), ("float32", 2), ("float32", 3), ("float64", 1), ("float64", 3)):
    shifts = [f"{moved(dtype, channels, shift):.4f}" for shift in (0.3, 0.01)]
    print(f"{dtype}, {channels} channel{'s' * (channels > 1)}:", *shifts)
    seen[dtype, channels] = shifts
exact, rounded = ["0.3000", "0.0100"], ["0.3125", "0.0000"]
expected = {
    ("float32", 1): exact,
    ("float32", 2): rounded,
    ("float32", 3): exact,
    ("float64", 1): rounded,
    ("float64", 3): rounded,
}
if seen != expected:
    sys.exit("The behaviour has changed.")
PY
