"""Every trained row of every table, as Experiments: a new row of an ablation is one entry in TABLES.

    rows("svdn_table2", "quick")           one Experiment a row, by the row's name
    everything("reference")                all tables, all seeds, each training once

Rows of one table and seed share initial weights where their shapes agree, training crops, steps and schedule: they differ
in what their entry says. Under the preset "paper" the schedule is the printed one of each paper.
"""

from dataclasses import dataclass, field, replace

from ..models import spec_of
from ..models.registry import NETWORKS
from ..training import Experiment
from .presets import Preset, get_preset


@dataclass(frozen=True)
class Row:
    """One row of a printed table, or a control of ours that the table lacks."""

    changes: dict  # fields of Experiment
    printed: int | None = (
        None  # which line of papers.table(...) it is, counted from 0; None = our control
    )
    note: str = ""
    measured: str = ""  # variant that the trained weights are measured in, if not the trained one
    tuned: dict = field(
        default_factory=dict
    )  # a second, shorter training that starts from the first: its changed fields


def _of(model, rows, **common):
    """Rows by variant: {variant: line of the printed table, None for a control, or (line, note)}."""
    made = {}
    for name, entry in rows.items():
        printed, note = entry if isinstance(entry, tuple) else (entry, "")
        made[name] = Row({"model": model, "variant": name, **common}, printed, note)
    return made


TUNED = {"model": "aspdc", "variant": "v12"}

# table -> row -> what it is. The printed tables are deblurlib/papers/tables/*.csv.
TABLES = {
    "svrnn_table4": _of(
        "svrnn",
        {
            "no_skips": 0,
            "no_convs": 1,
            "no_rnns": 2,
            "weights_only": 3,
            "paper": 4,
            "no_rnns_wide": (None, "as many parameters as the whole network, no RNN"),
            "p_constant": (None, "one learned RNN weight a channel, the same everywhere"),
            "p_sigmoid": (None, "RNN weights in (0, 1), as the text has it"),
            "liu": (None, "RNNs connected as by Liu et al. (2016)"),
        },
    )
    | {
        "direct": Row(
            {"model": "svrnn", "variant": "paper", "options": ()},
            None,
            "predicts the picture itself, as printed",
        ),
        "p_zero": Row(
            {"model": "svrnn", "variant": "paper"},
            None,
            "the same weights, RNNs switched off",
            "p_zero",
        ),
    },
    "svdn_table2": _of(
        "svdn",
        {
            "base": 0,
            "dilated": 1,
            "fd": 2,
            "fd_rigid": (None, "fd's parameters without its adaptive positions"),
        },
    )
    | {
        "fd_og": Row({"model": "svdn", "variant": "fd_og", "position": 1e-4}, 3),
    },
    "radn_table1": _of(
        "radn",
        {
            "radn1": 9,
            "radn3": 11,
            "radn4": 12,
            "final": 13,
            "radn4_wide": (None, "as many parameters as final, without its adaptive positions"),
        },
    )
    | {
        "radn2": Row(
            {"model": "radn", "variant": "radn2", "pretrained": True},
            10,
            "radn1 from ImageNet's weights",
        ),
        "final_plus": Row(
            {"model": "radn", "variant": "final"},
            14,
            "final, averaged over flips and rotations",
            "final_plus",
        ),
    },
    "radn_table2": _of(
        "radn_baseline",
        {"conv6": 0, "conv6_sa": 1, "conv3_deform3": 2, "deform6": 3, "deform6_sa": 4},
    ),
    "aspdc_table5": _of(
        "aspdc",
        {f"v{n}": n - 1 for n in range(1, 13)}
        | {
            "v1_deep": (None, "about the parameters of versions 2 to 4, no second branch"),
            "v11_deep": (None, "more parameters than version 12, no attention"),
            "v11_mean": (None, "version 12 with constant attention"),
            "v12_averaged": (None, "version 12 with attention that does not vary over the picture"),
        },
    ),
    "aspdc_table4": _of(
        "reblur", {"paper": 0, "naive": (None, "one encoder-decoder over both pictures")}
    ),
    "aspdc_table6": {
        f"lambda_{weight:g}": Row(TUNED, printed, note, tuned={"consistency": weight})
        for weight, printed, note in (
            (0.01, 0, ""),
            (0.1, 1, ""),
            (1.0, 2, ""),
            (0.0, None, "trained on without consistency"),
        )
    },
}

PAPER = {name: dict(spec.schedule) for name, spec in NETWORKS.items() if spec.schedule}
IMAGENET = NETWORKS["radn"].pretrained_variants  # start pretrained in the paper, like radn2
PAPER_TUNING = {"steps": 280_800, "lr": 1e-5, "halve_every": 70_200}

# Elsewhere: each paper's Adam, and one schedule short enough for the preset.
SHORT_TUNING = {"lr": 2e-4}


def network(model: str, variant: str, preset: str | Preset, seed: int = 0, **changes) -> Experiment:
    """A training of any variant, in a table or not, with the schedule that the preset has for that network."""
    chosen, preset = {"model": model, "variant": variant}, get_preset(preset)
    return _scaled(chosen, preset, seed, **changes)


def row(table: str, name: str, preset: str | Preset, seed: int = 0, **changes) -> Experiment:
    """One row of a table at the size of a preset; further changes go to both of its trainings, such as real=…, real_share=1."""
    if table not in TABLES:
        raise ValueError(f"There is no trained table {table!r}: choose one of {', '.join(TABLES)}.")
    if name not in TABLES[table]:
        raise ValueError(f"{table} has no row {name!r}: choose one of {', '.join(TABLES[table])}.")
    entry, preset = TABLES[table][name], get_preset(preset)
    experiment = _scaled(entry.changes, preset, seed, **changes)
    if not entry.tuned:
        return experiment
    reblur = (
        _scaled({"model": "reblur"}, preset, seed, **changes)
        if entry.tuned["consistency"]
        else None
    )
    shorter = (
        PAPER_TUNING if preset.name == "paper" else {**SHORT_TUNING, "steps": preset.tuning_steps}
    )
    return replace(experiment, start=experiment, reblur=reblur, **{**shorter, **entry.tuned})


def rows(table: str, preset: str | Preset, seed: int = 0, **changes) -> dict[str, Experiment]:
    """The rows of one table and one seed, by name; see `row`. The small width leaves out what starts from ImageNet's weights."""
    if table not in TABLES:
        raise ValueError(f"There is no trained table {table!r}: choose one of {', '.join(TABLES)}.")
    made = {name: row(table, name, preset, seed, **changes) for name in TABLES[table]}
    return {
        name: each for name, each in made.items() if not (each.pretrained and each.size == "small")
    }


def everything(preset: str | Preset, tables=(), seed: int = 0, **changes) -> list[Experiment]:
    """Each training of the tables (default: all), for as many seeds as the preset says, once and seed after seed."""
    preset = get_preset(preset)
    found = [
        experiment
        for s in range(seed, seed + preset.seeds)
        for table in tables or TABLES
        for experiment in rows(table, preset, s, **changes).values()
    ]
    return list(dict.fromkeys(found))


def _scaled(chosen: dict, preset: Preset, seed: int, **changes) -> Experiment:
    model = chosen["model"]
    spec = spec_of(model)
    printed = spec.schedule or {}
    if preset.name == "paper":
        if not printed:
            raise ValueError(f"No training schedule of {model} is printed: choose another preset.")
        schedule = {**printed}
        if chosen.get("variant") in spec.pretrained_variants:
            schedule["pretrained"] = True
    else:
        schedule = {
            "steps": preset.train_steps,
            "batch": preset.batch,
            "patch": preset.patch,
            "lr": 1e-3,
            **({"betas": printed["betas"]} if "betas" in printed else {}),
            **spec.short_schedule,
        }
    data = {"scenes": preset.train_scenes, "scene_size": preset.scene_size}
    return Experiment(
        **{"size": preset.size, "seed": seed, **data, **schedule, **chosen, **changes}
    )
