#!/usr/bin/env bash
# Guess: NumPy sums pairwise, so the mean of a float32 array is good to about six digits, along any
# axis.
#
# What happens: pairwise sums are used only along the fastest axis. Over the rows of an (N, 3) array,
# which is what a list of RGB pixels is, each column is added up one number at a time in float32, and
# small numbers are lost once the sum is large: at 8.3 million pixels (4K) the mean is off by percents.
#
# Why it matters: mean colours, per-channel statistics of a data set and errors per channel are
# computed in just this way. `mean(axis=0, dtype=np.float64)` is right, and so is the mean of the
# transposed, contiguous array.
#
# Seen with Python 3.11.7, numpy 2.4.6, Linux on x86-64, a picture of the level 0.7:
#   (N, 3), axis 0: wrong by 5.5173 %
#   (3, N), axis 1: wrong by 0.0000 %
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import numpy as np

pixels = np.full((3840 * 2160, 3), 0.7, np.float32)
exact = pixels.mean(axis=0, dtype=np.float64)
means = {
    "(N, 3), axis 0": pixels.mean(axis=0),
    "(3, N), axis 1": np.ascontiguousarray(pixels.T).mean(axis=1),
}
errors = {name: float(np.abs(mean / exact - 1).max()) for name, mean in means.items()}
for name, error in errors.items():
    print(f"{name}: wrong by {100 * error:.4f} %")
if not errors["(N, 3), axis 0"] > 1e-3 > 1e-5 > errors["(3, N), axis 1"]:
    sys.exit("The behaviour has changed.")
PY
