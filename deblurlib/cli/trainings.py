"""Commands for training: train, sweep, ablation."""

import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ..wording import counted
from .shared import (
    AsJson,
    Device,
    ExitCode,
    Overwrite,
    Results,
    folder_for_results,
    given,
    print_json,
    records,
)

commands = typer.Typer()
Photos = Annotated[
    str | None,
    typer.Option(help="Folder of sharp photographs to render from; default: the bundled ones."),
]
RealShare = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of crops from real pairs, 0 to 1; default with --real: 1 = real pairs only.",
    ),
]
RealSplit = Annotated[
    str | None,
    typer.Option(help="Split of the real pairs, or all; default: train, or all pairs if unsplit."),
]
RealVariant = Annotated[
    str | None, typer.Option(help="blur or blur_gamma, if the real pairs have both.")
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Leave out real pairs that are unreadable, too small or of two sizes."
    ),
]
Patch = Annotated[
    int | None,
    typer.Option(min=1, help="Side of a crop in pixels; default: the preset's."),
]
CheckpointEvery = Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")]
CheckpointSeconds = Annotated[
    float, typer.Option(min=1, help="Seconds after which a checkpoint is written in any case.")
]


@commands.command(
    epilog="Example: deblurlib train svdn --variant fd_og --position 1e-4 --steps 5000"
)
def train(
    model: Annotated[
        str,
        typer.Argument(
            help="A network such as svdn, a table's row such as svdn_table2:fd_og, or the recipe "
            "of shipped weights such as shipped:svdn_full."
        ),
    ] = "svdn",
    variant: Annotated[
        str, typer.Option(help="Variant of the network; see `deblurlib models`.")
    ] = "paper",
    preset: Annotated[
        str,
        typer.Option(
            help="Preset for all other settings: smoke, quick, reference, long, gpu or paper."
        ),
    ] = "quick",
    size: Annotated[
        str | None, typer.Option(help="Network width, full or small; default: the preset's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps; default: the preset's.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Crops per step; default: the preset's.")
    ] = None,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Compute each batch in this many parts to save memory.")
    ] = 1,
    patch: Patch = None,
    start_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights to start from: a file, or default for the shipped ones. "
            "A shipped recipe then runs its last stage alone."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for weights, scenes and crops.")] = 0,
    photos: Photos = None,
    real: Annotated[
        str | None, typer.Option(help="Root of a data set of real pairs to train on.")
    ] = None,
    real_share: RealShare = None,
    real_split: RealSplit = None,
    real_variant: RealVariant = None,
    skip_bad: SkipBad = False,
    position: Annotated[
        float | None,
        typer.Option(
            min=0, help="Weight of SVDN's position loss; 0 = no flow guidance; default: the row's."
        ),
    ] = None,
    perceptual: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of the VGG-16 loss; default: the preset's."),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Decay of the moving average of the weights; 0 = none; default: the preset's.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, bf16-mixed, or auto: bf16-mixed where the hardware multiplies bf16; "
            "default: that of the row or recipe, otherwise auto."
        ),
    ] = None,
    device: Device = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=0, help="Processes that render scenes; 0 = render in the training process."
        ),
    ] = 0,
    validate_every: Annotated[
        int | None,
        typer.Option(min=1, help="Steps between measurements on held-out scenes; default: never."),
    ] = None,
    checkpoint_every: CheckpointEvery = 200,
    checkpoint_seconds: CheckpointSeconds = 300,
    results: Results = None,
    as_json: AsJson = False,
) -> None:
    """Train a network on rendered scenes or real pairs.

    An interrupted run resumes at its last checkpoint; a finished one is loaded.

    On several GPUs: torchrun --nproc-per-node 4 -m deblurlib train svdn --real DATA
    """
    from .. import experiments
    from ..inference import choose_device
    from ..training import fit

    choose_device(device)  # an unavailable device is an error before any work
    changes = given(
        size=size,
        steps=steps,
        batch=batch,
        accumulate=accumulate,
        patch=patch,
        start_weights=start_weights,
        photos=photos,
        position=position,
        perceptual=perceptual,
        ema=ema,
        precision=precision,
    )
    changes |= _real_pairs(
        real=real,
        real_share=real_share,
        real_split=real_split,
        real_variant=real_variant,
        skip_bad=skip_bad or None,
    )
    table, _, name = model.partition(":")
    if table == "shipped":
        experiment = experiments.stages(name, seed, **changes)[-1]
    else:
        if name:  # in the precision of its table, in which `sweep` trains and `ablation` measures
            experiment = experiments.row(table, name, preset, seed, **changes)
        else:
            changes = {"precision": "auto", **changes}
            experiment = experiments.network(model, variant, preset, seed, **changes)
    run = fit(
        experiment,
        device=device,
        workers=workers,
        folder=folder_for_results(results) / "runs",
        checkpoint_every=checkpoint_every,
        checkpoint_seconds=checkpoint_seconds,
        **given(validate_every=validate_every),
    )
    if int(os.environ.get("RANK", 0)) != 0:
        return
    weights = run.folder / "model.safetensors"
    if as_json:
        print_json(
            {
                "weights": str(weights),
                "hash": experiment.hash,
                "reused": run.cached,
                "seconds": run.seconds,
            }
        )
    else:
        outcome = "reused" if run.cached else f"trained in {run.seconds:.0f} s"
        typer.echo(f"{outcome}: {weights}")
        if name and table != "shipped" and experiment == experiments.row(table, name, preset, seed):
            measure = f"deblurlib ablation {table} --preset {preset} --finished --against {name}"
            if seed >= experiments.get_preset(preset).seeds:
                measure += f" --seed {seed}"
            if results is not None:
                measure += f" --results {shlex.quote(results)}"
            typer.echo(f"To measure it beside the rows that are trained so far: {measure}")


@commands.command(epilog="Example: deblurlib sweep svdn_table2 --jobs 2")
def sweep(
    tables: Annotated[
        list[str] | None,
        typer.Argument(help="Tables such as svdn_table2 radn_table1; default: all."),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(help="Preset for the size and length of trainings, and the number of seeds."),
    ] = "reference",
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler, such as tcp://host:8786; default: this machine."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Local processes; default: one per core.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(min=0, help="Interrupt the trainings after this time; default: no limit."),
    ] = None,
    checkpoint_every: CheckpointEvery = 200,
    checkpoint_seconds: CheckpointSeconds = 300,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    photos: Photos = None,
    real: Annotated[
        str | None,
        typer.Option(help="Root of real pairs to train on instead of rendered scenes."),
    ] = None,
    real_share: RealShare = None,
    real_split: RealSplit = None,
    real_variant: RealVariant = None,
    skip_bad: SkipBad = False,
    patch: Patch = None,
    device: Device = "auto",
    results: Results = None,
    as_json: AsJson = False,
) -> None:
    """Train every row of ablation tables, in parallel; finished rows are reused.

    Interrupted trainings resume at their last checkpoint. Exit code 1 if a training failed.
    """
    from ..experiments.sweep import sweep as run
    from ..inference import choose_device
    from .tables import print_table

    choose_device(device)
    changes = given(photos=photos, patch=patch) | _real_pairs(
        real=real,
        real_share=real_share,
        real_split=real_split,
        real_variant=real_variant,
        skip_bad=skip_bad or None,
    )
    table = run(
        tables or (),
        preset,
        folder=folder_for_results(results) / "runs",
        device=device,
        seed=seed,
        checkpoints={
            "checkpoint_every": checkpoint_every,
            "checkpoint_seconds": checkpoint_seconds,
        },
        **given(scheduler=scheduler, jobs=jobs, hours=hours),
        **changes,
    )
    if as_json:
        print_json(records(table))
    else:
        print_table(table)
    left = (table.state == "left").sum()
    if left:
        several = counted(left, "training is", "trainings are")
        typer.echo(
            f"The time is used up and {several} left, of {len(table)}: run the same command again.",
            err=True,
        )
    if table.state.str.startswith("failed").any():
        raise typer.Exit(ExitCode.FAILURE)


@commands.command(epilog="Example: deblurlib runs --json")
def runs(results: Results = None, as_json: AsJson = False) -> None:
    """List the trainings in the results folder: how far they are, their gain and their cost."""
    from ..experiments.listing import list_runs
    from .tables import print_table

    folder = folder_for_results(results) / "runs"
    table = list_runs(folder)
    if as_json:
        print_json(records(table))
    elif table.empty:
        typer.echo(f"There are no trainings in {folder}.")
    else:
        print_table(table.round(2))


@commands.command(epilog="Example: deblurlib ablation svdn_table2 --against base --preset smoke")
def ablation(
    table: Annotated[str, typer.Argument(help="A table such as svdn_table2.")],
    against: Annotated[
        str | None,
        typer.Option(help="Row to compare the others with; default: the table's first."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Preset for the trainings and for the number and size of scenes.")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    finished: Annotated[
        bool,
        typer.Option("--finished", help="Train nothing: show what is finished, as of a sweep."),
    ] = False,
    device: Device = "auto",
    results: Results = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the table to this CSV file.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Show an ablation table: our measurements beside the paper's numbers.

    Rows are measured on rendered test scenes and trained first if necessary. Differences are paired
    over images and seeds, with 95 % confidence intervals; p is Holm-corrected over the table.
    """
    from ..data import SceneDataset
    from ..experiments import ablations, get_preset, rows
    from ..inference import choose_device
    from ..results import check_new_table, save_table
    from .tables import print_table

    if output:
        check_new_table(output, overwrite=overwrite)
    chosen = get_preset(preset)
    names = list(rows(table, chosen, seed))
    base = given(against=against).get("against", names[0])
    if base not in names:  # before the trainings, which take minutes
        raise ValueError(f"{table} has no row {base!r}: choose one of {', '.join(names)}.")
    scenes = SceneDataset(
        "test", chosen.test_scenes, chosen.scene_size, variant="blur", photos=chosen.photos
    )
    found = ablations.measured(
        table,
        chosen,
        scenes,
        seed=seed,
        folder=folder_for_results(results) / "runs",
        device=choose_device(device),
        train=not finished,
    )
    if base not in set(found.row):
        raise ValueError(f"The row {base!r} is not finished: wait for it, or name another.")
    shown = ablations.beside_printed(table, ablations.summary(found, base))
    if output:
        save_table(
            shown,
            output,
            preset=chosen.name,
            seed=seed,
            data="rendered test scenes",
            source="measured; 'printed …' reported",
        )
    if as_json:
        print_json(records(shown))
    else:
        print_table(shown.round(3))
    if found.seed.nunique() == 1:
        typer.echo(
            "With one seed, the intervals cover other images, not other trainings.", err=True
        )


def _real_pairs(real: str | None, **options: object) -> dict[str, Any]:
    """The fields of Experiment that the options about real pairs set."""
    chosen = given(real=real, **options)
    if real is None and chosen:
        option = next(iter(chosen)).replace("_", "-")
        raise ValueError(f"--{option} is about real pairs: also give their folder with --real.")
    return {"real_share": 1.0, **chosen} if chosen else {}
