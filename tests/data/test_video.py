"""Films: colours, range, matrix, rotation, and times are read as they are meant."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from deblurlib.data import video, yuv
from tests.films import GOOD, QUARTER, STEP, scene, write_film

av = pytest.importorskip("av")
CODINGS = [
    yuv.Coding(m, full, bits) for m in (1, 6, 9) for full in (False, True) for bits in (8, 10)
]
names = pytest.mark.parametrize("coding", CODINGS, ids=str)


def by_formula(pixels, coding):
    """Y, Cb and Cr of RGB in [0, 1] as H.273 prints them (equations 38 to 40), unrounded."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[coding.matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    n = coding.bits
    if coding.full:
        white = 2**n - 1
        return [white * luma, *(white * c + 2 ** (n - 1) for c in chroma)]
    step = 2 ** (n - 8)
    return [step * (219 * luma + 16), *(step * (224 * c + 128) for c in chroma)]


def flat(colours, size=8):
    """One frame of one colour per colour."""
    return [np.ascontiguousarray(np.broadcast_to(c, (size, size, 3))) for c in colours]


@names
@pytest.mark.parametrize("subsampling", ["420", "422", "444"])
def test_colours_are_coded_as_the_standard_prints_them(coding, subsampling):
    dtype = np.uint8 if coding.bits == 8 else np.uint16
    white = np.iinfo(dtype).max
    colours = np.random.default_rng(0).integers(0, white, (60, 3), dtype, endpoint=True)
    expected = np.stack(by_formula(colours / white, coding), -1)
    errors, back = [], []
    for pixels, levels in zip(flat(colours), expected, strict=True):
        frame = yuv.encode(pixels, coding, subsampling)
        planes = [p[3, 3] for p in yuv._planes(frame, 3)]
        errors.append(planes - levels)
        assert yuv.coding_of(frame) == coding
        back.append((yuv.decode(frame)[3, 3].astype(float) - pixels[3, 3]) / white)
    assert np.abs(errors).max() < 0.51
    assert np.abs(np.mean(back, 0)).max() < 0.25 / 255
    assert np.abs(back).max() < (2.1 if coding.bits == 8 else 0.6) / 255


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_grey_ramp_keeps_its_levels_through_a_film(tmp_path, full, suffix):
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (16, 1))[..., None], 3, -1)
    coding = yuv.Coding(1, full, 8)
    path = write_film(tmp_path / f"ramp{suffix}", [ramp] * 2, coding, subsampling="420")
    for frame in video.read_frames(path):
        error = frame.pixels.astype(float) - ramp
        assert np.abs(error.mean((0, 1))).max() < 0.1
        assert np.abs(error).max() <= 1


@names
def test_a_film_is_read_with_its_own_range_matrix_and_depth(tmp_path, coding):
    frames = scene(2)
    if coding.bits == 10:
        frames = [frame.astype(np.uint16) * 257 for frame in frames]
    path = write_film(tmp_path / "a.mp4", frames, coding)
    (first, _) = video.read_frames(path)
    assert first.layout.coding == coding and first.pixels.dtype == frames[0].dtype
    error = (first.pixels.astype(float) - frames[0]) / np.iinfo(frames[0].dtype).max * 255
    assert np.abs(error).max() < 3 and np.abs(error.mean((0, 1))).max() < 0.2


@pytest.mark.parametrize("size, matrix", [((96, 128), 6), ((720, 1280), 1), ((1280, 720), 1)])
def test_a_film_without_a_matrix_is_read_as_players_do(tmp_path, size, matrix):
    path = write_film(tmp_path / "a.mp4", [np.zeros((*size, 3), np.uint8)], tags=False)
    (frame,) = video.read_frames(path)
    assert frame.layout.coding == yuv.Coding(matrix, False, 8)
    assert frame.layout.tags["colorspace"] == 2  # it still does not state one


TURNS = {
    "none": ((65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), lambda a: a),
    "right": (QUARTER, lambda a: np.rot90(a, -1)),
    "half": ((-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30), lambda a: np.rot90(a, 2)),
    "left": ((0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30), lambda a: np.rot90(a, 1)),
    "mirrored": ((-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), lambda a: a[:, ::-1]),
}


@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_upright(tmp_path, turn):
    matrix, upright = TURNS[turn]
    frames = scene(1)
    path = write_film(tmp_path / "a.mp4", frames, matrix=matrix)
    (frame,) = video.read_frames(path)
    expected = upright(frames[0])
    assert np.abs(frame.pixels.astype(int) - expected).max() <= 2
    if turn != "mirrored":  # OpenCV turns, too, but does not mirror
        shown = cv2.VideoCapture(str(path)).read()[1]
        assert shown.shape == frame.pixels.shape
    assert np.array_equal(video.turn_back(expected, matrix), frames[0])


def test_frame_times_are_those_of_the_file_at_any_rate(tmp_path):
    ticks = [0, 100, 200, 900, 1000, 5000]
    path = write_film(tmp_path / "a.mp4", scene(6), ticks=ticks, options={"bf": "2", "crf": "20"})
    times = [float(frame.time) for frame in video.read_frames(path)]
    np.testing.assert_allclose(times, np.array(ticks) / 24000, atol=1e-9)
    assert [float(time) for time in video.frame_times(path)] == times


def test_frames_without_times_follow_each_other_by_the_rate(tmp_path):
    path = tmp_path / "a.h264"
    write_film(path, scene(5), options={"bf": "0"})
    assert len(list(video.read_frames(path))) == 5
    times = [frame.time for frame in video.read_frames(path)]
    steps = {later - earlier for earlier, later in pairwise(times)}
    assert len(steps) == 1 and steps.pop() > 0


@pytest.mark.parametrize(
    "format", ["yuv420p", "nv12", "yuyv422", "uyvy422", "yuva420p", "yuv411p", "p010le", "gbrp10le"]
)
def test_every_arrangement_of_samples_is_read(format):
    pixels = np.repeat(np.repeat(scene(1, (12, 16))[0], 8, 0), 8, 1)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=format)
    found = yuv.decode(frame)
    if found.dtype == np.uint16:
        found = found / 257
    assert np.abs(found[4::8, 4::8] - pixels[4::8, 4::8].astype(float)).mean() < 3


def test_a_grey_frame_without_a_range_is_full():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = yuv.decode(av.VideoFrame.from_ndarray(levels, format="gray"))
    assert np.array_equal(found, np.repeat(levels[..., None], 3, -1))


def test_odd_sizes_keep_every_pixel(tmp_path):
    path = write_film(tmp_path / "a.mkv", scene(2, (45, 63)), subsampling="444")
    assert [frame.pixels.shape for frame in video.read_frames(path)] == [(45, 63, 3)] * 2


def test_a_matrix_that_is_not_known_is_named():
    frame = yuv.encode(np.zeros((8, 8, 3), np.uint8), GOOD, "444")
    frame.colorspace = 8
    with pytest.raises(ValueError, match=r"matrix 8 of H\.273: convert"):
        yuv.decode(frame)


@pytest.mark.parametrize("content", [b"", b"text, not a film", b"\0" * 4096])
def test_what_is_no_film_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^The film .*a\.mp4 .*: .*\.$"):
        list(video.read_frames(path))


def test_a_sound_file_and_an_interlaced_film_are_named(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=48000, layout="mono")
        wave = np.zeros((1, 1024), np.float32)
        sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        sound.sample_rate = 48000
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    with pytest.raises(ValueError, match="no moving picture"):
        list(video.read_frames(tmp_path / "a.mp4"))
    interlaced = {"x264-params": "interlaced=1:tff=1"}
    path = write_film(tmp_path / "b.mp4", scene(3), subsampling="420", options=interlaced)
    with pytest.raises(ValueError, match="is interlaced"):
        list(video.read_frames(path))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match=r'pip install "deblurlib\[video\]"'):
        video.require_av()


def test_frames_are_spaced_as_the_films_of_these_tests_say(tmp_path):
    first, second = video.read_frames(write_film(tmp_path / "a.mp4", scene(2)))
    assert second.ticks - first.ticks == STEP
