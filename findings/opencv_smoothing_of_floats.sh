#!/usr/bin/env bash
# Guess: a filter of OpenCV that does not take floating-point pictures refuses them.
#
# What happens: `edgePreservingFilter`, `detailEnhance` and `stylization` take a float32 picture in
# [0, 1] and return a uint8 picture that holds nothing but zeros and ones, without an error.
#
# Why it matters: pictures in [0, 1] are the rule in restoration. The result has the right shape, and
# a PSNR can be computed from it.
#
# Seen with Python 3.11.7, numpy 2.4.6, opencv-python-headless 5.0.0.93, Linux on x86-64:
#   edgePreservingFilter: maximum 195 of uint8, 1 (uint8) of float32
#   detailEnhance: maximum 255 of uint8, 1 (uint8) of float32
#   stylization: maximum 197 of uint8, 0 (uint8) of float32
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import cv2
import numpy as np

levels = np.random.default_rng(0).integers(60, 200, (32, 48, 3), dtype=np.uint8)
same = True
for name in ("edgePreservingFilter", "detailEnhance", "stylization"):
    found = [getattr(cv2, name)(picture) for picture in (levels, np.float32(levels / 255))]
    print(f"{name}: maximum {found[0].max()} of uint8, {found[1].max()} ({found[1].dtype}) of float32")
    same &= found[0].max() > 50 and found[1].dtype == np.uint8 and found[1].max() <= 1
if not same:
    sys.exit("The behaviour has changed.")
PY
