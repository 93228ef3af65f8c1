#!/usr/bin/env bash
# Guess: overwriting a TIFF tag with the value that it already has changes nothing, and
# `overwrite(...)` touches only the tag itself: for ExifTag (34665), the four bytes of the pointer
# to the EXIF directory.
#
# What happens: tifffile 2026.3.3 leaves the file as it was. Version 2026.11.8 also sets the first
# four bytes of the directory to zero, that is, the number of its entries and the code of the
# first one. The EXIF is gone, without an error or a warning. (For this tag `valueoffset` is the
# position of the directory, not of the pointer, and this is where `erase=True`, the default,
# clears the "previous value".) `overwrite(..., erase=False)` keeps the directory in both
# versions.
#
# Why it matters: deblurring with a camera model takes exposure time and focal length from EXIF. A
# script that repeats the pointer, or changes its type from LONG to IFD, loses them after an
# upgrade of tifffile.
#
# Seen with Python 3.12.1, numpy 2.4.6, Pillow 13.0.0 (2026.11.8 needs Python 3.12 or newer):
#   tifffile 2026.3.3: exposure 0.02 s before, 0.02 s after, 0.02 s after erase=False; 0 bytes changed
#   tifffile 2026.11.8: exposure 0.02 s before, none after, 0.02 s after erase=False; 3 bytes changed
set -euo pipefail

python=""
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
    python="$candidate"
    break
  fi
done
if [[ -z "$python" ]]; then
  echo "No Python 3.12 or newer was found: name one with PYTHON=..." >&2
  exit 2
fi

site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
for version in 2026.3.3 2026.11.8; do
  "$python" -m pip install --quiet --target "$site/$version" \
    "tifffile==$version" numpy==2.4.6 pillow==13.0.0
  PYTHONPATH="$site/$version" "$python" - "$site/picture.tif" <<'PY'
import struct
import sys
from pathlib import Path

import tifffile
from PIL import Image

EXIF, EXPOSURE_TIME = 34665, 33434


def directory(*entries):
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", 0)


def picture():
    """A grey 4x4 picture that was exposed for 1/50 s, and the offset of its EXIF directory."""
    exif = 8 + 2 + 10 * 12 + 4
    ratio = exif + 2 + 12 + 4
    main = directory(
        (256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, ratio + 8), (277, 3, 1, 1), (278, 4, 1, 4), (279, 4, 1, 16), (EXIF, 4, 1, exif),
    )
    header, pixels = b"II*\0" + struct.pack("<I", 8), bytes(range(16))
    details = directory((EXPOSURE_TIME, 5, 1, ratio)) + struct.pack("<II", 1, 50)
    return header + main + details + pixels, exif


def exposure(path):
    with Image.open(path) as opened:
        time = opened.getexif().get_ifd(EXIF).get(EXPOSURE_TIME)
    return "none" if time is None else f"{float(time)} s"


path = Path(sys.argv[1])
data, offset = picture()
times, changed = [], 0
for options in (None, {}, {"erase": False}):
    path.write_bytes(data)
    if options is not None:
        with tifffile.TiffFile(path, mode="r+b") as opened:
            opened.pages[0].tags[EXIF].overwrite(offset, **options)
    if options == {}:
        changed = sum(a != b for a, b in zip(data, path.read_bytes(), strict=True))
    times.append(exposure(path))
print(f"tifffile {tifffile.__version__}: exposure {times[0]} before, {times[1]} after, "
      f"{times[2]} after erase=False; {changed} bytes changed")
lost = tifffile.__version__ == "2026.11.8"
if times != ["0.02 s", "none" if lost else "0.02 s", "0.02 s"] or (changed > 0) != lost:
    sys.exit("The behaviour has changed.")
PY
done
