"""Ablation tables: measurements of the trained rows of a printed table, per image and seed."""

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import papers
from ..analysis.significance import ALPHA, Estimate, holm, paired_bootstrap, weakest
from ..data import SceneDataset, groups_of
from ..data.samples import Sample
from ..evaluation import METRICS
from ..models import save_model
from ..results import origin_of, read_table, save_table
from ..training import SHIPPED_RUNS, Run, fit
from ..training.logs import LOG
from ..training.runs import FINAL_WEIGHTS, RECORD, is_finished
from .measuring import KEYS, MOVED, measure_run
from .presets import Preset, get_preset
from .tables import OPENED, TABLES, row, rows

# Table, row, seed, image and metrics of every shipped training, all seeds.
MEASURED = SHIPPED_RUNS / "measured.csv"


def measured(
    table: str,
    preset: str | Preset,
    dataset: Sequence[Sample] | SceneDataset,
    *,
    folder: str | Path,
    seed: int = 0,
    seeds: int | None = None,
    train: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Train (or load) the rows of a table and measure them.

    Args:
        table: A key of TABLES.
        preset: Sets the size of the trainings and the number of seeds.
        dataset: The images to measure on, see `evaluate`.
        folder: Folder of all runs, as in `fit`.
        seed: The first seed.
        seeds: Number of seeds; None for the preset's.
        train: Whether to train what is not finished; otherwise those rows and seeds are left out,
            so that a sweep can be looked at while it runs.
        **options: Further options of `fit`.

    Returns:
        One row per row of the table, seed and image: table, row, seed, image, photograph, the
        metrics of the restored and of the blurry image, the number of parameters, and the columns
        "moved …", see `adequacy.moved`.

    Raises:
        ValueError: If the table or preset is unknown, or nothing is finished and nothing trained.
    """
    preset = get_preset(preset)
    places, found = (Path(folder), SHIPPED_RUNS), []
    for s in range(seed, seed + (preset.seeds if seeds is None else seeds)):
        for name, experiment in rows(table, preset, s).items():
            if not train and not any(is_finished(place / experiment.hash) for place in places):
                continue
            run = fit(experiment, folder=folder, **options)
            found.append(measure_run(run, table, name, dataset, groups_of(dataset)))
    if not found:
        raise ValueError(
            f"No training of {table} with the preset {preset.name} is finished in {folder}: run "
            f"`deblurlib sweep {table} --preset {preset.name}` first."
        )
    return pd.concat(found, ignore_index=True)


def shipped(table: str) -> pd.DataFrame:
    """Read the measurements of the shipped trainings of a table.

    Args:
        table: A key of TABLES.

    Returns:
        A table like that of `measured`, and the column preset; see `provenance` for its origin.
    """
    found = read_table(MEASURED)
    return found[found.table == table].reset_index(drop=True)


def provenance() -> dict[str, Any]:
    """Read where the shipped measurements come from.

    Returns:
        Data, library versions, git commit, presets, and seconds of training by preset.
    """
    record: dict[str, Any] = json.loads(origin_of(MEASURED).read_text())
    return record


def load() -> pd.DataFrame:
    """Stack all ablation tables, ours and the papers', with one row per number.

    Returns:
        Columns table, row, seed, image, photograph, metric, value, source ("measured" or
        "printed"), preset, steps, parameters and hash (of the training; see
        `Experiment.hash`). The row "blurry" is the input. Printed values have no seed, and their
        image is "GoPro". Metrics are presets of `deblurlib.evaluation`; a printed SSIM has the one
        that it was made with.
    """
    found = read_table(MEASURED)
    metrics = [name for name in METRICS if name in found]
    inputs = found.drop_duplicates(["table", "image"]).assign(row="blurry", parameters=0)
    inputs[metrics] = inputs[[f"blurry {name}" for name in metrics]].to_numpy()
    trainings = [
        dict(zip(KEYS, key, strict=True)) | {"steps": e.steps, "hash": e.hash}
        for *key, preset in found[[*KEYS, "preset"]].drop_duplicates().to_numpy().tolist()
        for e in [row(key[0], key[1], preset, key[2])]
    ]
    numbers = pd.concat([found.merge(pd.DataFrame(trainings)), inputs.assign(seed=None)])
    kept = [*KEYS, "image", "photograph", "preset", "steps", "parameters", "hash"]
    numbers = numbers.melt(kept, metrics, "metric").assign(source="measured")
    stacked = pd.concat([numbers, pd.DataFrame(_printed_values())], ignore_index=True)
    whole = dict.fromkeys(("seed", "steps", "parameters"), "Int64")
    return stacked.astype(whole)[[*kept[:5], "metric", "value", "source", *kept[5:]]]


def _printed_values() -> Iterator[dict[str, Any]]:
    for table, entries in TABLES.items():
        lines = papers.table(table)
        metrics = {"psnr_db": "rgb-psnr", "ssim": papers.ssim_preset(table)}
        printed = {name: entry.printed for name, entry in entries.items()}
        for column, (name, line) in product(lines.columns.intersection(metrics), printed.items()):
            if line is not None:
                number = {"metric": metrics[column], "value": lines[column].iloc[line]}
                place = {"table": table, "row": name, "image": "GoPro"}
                yield {**place, **number, "source": "printed", "preset": "printed"}


def differences(
    measurements: pd.DataFrame, name: str, against: str, metric: str = "rgb-psnr"
) -> np.ndarray:
    """Subtract the measurements of one row from those of another, paired by seed and image.

    Args:
        measurements: A table like that of `measured`.
        name: The row to subtract from.
        against: The row that is subtracted.
        metric: The metric.

    Returns:
        Row `name` minus row `against`, (seeds, images); the seeds are those that both have.

    Raises:
        ValueError: If they have none in common.
    """
    grids = [
        measurements[measurements.row == row].pivot(index="seed", columns="image", values=metric)
        for row in (name, against)
    ]
    paired = (grids[0] - grids[1]).dropna(how="all")
    if paired.empty:
        raise ValueError(f"The rows {name!r} and {against!r} have no seed in common: train one.")
    return paired.to_numpy()


def compare(
    measurements: pd.DataFrame,
    rows: str | Sequence[str],
    against: str | Sequence[str],
    metric: str = "rgb-psnr",
) -> Estimate:
    """Estimate by how much one row is better than another, or than each of several.

    Args:
        measurements: A table like that of `measured`.
        rows: The row that is claimed to be better, or one for each pair.
        against: The row that it is compared with, likewise; a single one stands for all pairs.
        metric: The metric.

    Returns:
        The difference, or the weakest of several (see `significance.weakest`), with an interval
        that covers other photographs, scenes and seeds.
    """
    first = [rows] if isinstance(rows, str) else list(rows)
    second = [against] if isinstance(against, str) else list(against)
    count = max(len(first), len(second))
    first, second = first * (count // len(first)), second * (count // len(second))
    groups = photographs(measurements)
    return weakest(
        [
            paired_bootstrap(differences(measurements, *pair, metric), groups)
            for pair in zip(first, second, strict=True)
        ]
    )


def learned(measurements: pd.DataFrame, rows: str | Sequence[str]) -> dict[str, float]:
    """Tell what the least trained of some rows has learned, for the gates of claims.

    Args:
        measurements: A table like that of `measured`.
        rows: The rows whose parts a claim is about.

    Returns:
        The smallest gain over the blurry image, and the smallest movement of each part that was
        measured, by gate (see `verdicts.GATES`); means over seeds and images.
    """
    chosen = measurements[measurements.row.isin([rows] if isinstance(rows, str) else rows)]
    gains = (chosen["rgb-psnr"] - chosen["blurry rgb-psnr"]).groupby(chosen.row).mean()
    found = {"gain": float(gains.min())}
    for column in chosen.filter(like=MOVED).dropna(axis=1, how="all"):
        found[column.removeprefix(MOVED)] = float(chosen.groupby("row")[column].mean().min())
    return found


def photographs(measurements: pd.DataFrame) -> list[str]:
    """List the photograph of each image, in the order of `differences`.

    Args:
        measurements: A table like that of `measured`.

    Returns:
        One name per image.
    """
    once = measurements.drop_duplicates("image").set_index("image").photograph
    return [str(name) for name in once.sort_index()]


def summary(measurements: pd.DataFrame, against: str, metric: str = "rgb-psnr") -> pd.DataFrame:
    """Summarise the measurements of a table.

    Args:
        measurements: A table like that of `measured`.
        against: The row that the others are compared with.
        metric: The metric.

    Returns:
        One line per row: parameters, means over seeds and images, and the paired difference to
        the row `against` with its 95 % interval, low and high. p is Holm's over the table; "could
        be noise" is "yes" where p >= 0.05. With one seed the interval covers other images only, not
        other trainings: then it is "unknown (1 seed)".
    """
    lines, estimates = [], {}
    for name, of_row in measurements.groupby("row", sort=False):
        line = {
            "row": name,
            "parameters": of_row.parameters.iloc[0],
            "seeds": of_row.seed.nunique(),
            metric: of_row[metric].mean(),
            "gain over blurry": (of_row[metric] - of_row[f"blurry {metric}"]).mean(),
        }
        if name != against:
            estimate = compare(measurements, name, against, metric)
            line[f"minus {against}"] = estimate.value
            line["low"], line["high"] = estimate.interval
            estimates[name] = estimate
        lines.append(line)
    adjusted = holm([estimate.p for estimate in estimates.values()])
    made = pd.DataFrame(lines)
    made["p"] = made.row.map(dict(zip(estimates, adjusted, strict=True)))
    made["could be noise"] = [
        "" if pd.isna(p) else "unknown (1 seed)" if n < 2 else "yes" if p >= ALPHA else "no"
        for p, n in zip(made.p, made.seeds, strict=True)
    ]
    return made


def beside_printed(table: str, summary: pd.DataFrame) -> pd.DataFrame:
    """Add the printed values of each row to a summary.

    Args:
        table: A key of TABLES.
        summary: A table with a column "row", such as that of `summary`.

    Returns:
        The summary with further columns that begin with "printed ". The printed SSIM is among them
        only if the summary has the metric that it was made with, and named like that.
    """
    lines, made_with = papers.table(table), papers.ssim_preset(table)
    if "ssim" in lines:
        same = made_with in summary
        lines = (
            lines.rename(columns={"ssim": str(made_with)}) if same else lines.drop(columns="ssim")
        )
    printed = [
        {} if (line := TABLES[table][name].printed) is None else lines.iloc[line].to_dict()
        for name in summary.row
    ]
    columns = pd.DataFrame(
        [{f"printed {key}": value for key, value in line.items()} for line in printed],
        index=summary.index,
    )
    return pd.concat([summary, columns], axis=1)


def ship(
    preset: str | Preset = "reference",
    tables: Collection[str] | None = None,
    *,
    folder: str | Path,
) -> pd.DataFrame:
    """Include the finished trainings of a preset in the library (for maintainers).

    The measurements cover every seed that is finished for the whole table, on the test scenes of
    the preset. Other tables keep theirs. The first seed's records and logs are included, and
    the weights of the rows in `tables.OPENED`, in half precision.

    Args:
        preset: The preset of the trainings.
        tables: Keys of TABLES; None or an empty sequence for all.
        folder: Folder of all runs, as in `fit`.

    Returns:
        The measurements of all tables, as `shipped` gives them.

    Raises:
        ValueError: If no seed of the tables is finished.
    """
    preset, folder = get_preset(preset), Path(folder)
    dataset = SceneDataset(
        "test", preset.test_scenes, preset.scene_size, variant="blur", photos=preset.photos
    )
    scenes = [dataset[i] for i in range(len(dataset))]  # rendered once for all rows
    found, seconds = [], 0.0
    for table in tables or TABLES:
        for seed in range(preset.seeds):
            made = rows(table, preset, seed)
            if not all(is_finished(folder / experiment.hash) for experiment in made.values()):
                continue
            for name, experiment in made.items():
                run = fit(experiment, folder=folder)
                found.append(measure_run(run, table, name, scenes, groups_of(dataset)))
                seconds += run.seconds
                if seed == 0:
                    _ship_run(run, with_weights=name in OPENED.get(table, ()))
    if not found:
        raise ValueError(
            f"No seed of {', '.join(tables or TABLES)} is finished in {folder}: run `deblurlib "
            f"sweep {' '.join(tables or TABLES)} --preset {preset.name}` first."
        )
    new = pd.concat(found, ignore_index=True)
    new.insert(5, "preset", preset.name)
    spent = {preset.name: round(seconds)}
    if MEASURED.is_file():
        others = read_table(MEASURED).query("table not in @new.table")
        new = pd.concat([others, new], ignore_index=True)
        new = new.sort_values("table", key=lambda c: c.map([*TABLES].index), kind="stable")
        earlier = provenance()["training_seconds"]
        spent = {**earlier, preset.name: spent[preset.name] + earlier.get(preset.name, 0)}
    return save_table(
        new.reset_index(drop=True),
        MEASURED,
        preset=", ".join(new.preset.unique()),
        data="rendered test scenes",
        training_seconds=spent,
    )


def _ship_run(run: Run, with_weights: bool) -> None:
    experiment = run.experiment
    folder = SHIPPED_RUNS / experiment.hash
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RECORD, LOG):
        shutil.copyfile(run.folder / name, folder / name)
    if with_weights:
        record = {"hash": experiment.hash}
        save_model(run.model, folder / FINAL_WEIGHTS, record, dtype=torch.float16)
