#!/usr/bin/env bash
# Guess: a network whose weights, input and output are float32 is computed in float32 on a CPU,
# unless one asks for less.
#
# What happens: on processors with bfloat16 instructions (AVX512_BF16 or AMX), OpenVINO computes it in
# bfloat16, which has 8 significant bits. Input and output remain float32, and nothing is said. On
# other x86 processors the same program computes in float32. `INFERENCE_PRECISION_HINT` f32 asks for
# float32, and so does `EXECUTION_MODE_HINT` ACCURACY; its pages on precision control explain them.
#
# Why it matters: agreement with PyTorch depends on the machine, so a tolerance that holds on a
# laptop fails on a server; and a comparison of speed with a runtime that computes in float32 favours
# OpenVINO by the difference of the two types.
#
# Seen with Python 3.11.7, numpy 2.4.6, openvino 2026.4.1, Linux on x86-64, AMD EPYC with
# AVX512_BF16, one 3x3 convolution of 16 channels:
#   no setting                     float32 output, largest error 0.0055173
#   INFERENCE_PRECISION_HINT=f32   float32 output, largest error 0.0000013
#   EXECUTION_MODE_HINT=ACCURACY   float32 output, largest error 0.0000013
#
# Needs such a processor: exit status 2 on others.
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 openvino==2026.4.1
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import numpy as np
import openvino
from openvino import opset13

core = openvino.Core()
if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    print("This processor has no bfloat16 instructions.", file=sys.stderr)
    sys.exit(2)

rng = np.random.default_rng(0)
weight = rng.normal(size=(16, 16, 3, 3)).astype(np.float32) / 12
picture = rng.random((1, 16, 32, 32), np.float32)
windows = np.lib.stride_tricks.sliding_window_view(picture[0].astype(np.float64), (3, 3), (1, 2))
exact = np.einsum("ihwkl,oikl->ohw", windows, weight.astype(np.float64))

entry = opset13.parameter([1, 16, 32, 32], np.float32)
layer = opset13.convolution(entry, opset13.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
network = openvino.Model([layer], [entry])
errors = {}
for setting in ("", "INFERENCE_PRECISION_HINT=f32", "EXECUTION_MODE_HINT=ACCURACY"):
    config = dict([setting.split("=")]) if setting else {}
    output = core.compile_model(network, "CPU", config)([picture])[0]
    errors[setting] = float(np.abs(output[0] - exact).max())
    print(f"{setting or 'no setting':30} {output.dtype} output, largest error {errors[setting]:.7f}")
default, *asked = errors.values()
if not (default > 1e-3 and max(asked) < 1e-5):
    sys.exit("The behaviour has changed.")
PY
