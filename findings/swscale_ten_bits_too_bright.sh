#!/usr/bin/env bash
# Guess: a picture of 16 bits per colour becomes a 10-bit video frame to half a code, as it becomes
# an 8-bit frame from 8 bits.
#
# What happens: luma comes out 1.7 codes of 1023 too bright on average, more than three times the
# largest rounding error. From 8 to 8 bits it is right.
#
# Why it matters: 10 bits are chosen for smooth gradients and small errors, and this offset is larger
# than the noise that averaging frames removes. It adds up with every generation.
#
# Seen with Python 3.11.7, numpy 2.4.6, PyAV 18.1.0 (libswscale 9.5.102), Linux on x86-64, 200 greys,
# BT.601 limited range:
#   mean error of luma in codes
#    8 bits: +0.01 of 255
#   10 bits: +1.70 of 1023
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 av==18.1.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import av
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])
# bits: format of the RGB frame, largest RGB value, format of the YUV frame, scale of its codes
DEPTHS = {
    8: ("rgb24", "u1", "yuv444p", 1),
    10: ("rgb48le", "<u2", "yuv444p10le", 4),
}
levels = np.linspace(0.1, 0.9, 200)
print("mean error of luma in codes")
means = {}
for bits, (rgb, dtype, yuv, scale) in DEPTHS.items():
    errors = []
    for level in levels:
        value = np.round(level * np.iinfo(dtype).max)
        grey = np.full((16, 32, 3), value, dtype)
        frame = av.VideoFrame.from_ndarray(grey, format=rgb)
        frame = frame.reformat(format=yuv, dst_colorspace="ITU601", dst_color_range=1)
        code = np.frombuffer(frame.planes[0], "u1" if bits == 8 else "<u2")[8]
        errors.append(code - scale * (16 + 219 * value / np.iinfo(dtype).max))
    means[bits] = np.mean(errors)
    print(f"{bits:2} bits: {means[bits]:+.2f} of {2**bits - 1}")
if abs(means[8]) > 0.2 or means[10] < 1:
    sys.exit("The behaviour has changed.")
PY
