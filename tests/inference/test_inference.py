"""deblurlib.deblur: every kind of picture in, the same kind out; tiles that cannot be seen; memory
that is kept to.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import deblurlib
from deblurlib.data.photographs import list_photographs, load_photograph
from deblurlib.inference import deblur, memory, resolve_network, tiles
from deblurlib.inference.memory import LiveBytes, bytes_per_pixel, free_memory
from deblurlib.inference.sharpness import sharpness
from deblurlib.inference.tiles import GRID, RAMP, Tiles, round_up
from deblurlib.models import create_model, spec_of

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    if np.dtype(dtype).kind == "f":
        return RNG.random(shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


class Invert(nn.Module):
    def forward(self, x):
        return 1 - x


class Brighter(nn.Module):
    """Adds a hundredth more at every call: with tiles, each gets another brightness."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x + 0.01 * self.calls


# ------------------------------------------------------------------------------------------------
# Pictures


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 40, 3), (40, 1, 1), (3, 5, 4), (17, 31, 2), (50, 70, 3)]
)
def test_a_network_that_changes_nothing_gives_the_picture_back(dtype, shape):
    picture = noise(*shape, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
    before = picture.copy()
    for tile in (0, 32):
        same = deblur(picture, nn.Identity(), tile=tile)
        assert same.dtype == picture.dtype and same.shape == picture.shape
        np.testing.assert_allclose(
            same.astype(float),
            picture.astype(float),
            rtol=0,
            atol=0 if picture.dtype.kind == "u" else 1e-6,
        )
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_kept_and_colour_is_not(channels):
    picture = noise(9, 12, channels)
    inverted = deblur(picture, Invert())
    assert np.array_equal(inverted[..., -1], picture[..., -1]) and np.array_equal(
        inverted[..., :-1], 255 - picture[..., :-1]
    )


def test_grey_is_the_mean_of_the_three_channels():
    class Tint(nn.Module):
        def forward(self, x):
            return x + torch.tensor([0.0, 0.1, 0.2]).view(3, 1, 1)

    np.testing.assert_allclose(deblur(np.full((4, 4), 0.5), Tint()), 0.6, atol=1e-6)


def test_views_and_read_only_arrays_are_taken():
    picture = noise(40, 30, 3)
    picture.flags.writeable = False
    flipped = deblur(picture[::-1, ::2], Invert())
    assert np.array_equal(flipped, 255 - picture[::-1, ::2])


def test_the_module_and_the_random_numbers_stay_as_they_were():
    network = create_model("svdn", size="small").train()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    deblur(noise(300, 300), network)
    assert network.training and torch.equal(torch.rand(1), expected)


def test_batch_statistics_stay_as_they_were():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3)).train()
    network[1].eval()  # a frozen part
    deblur(noise(300, 300, 3), network)
    assert network[0].num_batches_tracked == 0 and [part.training for part in network] == [
        True,
        False,
    ]


def test_a_name_means_the_shipped_weights():
    picture = noise(24, 40, 3)
    assert np.array_equal(deblurlib.deblur(picture), deblur(picture, deblurlib.load_model("svdn")))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(9, 12), (3, 9, 12), (4, 9, 12), (2, 3, 9, 12)])
def test_a_tensor_comes_back_as_a_tensor_of_its_type(dtype, shape):
    dtype = getattr(torch, dtype)
    whole = torch.from_numpy(noise(*shape))
    picture = whole if dtype == torch.uint8 else (whole / 255).to(dtype)
    same, inverted = deblur(picture, nn.Identity()), deblur(picture, Invert())
    assert (same.dtype, same.shape, same.device) == (picture.dtype, picture.shape, picture.device)
    assert torch.allclose(same.double(), picture.double(), rtol=0, atol=1e-6)
    colour = slice(0, 3) if len(shape) > 2 else slice(None)
    one = 255 if dtype == torch.uint8 else 1
    sum_ = (
        (inverted.double() + picture.double())[..., colour, :, :]
        if len(shape) > 2
        else (inverted.double() + picture.double())
    )
    assert (sum_ - one).abs().max() < 0.01


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "1", "P", "CMYK"])
def test_a_pil_image_comes_back_as_a_pil_image_with_its_metadata(mode):
    picture = (
        Image.fromarray(noise(9, 12, dtype=np.uint16))
        if mode == "I;16"
        else (Image.fromarray(noise(9, 12, 3)).convert(mode))
    )
    picture.info = {"dpi": (300, 300), "icc_profile": b"profile"}
    same = deblur(picture, nn.Identity())
    kept = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert same.mode == kept and same.size == (12, 9) and same.info["dpi"] == (300, 300)
    assert ("icc_profile" in same.info) == (kept == mode)
    if kept == mode:
        assert same.tobytes() == picture.tobytes()


def test_a_path_a_batch_and_a_list_are_taken(tmp_path):
    pictures = noise(2, 9, 12, 3)
    Image.fromarray(pictures[0]).save(tmp_path / "a.png")
    assert np.array_equal(deblur(tmp_path / "a.png", Invert()), 255 - pictures[0])
    assert np.array_equal(deblur(str(tmp_path / "a.png"), Invert()), 255 - pictures[0])
    assert np.array_equal(deblur(pictures, Invert()), 255 - pictures)
    several = deblur([pictures[0], torch.from_numpy(pictures[1]).movedim(-1, 0)], Invert())
    assert isinstance(several[0], np.ndarray) and isinstance(several[1], torch.Tensor)
    assert np.array_equal(several[0], 255 - pictures[0])
    with pytest.raises(ValueError, match=r"nowhere\.png cannot be read"):
        deblur(tmp_path / "nowhere.png", Invert())


class NoSize(nn.Module):
    def forward(self, x):
        return x[..., 1:]


class NoNumber(nn.Module):
    def forward(self, x):
        return x / 0


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (([[1]],), "is of type int: give a NumPy array"),
        ((torch.zeros(9, 4, 3),), "has shape 9 x 4 x 3: give .*, with the channels first"),
        ((torch.full((1, 4, 4), 200.0),), "from 200 to 200: scale floats to between 0 and 1"),
        ((torch.zeros(1, 4, 4, dtype=torch.int64),), "dtype int64: convert it"),
        ((np.zeros((3, 20, 20)),), "with the channels last"),
        ((np.zeros(4),), "has shape 4: give H x W"),
        ((np.zeros((2, 2, 2, 5)),), "has shape 2 x 2 x 2 x 5"),
        ((np.zeros((0, 2, 2, 3)),), "has shape 0 x 2 x 2 x 3"),
        ((np.zeros((0, 3)),), "is empty"),
        ((np.full((2, 2), np.nan),), "NaN or infinite"),
        ((np.full((2, 2), 200.0),), "from 200 to 200: scale floats to between 0 and 1"),
        ((np.full((2, 2), -0.5),), "from -0.5"),
        ((np.zeros((2, 2), np.int64),), "dtype int64: convert it"),
        ((np.zeros((2, 2), bool),), "dtype bool"),
        ((np.zeros((2, 2), object),), "dtype object"),
        ((np.zeros((2, 2)), "svdm"), "no model 'svdm'"),
        ((np.zeros((2, 2)), 7), "model is of type int"),
        ((np.zeros((2, 2)), create_model("reblur", size="small")), "takes 2 images"),
        ((np.zeros((2, 2)), nn.Identity(), "gpu"), "no device 'gpu'"),
        ((np.zeros((2, 2)), nn.Identity(), "auto", -3), "tile is -3"),
        ((np.zeros((2, 2)), nn.Identity(), "auto", "big"), "tile is 'big'"),
        ((np.zeros((2, 2)), nn.Identity(), "auto", 2.5), "tile is 2.5"),
        ((np.zeros((2, 2)), nn.Identity(), "auto", True), "tile is True"),
        ((np.zeros((2, 2)), nn.Identity(), "auto", [32]), r"tile is \[32\]"),
        ((np.zeros((2, 2)), NoSize()), "NoSize returned .* use a network that keeps the shape"),
        ((np.zeros((2, 2)), NoNumber()), "not finite"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence) as raised:
        deblur(*arguments)
    assert "\n" not in str(raised.value)


def test_a_margin_is_a_number_of_pixels():
    with pytest.raises(ValueError, match="margin is -1"):
        deblur(np.zeros((2, 2)), nn.Identity(), margin=-1)


# ------------------------------------------------------------------------------------------------
# Tiles


@pytest.mark.parametrize("length", [1, 31, 32, 100, 500, 1003])
@pytest.mark.parametrize("tile", [0, 1, 64, 100, 2000])
@pytest.mark.parametrize("margin", [0, 33, 80])
def test_weights_sum_to_one_and_edges_have_their_margin(length, tile, margin):
    spans = Tiles(nn.Identity(), (length, 7), tile, margin).spans(0)
    total = np.zeros(length)
    for span in spans:
        seen, kept = span.seen, span.kept
        assert seen.start % GRID == 0 and 0 <= seen.start < seen.stop <= length
        assert np.array_equal(np.arange(length)[seen][span.within], np.arange(length)[kept])
        assert (span.weight > 0).all()
        total[kept] += span.weight
        assert seen.start == 0 or kept.start - seen.start >= margin
        assert seen.stop == length or seen.stop - kept.stop >= margin
    np.testing.assert_allclose(total, 1, atol=1e-6)
    if tile:
        assert len(spans) >= length / round_up(tile, GRID)


def test_the_ramp_is_centred_on_the_edge():
    first, second = Tiles(nn.Identity(), (128, 7), 64, 0).spans(0)
    before, behind = 64 - second.kept.start - 1, 64 - second.kept.start
    assert second.weight[behind] == pytest.approx(first.weight[64 - first.kept.start - 1])
    assert 0.5 < second.weight[behind] < 0.55 and second.weight[before] < 0.5
    reach = np.flatnonzero((first.weight > 0) & (first.weight < 1)) + first.kept.start
    assert (reach[0], reach[-1]) == (64 - RAMP // 2, 63 + RAMP // 2)


def test_neighbouring_tiles_are_blended_smoothly():
    flat = np.full((8, 128), 0.4)
    steps = np.abs(np.diff(deblur(flat, Brighter(), tile=32, margin=0)[0]))
    assert 0 < steps.max() < 2 * 0.01 / RAMP * np.pi / 2


def strip():
    """A long blurry picture, (80, 416, 3)."""
    return (
        deblurlib.data.SceneDataset("test", 1, 416)[0].blurry[:, 100:180].permute(1, 2, 0).numpy()
    )


@pytest.mark.parametrize("name", ["svdn", "aspdc"])
def test_tiles_give_what_the_whole_picture_gives(name):
    picture = strip()
    whole = deblur(picture, name, tile=0, precision="fp32")
    assert 1e-3 < np.abs(whole - picture).mean() < 0.2
    assert np.abs(deblur(picture, name, tile=128, precision="fp32") - whole).max() < 1e-4
    assert (
        np.abs(deblur(picture, name, tile=128, margin=0, precision="fp32") - whole).max() > 1e-4
    )  # so the margin is needed


@pytest.mark.parametrize("name", ["svrnn", "radn"])
def test_networks_that_see_the_whole_picture_differ_on_a_scene_by_few_steps_of_eight_bits(
    name,
):
    picture = strip()
    whole = deblur(picture, name, tile=0, precision="fp32")
    difference = np.abs(deblur(picture, name, tile=128, precision="fp32") - whole)
    assert 1e-6 < difference.max() < 2 / 255 and np.sqrt((difference**2).mean()) < 1e-3
    assert np.abs(whole - picture).max() > 0.05


def seam(tiled, whole, cut):
    """How much more the difference of two pictures jumps between tiles than elsewhere; 1 = no seam.

    Mean absolute jump across the borders over the mean of all others, both plus a millionth for
    rounding.
    """
    across, elsewhere = [], []
    for axis in (0, 1):
        jumps = np.abs(np.diff((tiled - whole).astype(float), axis=axis)).mean(axis=(1 - axis, 2))
        borders = [
            span.kept.start + int(np.argmax(span.weight >= 0.5)) - 1 for span in cut.spans(axis)[1:]
        ]
        across += list(jumps[borders])
        elsewhere += list(np.delete(jumps, borders))
    return (np.mean(across) + 1e-6) / (np.mean(elsewhere) + 1e-6)


@pytest.mark.parametrize("name", ["svdn", "aspdc", "svrnn", "radn"])
def test_tiles_leave_no_seams_in_a_photograph(name):
    photograph = load_photograph(list_photographs("test")[0])[200:360, 300:684] / np.float32(255)
    network = resolve_network(name)
    whole = deblur(photograph, network, tile=0, precision="fp32")
    assert (
        seam(
            deblur(photograph, network, tile=128, precision="fp32"),
            whole,
            Tiles(network, photograph.shape[:2], 128),
        )
        < 1.2
    )
    if name in ("svdn", "aspdc"):  # without the margin there are some, and the measure sees them
        assert (
            seam(
                deblur(photograph, network, tile=128, margin=0, precision="fp32"),
                whole,
                Tiles(network, photograph.shape[:2], 128, 0),
            )
            > 2
        )


@pytest.mark.parametrize("free, tiled", [(2**40, False), (2**26, True)])
def test_the_size_of_tiles_follows_the_free_memory(free, tiled, monkeypatch):
    monkeypatch.setattr(tiles, "free_memory", lambda device: free)
    network = create_model("svdn", size="small")
    cut = Tiles(network, (600, 700))
    assert (cut.side > 0) == tiled
    if tiled:
        side = cut.spans(0)[0].seen.stop
        assert bytes_per_pixel(network) * side**2 <= free or cut.side == GRID


def test_a_large_picture_is_never_taken_whole_however_much_memory_there_is(monkeypatch):
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2**50)
    network = create_model("svdn", size="small")
    cut = Tiles(network, (6144, 8192))
    assert 512 < cut.side < 2048
    assert cut.side < Tiles(network, (3000, 4000)).side  # the picture itself takes memory, too
    assert cut.side < Tiles(network, (6144, 8192), precision="bf16").side
    # and tiles that consist of margins take time
    assert Tiles(network, (20_000, 20_000)).side > 512
    wide = Tiles(network, (20_000, 20_000), margin=400)
    assert wide.side >= 3 * wide.margin


def test_a_video_frame_is_not_cut_since_margins_would_double_its_time(monkeypatch):
    network = create_model("aspdc", size="small")
    monkeypatch.setattr(tiles, "bytes_per_pixel", lambda *_: 2000.0)  # as of a full network
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2**33)
    assert Tiles(network, (720, 1280)).side == 0
    large = Tiles(network, (3000, 4000))
    seen = [sum(span.seen.stop - span.seen.start for span in large.spans(i)) for i in (0, 1)]
    assert seen[0] * seen[1] < 2 * 3000 * 4000
    wide = Tiles(create_model("svrnn", size="small"), (3000, 4000))
    assert wide.side >= 3 * wide.margin  # which takes more than MOST_ON_CPU
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2**31)
    assert Tiles(network, (720, 1280)).side > 0  # half of what is free, as always


def test_tiles_with_their_margins_keep_to_what_a_network_states(monkeypatch):
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2**50)
    monkeypatch.setattr(tiles, "bytes_per_pixel", lambda *_: 1e-3)
    cut = Tiles(create_model("radn", size="small"), (1500, 1500))
    widest = max(span.seen.stop - span.seen.start for span in cut.spans(0))
    assert cut.side > GRID and widest <= spec_of("radn").largest == 1024


def test_the_margins_count_as_memory(monkeypatch):
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2 * 1000 * 512**2)
    monkeypatch.setattr(tiles, "bytes_per_pixel", lambda *_: 1000.0)
    cut = Tiles(create_model("svdn", size="small"), (3000, 3000))
    assert max(span.seen.stop - span.seen.start for span in cut.spans(0)) <= 512


def test_a_small_picture_is_not_cut_even_with_little_memory(monkeypatch):
    monkeypatch.setattr(tiles, "free_memory", lambda device: 2**20)
    assert Tiles(create_model("svdn", size="small"), (256, 256)).side == 0
    assert Tiles(create_model("svdn", size="small"), (256, 257)).side == GRID


class Greedy(nn.Module):
    """Has memory for small pictures only."""

    def __init__(self, error, side=200):
        super().__init__()
        self.error, self.side, self.seen = error, side, []

    def forward(self, x):
        self.seen.append(max(x.shape))
        if max(x.shape) > self.side:
            raise self.error
        return 1 - x


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("could not execute a primitive"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_tiles_shrink_where_memory_runs_out(error):
    picture, network = noise(250, 250), Greedy(error, 230)
    assert np.array_equal(deblur(picture, network), 255 - picture)
    with pytest.raises(
        MemoryError,
        match="250 x 250 pixels in tiles of 250 pixels needs more memory than is available",
    ):
        deblur(picture, network, tile=0)
    with pytest.raises(MemoryError, match="in tiles of 32 pixels"):
        deblur(picture, Greedy(error, 100))


def test_other_errors_of_a_network_are_its_own():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        deblur(noise(20, 20), nn.Linear(3, 3))


# ------------------------------------------------------------------------------------------------
# Memory


def test_live_bytes_counts_what_is_alive_at_once():
    with LiveBytes() as live:
        first = torch.zeros(1000)
        second = first + 1
        view = second[10:]
        del first
        third = torch.zeros(500)
    assert (live.peak, live.now) == (8000, 6000) and view.numel() + third.numel() == 1490


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK),
    reason="the system does not tell the most memory taken",
)
def test_the_count_is_near_what_the_process_takes():
    """In a process of its own, since memory that was once taken is reused."""
    script = """if True:
        import numpy as np, torch
        from pathlib import Path
        from deblurlib.inference import deblur
        from deblurlib.inference.memory import bytes_per_pixel
        from deblurlib.models import create_model, spec_of
        def kilobytes(what):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith(what)).split()[1])
        torch.set_num_threads(1)
        network, side = create_model("svdn", size="small"), 1024  # little beside it
        counted, picture = bytes_per_pixel(network), np.full((side, side, 3), 99, np.uint8)
        deblur(picture[:200, :200], network, tile=0)
        Path("/proc/self/clear_refs").write_text("5")  # forget the most that was taken so far
        before = kilobytes("VmRSS")
        deblur(picture, network, tile=0)
        print(counted, (kilobytes("VmHWM") - before) * 1024 / side**2)
    """
    for _ in range(3):  # the system may round some memory up to huge pages
        shown = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
        ).stdout
        counted, taken = map(float, shown.split())
        if taken < 1.2 * counted:
            break
    assert 0.5 * counted < taken < 1.2 * counted


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("how, most", [("array", 7), ("file", 12)])
def test_a_larger_picture_takes_few_bytes_more_per_pixel(how, most, tmp_path):
    """An array and its result are 6; a PNG file is decoded through Pillow's 4."""
    script = r"""if True:
        import re, sys
        from pathlib import Path
        import numpy as np, torch
        from PIL import Image
        from deblurlib.inference import deblur, deblur_files
        how, folder, height = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
        picture = np.empty((height, 4096, 3), np.uint8)
        picture[:] = np.arange(4096)[:, None] // 16
        network = torch.nn.Conv2d(3, 3, 1).eval()
        if how == "array":
            deblur(picture, network, tile=256)
        else:
            Image.fromarray(picture[:64]).resize((4096, height)).save(folder / "in.png")
            del picture
            rows = deblur_files(folder / "in.png", folder / "out.png", network, tile=256)
            assert rows[0]["state"] == "done", rows
        # not ru_maxrss, which begins with the memory of the process that started this one
        print(1024 * int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]))
    """
    small, large = 1024, 4096  # sharpness is measured in windows of both
    peaks = []
    for height in (small, large):
        folder = tmp_path / str(height)
        folder.mkdir()
        command = [sys.executable, "-c", script, how, str(folder), str(height)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        peaks.append(int(shown.stdout))
    grown = (peaks[1] - peaks[0]) / ((large - small) * 4096)
    assert 3 < grown < most


def test_limits_of_containers_and_of_the_process_count(tmp_path, monkeypatch):
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    for folder, limit in (("a", "1000"), ("a/b", "max")):
        (tmp_path / folder / "memory.max").write_text(limit)
        (tmp_path / folder / "memory.current").write_text("700")
        (tmp_path / folder / "memory.stat").write_text("anon 1\ninactive_file 200\n")
    assert list(memory._free_of_groups(tmp_path, tmp_path / "cgroup")) == [500]
    assert list(memory._free_of_groups(tmp_path, tmp_path / "absent")) == []
    assert 2**20 < free_memory() < 2**45
    monkeypatch.setattr(memory, "_free_of_groups", lambda: iter([123]))
    assert free_memory() == 123


def test_the_limit_of_address_space_counts():
    resource = pytest.importorskip("resource")
    script = f"import resource; resource.setrlimit({resource.RLIMIT_AS}, (2**34, 2**34)); from deblurlib.inference.memory import free_memory, _free_of_process; print(free_memory(), *_free_of_process())"  # noqa: E501
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    free, of_process = map(int, shown.split())
    assert free <= of_process + 2**20 and 2**30 < of_process < 2**34


def test_tiles_are_halved_down_to_the_grid():
    tiles = Tiles(torch.nn.Identity(), (300, 500))
    tiles.side, sides = 0, []
    while tiles.shrink():
        sides.append(tiles.side)
    assert sides == [256, 128, 64, 32] and GRID == 32
    assert not Tiles(torch.nn.Identity(), (300, 500), tile=128).shrink()  # the caller's choice


@pytest.mark.filterwarnings("error")
def test_an_image_without_detail_along_one_axis_has_no_score_and_no_warning():
    rows = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None], 3, 1)
    assert sharpness(rows) is None


class Symmetric(nn.Module):
    def forward(self, x):
        return 2 * x - 1


def test_a_network_with_another_range_is_clipped_with_one_warning(recwarn):
    picture = np.random.default_rng(0).random((40, 40, 3)).astype(np.float32)
    clipped = deblur(picture, Symmetric(), tile=32)
    said = [str(each.message) for each in recwarn]
    assert len(said) == 1 and said[0].startswith("Symmetric returned many values far")
    assert np.allclose(clipped, (2 * picture - 1).clip(0, 1), atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_network_that_overshoots_at_edges_is_clipped_without_a_warning():
    class Overshooting(nn.Module):
        def forward(self, x):
            return 1.3 * x - 0.15  # a twelfth of the values is more than 0.1 outside

    picture = np.random.default_rng(0).random((40, 40, 3)).astype(np.float32)
    deblur(picture, Overshooting())
