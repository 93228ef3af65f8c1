"""An Experiment names its run by a stable hash and refuses values that no training can use."""

import json
import math
import os
import time
from dataclasses import fields, replace

import pytest
import torch

from deblurlib import provenance
from deblurlib.training import SHIPPED_RUNS, Experiment

REBLUR = Experiment(model="reblur")


def from_record(record):
    """An Experiment from the JSON that a run leaves, where tuples are lists and runs are dicts."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
    values["options"] = tuple(map(tuple, values.get("options", ())))
    for name in ("start", "reblur"):
        values[name] = from_record(values[name]) if values.get(name) else None
    return Experiment(**values)


@pytest.mark.parametrize("folder", sorted(SHIPPED_RUNS.glob("*/")), ids=lambda path: path.name)
def test_the_record_of_a_shipped_run_has_the_hash_of_its_folder(folder):
    record = json.loads((folder / "experiment.json").read_text())["experiment"]
    assert from_record(record).hash == folder.name


def test_hashes_of_old_experiments_stay():
    assert Experiment().hash == "d398c6f89c7b"


def test_what_is_not_given_is_none_and_old_records_say_it_otherwise():
    names = ("photos", "real", "real_frames", "halve_every", "clip")
    defaults = {field.name: field.default for field in fields(Experiment)}
    assert [defaults[name] for name in names] == [None] * len(names)
    old = Experiment(photos="", real="", real_frames=0, halve_every=0, clip=0.0)
    assert old == Experiment() and old.photos is None and old.clip is None


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"warmup": -1}, "warmup is -1: give a finite number of at least 0."),
        ({"decay_from": 1.0}, "decay_from is 1.0: give a fraction of at least 0 and less than 1."),
        ({"precision": "bf16-true"}, "precision is 'bf16-true': use one of 32-true, bf16-mixed."),
        ({"blur": "gamma"}, "blur is 'gamma': use one of blur, blur_gamma."),
        ({"size": "tiny"}, "size is 'tiny': use one of full, small."),
        ({"seed": -1}, "seed is -1"),
        ({"steps": 0}, "steps is 0: give a whole number of at least 1."),
        ({"steps": 2.5}, "steps is 2.5: give a whole number of at least 1."),
        ({"halve_every": -3}, "halve_every is -3: give a whole number of at least 1."),
        ({"real_frames": -1}, "real_frames is -1"),
        ({"lr": -1e-3}, "lr is -0.001: give a finite number of at least 0."),
        ({"position": math.nan}, "position is nan: give a finite number of at least 0."),
        ({"severity": math.inf}, "severity is inf"),
        ({"clip": -1.0}, "clip is -1.0: give a positive number, or None for no bound."),
        ({"ema": 1.0}, "ema is 1.0: give a decay of at least 0 and less than 1."),
        ({"betas": (0.9, 1.0)}, r"betas is \(0.9, 1.0\)"),
        ({"betas": (0.9,)}, r"betas is \(0.9,\): give two numbers"),
        ({"real_share": 1.5, "real": "x"}, "real_share is 1.5: give a fraction from 0 to 1."),
        ({"real_share": 0.5}, "real_share is 0.5: also give the folder of real pairs as real."),
        ({"consistency": 0.1}, "consistency is 0.1: also give the reblurring network as reblur."),
        ({"reblur": Experiment()}, "reblur.model is 'svdn'"),
        ({"start": REBLUR}, "start.model is 'reblur': give an experiment with 'svdn'."),
        ({"start": Experiment(size="small")}, "start.size is 'small'"),
    ],
)
def test_a_value_that_no_training_can_use_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Experiment(**changes)


@pytest.mark.parametrize(
    "name", ["scenes", "scene_size", "real_frames", "batch", "accumulate", "patch", "halve_every"]
)
def test_counts_are_whole_and_positive(name):
    with pytest.raises(ValueError, match=f"{name} is -2: give a whole number of at least 1."):
        Experiment(**{name: -2})
    assert getattr(Experiment(**{name: 1}), name) == 1


@pytest.mark.parametrize("value", [None, "0.5", True], ids=repr)
@pytest.mark.parametrize("name", ["lr", "eps", "position", "real_share", "ema", "betas"])
def test_what_is_no_number_is_refused_in_one_sentence(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value!r}: give"):
        Experiment(**{name: value})


@pytest.mark.parametrize("name", ["scenes", "scene_size", "steps", "batch", "accumulate", "patch"])
def test_counts_that_a_training_needs_cannot_be_left_open(name):
    with pytest.raises(ValueError, match=f"{name} is None: give a whole number of at least 1."):
        Experiment(**{name: None})


@pytest.mark.parametrize(
    "name",
    [
        "severity",
        "lr",
        "lr_end",
        "lr_power",
        "bias_lr",
        "eps",
        "weight_decay",
        "perceptual",
        "position",
        "margin",
        "exposure_scale",
        "consistency",
    ],
)
def test_weights_and_rates_are_not_negative_and_zero_is_a_value(name):
    with pytest.raises(ValueError, match=f"{name} is -1"):
        Experiment(reblur=REBLUR, **{name: -1.0})
    assert getattr(Experiment(**{name: 0.0}), name) == 0


def test_a_seed_of_another_run_is_another_experiment():
    tuned = Experiment(start=Experiment(steps=5))
    assert tuned.hash != replace(tuned, start=Experiment(steps=6)).hash
    assert tuned.hash != Experiment().hash


# --------------------------------------------------------------------------------------------------
# Folders in a hash


@pytest.fixture
def folders(tmp_path):
    """Real pairs (one sequence of two frames) and three photographs, none of them decodable."""
    for kind in ("blur", "sharp"):
        (tmp_path / "real/train/A" / kind).mkdir(parents=True)
        for n in (1, 2):
            (tmp_path / f"real/train/A/{kind}/{n:06}.png").write_bytes(f"{kind} {n}".encode())
    (tmp_path / "photos").mkdir()
    for n in range(3):
        (tmp_path / f"photos/{n}.jpg").write_bytes(str(n).encode())
    for path in tmp_path.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
    return tmp_path


def mixed(folders):
    return Experiment(real=str(folders / "real"), real_share=0.5, photos=str(folders / "photos"))


def test_hashes_of_old_experiments_with_folders_stay(folders):
    real = str(folders / "real")
    assert Experiment(real_split="train", real_variant="blur").hash == Experiment().hash
    assert Experiment(real_variant="blur_gamma").hash == "cecce39628b5"
    assert Experiment(real=real, real_share=1.0, real_variant="blur").hash == "04420db0ae19"
    assert Experiment(real=real, real_share=1.0).hash == "04420db0ae19"  # the only variant
    assert mixed(folders).hash == "59b2158d99e1"


@pytest.mark.parametrize(
    "junk",
    [
        "photos/.DS_Store",
        "photos/Thumbs.db",
        "photos/desktop.ini",
        "photos/README.md",
        "photos/.hidden.jpg",
        "photos/.thumbnails/0.jpg",
        "real/README",
        "real/train/A/sharp/.000003.png",
        "real/train/A/blur/Thumbs.db",
        "real/train/A/blur/000009.png",  # without a partner: left out
        "real/train/A/sharp/000009.png",
        "real/train/A/blur_gamma/000001.png",  # another variant
        "real/test/B/blur/000001.png",  # another split
    ],
)
def test_files_that_a_training_does_not_read_do_not_change_its_hash(junk, folders):
    chosen = replace(mixed(folders), real_variant="blur")
    before = chosen.hash
    (folders / junk).parent.mkdir(parents=True, exist_ok=True)
    (folders / junk).write_bytes(b"junk")
    assert chosen.hash == before


@pytest.mark.parametrize(
    "picture", ["photos/1.jpg", "real/train/A/blur/000002.png", "real/train/A/sharp/000001.png"]
)
def test_a_picture_that_changes_at_equal_size_changes_the_hash(picture, folders):
    before = mixed(folders).hash
    content = (folders / picture).read_bytes()
    (folders / picture).write_bytes(content[:-1] + b"x")
    changed = mixed(folders).hash
    assert changed != before
    (folders / picture).write_bytes(content)
    assert mixed(folders).hash == before


def test_a_lone_sharp_frame_counts_where_it_is_a_neighbour(folders):
    plain, guided = mixed(folders), replace(mixed(folders), position=1e-4)
    before = plain.hash, guided.hash
    (folders / "real/train/A/sharp/000003.png").write_bytes(b"neighbour")
    assert plain.hash == before[0] and guided.hash != before[1]


def test_a_second_hash_reads_no_file(folders, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: time.monotonic_ns() + 10**19)  # files are old
    read = []
    real_digest = provenance.hashlib.file_digest
    monkeypatch.setattr(
        provenance.hashlib, "file_digest", lambda *a: read.append(a[0].name) or real_digest(*a)
    )
    first = mixed(folders).hash
    assert len(read) == 7
    assert mixed(folders).hash == first and len(read) == 7
    changed = folders / "photos/1.jpg"
    changed.write_bytes(b"X")
    assert mixed(folders).hash != first and len(read) == 8


def test_a_file_that_may_still_change_within_a_tick_of_the_clock_is_read_again(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    first, facts = provenance.digest_of(file), file.stat()
    with file.open("r+b") as opened:
        opened.write(b"2")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert provenance.digest_of(file) != first


def test_pairs_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="nowhere does not exist: give the root of a data set"):
        assert Experiment(real=str(tmp_path / "nowhere"), real_share=1.0).hash


@pytest.mark.parametrize("bf16, amx", [(True, False), (False, True), (False, False)])
def test_automatic_precision_is_resolved_by_the_processor_and_enters_the_hash(
    monkeypatch, bf16, amx
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    expected = "bf16-mixed" if bf16 or amx else "32-true"
    automatic = Experiment(precision="auto")
    assert automatic.precision == expected
    assert automatic == Experiment(precision=expected)
    assert automatic.hash == Experiment(precision=expected).hash


def test_collections_of_photographs_have_hashes_of_their_own():
    names = (None, "first", "wide")
    assert len({Experiment(photos=name).hash for name in names}) == len(names)
