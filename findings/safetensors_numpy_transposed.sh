#!/usr/bin/env bash
# Guess: `safetensors.numpy.save` stores the values of an array, whatever its layout in memory, as
# `numpy.save` does.
#
# What happens: the bytes are written in the order in which they lie in memory, together with the
# shape of the view. A transposed array comes back with its numbers in other places, without an error
# or a warning. `np.ascontiguousarray` before saving is right.
#
# Why it matters: weights that are converted between frameworks are transposed on the way. The file
# has all the right names, shapes and sums, and a network that computes nonsense.
#
# Seen with Python 3.11.7, numpy 2.4.6, safetensors 0.8.0, Linux on x86-64:
#   transposed: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 1], [2, 3], [4, 5]]
#   contiguous: saved [[0, 3], [1, 4], [2, 5]], loaded [[0, 3], [1, 4], [2, 5]]
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 safetensors==0.8.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import numpy as np
from safetensors.numpy import load, save

values = np.arange(6).reshape(2, 3)
stored = {"transposed": values.T, "contiguous": np.ascontiguousarray(values.T)}
loaded = load(save(stored))
for name, array in stored.items():
    print(f"{name}: saved {array.tolist()}, loaded {loaded[name].tolist()}")
equal = [np.array_equal(stored[name], loaded[name]) for name in stored]
if equal != [False, True]:
    sys.exit("The behaviour has changed.")
PY
