#!/usr/bin/env bash
# Guess: `ncnn.Mat(array)` copies a NumPy array, or shares its memory as torch.from_numpy does: with
# the strides, with a check of the type, and with a reference that keeps the array alive.
#
# What happens: it takes the bare address. Strides are ignored, so an (H, W, 3) picture turned into
# (3, H, W) by `transpose` arrives scrambled. int32 is read as float32, without a conversion; uint8
# comes back as int8. No reference is kept: in `ncnn.Mat(np.ascontiguousarray(x)).clone()` the array
# may be gone before `clone` reads it, and the network gets whatever lies there by then.
#
# Why it matters: the result is a picture that is slightly or wholly wrong, differs between runs,
# and looks like a fault of the network or of its conversion. Keep the contiguous float32 array in a
# variable until `clone` has returned. (An array of float64 is accepted as well, and the conversion
# of that Mat back to NumPy crashed; this script leaves it out, and never reads freed memory.)
#
# Seen with Python 3.11.7, numpy 2.4.6, ncnn 1.0.20261020, Linux on x86-64:
#   a line of red 0.9: [0.9, 0.9, 0.9, 0.9], of the transposed array: [0.9, 0.5, 0.1, 0.9]
#   int32 1 comes back as float32 1e-45, uint8 200 as int8 -56
#   the array set to 0.25, the Mat says 0.25; does it keep the array alive? False
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 ncnn==1.0.20261020
PYTHONPATH="$site" "$python" - <<'PY'
import sys
import weakref

import ncnn
import numpy as np


def red(array):
    return [round(float(x), 1) for x in np.array(ncnn.Mat(array))[0, 0]]


picture = np.zeros((2, 4, 3), np.float32)
picture[...] = 0.9, 0.5, 0.1
turned = picture.transpose(2, 0, 1)
contiguous = np.ascontiguousarray(turned)
right, scrambled = red(contiguous), red(turned)
print(f"a line of red 0.9: {right}, of the transposed array: {scrambled}")

ones, bright = np.ones((1, 1, 4), np.int32), np.full((1, 1, 4), 200, np.uint8)
integers = [np.array(ncnn.Mat(x))[0, 0, 0] for x in (ones, bright)]
print(f"int32 1 comes back as {integers[0].dtype} {integers[0]:.1g}, "
      f"uint8 200 as {integers[1].dtype} {integers[1]}")

lent = contiguous.view()  # the memory belongs to `contiguous` and outlives `lent`
reference, mat = weakref.ref(lent), ncnn.Mat(lent)
lent[...] = 0.25
shared = float(np.array(mat)[0, 0, 0])
del lent
kept = reference() is not None
print(f"the array set to 0.25, the Mat says {shared}; does it keep the array alive? {kept}")
same = right == [0.9] * 4 != scrambled and shared == 0.25 and not kept
same &= [str(x.dtype) for x in integers] == ["float32", "int8"]
if not same:
    sys.exit("The behaviour has changed.")
PY
