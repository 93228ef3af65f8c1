#!/usr/bin/env bash
# Guess: converting RGB to YUV makes the same small rounding error, zero on average, whether the
# target has limited or full range; full range has more codes, so it is the more exact one.
#
# What happens: in full range both chroma planes come out half a code too low on average, as if
# fractions were cut off; in limited range they are right. Luma is right in both. The frames here
# have a single colour each, so chroma subsampling plays no part.
#
# Why it matters: half a code of Cb and Cr is 0.9 levels of blue and 0.7 of red. A film that is
# decoded, processed and encoded again turns greenish, by the same amount in every generation.
#
# Seen with Python 3.11.7, numpy 2.4.6, PyAV 18.1.0 (libswscale 9.5.102), Linux on x86-64, 300
# colours, BT.601:
#   mean error of Y, Cb, Cr in codes
#   limited  -0.01 +0.00 -0.02
#   full     -0.00 -0.51 -0.51
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 av==18.1.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import av
import numpy as np

RED, GREEN, BLUE = 0.299, 0.587, 0.114
LUMA = np.array([RED, GREEN, BLUE])
CB = (np.array([0, 0, 1]) - LUMA) / (2 * (1 - BLUE))
CR = (np.array([1, 0, 0]) - LUMA) / (2 * (1 - RED))
# scale of luma and chroma, code of black
RANGES = {"limited": (1, 219 / 255, 224 / 255, 16), "full": (2, 1, 1, 0)}


def converted(colour, code):
    picture = np.broadcast_to(colour, (16, 16, 3)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame = frame.reformat(
        format="yuv444p", src_colorspace="ITU601", dst_colorspace="ITU601", dst_color_range=code
    )
    return frame.to_ndarray()[:, 8, 8]


colours = np.random.default_rng(0).integers(40, 216, (300, 3))
print("mean error of Y, Cb, Cr in codes")
means = {}
for name, (code, scale, chroma, black) in RANGES.items():
    exact = np.stack(
        [colours @ LUMA * scale + black, colours @ CB * chroma + 128, colours @ CR * chroma + 128], 1
    )
    errors = np.array([converted(colour, code) for colour in colours]) - exact
    means[name] = errors.mean(axis=0)
    print(f"{name:8}", *(f"{mean:+.2f}" for mean in means[name]))
same = np.abs(means["limited"]).max() < 0.15 and abs(means["full"][0]) < 0.15
same &= (np.abs(means["full"][1:] + 0.5) < 0.15).all()
if not same:
    sys.exit("The behaviour has changed.")
PY
