"""Ablation tables: what the trained rows of a printed table measure, image by image, and the runs that ship with the library."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from .. import papers
from ..analysis.significance import ALPHA, holm, paired_bootstrap
from ..data import SceneDataset
from ..evaluation import DEFAULT_METRICS, evaluate
from ..models import count_parameters, create_model, save_model
from ..results import save_table
from ..training import SHIPPED_RUNS, Run, fit
from .presets import Preset, get_preset
from .tables import TABLES, rows

MEASURED = (
    SHIPPED_RUNS / "measured.csv"
)  # table, row, seed, image and metrics of every shipped training, all seeds


def measured(
    table: str,
    preset: str | Preset,
    dataset,
    *,
    folder: str | Path,
    seed: int = 0,
    seeds: int | None = None,
    **options,
) -> pd.DataFrame:
    """Train (or reuse) the rows of a table and measure them: one row for each row of the table, seed and image.

    Columns: table, row, seed, image, the metrics of the restored picture and of the blurry one, parameters. dataset: see
    `evaluate`. folder: of all runs, as in `fit`. seeds: how many, from `seed` on; None = the preset's number. options: as of `fit`.
    """
    preset = get_preset(preset)
    found = []
    for s in range(seed, seed + (preset.seeds if seeds is None else seeds)):
        for name, experiment in rows(table, preset, s).items():
            run = fit(experiment, folder=folder, **options)
            found.append(_measure(run, table, name, dataset).assign(table=table, row=name, seed=s))
    return pd.concat(found, ignore_index=True)[
        ["table", "row", "seed", *found[0].columns.drop(["table", "row", "seed"])]
    ]


def shipped(table: str) -> pd.DataFrame:
    """The same, as measured when the shipped trainings of the preset "reference" were made; see `provenance`."""
    found = pd.read_csv(MEASURED)
    return found[found.table == table].reset_index(drop=True)


def provenance() -> dict:
    """Where the shipped measurements come from: data, versions, git commit, seconds of training."""
    return json.loads(MEASURED.with_suffix(".json").read_text())


def differences(
    measurements: pd.DataFrame, name: str, against: str, metric: str = "rgb-psnr"
) -> np.ndarray:
    """Row `name` minus row `against`, paired: (seeds, images)."""
    grids = [
        measurements[measurements.row == row].pivot(index="seed", columns="image", values=metric)
        for row in (name, against)
    ]
    return (grids[0] - grids[1]).to_numpy()


def summary(measurements: pd.DataFrame, against: str, metric: str = "rgb-psnr") -> pd.DataFrame:
    """One line a row of the table: parameters, means over seeds and images, and the paired difference to the row `against`.

    low and high bound the difference at 95 %, p is Holm's over the table; "could be noise" where p >= 0.05. With one seed the
    interval speaks of other images only, not of other trainings.
    """
    lines, estimates = [], {}
    for name, of_row in measurements.groupby("row", sort=False):
        line = {
            "row": name,
            "parameters": of_row.parameters.iloc[0],
            "seeds": of_row.seed.nunique(),
            metric: of_row[metric].mean(),
        }
        line["gain over blurry"] = (of_row[metric] - of_row[f"blurry {metric}"]).mean()
        if name != against:
            estimate = estimates[name] = paired_bootstrap(
                differences(measurements, name, against, metric)
            )
            line |= {
                f"minus {against}": estimate.value,
                "low": estimate.interval[0],
                "high": estimate.interval[1],
            }
        lines.append(line)
    adjusted = dict(
        zip(estimates, holm([estimate.p for estimate in estimates.values()]), strict=True)
    )
    made = pd.DataFrame(lines)
    made["p"] = made.row.map(adjusted)
    made["could be noise"] = [
        "" if pd.isna(p) else "yes" if p >= ALPHA else "no" for p in made.p
    ]
    return made


def measured_network(table: str, name: str, run: Run) -> nn.Module:
    """The network that a row is measured with: the trained one, or its weights in another variant (self-ensemble, p = 0)."""
    variant = TABLES[table][name].measured
    if not variant:
        return run.model
    recipe = run.model.recipe
    other = create_model(recipe["name"], variant, size=recipe["size"], **recipe["overrides"])
    trained = run.model.state_dict()
    other.load_state_dict(
        {name: trained[name] for name in other.state_dict()}
    )  # p = 0 needs no network that predicts p
    return other.eval().to(next(run.model.parameters()).device)


def beside_printed(table: str, summary: pd.DataFrame) -> pd.DataFrame:
    """A summary with a column "row", and the printed values of each row in columns that begin with "printed "."""
    lines = papers.table(table)
    printed = [
        {} if (line := TABLES[table][name].printed) is None else lines.iloc[line].to_dict()
        for name in summary.row
    ]
    columns = pd.DataFrame(
        [{f"printed {key}": value for key, value in line.items()} for line in printed],
        index=summary.index,
    )
    return pd.concat([summary, columns], axis=1)


def _measure(run: Run, table: str, name: str, dataset) -> pd.DataFrame:
    network = measured_network(table, name, run)
    return evaluate(network, dataset, DEFAULT_METRICS).assign(parameters=count_parameters(network))


def ship(
    preset: str = "reference", tables=(), *, folder: str | Path, seeds_with_weights: int = 1
) -> pd.DataFrame:
    """For maintainers: put the finished trainings of a preset into the library, and measure all of them on its test scenes.

    Weights go as fp16 for the first seeds, measurements of every seed that is finished for the whole table.
    """
    preset, folder = get_preset(preset), Path(folder)
    scenes = list(
        SceneDataset("test", preset.test_scenes, preset.scene_size, variant="blur")
    )  # rendered once for all rows
    found, seconds = [], 0.0
    for table in tables or TABLES:
        for seed in range(preset.seeds):
            made = rows(table, preset, seed)
            if not all(
                (folder / experiment.hash / "model.safetensors").is_file()
                for experiment in made.values()
            ):
                continue
            for name, experiment in made.items():
                run = fit(experiment, folder=folder)
                found.append(
                    _measure(run, table, name, scenes).assign(table=table, row=name, seed=seed)
                )
                seconds += run.seconds
                if seed < seeds_with_weights:
                    _ship_weights(run)
    everything = pd.concat(found, ignore_index=True)[
        ["table", "row", "seed", *found[0].columns.drop(["table", "row", "seed"])]
    ]
    save_table(
        everything,
        MEASURED,
        preset=preset.name,
        data="rendered test scenes",
        training_seconds=round(seconds),
    )
    return everything


def _ship_weights(run: Run) -> None:
    folder = SHIPPED_RUNS / run.experiment.hash
    save_model(
        run.model, folder / "model.safetensors", {"hash": run.experiment.hash}, dtype=torch.float16
    )
    for name in ("experiment.json", "log.jsonl"):
        shutil.copyfile(run.folder / name, folder / name)
