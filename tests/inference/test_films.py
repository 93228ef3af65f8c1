"""Films in, films out: nothing but the pixels changes, and an interrupted film continues."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from deblurlib.cli.app import app
from deblurlib.data import video, yuv
from deblurlib.data.video import fraction, read_frames
from deblurlib.inference import films, planning
from deblurlib.inference.files import deblur_files
from tests.films import QUARTER, scene, write_film

av = pytest.importorskip("av")


class Invert(nn.Module):
    def forward(self, x):
        return 1 - x


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(films, "SEGMENT", 4)


def deblur(source, target, network=None, **options):
    (row,) = deblur_files(source, target, network or nn.Identity(), **options)
    assert row["state"] == "done", row["error"]
    return row


def sound(path):
    with av.open(str(path)) as file:
        (stream,) = file.streams.audio
        packets = [p for p in file.demux(stream) if p.size]
        return [(fraction(p.time_base) * p.pts, bytes(p)) for p in packets]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_everything_but_the_pixels_stays(tmp_path, suffix):
    ticks = [0, 100, 200, 350, 400, 2400, 2500, 2600, 2700, 2800]
    source = write_film(
        tmp_path / f"a{suffix}",
        scene(10),
        ticks=ticks,
        subsampling="420",
        matrix=QUARTER,
        aspect=Fraction(4, 3),
        audio=True,
        options={"bf": "2", "crf": "1"},
    )
    target = tmp_path / f"b{suffix}"
    row = deblur(source, target, Invert())
    assert (row["height"], row["width"], row["frames"], row["lost"]) == (64, 48, 10, [])
    before, after = list(read_frames(source)), list(read_frames(target))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    assert after[0].layout == before[0].layout and before[0].layout.matrix == QUARTER
    assert sound(target) == sound(source)
    with av.open(str(target)) as file:
        assert fraction(file.streams.video[0].sample_aspect_ratio) == Fraction(4, 3)
    for old, new in zip(before, after, strict=True):
        difference = 255 - new.pixels.astype(float) - old.pixels
        assert np.abs(difference).mean() < 4 and np.abs(difference.mean()) < 0.5
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


CODINGS = [yuv.Coding(m, full, b) for m in (1, 6, 9) for full in (False, True) for b in (8, 10)]


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_a_grey_ramp_keeps_its_levels_range_and_matrix(tmp_path, coding):
    dtype, scale = (np.uint8, 1) if coding.bits == 8 else (np.uint16, 257)
    ramp = np.repeat(np.tile(np.arange(256, dtype=dtype) * scale, (16, 1))[..., None], 3, -1)
    source = write_film(tmp_path / "a.mp4", [ramp] * 6, coding, subsampling="420")
    deblur(source, tmp_path / "b.mp4")
    for frame in read_frames(tmp_path / "b.mp4"):
        assert frame.layout.coding == coding and frame.layout.tags["colorspace"] == coding.matrix
        error = (frame.pixels.astype(float) - ramp) / scale
        assert np.abs(error.mean((0, 1))).max() < 0.2


def test_what_a_film_does_not_state_stays_unstated(tmp_path):
    source = write_film(tmp_path / "a.mp4", scene(5), tags=False, subsampling="420")
    deblur(source, tmp_path / "b.mp4")
    (before, after) = (next(read_frames(tmp_path / name)).layout for name in ("a.mp4", "b.mp4"))
    assert before == after and after.tags["colorspace"] == 2


@pytest.mark.parametrize("size", [(45, 63), (44, 63), (45, 64)])
def test_odd_sizes_stay(tmp_path, size):
    source = write_film(tmp_path / "a.mkv", scene(3, size))
    deblur(source, tmp_path / "b.mkv")
    assert next(read_frames(tmp_path / "b.mkv")).layout.size == size


def test_webm_and_formats_that_are_only_read(tmp_path):
    source = write_film(tmp_path / "a.avi", scene(9), codec="ffv1", options={})
    deblur(source, tmp_path / "a.webm")
    assert len(list(read_frames(tmp_path / "a.webm"))) == 9
    row = deblur(source, tmp_path / "out")
    assert row["output"].endswith("a.mkv") and len(list(read_frames(row["output"]))) == 9


class Stops(nn.Module):
    """Raises KeyboardInterrupt at the n-th frame, and counts frames."""

    def __init__(self, at):
        super().__init__()
        self.at, self.seen = at, 0

    def forward(self, x):
        if x.shape[-2:] == (48, 64):  # not the small picture on which memory is measured
            self.seen += 1
            if self.seen == self.at:
                raise KeyboardInterrupt
        return x


def test_an_interrupted_film_continues_and_gives_the_same_file(tmp_path):
    source = write_film(tmp_path / "a.mp4", scene(14), subsampling="420", audio=True)
    whole = Stops(0)
    deblur(source, tmp_path / "whole.mp4", whole)
    interrupted, rest = Stops(10), Stops(0)
    with pytest.raises(KeyboardInterrupt):
        deblur_files(source, tmp_path / "b.mp4", interrupted)
    assert not (tmp_path / "b.mp4").exists()
    deblur(source, tmp_path / "b.mp4", rest)
    assert whole.seen == 14 and rest.seen == 6  # frames 8 to 13: two segments were complete
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "whole.mp4"]


def test_segments_of_another_film_or_network_are_not_used(tmp_path):
    source = write_film(tmp_path / "a.mp4", scene(8))
    with pytest.raises(KeyboardInterrupt):
        deblur_files(source, tmp_path / "b.mp4", Stops(6))
    deblur(source, tmp_path / "b.mp4", Invert())
    first, shown = next(read_frames(source)), next(read_frames(tmp_path / "b.mp4"))
    assert np.abs(255 - shown.pixels.astype(float) - first.pixels).mean() < 4


def test_an_existing_output_stays_without_overwrite(tmp_path):
    source = write_film(tmp_path / "a.mp4", scene(3))
    deblur(source, tmp_path / "b.mp4")
    before = (tmp_path / "b.mp4").read_bytes()
    (row,) = deblur_files(source, tmp_path / "b.mp4", Invert())
    assert row["state"] == "exists" and (tmp_path / "b.mp4").read_bytes() == before
    deblur(source, tmp_path / "b.mp4", Invert(), overwrite=True)
    assert (tmp_path / "b.mp4").read_bytes() != before


def test_a_bad_film_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    write_film(tmp_path / "b.mp4", scene(3))
    rows = deblur_files(tmp_path / "*.mp4", tmp_path / "out", nn.Identity())
    assert [row["state"] for row in rows] == ["failed", "done"]
    assert "a.mp4 cannot be read" in rows[0]["error"]
    assert [p.name for p in (tmp_path / "out").glob("*")] == ["b.mp4"]


def test_sound_that_does_not_fit_is_said_before_the_work(tmp_path):
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        tone = file.add_stream("pcm_s16le", rate=48000, layout="mono")
        frame = yuv.encode(np.zeros((32, 32, 3), np.uint8), yuv.Coding(1, False, 8), "420")
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        wave.sample_rate = 48000
        file.mux(tone.encode(wave))
        file.mux(tone.encode())
    network = Stops(0)
    (row,) = deblur_files(path, tmp_path / "b.webm", network)
    assert row["state"] == "failed" and "cannot hold the sound" in row["error"]
    deblur(path, tmp_path / "b.mkv")
    assert sound(tmp_path / "b.mkv")


@pytest.mark.parametrize(
    "source, target", [("a.mp4", "b.png"), ("a.mp4", "b.avi"), ("a.png", "b.mp4")]
)
def test_a_film_becomes_a_film_and_a_picture_a_picture(tmp_path, source, target):
    (tmp_path / source).write_bytes(b"")
    with pytest.raises(ValueError, match="unsupported file extension"):
        planning.plan(tmp_path / source, tmp_path / target)


def test_films_in_folders_are_left_alone_and_counted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    write_film(tmp_path / "in" / "a.mp4", scene(2))
    work = planning.plan(tmp_path / "in", tmp_path / "out")
    assert [source.name for source, _ in work.jobs] == ["a.png"]
    assert [path.name for path in work.others] == ["a.mp4"]


def test_the_command_line_reports_the_film(tmp_path):
    source = write_film(tmp_path / "a.mp4", scene(3))
    arguments = ["deblur", source, "-o", tmp_path / "b.mp4", "--json", "--quality", 60]
    shown = CliRunner().invoke(app, list(map(str, arguments)))
    assert shown.exit_code == 0, shown.output
    (row,) = json.loads(shown.stdout)["pictures"]
    assert row["frames"] == 3 and row["error"] is None
    assert len(video.frame_times(tmp_path / "b.mp4")) == 3


def test_a_missing_package_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(ImportError, match=r"deblurlib\[video\]"):
        deblur_files(tmp_path / "a.mp4", tmp_path / "b.mp4", torch.nn.Identity())
