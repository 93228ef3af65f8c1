"""The recipes of the weights that ship."""

import json
from dataclasses import replace

import pytest
import torch

from deblurlib.experiments import SHIPPED, stages
from deblurlib.experiments.shipped import ship
from deblurlib.models import load_model
from deblurlib.training import fit


@pytest.mark.parametrize("name", SHIPPED)
def test_each_stage_starts_from_the_one_before(name):
    first, *later = stages(name, seed=3, scenes=5)
    assert first.start is None
    for stage in later:
        assert stage.start == first
        first = stage
    chain = stages(name, seed=3, scenes=5)
    assert [e.seed for e in chain] == [stage.get("seed", 3) for stage in SHIPPED[name][1]]
    assert {e.scenes for e in chain} == {5}
    assert len({e.hash for e in chain}) == len(chain)


def test_a_recipe_trains_to_its_end(tmp_path):
    tiny = {"size": "small", "scenes": 4, "scene_size": 64, "steps": 2, "patch": 32, "warmup": 1}
    chain = stages("svdn_full", **tiny)
    run = fit(chain[-1], folder=tmp_path, device="cpu", progress=False)
    assert run.experiment == chain[-1]
    assert {folder.name for folder in tmp_path.glob("[!.]*")} == {e.hash for e in chain}


def test_an_unknown_recipe_is_one_sentence():
    with pytest.raises(ValueError, match="There is no recipe 'svdn': choose one of svdn_full"):
        stages("svdn")


def test_a_recipe_goes_on_from_weights():
    (only,) = stages("svdn_full", start_weights="default", steps=7)
    *_, last = stages("svdn_full", steps=7)
    assert replace(only, start_weights=None) == replace(last, start=None)
    assert only.hash != last.hash


def test_shipped_weights_record_how_they_were_trained(tmp_path):
    tiny = {"scenes": 2, "scene_size": 64, "steps": 2, "patch": 32, "warmup": 1, "photos": "wide"}
    (stage,) = stages("aspdc_small", **tiny)
    run = fit(stage, folder=tmp_path, device="cpu", progress=False, validate_every=1)
    path = ship(run, "aspdc_small", "some photographs", tmp_path)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["hash"] == stage.hash and record["steps"] == 2
    assert record["experiment"]["photos"] == "wide"
    assert [part["hash"] for part in record["stages"]] == [stage.hash]
    network = load_model("aspdc", path, size="small")
    assert network.bf16_agreement_db == record["bf16_agreement_db"] > 30
    for mine, kept in zip(run.model.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine.half(), kept.half())

    (later,) = stages("aspdc_small", start_weights=str(path), **tiny)
    run = fit(later, folder=tmp_path, device="cpu", progress=False)
    first = load_model("aspdc", path, size="small")
    path = ship(run, "later", "some photographs", tmp_path, share=0.25)
    between = load_model("aspdc", path, size="small")
    for a, b, c in zip(*(n.parameters() for n in (first, run.model, between)), strict=True):
        assert torch.allclose(0.75 * a + 0.25 * b, c, atol=1e-3)
    record = json.loads(path.with_suffix(".json").read_text())
    assert [part["hash"] for part in record["stages"]] == [stage.hash, later.hash]
    assert record["steps"] == 4 and [part["share"] for part in record["stages"]] == [1, 0.25]
    assert all(part["hours"] >= 0 for part in record["stages"])
