#!/usr/bin/env bash
# Guess: ffmpeg's filter `fps=30` makes 30 frames per second of 240 by keeping every eighth: frames
# 0, 8, 16, as their times say.
#
# What happens: it keeps frames 3, 11, 19, and stores them with the times of 0, 8, 16. Each time is
# rounded to the nearest of the new times, and of the frames that land on the same one the last
# stays. From 120 to 24 frames per second it keeps 2, 7, 12, from 240 to 60 it keeps 1, 5, 9.
# `fps=30:round=up` and `framestep=8` keep 0, 8, 16.
#
# Why it matters: blurry frames are averages of neighbouring frames of a fast camera. A sharp frame
# that was picked by this filter belongs to another moment than its time, or eight times its number,
# says: 12.5 ms later, where the exposure of a blurry frame of eight lasts 33 ms.
#
# Seen with Python 3.11.7, numpy 2.4.6, PyAV 18.1.0 (libavfilter 11.14.102), Linux on x86-64:
#   240 frames per second, fps=30: frames [3, 11, 19, 27] at the times of [0, 8, 16, 24]
#   240 frames per second, fps=60: frames [1, 5, 9, 13] at the times of [0, 4, 8, 12]
#   120 frames per second, fps=24: frames [2, 7, 12, 17] at the times of [0, 5, 10, 15]
#   240 frames per second, fps=fps=30:round=up: frames [0, 8, 16, 24] at the times of [0, 8, 16, 24]
#   240 frames per second, framestep=8: frames [0, 8, 16, 24] at the times of [0, 8, 16, 24]
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 av==18.1.0
PYTHONPATH="$site" "$python" - <<'PY'
import sys
from fractions import Fraction

import av
import numpy as np


def kept(rate, name, options):
    """The first four frames that a filter keeps of 40, and their times in old frames."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=Fraction(1, rate))
    chosen, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(chosen)
    chosen.link_to(sink)
    graph.configure()
    for number in range(40):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16), number, np.uint8), format="gray")
        frame.pts, frame.time_base = number, Fraction(1, rate)
        graph.push(frame)
    graph.push(None)
    frames = [graph.pull() for _ in range(4)]
    numbers = [int(frame.to_ndarray()[0, 0]) for frame in frames]
    return numbers, [int(frame.pts * frame.time_base * rate) for frame in frames]


SEEN = {
    (240, "fps", "30"): [3, 11, 19, 27],
    (240, "fps", "60"): [1, 5, 9, 13],
    (120, "fps", "24"): [2, 7, 12, 17],
    (240, "fps", "fps=30:round=up"): [0, 8, 16, 24],
    (240, "framestep", "8"): [0, 8, 16, 24],
}
same = True
for (rate, name, options), seen in SEEN.items():
    numbers, times = kept(rate, name, options)
    print(f"{rate} frames per second, {name}={options}: frames {numbers} at the times of {times}")
    step = times[1]
    same &= numbers == seen and times == [0, step, 2 * step, 3 * step]
if not same:
    sys.exit("The behaviour has changed.")
PY
