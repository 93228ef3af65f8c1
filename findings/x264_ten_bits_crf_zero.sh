#!/usr/bin/env bash
# Guess: `crf=0` is libx264's lossless mode, as its documentation says for constant quality.
#
# What happens: with 8 bits it is. With 10 bits the scale of the constant rate factor starts at -12,
# so 0 is an ordinary lossy quality: codes are off by several levels of 1023. `qp=0` is lossless in
# both depths.
#
# Why it matters: 10 bits are chosen to lose less. An archive of sharp frames, or intermediate frames
# of a pipeline, written with the "lossless" setting of the 8-bit encoder, is no longer exact, and no
# message says so.
#
# Seen with Python 3.11.7, numpy 2.4.6, PyAV 18.1.0, Linux on x86-64, frames of noise:
#   largest error in codes
#    8 bits, crf=0: 0
#    8 bits, qp=0: 0
#   10 bits, crf=0: 23
#   10 bits, qp=0: 0
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 av==18.1.0
PYTHONPATH="$site" "$python" - <<'PY'
import io
import sys

import av
import numpy as np

FORMATS = {8: ("yuv444p", "<u1"), 10: ("yuv444p10le", "<u2")}
SIDE = 64  # pixels; rows of this length need no padding


def largest_error(bits, options):
    name, dtype = FORMATS[bits]
    numbers = np.random.default_rng(0)
    frames = numbers.integers(0, 2**bits, (3, 3, SIDE, SIDE)).astype(dtype)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt, stream.options = name, options
        for planes in frames:
            frame = av.VideoFrame(SIDE, SIDE, name)
            for plane, values in zip(frame.planes, planes, strict=True):
                plane.update(values.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        decoded = [
            [np.frombuffer(plane, dtype).reshape(SIDE, SIDE) for plane in frame.planes]
            for frame in container.decode(video=0)
        ]
    return int(np.abs(np.array(decoded, int) - frames).max())


print("largest error in codes")
seen = {}
for bits in FORMATS:
    for options in ({"crf": "0"}, {"qp": "0"}):
        text = "=".join(*options.items())
        seen[bits, text] = largest_error(bits, options)
        print(f"{bits:2} bits, {text}: {seen[bits, text]}")
lossy = seen.pop((10, "crf=0"))
if lossy == 0 or any(seen.values()):
    sys.exit("The behaviour has changed.")
PY
