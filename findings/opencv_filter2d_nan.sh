#!/usr/bin/env bash
# Guess: a NaN in a float picture spoils the pixels that a filter's kernel reaches from it, so 169
# with a kernel of 13x13. The size of the kernel only changes how many.
#
# What happens: `cv2.filter2D` does that with small kernels. From 13x13 on it
# filters by DFT, block by block, and one NaN turns the whole block into NaN, here the whole picture
# of 200x200. An infinite pixel does the same. `cv2.blur` keeps running sums: even at 3x3, all is
# NaN from there down to the last row. `cv2.GaussianBlur` spoils no more than its kernel reaches.
#
# Why it matters: scientific and high-dynamic-range pictures mark missing or saturated pixels in
# this way, and kernels of camera shake are larger than 13x13. A metric computed without NaN is then
# taken over the few blocks that have none.
#
# Seen with Python 3.11.7, numpy 2.4.6, opencv-python-headless 5.0.0.93, Linux on x86-64, number of
# NaN pixels after filtering 200x200 with one NaN (infinity) in the middle:
#    3x3  filter2D 9 (9), blur 303 (303), GaussianBlur 9 (9)
#    7x7  filter2D 49 (49), blur 10609 (10609), GaussianBlur 49 (49)
#   13x13 filter2D 40000 (40000), blur 11236 (11236), GaussianBlur 169 (169)
#   21x21 filter2D 40000 (40000), blur 12100 (12100), GaussianBlur 441 (441)
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import cv2
import numpy as np

cv2.setNumThreads(1)
same = True
for size in (3, 7, 13, 21):
    kernel = np.full((size, size), 1 / size**2, np.float32)
    counts = {}
    for name, bad in (("NaN", np.nan), ("inf", np.inf)):
        picture = np.ones((200, 200), np.float32)
        picture[100, 100] = bad
        filtered = {
            "filter2D": cv2.filter2D(picture, -1, kernel),
            "blur": cv2.blur(picture, (size, size)),
            "GaussianBlur": cv2.GaussianBlur(picture, (size, size), 0),
        }
        counts[name] = {key: int((~np.isfinite(x)).sum()) for key, x in filtered.items()}
    print(f"{size:2}x{size:<2}", ", ".join(
        f"{key} {count} ({counts['inf'][key]})" for key, count in counts["NaN"].items()))
    reached = size**2
    spoilt = reached if size < 13 else 200**2
    same &= counts["NaN"]["filter2D"] == counts["inf"]["filter2D"] == spoilt
    same &= counts["NaN"]["GaussianBlur"] == counts["inf"]["GaussianBlur"] == reached
    same &= min(counts["NaN"]["blur"], counts["inf"]["blur"]) > 5 * reached
if not same:
    sys.exit("The behaviour has changed.")
PY
