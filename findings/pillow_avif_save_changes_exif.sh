#!/usr/bin/env bash
# Guess: `image.save(path, exif=exif)` only reads `exif`, so one Exif object serves several saves.
#
# What happens: saving as AVIF removes the orientation from the caller's object, because AVIF
# stores it elsewhere. If the object came from `image.getexif()`, the open picture loses its
# orientation as well. Saving in the other formats leaves the object alone.
#
# Why it matters: a tool that deblurs a photograph and saves the result first as AVIF and then as
# JPEG writes an upright AVIF and a sideways JPEG. In the opposite order both are upright.
# `save(path, exif=exif.tobytes())` avoids it.
#
# Seen with Python 3.11.7, Pillow 13.0.0 (width x height; the picture is stored as 8x4, and
# orientation 6 makes it 4x8):
#   JPEG: the object after save: {274: 6}; a JPEG saved next with it shows 4x8
#   PNG: the object after save: {274: 6}; a JPEG saved next with it shows 4x8
#   WEBP: the object after save: {274: 6}; a JPEG saved next with it shows 4x8
#   TIFF: the object after save: {274: 6}; a JPEG saved next with it shows 4x8
#   AVIF: the object after save: {}; a JPEG saved next with it shows 8x4
#   an open JPEG shows 4x8 before it is saved as AVIF with its own getexif(), 8x4 after
set -euo pipefail

python="${PYTHON:-python3}"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --target "$site" pillow==13.0.0
PYTHONPATH="$site" "$python" - <<'PY'
import io
import sys

from PIL import Image, ImageOps


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate clockwise
    return exif


def shown(image):
    return "{}x{}".format(*ImageOps.exif_transpose(image).size)


def save(image, name, exif):
    target = io.BytesIO()
    image.save(target, name, exif=exif)
    return Image.open(target)


picture = Image.new("RGB", (8, 4), (90, 90, 90))
after = {}
for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
    exif = rotated()
    save(picture, name, exif)
    left = dict(exif)
    size = shown(save(picture, "JPEG", exif))
    after[name] = (left, size)
    print(f"{name}: the object after save: {left}; a JPEG saved next with it shows {size}")
opened = save(picture, "JPEG", rotated())
before = shown(opened)
save(opened, "AVIF", opened.getexif())
print(f"an open JPEG shows {before} before it is saved as AVIF with its own getexif(), "
      f"{shown(opened)} after")
expected = dict.fromkeys(("JPEG", "PNG", "WEBP", "TIFF"), ({274: 6}, "4x8")) | {"AVIF": ({}, "8x4")}
if after != expected or (before, shown(opened)) != ("4x8", "8x4"):
    sys.exit("The behaviour has changed.")
PY
