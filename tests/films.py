"""Small films, made on the spot, for the tests that read video."""

from fractions import Fraction

import cv2
import numpy as np

from deblurlib.data import yuv

TICKS = Fraction(1, 24000)  # time base of the films
STEP = 100  # ticks between two frames: 240 per second
QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)  # display matrix of a phone held upright
GOOD = yuv.Coding(matrix=1, full=False, bits=8)


def scene(count, size=(48, 64), shift=1):
    """A smooth picture that moves to the right by `shift` pixels from frame to frame."""
    noise = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3, borderType=cv2.BORDER_REFLECT)
    smooth = 0.1 + 0.8 * (smooth - smooth.min()) / np.ptp(smooth)
    return [np.rint(np.roll(smooth, shift * i, 1) * 255).astype(np.uint8) for i in range(count)]


def write_film(path, frames, coding=GOOD, *, subsampling="444", ticks=None, **options):
    """Write a film; `options` are tags, matrix, audio, codec, options and aspect."""
    import av

    with av.open(str(path), "w", metadata_errors="ignore") as file:
        tone = file.add_stream("aac", rate=48000, layout="mono") if options.get("audio") else None
        chosen = options.get("options", {"qp": "0"})
        stream = file.add_stream(options.get("codec", "libx264"), rate=240, options=chosen)
        stream.height, stream.width = frames[0].shape[:2]
        stream.codec_context.time_base = TICKS
        if options.get("tags", True):
            stream.codec_context.colorspace = coding.matrix
            stream.codec_context.color_range = 2 if coding.full else 1
        if "aspect" in options:
            stream.codec_context.sample_aspect_ratio = options["aspect"]
        if "matrix" in options:
            stream.set_display_matrix(options["matrix"])
        for number, pixels in enumerate(frames):
            frame = yuv.encode(pixels, coding, subsampling)
            if not number:
                stream.pix_fmt = frame.format.name
            if not options.get("tags", True):
                frame.color_range, frame.colorspace = 0, 2
            frame.time_base = TICKS
            frame.pts = ticks[number] if ticks else number * STEP
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if tone is not None:
            seconds = float(frame.pts * TICKS)
            for start in range(0, int(48000 * seconds), 1024):
                wave = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None]
                sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = 48000, start, Fraction(1, 48000)
                file.mux(tone.encode(sound))
            file.mux(tone.encode())
    return path
