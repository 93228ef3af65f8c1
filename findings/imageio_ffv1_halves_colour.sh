#!/usr/bin/env bash
# Guess: FFV1 is a lossless codec, so frames that imageio writes with `codec="ffv1"` come back as
# they were.
#
# What happens: imageio converts RGB to yuv420p before the codec sees it, with both of its plugins,
# as it does for lossy codecs. Chroma loses three of four samples, and levels are cut to 16-235. The
# codec then keeps the rest without loss. With the plugin FFMPEG, `pixelformat="bgr0"` stores RGB
# exactly, with the plugin pyav `out_pixel_format="bgr0"` does.
#
# Why it matters: data sets are stored as lossless films to save space. A photograph came back at
# 39 dB, fine stripes come back at 10 dB, and nothing warns.
#
# Seen with Python 3.11.7, numpy 2.4.6, imageio 2.38.1, imageio-ffmpeg 0.8.1, PyAV 18.1.0, Linux on
# x86-64:
#   FFMPEG                       stored as yuv420p, largest error 149, PSNR 10.0 dB
#   FFMPEG, pixelformat bgr0     stored as bgr0, largest error 0, PSNR inf dB
#   pyav                         stored as yuv420p, largest error 149, PSNR 10.0 dB
#   pyav, out_pixel_format bgr0  stored as bgr0, largest error 0, PSNR inf dB
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" numpy==2.4.6 imageio==2.38.1 \
  imageio-ffmpeg==0.8.1 av==18.1.0
cd "$site"
PYTHONPATH="$site" "$python" - <<'PY'
import sys

import av
import imageio.v3 as iio
import numpy as np

# stripes of four colours, one pixel wide each
colours = np.array([[220, 40, 40], [40, 200, 60], [30, 60, 210], [230, 220, 50]], np.uint8)
frame = np.tile(colours, (64, 16, 1))
frames = np.stack([frame, frame[:, ::-1]])
ROUTES = {
    "FFMPEG": ("FFMPEG", {}),
    "FFMPEG, pixelformat bgr0": ("FFMPEG", {"pixelformat": "bgr0"}),
    "pyav": ("pyav", {}),
    "pyav, out_pixel_format bgr0": ("pyav", {"out_pixel_format": "bgr0"}),
}
errors = {}
for name, (plugin, options) in ROUTES.items():
    iio.imwrite("film.mkv", frames, plugin=plugin, codec="ffv1", fps=25, **options)
    with av.open("film.mkv") as film:
        stored = film.streams.video[0].pix_fmt
        decoded = [picture.to_ndarray(format="rgb24") for picture in film.decode(video=0)]
    error = np.array(decoded, float) - frames
    errors[name] = np.abs(error).max()
    psnr = 10 * np.log10(255**2 / (error**2).mean()) if errors[name] else np.inf
    print(f"{name:28} stored as {stored}, largest error {errors[name]:.0f}, PSNR {psnr:.1f} dB")
same = all((error == 0) == ("bgr0" in name) for name, error in errors.items())
if not (same and min(errors["FFMPEG"], errors["pyav"]) > 20):
    sys.exit("The behaviour has changed.")
PY
