#!/usr/bin/env bash
# Guess: `cv2.phaseCorrelate(picture, picture)` is (0, 0) for a picture of any size.
#
# What happens: a side whose DFT has an odd length gets half a pixel. The picture is padded to the
# next length that is fast to transform (products of 2, 3 and 5), and the peak, which lies at the
# whole number length // 2, is measured from length / 2. 375, 225 and 135 are such lengths, and so
# the sides of 129 to 135 are affected as well. Moved copies are wrong by the same half pixel, with
# and without a window. scikit-image finds whole shifts at all of these sizes.
#
# Why it matters: blurry and sharp frames, or two cameras, are aligned by such shifts. Pictures of
# 1242x375, as in KITTI, seem to move down by half a pixel, those of 1280x720 are right.
#
# Seen with Python 3.11.7, numpy 2.4.6, scipy 1.17.1, scikit-image 0.26.0,
# opencv-python-headless 5.0.0.93, Linux on x86-64 (right, down, in pixels):
#   1280x720, DFT 1280x720: itself [0. 0.], moved by (-3, 0) [-3.  0.], scikit-image [-3.  0.]
#   1242x375, DFT 1250x375: itself [0.  0.5], moved by (-3, 0) [-3.   0.5], scikit-image [-3.  0.]
#    131x131, DFT  135x135: itself [0.5 0.5], moved by (-3, 0) [-2.55  0.51], scikit-image [-3.  0.]
#    225x225, DFT  225x225: itself [0.5 0.5], moved by (-3, 0) [-2.54  0.5 ], scikit-image [-3.  0.]
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 scipy==1.17.1 \
  scikit-image==0.26.0 opencv-python-headless==5.0.0.93
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import cv2
import numpy as np
from skimage.registration import phase_cross_correlation

# smooth, and larger than every window that is cut from it
noise = np.random.default_rng(0).normal(size=(800, 1300)).astype(np.float32)
scene = cv2.GaussianBlur(noise, (0, 0), 1.5)
same = True
for width, height in ((1280, 720), (1242, 375), (131, 131), (225, 225)):
    first = scene[:height, :width].copy()
    moved = scene[:height, 3 : 3 + width].copy()  # its content lies 3 pixels further left
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    lengths = [cv2.getOptimalDFTSize(side) for side in (width, height)]
    excess = np.array([length % 2 / 2 for length in lengths])
    itself = np.array(cv2.phaseCorrelate(first, first)[0])
    shift = np.array(cv2.phaseCorrelate(first, moved, window)[0])
    other = -phase_cross_correlation(first, moved)[0][::-1]
    print(f"{width:4}x{height}, DFT {lengths[0]:4}x{lengths[1]}: "
          f"itself {itself.round(2) + 0.0}, moved by (-3, 0) {shift.round(2) + 0.0}, "
          f"scikit-image {other + 0.0}")
    same &= np.abs(itself - excess).max() < 0.01
    same &= np.abs(shift - [-3, 0] - excess).max() < 0.1 and (other == [-3, 0]).all()
if not same:
    sys.exit("The behaviour has changed.")
PY
