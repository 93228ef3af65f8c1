"""A training that dies, or finds a full disk, at each of its file operations, and runs again."""

import errno
import itertools
import os
from dataclasses import replace

import pytest
import torch

from deblurlib.training import Experiment, fit

TINY = Experiment(
    variant="dilated", size="small", scenes=1, scene_size=48, steps=3, batch=1, patch=32
)
CHOICE = {"progress": False, "device": "cpu", "checkpoint_every": 1}


class Death(BaseException):
    """Ends the training as a kill would, except that `finally` still runs."""


def weights(run):
    return torch.cat([value.flatten() for value in run.model.state_dict().values()])


@pytest.mark.parametrize(
    "precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("error", [Death(), OSError(errno.ENOSPC, "No space left on device")])
def test_death_at_each_file_operation(tmp_path, monkeypatch, error, precision):
    chosen = replace(TINY, precision=precision)
    straight = fit(chosen, folder=tmp_path / "straight", **CHOICE)
    count = 0
    for deadly in itertools.count():
        folder, operations = tmp_path / str(deadly), itertools.count()

        def counted(real, deadly=deadly, operations=operations):
            def operation(*arguments, **options):
                if next(operations) == deadly:
                    raise error
                return real(*arguments, **options)

            return operation

        with monkeypatch.context() as patch:
            for name in ("replace", "fsync"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                fit(chosen, folder=folder, **CHOICE)
            except type(error):
                count += 1
            else:
                break
        again = fit(chosen, folder=folder, **CHOICE)
        assert torch.equal(weights(again), weights(straight)), deadly
        found = (again.folder / "log.jsonl").read_bytes()
        assert found == (straight.folder / "log.jsonl").read_bytes(), deadly
        assert not list(again.folder.glob("checkpoint*"))
    assert count >= 14  # log, record, three checkpoints, record, recipe, weights, marker
