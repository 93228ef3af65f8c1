"""An Experiment names its run by a stable hash and refuses values that no training can use."""

import json
import math
from dataclasses import fields, replace

import pytest

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
