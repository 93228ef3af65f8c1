#!/usr/bin/env bash
# Guess: `random_noise(picture, mode="poisson")` is photon noise. How strong it is at a pixel
# depends on how bright the pixel is, and for floats in [0, 1] on some fixed number of photons.
#
# What happens: the number of photons of white is the number of different values in the whole
# picture, rounded up to a power of two. A picture of 256 levels gets 256 photons, the same picture
# after a slight blur in floats 262144 and next to no noise, and a flat one a single photon, so that
# grey becomes black, white or more. A crop gets other noise than the picture that it was cut from.
#
# Why it matters: noise is added to blurry floats when training pairs are made, and vanishes there.
# The level also changes with the size of the crop, and between 8-bit and 16-bit files.
# `rng.poisson(picture * photons) / photons` is right.
#
# Seen with Python 3.11.7, numpy 2.4.6, scipy 1.17.1, scikit-image 0.26.0; deviation of the noise at
# pixels within 0.03 of middle grey:
#   8 bits              256 values, noise 0.0441 (0.0442 at 256 photons)
#   blurred floats   262123 values, noise 0.0014 (0.0014 at 262144 photons)
#   32 columns of it     30 values, noise 0.1242 (0.1250 at 32 photons)
#   flat grey             1 values, noise 0.7084 (0.7071 at 1 photons)
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.util import random_noise

rng = np.random.default_rng(0)
ramp = np.linspace(0, 255, 512) + rng.normal(0, 2, (512, 512))
picture = np.round(ramp).clip(0, 255) / 255
pictures = {
    "8 bits": picture,
    "blurred floats": gaussian_filter(picture, 0.5),
    "32 columns of it": picture[:, 240:272],
    "flat grey": np.full((512, 512), 0.5),
}
found = {}
for name, clean in pictures.items():
    noise = random_noise(clean, mode="poisson", rng=1, clip=False) - clean
    found[name] = noise[np.abs(clean - 0.5) < 0.03].std()
    values = len(np.unique(clean))
    photons = 2 ** np.ceil(np.log2(values))
    print(f"{name:16} {values:6} values, noise {found[name]:.4f} "
          f"({np.sqrt(0.5 / photons):.4f} at {photons:.0f} photons)")
    found[name] /= np.sqrt(0.5 / photons)
if not all(abs(ratio - 1) < 0.1 for ratio in found.values()):
    sys.exit("The behaviour has changed.")
PY
