#!/usr/bin/env bash
# Guess: the PSNR of two equal pictures is infinite, as in scikit-image, or an error.
#
# What happens: `cv2.PSNR` adds 2.2e-16 to the root of the mean squared error before it divides. Equal
# 8-bit pictures get 361.2 dB, and equal pictures in [0, 1] 313.1 dB: a finite number that depends on
# the range.
#
# Why it matters: a single unchanged picture raises the mean of a data set of 100 by 3.3 dB, where
# infinity would be seen. Piq and pyiqa print 80 dB in the same case.
#
# Seen with Python 3.11.7, numpy 2.4.6, opencv-python-headless 5.0.0.93, scikit-image 0.26.0:
#   cv2.PSNR, 8 bits: 361.2 dB
#   cv2.PSNR, [0, 1]: 313.1 dB
#   scikit-image: inf dB
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 opencv-python-headless==5.0.0.93 scikit-image==0.26.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys
import warnings

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio

warnings.simplefilter("ignore")  # of the division by zero
levels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
shares = levels / 255
seen = {
    "cv2.PSNR, 8 bits": cv2.PSNR(levels, levels),
    "cv2.PSNR, [0, 1]": cv2.PSNR(shares, shares, R=1.0),
    "scikit-image": peak_signal_noise_ratio(levels, levels),
}
for name, value in seen.items():
    print(f"{name}: {value:.1f} dB")
if [round(value, 1) for value in seen.values()] != [361.2, 313.1, np.inf]:
    sys.exit("The behaviour has changed.")
PY
