"""Real pairs are decoded once, shared by all trainings, and kept within bounds."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deblurlib.data import PairedFolder, Sample, augment, collate, neighbour_flows, random_crop
from deblurlib.training import Experiment, TrainingCrops, crops, store
from deblurlib.training.store import Memory, Store

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 6


@pytest.fixture
def real(tmp_path):
    """An experiment on six consecutive pairs of noise."""
    rng = np.random.default_rng(1)
    for kind in ("blur", "sharp"):
        (tmp_path / "real/A" / kind).mkdir(parents=True)
        for n in range(FRAMES):
            noise = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / f"real/A/{kind}/{n:06}.png")
    return Experiment(
        scenes=1,
        scene_size=48,
        patch=32,
        steps=30,
        batch=2,
        real=str(tmp_path / "real"),
        real_share=1.0,
    )


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded, in order."""
    seen, read = [], PairedFolder.__getitem__

    def counted(self, index):
        seen.append(self.names[index])
        return read(self, index)

    monkeypatch.setattr(PairedFolder, "__getitem__", counted)
    return seen


def epoch(experiment):
    made = TrainingCrops(experiment)
    return [made[i] for i in range(len(made))]


def plain(experiment):
    """The crops as they are defined: every pair decoded in full, without any cache."""
    pairs, made = PairedFolder(experiment.real), []
    for i in range(experiment.steps * experiment.batch):
        rng = np.random.default_rng((experiment.seed, i, 2))
        assert rng.random() < experiment.real_share
        sample = pairs[int(rng.integers(len(pairs)))]
        flows = {}
        if experiment.position:
            names = ("flow_previous", "flow_next")
            flows = {
                n: f.half().float() for n, f in zip(names, neighbour_flows(sample), strict=True)
            }
        sample = Sample(sample.blurry, sample.sharp, name=sample.name, **flows)
        made.append(augment(random_crop(sample, experiment.patch, rng), rng))
    return made


def same(first, second):
    for a, b in zip(first, second, strict=True):
        assert a.name == b.name and a.tensors().keys() == b.tensors().keys()
        for name, tensor in a.tensors().items():
            assert tensor.dtype == torch.float32 and torch.equal(tensor, b.tensors()[name])
    return True


@pytest.mark.parametrize("position", [0.0, 1e-4])
@pytest.mark.parametrize("gigabytes", ["1", "0"])
def test_crops_are_those_of_the_decoded_pairs_to_the_bit(real, position, gigabytes, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE_GB", gigabytes)
    chosen = replace(real, position=position)
    wanted = plain(chosen)
    assert same(epoch(chosen), wanted)
    assert same(epoch(chosen), wanted)  # from the cache


def test_a_pair_is_decoded_once_for_all_trainings(real, decoded, cache):
    first = epoch(real)
    assert sorted(decoded) == [f"A/{n:06}" for n in range(FRAMES)]
    assert same(epoch(real), first)
    epoch(replace(real, seed=1, patch=16, real_frames=3))
    assert len(decoded) == FRAMES and len(list(cache.iterdir())) == FRAMES
    epoch(replace(real, position=1e-4))  # these need the flow as well
    assert len(decoded) == 2 * FRAMES == len(list(cache.iterdir()))


def test_worker_processes_share_what_was_decoded(real, cache):
    loader = torch.utils.data.DataLoader(
        TrainingCrops(real), 2, num_workers=2, collate_fn=collate, persistent_workers=True
    )
    batches = [batch.blurry for batch in loader]
    wanted = [collate(part).blurry for part in zip(*[iter(epoch(real))] * 2, strict=True)]
    assert all(map(torch.equal, batches, wanted)) and len(list(cache.iterdir())) == FRAMES


def test_equal_files_elsewhere_are_not_decoded_again(real, decoded, tmp_path):
    epoch(real)
    (tmp_path / "real").rename(tmp_path / "elsewhere")
    epoch(replace(real, real=str(tmp_path / "elsewhere")))
    assert len(decoded) == FRAMES


def test_a_file_that_changed_is_decoded_again(real, decoded, tmp_path):
    epoch(real)
    Image.new("RGB", (56, 40), (255, 0, 0)).save(tmp_path / "real/A/blur/000003.png")
    assert same(epoch(real), plain(real))
    assert decoded[FRAMES] == "A/000003"


def test_a_file_that_changes_during_a_training_never_enters_the_cache(real, cache, tmp_path):
    made = TrainingCrops(real)
    for n in range(FRAMES):
        Image.new("RGB", (56, 40), (255, n, 0)).save(tmp_path / f"real/A/blur/{n:06}.png")
    with pytest.raises(ValueError, match=r"blur/00000\d\.png .* has changed since the training"):
        made[0]
    assert not cache.exists() and same(epoch(real), plain(real))


@pytest.mark.parametrize("length", [0, 7, 1000])
def test_a_damaged_entry_is_replaced(real, decoded, cache, length):
    wanted = epoch(real)
    for entry in cache.iterdir():
        entry.write_bytes(entry.read_bytes()[:length])
    assert same(epoch(real), wanted) and len(decoded) == 2 * FRAMES
    assert same(epoch(real), wanted) and len(decoded) == 2 * FRAMES


def test_a_write_that_is_cut_off_leaves_no_entry(real, cache, monkeypatch):
    def stop(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        epoch(real)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_where_the_disk_fails_pairs_are_decoded_again_and_one_warning_says_so(
    real, decoded, cache, monkeypatch, caplog, number
):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(crops, "PAIRS_IN_MEMORY", 3 * 2 * 3 * 40 * 56)  # of six pairs
    assert same(epoch(real), plain(real))
    assert FRAMES < len(decoded) - real.steps * real.batch < real.steps * real.batch
    (warning,) = (r for r in caplog.records if r.name == "deblurlib.training.crops")
    text = warning.getMessage()
    assert f"cannot be written to ({os.strerror(number).lower()})" in text
    assert "DEBLURLIB_CACHE" in text and "\n" not in text


def test_few_pairs_need_no_disk_and_no_warning(real, decoded, monkeypatch, caplog):
    monkeypatch.setenv("DEBLURLIB_CACHE_GB", "0")
    epoch(real)
    assert len(decoded) == FRAMES and not caplog.records


def fill(folder, sizes_and_ages):
    folder.mkdir()
    for i, (size, age) in enumerate(sizes_and_ages):
        path = folder / f"{i}.safetensors"
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - age,) * 2)


PAIR = Sample(torch.zeros(3, 100, 100, dtype=torch.uint8))  # 30 kB


def test_old_entries_of_other_data_make_room_the_oldest_first(tmp_path):
    fill(tmp_path / "pairs", [(40_000, 10), (40_000, 9000), (40_000, 99_000)])
    (tmp_path / "a").write_text("a")
    kept = Store(tmp_path / "pairs", 120_000, [{"blurry": tmp_path / "a"}])
    assert kept.put(0, PAIR) and kept.get(0) is not None
    names = {path.stem for path in (tmp_path / "pairs").iterdir()}
    assert names == {"0", "1", kept.keys[0]}


def test_entries_in_use_stay_and_the_bound_holds(tmp_path):
    fill(tmp_path / "pairs", [(40_000, 10), (40_000, 60)])
    (tmp_path / "a").write_text("a")
    kept = Store(tmp_path / "pairs", 90_000, [{"blurry": tmp_path / "a"}])
    assert not kept.put(0, PAIR) and "has reached 9e-05 GB" in kept.advice
    assert len(list((tmp_path / "pairs").iterdir())) == 2


def test_entries_of_this_training_are_never_removed(tmp_path):
    files = [{"blurry": tmp_path / name} for name in "ab"]
    for names in files:
        names["blurry"].write_text(names["blurry"].name)
    kept = Store(tmp_path / "pairs", 50_000, files)
    assert kept.put(0, PAIR)
    os.utime(next((tmp_path / "pairs").iterdir()), (0, 0))
    assert not kept.put(1, PAIR) and kept.get(0) is not None


def test_an_almost_full_disk_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    usage = type("Usage", (), {"free": store.RESERVE})
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: usage)
    kept = Store(tmp_path / "pairs", 1e9, [{"blurry": tmp_path / "a"}])
    assert not kept.put(0, PAIR) and "is on a full disk" in kept.advice


def test_reading_an_entry_marks_it_as_used(tmp_path):
    (tmp_path / "a").write_text("a")
    Store(tmp_path / "pairs", 1e9, [{"blurry": tmp_path / "a"}]).put(0, PAIR)
    (entry,) = (tmp_path / "pairs").iterdir()
    os.utime(entry, (0, 0))
    Store(tmp_path / "pairs", 1e9, [{"blurry": tmp_path / "a"}]).get(0)
    assert time.time() - entry.stat().st_mtime < 60


@pytest.mark.parametrize("value", ["", "many", "-1", "nan"])
def test_a_bound_that_is_no_number_is_one_sentence(value, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE_GB", value)
    with pytest.raises(ValueError, match=f"DEBLURLIB_CACHE_GB is '{value}': give a number"):
        store.pairs_bound()


def test_the_folder_and_the_bound_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURLIB_CACHE", str(tmp_path))
    monkeypatch.setenv("DEBLURLIB_CACHE_GB", "2.5")
    assert store.pairs_folder() == tmp_path / "pairs" and store.pairs_bound() == 2.5e9
    monkeypatch.delenv("DEBLURLIB_CACHE_GB")
    assert store.pairs_bound() == 40e9


def test_memory_drops_what_was_not_used_for_the_longest_time():
    kept = Memory(70_000)
    assert kept.put(0, PAIR) and kept.put(1, PAIR)
    assert kept.get(0) is PAIR
    assert not kept.put(2, PAIR)
    assert (kept.get(0), kept.get(1), kept.get(2), kept.used) == (PAIR, None, PAIR, 60_000)
    small = Memory(10)
    assert not small.put(0, PAIR) and small.get(0) is None and small.used == 0


def test_scenes_beyond_the_bound_are_rendered_again_and_one_warning_says_so(monkeypatch, caplog):
    chosen = Experiment(scenes=3, scene_size=48, patch=32, steps=10, batch=1, seed=77)
    wanted = epoch(chosen)
    crops.remembered_scenes.cache_clear()
    size = 2 * 3 * 48**2 + 2 * 2 * 2 * 48**2
    monkeypatch.setattr(crops, "SCENES_IN_MEMORY", size)
    made = TrainingCrops(chosen)
    assert same([made[i] for i in range(10)], wanted)
    assert made.scenes.memory.used == size
    assert [r.getMessage()[:34] for r in caplog.records] == ["3 rendered scenes do not fit into "]
    crops.remembered_scenes.cache_clear()


GROWTH = """
import gc, json, sys
from pathlib import Path
import psutil
from PIL import Image
from deblurlib.training import Experiment, TrainingCrops, crops
root, pairs, width, height = Path(sys.argv[1]), *map(int, sys.argv[2:])
for kind in ("blur", "sharp"):
    (root / "A" / kind).mkdir(parents=True)
    for n in range(pairs):
        picture = Image.new("RGB", (width, height), (n, 2 * n, 255 - n))
        picture.save(root / f"A/{kind}/{n:06}.png", compress_level=1)
crops.PAIRS_IN_MEMORY = 10e6
made = TrainingCrops(
    Experiment(patch=64, steps=2000, batch=1, scenes=1, real=str(root), real_share=1.0)
)
process, sizes = psutil.Process(), []
for some in (range(10), range(10, pairs * 5)):
    for i in some:
        made[i]
    gc.collect()
    sizes.append(process.memory_info().rss)
print(json.dumps((sizes[1] - sizes[0]) / 1e6))
"""


@pytest.mark.parametrize("gigabytes", ["1", "0"])
def test_memory_does_not_grow_with_the_number_of_pairs(tmp_path, gigabytes):
    """Forty pairs take 74 MB decoded; the bound is 10 MB."""
    variables = {"PYTHONPATH": str(ROOT), "DEBLURLIB_CACHE_GB": gigabytes}
    # only the cache of pairs, so that the kernels need not be compiled again
    shown = subprocess.run(
        [sys.executable, "-c", GROWTH, tmp_path / "real", "40", "640", "480"],
        env={**os.environ, **variables, "DEBLURLIB_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) < 35
