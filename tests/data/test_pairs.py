"""Pairs made from films: means of successive frames, their middle frames, and nothing else."""

import json

import cv2
import numpy as np
import pytest

from deblurlib.data import PairedFolder, check_data, make_pairs, pairs
from deblurlib.data.pictures import read_picture
from deblurlib.data.video import read_frames
from tests.films import QUARTER, STEP, scene, write_film

pytest.importorskip("av")


def film(path, count=30, **options):
    return write_film(path, scene(count), **options)


@pytest.mark.parametrize("variant, gamma", [("blur", 1.0), ("blur_gamma", 2.2)])
def test_a_pair_is_the_mean_of_successive_frames_and_the_one_in_the_middle(
    tmp_path, variant, gamma
):
    source = film(tmp_path / "ride.mp4", matrix=QUARTER)
    (row,) = make_pairs(source, tmp_path / "out", (7, 7), variant)
    assert row["state"] == "done" and row["pairs"] == 4 and row["gaps"] == 0
    assert row["sequences"] == ["ride_000_n07"] and (row["height"], row["width"]) == (64, 48)
    frames = [frame.pixels for frame in read_frames(source)]
    home = tmp_path / "out" / "ride_000_n07"
    for number in range(4):
        window = frames[7 * number : 7 * number + 7]
        mean = np.mean([(frame / 255.0) ** gamma for frame in window], 0) ** (1 / gamma) * 255
        name = f"{number + 1:06d}.png"
        assert np.array_equal(read_picture(home / "sharp" / name), window[3])
        assert np.abs(read_picture(home / variant / name) - mean).max() <= 0.5 + 1e-3


def test_the_output_is_a_data_set_with_neighbours_that_check_data_accepts(tmp_path):
    make_pairs(film(tmp_path / "ride.mp4"), tmp_path / "out", (7, 9), "blur", split="train")
    report = check_data(tmp_path / "out")
    assert report.ok and report.layout == "sequences" and report.dataset is None
    folder = PairedFolder.for_training(tmp_path / "out")
    assert folder.split == "train" and folder.variant == "blur"
    assert {"previous", "following"} <= folder.files_of(1).keys()


def test_no_exposure_reaches_across_missing_frames(tmp_path):
    ticks = [STEP * i + (STEP * 30 if i >= 10 else 0) for i in range(30)]
    source = film(tmp_path / "ride.mp4", ticks=ticks)
    (row,) = make_pairs(source, tmp_path / "out", (7, 7), "blur")
    assert row["gaps"] == 1
    frames = [frame.pixels for frame in read_frames(source)]
    found = sorted((tmp_path / "out").rglob("sharp/*.png"))
    # frames 0-6, then 10-16 and 17-23; the free number 2 keeps 1 and 3 from being neighbours
    assert [path.name for path in found] == ["000001.png", "000003.png", "000004.png"]
    for path, middle in zip(found, (3, 13, 20), strict=True):
        assert np.array_equal(read_picture(path), frames[middle])


def test_each_sequence_draws_its_own_odd_number_from_the_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "PAIRS_PER_SEQUENCE", 2)
    source = film(tmp_path / "ride.mp4", 110)
    first, again, other = (
        make_pairs(source, tmp_path / name, (6, 14), seed=seed)[0]["sequences"]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other
    numbers = [int(name[-2:]) for name in first + other]
    assert len(set(numbers)) > 1 and all(n % 2 and 7 <= n <= 13 for n in numbers)


def test_an_interrupted_call_continues_and_a_variant_is_added(tmp_path, monkeypatch):
    source, written = film(tmp_path / "ride.mp4"), []
    make_pairs(source, tmp_path / "whole", (7, 7))
    make_pairs(source, tmp_path / "whole", (7, 7), "blur_gamma")
    whole = contents(tmp_path / "whole")
    write = pairs.write_atomically

    def stop(path, content):
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(pairs, "write_atomically", stop)
    with pytest.raises(KeyboardInterrupt):
        make_pairs(source, tmp_path / "out", (7, 7))
    pngs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert 0 < len(pngs) < 8
    make_pairs(source, tmp_path / "out", (7, 7))
    make_pairs(source, tmp_path / "out", (7, 7), "blur_gamma")
    assert contents(tmp_path / "out") == whole
    complete = sorted(pngs)[:2]  # the first pair of blur and sharp
    assert all(path.stat().st_mtime_ns == pngs[path] for path in complete if path in pngs)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_pairs_of_another_film_or_number_are_never_mixed(tmp_path):
    source = film(tmp_path / "ride.mp4")
    make_pairs(source, tmp_path / "out", (7, 7))
    before = contents(tmp_path / "out")
    (row,) = make_pairs(source, tmp_path / "out", (9, 9))
    assert row["state"] == "failed" and "choose another output folder" in row["error"]
    film(source, 40)
    assert make_pairs(source, tmp_path / "out", (7, 7))[0]["state"] == "failed"
    assert contents(tmp_path / "out") == before
    record = json.loads((tmp_path / "out" / "ride.json").read_text())
    assert record["averaged"] == [7] and record["frames_per_second"] == 240


def test_flow_leads_from_the_sharp_frame_to_the_ends_of_the_exposure(tmp_path):
    source = write_film(tmp_path / "ride.mp4", scene(14, (96, 128)))
    (row,) = make_pairs(source, tmp_path / "out", (7, 7), flow=True)
    home = tmp_path / "out" / "ride_000_n07" / "flow"
    first = cv2.readOpticalFlow(str(home / "000001_first.flo"))
    last = cv2.readOpticalFlow(str(home / "000001_last.flo"))
    inner = (slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(np.median(first[inner], (0, 1)), [-3, 0], atol=0.3)
    np.testing.assert_allclose(np.median(last[inner], (0, 1)), [3, 0], atol=0.3)
    assert 0.7 < row["step"] < 1.5
    assert check_data(tmp_path / "out").ok


def test_a_bad_film_does_not_stop_the_others(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"no film")
    film(tmp_path / "in" / "b.mp4")
    film(tmp_path / "in" / "c.mp4", 3)
    rows = make_pairs(tmp_path / "in", tmp_path / "out", (7, 7))
    assert [row["state"] for row in rows] == ["failed", "done", "failed"]
    assert "a.mp4" in rows[0]["error"] and "frames for a pair of 7: average" in rows[2]["error"]
    rows = make_pairs(tmp_path / "in", tmp_path / "more", (7, 13))
    assert "too few successive frames for a pair of 7 to 13: average" in rows[2]["error"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"frames": (8, 8)}, "odd number of at least 3"),
        ({"frames": (1, 1)}, "odd number of at least 3"),
        ({"variant": "soft"}, "choose one of blur, blur_gamma"),
        ({"split": "part"}, "choose one of train"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_pairs(film(tmp_path / "ride.mp4", 3), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_films_of_one_name_and_missing_ones_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        film(tmp_path / name / "ride.mp4", 3)
    with pytest.raises(ValueError, match="rename one of them"):
        make_pairs(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        make_pairs(tmp_path / "none.mp4", tmp_path / "out")


def test_an_image_is_not_taken_for_a_film(tmp_path):
    (tmp_path / "street.png").write_bytes(b"")
    with pytest.raises(ValueError, match="is an image: give a film"):
        make_pairs(tmp_path / "street.png", tmp_path / "out")
    assert not (tmp_path / "out").exists()
