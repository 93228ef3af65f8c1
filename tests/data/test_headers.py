"""Faulty pairs are found by the headers of their files."""

import shutil

import numpy as np
import pytest
from PIL import Image

from deblurlib.data import PairedFolder, headers, read_picture
from deblurlib.data.headers import glance


@pytest.fixture
def root(tmp_path):
    """Five consecutive pairs, 48 wide and 40 high, of noise."""
    rng = np.random.default_rng(0)
    for kind in ("blur", "sharp"):
        (tmp_path / "A" / kind).mkdir(parents=True)
        for n in range(5):
            noise = Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8))
            noise.save(tmp_path / f"A/{kind}/{n:06}.png")
    return tmp_path


def picture(path, size=(48, 40), **options):
    Image.effect_noise(size, 50).convert("RGB").save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_pixels_of_a_complete_file_are_not_read(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(headers, "measure", None)
    tags = Image.Exif()
    assert glance(picture(tmp_path / f"a.{suffix}")) == (48, 40)
    tags[0x0112] = 6
    assert glance(picture(tmp_path / f"b.{suffix}", exif=tags)) == (40, 48)
    big = picture(tmp_path / f"c.{suffix}", (3000, 2000))
    monkeypatch.setattr(Image.Image, "load", None)
    assert glance(big) == (3000, 2000)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
@pytest.mark.parametrize("missing", [1, 13, 300])
def test_a_file_that_is_cut_off_is_found_where_it_cannot_be_read(tmp_path, suffix, missing):
    path = picture(tmp_path / f"a.{suffix}")
    assert glance(path) == (48, 40)
    path.write_bytes(path.read_bytes()[:-missing])
    try:
        read_picture(path)
        assert missing < 300
    except ValueError:
        with pytest.raises(ValueError, match=f"a.{suffix} cannot be read"):
            glance(path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        glance(tmp_path / "a.png")


def test_sound_pairs_stay_and_are_counted_from_the_first(root):
    pairs = PairedFolder(root)
    assert pairs.checked(smallest=40).names == pairs.names
    assert pairs.checked(2).names == pairs.names[:2]
    with pytest.raises(ValueError, match="has 5 usable pairs, but 6 are asked for"):
        pairs.checked(6)


def break_pair(root, fault):
    path = root / "A/blur/000002.png"
    if fault == "unreadable":
        path.write_text("no picture")
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif fault == "two sizes":
        picture(root / "A/blur/000002.png", (48, 39))
    elif fault == "too small":
        picture(path, (30, 40))
        picture(root / "A/sharp/000002.png", (30, 40))


@pytest.mark.parametrize(
    "fault, sentence",
    [
        ("unreadable", r"000002.png cannot be read \(it is damaged or not a picture\)"),
        ("truncated", r"000002.png cannot be read \(it is damaged or not a picture\)"),
        ("two sizes", r"blur.000002.png is 48 x 39 but .*sharp.000002.png is 48 x 40"),
        ("too small", r"blur.000002.png is 30 x 40, smaller than a crop of 32 x 32"),
    ],
)
def test_a_faulty_pair_is_named_or_skipped(root, fault, sentence, caplog):
    break_pair(root, fault)
    pairs = PairedFolder(root, neighbours=False)
    with pytest.raises(ValueError, match=sentence + ": replace or remove") as raised:
        pairs.checked(smallest=32)
    assert "\n" not in str(raised.value) and "more of" not in str(raised.value)
    left = pairs.checked(smallest=32, skip_bad=True)
    assert left.names == [name for i, name in enumerate(pairs.names) if i != 2]
    assert "1 of 5 pairs is left out" in caplog.text
    assert pairs.checked(2, smallest=32).names == pairs.names[:2]  # the faulty one is not used
    assert left.checked(4).names == pairs.checked(4, smallest=32, skip_bad=True).names


def test_a_faulty_neighbour_spoils_the_pairs_beside_it(root):
    (root / "A/sharp/000002.png").write_bytes(b"")
    assert len(PairedFolder(root).checked(skip_bad=True)) == 2
    with pytest.raises(ValueError, match="and 2 more of 5 pairs are faulty"):
        PairedFolder(root).checked()
    assert len(PairedFolder(root, neighbours=False).checked(skip_bad=True)) == 4


def test_pairs_without_neighbours_are_found_where_motion_is_needed(root):
    for kind in ("blur", "sharp"):
        shutil.copy(root / f"A/{kind}/000000.png", root / f"A/{kind}/000009.png")
    pairs = PairedFolder(root)
    assert len(pairs.checked()) == 6
    with pytest.raises(ValueError, match=r"000009.png has no sharp frame before or after it"):
        pairs.checked(moving=True)
    assert len(pairs.checked(moving=True, skip_bad=True)) == 5


def test_a_folder_of_faulty_pairs_is_one_sentence(root):
    with pytest.raises(ValueError, match="has 0 usable pairs, but at least 1 is asked for"):
        PairedFolder(root).checked(smallest=100, skip_bad=True)
