"""The commands for trainings: train, sweep, ablation."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .shared import DONE, FAILED, AsJson, Device, print_json, records

commands = typer.Typer()


@commands.command(
    epilog="Example: deblurlib train svdn --variant fd_og --position 1e-4 --steps 5000"
)
def train(
    model: Annotated[
        str,
        typer.Argument(help="A network, e.g. svdn, or a row of a table, e.g. svdn_table2:fd_og."),
    ] = "svdn",
    variant: Annotated[
        str, typer.Option(help="Which variant of the network; see `deblurlib models`.")
    ] = "paper",
    preset: Annotated[
        str, typer.Option(help="Where the numbers below come from if they are not given.")
    ] = "quick",
    size: Annotated[str, typer.Option(help="full or small; empty = the preset's.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0 = the preset's.")] = 0,
    batch: Annotated[int, typer.Option(min=0, help="Crops a step; 0 = the preset's.")] = 0,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts that a batch is computed in, for less memory.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, scenes and crops.")] = 0,
    photos: Annotated[
        str, typer.Option(help="Sharp photographs to render scenes from; empty = the bundled ones.")
    ] = "",
    real: Annotated[
        str, typer.Option(help="Root of real pairs to take a share of the crops from.")
    ] = "",
    real_share: Annotated[
        float, typer.Option(min=0, max=1, help="That share; 1 = nothing is rendered.")
    ] = 1.0,
    real_variant: Annotated[
        str, typer.Option(help="blur or blur_gamma, where the real pairs have both.")
    ] = "blur",
    position: Annotated[
        float, typer.Option(help="Weight of SVDN's position loss; 0 = no flow guidance.")
    ] = 0.0,
    perceptual: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of the VGG-16 loss, instead of the preset's."),
    ] = None,
    ema: Annotated[
        float, typer.Option(min=0, max=1, help="Decay of the average of the weights; 0 = none.")
    ] = 0.0,
    precision: Annotated[str, typer.Option(help="32-true or bf16-mixed.")] = "32-true",
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that render scenes.")] = 0,
    validate_every: Annotated[
        int, typer.Option(min=0, help="Steps between measurements on held-out scenes; 0 = none.")
    ] = 0,
    results: Annotated[
        str, typer.Option(help="Runs go to its folder runs/; empty = results/ of this project.")
    ] = "",
    as_json: AsJson = False,
):
    """Train a network on rendered scenes or real pairs; an interrupted training is taken up again, a finished one is reused.

    Several GPUs or machines: torchrun --nproc-per-node 4 -m deblurlib train svdn --preset paper --real /data/GOPRO_Large
    """
    from .. import experiments
    from ..inference import choose_device
    from ..results import results_folder
    from ..training import fit

    choose_device(device)  # says in one sentence that there is none
    changes = {
        "size": size,
        "steps": steps,
        "batch": batch,
        "photos": photos,
        "position": position,
        "ema": ema,
    }
    changes |= (
        {"real": real, "real_share": real_share, "real_variant": real_variant} if real else {}
    )
    changes = {name: value for name, value in changes.items() if value}
    changes |= {"accumulate": accumulate, "precision": precision}
    changes |= {} if perceptual is None else {"perceptual": perceptual}
    table, _, name = model.partition(":")
    if name:
        experiment = experiments.row(table, name, preset, seed, **changes)
    else:
        experiment = experiments.network(model, variant, preset, seed, **changes)
    runs = results_folder(results) / "runs"
    run = fit(
        experiment, device=device, workers=workers, folder=runs, validate_every=validate_every
    )
    if int(os.environ.get("RANK", 0)) == 0:
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
            typer.echo(
                f"{'reused' if run.cached else f'trained in {run.seconds:.0f} s'}: {weights}"
            )


@commands.command(epilog="Example: deblurlib sweep svdn_table2 --jobs 2")
def sweep(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables, e.g. svdn_table2 radn_table1; none = all.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Size and length of the trainings, and the number of seeds.")
    ] = "reference",
    scheduler: Annotated[
        str, typer.Option(help="A running Dask scheduler, tcp://host:8786; empty = this machine.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Local processes; 0 = one a core.")] = 0,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    photos: Annotated[
        str, typer.Option(help="Sharp photographs to render scenes from; empty = the bundled ones.")
    ] = "",
    real: Annotated[
        str, typer.Option(help="Root of real pairs to train on instead of rendered scenes.")
    ] = "",
    real_variant: Annotated[
        str, typer.Option(help="blur or blur_gamma, where the real pairs have both.")
    ] = "blur",
    device: Device = "auto",
    results: Annotated[
        str, typer.Option(help="Runs go to its folder runs/; empty = results/ of this project.")
    ] = "",
    as_json: AsJson = False,
):
    """Train every row of ablation tables; finished rows are reused, interrupted ones taken up, exit code 1 if one failed."""
    from ..experiments.sweep import sweep as run
    from ..inference import choose_device

    choose_device(device)
    changes = {"photos": photos} if photos else {}
    changes |= {"real": real, "real_share": 1.0, "real_variant": real_variant} if real else {}
    table = run(
        tables or (),
        preset,
        scheduler=scheduler,
        jobs=jobs,
        device=device,
        results=results,
        seed=seed,
        **changes,
    )
    print_json(records(table)) if as_json else typer.echo(table.to_string(index=False))
    raise typer.Exit(FAILED if table.state.str.startswith("failed").any() else DONE)


@commands.command(epilog="Example: deblurlib ablation svdn_table2 --against base --preset smoke")
def ablation(
    table: Annotated[str, typer.Argument(help="Which table, e.g. svdn_table2.")],
    against: Annotated[
        str,
        typer.Option(help="The row that the others are compared with; empty = the table's first."),
    ] = "",
    preset: Annotated[
        str, typer.Option(help="Size and length of the trainings, number and size of the scenes.")
    ] = "quick",
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    device: Device = "auto",
    results: Annotated[
        str, typer.Option(help="Runs are in its folder runs/; empty = results/ of this project.")
    ] = "",
    output: Annotated[Path | None, typer.Option(help="Write the table as CSV here.")] = None,
    as_json: AsJson = False,
):
    """Show an ablation table, ours beside the paper's: rows measured on rendered test scenes, trained where they are not yet.

    Differences are paired over images and seeds, with 95 % intervals; p is Holm's over the table.
    """
    from ..data import SceneDataset
    from ..experiments import ablations
    from ..experiments.presets import get_preset
    from ..inference import choose_device
    from ..results import results_folder, save_table

    chosen, runs = get_preset(preset), results_folder(results) / "runs"
    scenes = SceneDataset("test", chosen.test_scenes, chosen.scene_size, variant="blur")
    found = ablations.measured(
        table, chosen, scenes, seed=seed, runs=runs, device=choose_device(device)
    )
    if (against := against or found.row[0]) not in set(found.row):
        raise ValueError(
            f"{table} has no row {against!r}: choose one of {', '.join(found.row.unique())}."
        )
    shown = ablations.beside_printed(table, ablations.summary(found, against))
    if output:
        save_table(
            shown,
            output,
            preset=chosen.name,
            seed=seed,
            data="rendered test scenes",
            source="measured; 'printed …' reported",
        )
    print_json(records(shown)) if as_json else typer.echo(
        shown.round(3).to_string(index=False, na_rep="")
    )
    if found.seed.nunique() == 1:
        typer.echo(
            "With one seed the intervals speak of other pictures, not of other trainings.", err=True
        )
