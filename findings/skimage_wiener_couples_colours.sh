#!/usr/bin/env bash
# Guess: `skimage.restoration.wiener(picture, psf[..., None], balance)` deblurs a colour picture
# channel by channel, since a kernel of depth 1 blurs no colour into another.
#
# What happens: the call works, but it couples the channels. The regulariser has as many
# dimensions as the picture, so the default Laplacian also penalises differences between red and
# green, green and blue, and (the Fourier transform being periodic) blue and red. A purely red
# scene gets green and blue light, and at a balance of 1 it is nearly grey. Deblurring each
# channel by itself is right, and so is `reg=laplacian[..., None]` with the two-dimensional
# Laplacian.
#
# Why it matters: colours lose saturation, the more so the larger `balance` is, which looks like a
# property of Wiener deconvolution. Without `[..., None]` the call raises an error about shapes
# that invites adding it.
#
# Seen with Python 3.11.7, numpy 2.4.6, scipy 1.17.1, scikit-image 0.26.0 (red square on black,
# 5x5 box blur, balance 0.01 unless stated):
#   psf[..., None]:                 middle: red 0.960, green 0.022, blue 0.022; most green 0.083
#   psf[..., None], balance 1:      middle: red 0.392, green 0.292, blue 0.292; most green 0.342
#   each channel by itself:         middle: red 1.000, green 0.000, blue 0.000; most green 0.000
#   psf[..., None] and its own reg: middle: red 1.000, green 0.000, blue 0.000; most green 0.000
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import numpy as np
from scipy.ndimage import convolve
from skimage.restoration import wiener

psf = np.full((5, 5), 1 / 25)
laplacian = np.array([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
scene = np.zeros((64, 64, 3))
scene[20:40, 20:40, 0] = 1.0
blurry = convolve(scene, psf[..., None], mode="reflect")
channels = [wiener(blurry[..., c], psf, 0.01) for c in range(3)]
results = {
    "psf[..., None]:": wiener(blurry, psf[..., None], 0.01),
    "psf[..., None], balance 1:": wiener(blurry, psf[..., None], 1),
    "each channel by itself:": np.stack(channels, axis=-1),
    "psf[..., None] and its own reg:": wiener(
        blurry, psf[..., None], 0.01, reg=laplacian[..., None]
    ),
}
green = {}
for name, result in results.items():
    middle = np.abs(result[30, 30])
    green[name] = result[..., 1].max()
    print(f"{name:31} middle: red {middle[0]:.3f}, green {middle[1]:.3f}, blue {middle[2]:.3f}; "
          f"most green {green[name]:.3f}")
coupled, more, separate, own = green.values()
if not (coupled > 0.05 and more > 0.3 and separate < 1e-9 and own < 1e-9):
    sys.exit("The behaviour has changed.")
PY
