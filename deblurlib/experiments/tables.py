"""Every trained row of every table, as an Experiment: a new row of an ablation is one entry here.

    rows("svdn_table2", "quick")           one Experiment per row, by the row's name
    everything("reference")                all tables, all seeds, each training once

Rows of one table and seed share training crops, steps and schedule, and initial weights where their
shapes agree: they differ in what their entry says. The preset "paper" uses each paper's printed
schedule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..models import spec_of
from ..models.registry import NETWORKS
from ..training import Experiment
from .presets import Preset, get_preset


@dataclass(frozen=True)
class Row:
    """One row of a printed table, or a control of ours that the table lacks.

    Attributes:
        changes: Fields of Experiment.
        printed: The row's line in `papers.table(...)`, counted from 0; None for a control.
        note: Description of the row, if its name does not say enough.
        measured: Variant that the trained weights are measured in; None for the trained one.
        tuned: Fields that change in a second, shorter training that starts from the first; empty
            if there is only one training.
    """

    changes: Mapping[str, Any]
    printed: int | None = None
    note: str = ""
    measured: str | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)


def _variant(
    model: str, variant: str, *, printed: int | None = None, note: str = "", **changes: object
) -> Row:
    return Row({"model": model, "variant": variant, **changes}, printed=printed, note=note)


_TUNED = {"model": "aspdc", "variant": "v12"}

# table -> row -> what it is. The printed tables are deblurlib/papers/tables/*.csv.
TABLES: dict[str, dict[str, Row]] = {
    "svrnn_table4": {
        "no_skips": _variant("svrnn", "no_skips", printed=0),
        "no_convs": _variant("svrnn", "no_convs", printed=1),
        "no_rnns": _variant("svrnn", "no_rnns", printed=2),
        "weights_only": _variant("svrnn", "weights_only", printed=3),
        "paper": _variant("svrnn", "paper", printed=4),
        "no_rnns_wide": _variant(
            "svrnn", "no_rnns_wide", note="as many parameters as the whole network, no RNN"
        ),
        "p_constant": _variant(
            "svrnn", "p_constant", note="one learned RNN weight per channel, the same everywhere"
        ),
        "p_sigmoid": _variant("svrnn", "p_sigmoid", note="RNN weights in (0, 1), as in the text"),
        "liu": _variant("svrnn", "liu", note="RNNs connected as by Liu et al. (2016)"),
        "direct": _variant(
            "svrnn", "paper", options=(), note="predicts the picture itself, as printed"
        ),
        "p_zero": Row(
            {"model": "svrnn", "variant": "paper"},
            note="the same weights, RNNs switched off",
            measured="p_zero",
        ),
    },
    "svdn_table2": {
        "base": _variant("svdn", "base", printed=0),
        "dilated": _variant("svdn", "dilated", printed=1),
        "fd": _variant("svdn", "fd", printed=2),
        "fd_rigid": _variant(
            "svdn", "fd_rigid", note="fd's parameters without its adaptive positions"
        ),
        "fd_og": _variant("svdn", "fd_og", printed=3, position=1e-4),
    },
    "radn_table1": {
        "radn1": _variant("radn", "radn1", printed=9),
        "radn3": _variant("radn", "radn3", printed=11),
        "radn4": _variant("radn", "radn4", printed=12),
        "final": _variant("radn", "final", printed=13),
        "radn4_wide": _variant(
            "radn",
            "radn4_wide",
            note="as many parameters as final, without its adaptive positions",
        ),
        "radn2": _variant(
            "radn", "radn2", printed=10, pretrained=True, note="radn1 from ImageNet's weights"
        ),
        "final_plus": Row(
            {"model": "radn", "variant": "final"},
            printed=14,
            note="final, averaged over flips and rotations",
            measured="final_plus",
        ),
    },
    "radn_table2": {
        "conv6": _variant("radn_baseline", "conv6", printed=0),
        "conv6_sa": _variant("radn_baseline", "conv6_sa", printed=1),
        "conv3_deform3": _variant("radn_baseline", "conv3_deform3", printed=2),
        "deform6": _variant("radn_baseline", "deform6", printed=3),
        "deform6_sa": _variant("radn_baseline", "deform6_sa", printed=4),
    },
    "aspdc_table5": {
        **{f"v{n}": _variant("aspdc", f"v{n}", printed=n - 1) for n in range(1, 13)},
        "v1_deep": _variant(
            "aspdc", "v1_deep", note="about the parameters of versions 2 to 4, no second branch"
        ),
        "v11_deep": _variant(
            "aspdc", "v11_deep", note="more parameters than version 12, no attention"
        ),
        "v11_mean": _variant("aspdc", "v11_mean", note="version 12 with constant attention"),
        "v12_averaged": _variant(
            "aspdc",
            "v12_averaged",
            note="version 12 with attention that does not vary over the picture",
        ),
    },
    "aspdc_table4": {
        "paper": _variant("reblur", "paper", printed=0),
        "naive": _variant("reblur", "naive", note="one encoder-decoder over both pictures"),
    },
    "aspdc_table6": {
        "lambda_0.01": Row(_TUNED, printed=0, tuned={"consistency": 0.01}),
        "lambda_0.1": Row(_TUNED, printed=1, tuned={"consistency": 0.1}),
        "lambda_1": Row(_TUNED, printed=2, tuned={"consistency": 1.0}),
        "lambda_0": Row(
            _TUNED, note="trained further without consistency", tuned={"consistency": 0.0}
        ),
    },
}

# The printed schedules; every other preset has each paper's Adam and one short schedule.
PAPER = {name: dict(spec.schedule) for name, spec in NETWORKS.items() if spec.schedule}
PAPER_TUNING: Mapping[str, Any] = {"steps": 280_800, "lr": 1e-5, "halve_every": 70_200}
SHORT_TUNING: Mapping[str, Any] = {"lr": 2e-4}
# Rows whose weights ship (first seed): those that a lesson opens. Of others, only the log does.
OPENED: Mapping[str, tuple[str, ...]] = {
    "svdn_table2": ("fd",),
    "svrnn_table4": ("no_skips", "no_convs", "no_rnns", "weights_only", "paper"),
    "radn_table1": ("radn4", "radn4_wide", "final"),
    "radn_table2": ("conv6", "conv6_sa", "deform6", "deform6_sa"),
    "aspdc_table5": ("v2", "v3", "v4", "v12"),
}
IMAGENET = NETWORKS["radn"].pretrained_variants  # start pretrained in the paper, like radn2


def network(
    model: str, variant: str, preset: str | Preset, seed: int = 0, **changes: Any
) -> Experiment:
    """Describe the training of any variant, whether or not a table lists it.

    Args:
        model: The network's name.
        variant: Its variant.
        preset: Sets the size of the training; "paper" uses the printed schedule.
        seed: Determines initial weights, scenes and crops.
        **changes: Further fields of Experiment.

    Returns:
        The training.

    Raises:
        ValueError: If the network or preset is unknown, or no schedule is printed for the network.
    """
    return _scaled({"model": model, "variant": variant}, get_preset(preset), seed, changes)


def row(table: str, name: str, preset: str | Preset, seed: int = 0, **changes: Any) -> Experiment:
    """Describe the training of one row of a table.

    Args:
        table: A key of TABLES.
        name: A row of the table.
        preset: Sets the size of the training; "paper" uses the printed schedule.
        seed: Determines initial weights, scenes and crops.
        **changes: Further fields of Experiment, such as real="…", real_share=1.0; a row with a
            second training changes them in both.

    Returns:
        The training; the `start` of a second one is the first.

    Raises:
        ValueError: If the table, row or preset is unknown.
    """
    entry, preset = _entry(table, name), get_preset(preset)
    experiment = _scaled(entry.changes, preset, seed, changes)
    if not entry.tuned:
        return experiment
    consistent = entry.tuned["consistency"] > 0
    reblur = _scaled({"model": "reblur"}, preset, seed, changes) if consistent else None
    shorter = {**SHORT_TUNING, "steps": preset.tuning_steps}
    if preset.name == "paper":
        shorter = {**PAPER_TUNING}
    return replace(experiment, start=experiment, reblur=reblur, **{**shorter, **entry.tuned})


def rows(table: str, preset: str | Preset, seed: int = 0, **changes: Any) -> dict[str, Experiment]:
    """Describe the trainings of all rows of a table for one seed.

    Args:
        table: A key of TABLES.
        preset: Sets the size of the trainings; "paper" uses the printed schedules.
        seed: Determines initial weights, scenes and crops.
        **changes: Further fields of Experiment.

    Returns:
        The trainings by row. The small width leaves out rows that start from ImageNet weights,
        which have the full width.

    Raises:
        ValueError: If the table or preset is unknown.
    """
    made = {name: row(table, name, preset, seed, **changes) for name in _table(table)}
    return {
        name: each for name, each in made.items() if not (each.pretrained and each.size == "small")
    }


def everything(
    preset: str | Preset, tables: Iterable[str] | None = None, seed: int = 0, **changes: Any
) -> list[Experiment]:
    """List the trainings of several tables for all seeds of a preset.

    Args:
        preset: Sets the size of the trainings and the number of seeds.
        tables: Keys of TABLES; None or an empty sequence for all.
        seed: The first seed.
        **changes: Further fields of Experiment.

    Returns:
        Each training once, seed after seed.

    Raises:
        ValueError: If the table or preset is unknown.
    """
    preset = get_preset(preset)
    found = [
        experiment
        for s in range(seed, seed + preset.seeds)
        for table in tables or TABLES
        for experiment in rows(table, preset, s, **changes).values()
    ]
    return list(dict.fromkeys(found))


def _table(table: str) -> dict[str, Row]:
    if table not in TABLES:
        raise ValueError(f"There is no trained table {table!r}: choose one of {', '.join(TABLES)}.")
    return TABLES[table]


def _entry(table: str, name: str) -> Row:
    entries = _table(table)
    if name not in entries:
        raise ValueError(f"{table} has no row {name!r}: choose one of {', '.join(entries)}.")
    return entries[name]


def _scaled(
    chosen: Mapping[str, Any], preset: Preset, seed: int, changes: Mapping[str, Any]
) -> Experiment:
    """The training of a row or network at the size of a preset."""
    model = chosen["model"]
    spec = spec_of(model)
    printed: Mapping[str, Any] = spec.schedule or {}
    if preset.name == "paper":
        if not printed:
            raise ValueError(f"No training schedule of {model} is printed: choose another preset.")
        schedule = dict(printed)
        if chosen.get("variant") in spec.pretrained_variants:
            schedule["pretrained"] = True
    else:
        schedule = {
            "steps": preset.train_steps,
            "batch": preset.batch,
            "patch": preset.patch,
            "lr": 1e-3,
            **{name: value for name, value in printed.items() if name == "betas"},
            **spec.short_schedule,
        }
    sizes = {
        "size": preset.size,
        "seed": seed,
        "scenes": preset.train_scenes,
        "scene_size": preset.scene_size,
        "photos": preset.photos,
    }
    return Experiment(**{**sizes, **dict(preset.recipe), **schedule, **chosen, **changes})
