import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from deblurlib import papers
from deblurlib.experiments import (
    TABLES,
    Row,
    ablations,
    everything,
    get_preset,
    network,
    row,
    rows,
)
from deblurlib.experiments.presets import PRESETS
from deblurlib.experiments.tables import OPENED
from deblurlib.models import create_model, list_variants
from deblurlib.training import SHIPPED_RUNS

LAST = {
    "svrnn_table4": "paper",
    "svdn_table2": "fd",
    "radn_table1": "final",
    "radn_table2": "deform6_sa",
}
LAST |= {"aspdc_table5": "v12", "aspdc_table4": "paper", "aspdc_table6": "lambda_0.1"}
CLAIMED = {"variant", "position", "pretrained", "consistency", "reblur", "options"}


@pytest.mark.parametrize("table", TABLES)
def test_rows_differ_in_what_they_claim_to_differ_in(table):
    made = {name: asdict(each) for name, each in rows(table, "quick", seed=5).items()}
    for name, each in made.items():
        changed = {key for key in each if each[key] != made[LAST[table]][key]}
        assert changed <= CLAIMED and (changed or name in (LAST[table], "p_zero", "final_plus"))


@pytest.mark.parametrize("table", TABLES)
def test_every_printed_row_is_there_once_and_every_variant_exists(table):
    printed = [entry.printed for entry in TABLES[table].values() if entry.printed is not None]
    lines = papers.table(table)
    wanted = range(9, 15) if table == "radn_table1" else range(len(lines))
    assert sorted(printed) == list(wanted)
    for entry in TABLES[table].values():
        known = list_variants(entry.changes["model"])
        assert entry.changes["variant"] in known and (entry.measured or known[0]) in known


def test_printed_lines_are_the_rows_that_they_are_said_to_be():
    line = lambda table, name: papers.table(table).iloc[TABLES[table][name].printed].to_dict()  # noqa: E731
    assert line("svrnn_table4", "weights_only")["network"] == "weights generation"
    assert (
        line("svdn_table2", "fd_og")["og_training"] == 1
        and line("svdn_table2", "dilated")["fd_module"] == 0
    )
    assert (
        line("radn_table1", "final_plus")["model"] == "RADN(Final)+"
        and line("radn_table1", "radn2")["model"] == "RADN2"
    )
    assert line("radn_table2", "conv3_deform3") == {
        **line("radn_table2", "conv3_deform3"),
        "conv_layers": 3,
        "sa_module": "no",
    }
    for name in (f"v{n}" for n in range(1, 13)):
        printed, branches = (
            line("aspdc_table5", name),
            create_model("aspdc", name, size="small").config.branches,
        )
        assert f"v{printed['version']:.0f}" == name
        modules = [printed[f"module{k}"] for k in range(1, 5)]
        assert modules == [branches.count(d) for d in (0, 1, 2, 4)]
    for name, entry in TABLES["aspdc_table6"].items():
        if entry.printed is not None:
            assert line("aspdc_table6", name)["lambda"] == entry.tuned["consistency"]


def test_every_preset_gives_each_training_once_for_all_its_seeds():
    for preset in PRESETS.values():
        made = everything(preset, seed=3)
        assert len({each.hash for each in made}) == len(made)
        assert {each.seed for each in made} == set(range(3, 3 + preset.seeds))
        if preset.name != "paper":
            assert {each.steps for each in made} == {preset.train_steps, preset.tuning_steps}


def test_fine_tuning_starts_from_the_main_network_and_the_control_lacks_consistency_alone():
    tuned, control = (row("aspdc_table6", name, "quick") for name in ("lambda_0.1", "lambda_0"))
    assert tuned.start == control.start == row("aspdc_table5", "v12", "quick")
    assert tuned.reblur == row("aspdc_table4", "paper", "quick") and control.reblur is None
    assert replace(tuned, reblur=None, consistency=0.0) == control


def test_the_printed_schedules():
    svdn, svrnn = row("svdn_table2", "fd_og", "paper"), row("svrnn_table4", "paper", "paper")
    assert (svdn.batch, svdn.patch, svdn.betas, svdn.perceptual, svdn.position) == (
        32,
        256,
        (0.9, 0.9),
        0.01,
        1e-4,
    )
    assert svdn.steps == round(2000 * 2103 / 32)
    assert (svrnn.batch, svrnn.patch, svrnn.steps, svrnn.lr, svrnn.lr_end, svrnn.bias_lr) == (
        20,
        128,
        200_000,
        1e-4,
        0,
        2,
    )
    gradient_of_ours = 1 / (
        3 * 128 * 128
    )  # of half the mean squared error, in units of half the sum's
    assert svrnn.weight_decay == pytest.approx(
        1e-6 * gradient_of_ours
    ) and svrnn.clip == pytest.approx(0.10173, rel=1e-4)
    radn, radn1 = row("radn_table1", "final", "paper"), row("radn_table1", "radn1", "paper")
    assert (radn.batch, radn.patch, radn.steps, radn.lr, radn.lr_power) == (
        16,
        256,
        1_000_000,
        1e-4,
        0,
    )
    assert radn.pretrained and not radn1.pretrained
    aspdc, tuned = row("aspdc_table5", "v12", "paper"), row("aspdc_table6", "lambda_0.1", "paper")
    assert (aspdc.batch, aspdc.patch, aspdc.eps, aspdc.steps) == (6, 256, 1e-18, 7000 * 351)
    assert (tuned.lr, tuned.steps, tuned.halve_every, tuned.start.hash) == (
        1e-5,
        800 * 351,
        200 * 351,
        aspdc.hash,
    )


def test_a_new_row_is_one_entry(monkeypatch):
    monkeypatch.setitem(
        TABLES["svdn_table2"],
        "far",
        Row({"model": "svdn", "variant": "fd_og", "position": 1e-4, "margin": 2.0}),
    )
    assert rows("svdn_table2", "smoke")["far"].margin == 2.0
    assert row("svdn_table2", "far", "smoke") in everything("smoke", ["svdn_table2"])


def test_the_row_that_the_readme_adds_is_one(monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    name, entry = re.search(r'^ +"(fd_undilated)": (Row\(.+\)),$', readme, re.MULTILINE).groups()
    monkeypatch.setitem(TABLES["svdn_table2"], name, eval(entry))
    mine, fd = row("svdn_table2", name, "smoke"), row("svdn_table2", "fd", "smoke")
    assert mine.hash != fd.hash and replace(mine, options=()) == fd
    assert create_model("svdn", "fd", size="small", **dict(mine.options)).config.dilations == (
        1,
        1,
        1,
    )


def test_unknown_names_are_said():
    with pytest.raises(ValueError, match="no trained table 'x': choose one of svrnn_table4"):
        rows("x", "smoke")
    with pytest.raises(ValueError, match="svdn_table2 has no row 'y': choose one of base"):
        row("svdn_table2", "y", "smoke")


def test_the_small_width_leaves_out_what_needs_imagenet():
    full, small = rows("radn_table1", "gpu"), rows("radn_table1", "quick")
    assert [name for name in full if name not in small] == ["radn2"]
    assert full["radn2"].pretrained


def test_the_shipped_trainings_are_the_rows_of_the_preset_reference():
    """So no number of a table, a preset or a schedule has changed since they were trained."""
    shipped = {folder.name for folder in SHIPPED_RUNS.glob("*/")}
    first_seed = [each for each in everything("reference") if each.seed == 0]
    assert len(first_seed) == 47
    assert {each.hash for each in first_seed} <= shipped


def test_the_weights_that_ship_are_those_that_lessons_open():
    opened = {
        row(table, name, ablations.shipped(table).preset[0]).hash
        for table, names in OPENED.items()
        for name in names
    }
    found = {path.parent.name for path in SHIPPED_RUNS.glob("*/model.safetensors")}
    reblurring = {  # lesson 7's longer trainings
        path.parent.name
        for path in SHIPPED_RUNS.glob("*/experiment.json")
        if json.loads(path.read_text())["experiment"]["steps"] >= 4000
    }
    assert len(reblurring) == 2 and found == opened | reblurring


def test_presets_grow_and_have_their_sizes():
    sizes = {
        name: (
            preset.test_scenes,
            preset.scene_size,
            preset.train_scenes,
            preset.train_steps,
            preset.tuning_steps,
            preset.batch,
            preset.patch,
            preset.seeds,
            preset.size,
        )
        for name, preset in PRESETS.items()
    }
    assert sizes == {
        "smoke": (8, 128, 32, 40, 10, 4, 64, 1, "small"),
        "quick": (24, 192, 160, 300, 80, 4, 64, 2, "small"),
        "reference": (60, 192, 240, 300, 100, 4, 64, 3, "small"),
        "long": (100, 192, 1000, 8000, 1000, 4, 64, 3, "small"),
        "gpu": (100, 256, 4000, 20_000, 5000, 16, 128, 3, "full"),
        "paper": (100, 256, 4000, 131_438, 280_800, 32, 256, 1, "full"),
    }


def test_a_preset_may_change_photographs_and_recipe_but_no_row_of_a_table():
    made = row("svdn_table2", "fd_og", "long", seed=1)
    assert (made.photos, made.precision, made.warmup, made.ema) == (
        "wide",
        "bf16-mixed",
        250,
        0.999,
    )
    quick = row("svdn_table2", "fd_og", "quick", seed=1)
    for name in ("betas", "position", "lr", "lr_power", "pixel", "perceptual"):
        assert getattr(made, name) == getattr(quick, name)
    preset = replace(PRESETS["long"], recipe=(("position", 1.0),))
    assert row("svdn_table2", "fd_og", preset).position == 1e-4


def test_a_preset_is_found_by_its_name():
    assert get_preset("gpu") is PRESETS["gpu"] and get_preset(PRESETS["gpu"]) is PRESETS["gpu"]
    for name in ("huge", None, 3):
        with pytest.raises(ValueError, match=r"choose one of smoke, .*, long, gpu, paper"):
            get_preset(name)


def test_networks_outside_the_tables_have_the_schedule_of_their_preset():
    made = network("svdn", "fd", "gpu", seed=4, lr=0.5)
    assert (made.model, made.variant, made.seed, made.size) == ("svdn", "fd", 4, "full")
    assert (made.steps, made.batch, made.patch, made.scenes) == (20_000, 16, 128, 4000)
    assert made.lr == 0.5 and made.perceptual == 0
    assert network("svdn", "fd", "quick").lr == 1e-3
    assert network("svrnn", "no_rnns", "quick").options == (("residual", True),)
    printed = network("radn", "radn3", "paper")
    assert printed.pretrained and not network("radn", "radn1", "paper").pretrained
    with pytest.raises(ValueError, match="choose one of svrnn, svdn"):
        network("x", "paper", "quick")


def test_fine_tuning_has_the_short_schedule_and_changes_reach_its_start():
    tuned = row("aspdc_table6", "lambda_1", "quick", seed=2, scenes=7)
    assert (tuned.lr, tuned.steps, tuned.consistency) == (2e-4, 80, 1.0)
    assert (tuned.start.steps, tuned.start.scenes, tuned.start.seed) == (300, 7, 2)
    assert (tuned.reblur.model, tuned.reblur.scenes, tuned.reblur.seed) == ("reblur", 7, 2)


def test_everything_goes_seed_after_seed():
    made = everything("quick", ["svdn_table2"], seed=5)
    assert [each.seed for each in made] == [5] * 5 + [6] * 5
