"""The command line: `deblurlib`, or `python -m deblurlib`."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

# Each command imports what it needs, so that --help takes no torch.


class Commands(typer.core.TyperGroup):
    """Says what is wrong with an input in one sentence on stderr instead of a traceback (DEBLURLIB_DEBUG=1 shows it)."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError) as error:
            if os.environ.get("DEBLURLIB_DEBUG"):
                raise
            typer.secho(" ".join(str(error).split()) or type(error).__name__, fg="red", err=True)
            # 2 = the call must be mended, 1 = the machine got in the way (a full disk, no permission)
            raise typer.Exit(2 if isinstance(error, (ValueError, FileNotFoundError, NotADirectoryError)) else 1) from None
        except KeyboardInterrupt:
            typer.secho("Interrupted: what was finished is kept.", fg="red", err=True)
            raise typer.Exit(130) from None


HELP = "Dynamic-scene motion deblurring: four papers, one library."
app = typer.Typer(cls=Commands, help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def reproduce(
    preset: Annotated[str, typer.Option(help="How much work: smoke, quick, gpu or paper.")] = "quick",
    data: Annotated[str, typer.Option(help="Root of a real data set; empty = the bundled scenes.")] = "",
    variant: Annotated[str, typer.Option(help="blur or blur_gamma, where the data set has both.")] = "",
    notebooks: Annotated[str, typer.Option(help='A folder, or numbers such as "01 04"; empty = all.')] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Notebooks run at the same time; 0 = by the number of cores.")] = 0,
    results: Annotated[str, typer.Option(help="Where tables and figures go; empty = results/ of this project.")] = "",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
):
    """Run the notebooks through papermill and regenerate every table and figure."""
    from . import reproduce as runner

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a terminated run ends its notebooks as Ctrl-C does
    raise typer.Exit(runner.run(preset, data, variant, notebooks, jobs, results, seed, device, force).exit_code)


@app.command()
def refresh(
    notebooks: Annotated[str, typer.Option(help='A folder, or numbers such as "01 04"; empty = all.')] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Notebooks run at the same time; 0 = by the number of cores.")] = 0,
):
    """Execute the committed notebooks in place with their own parameters and strip machine-made metadata."""
    from .reproduce import refresh_notebooks

    raise typer.Exit(int(refresh_notebooks(notebooks, jobs) > 0))


@app.command()
def check_data(
    root: Annotated[Path, typer.Argument(help="Root of a data set.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False,
):
    """Say what a data folder holds, what is missing, and how that compares with the official counts."""
    import json

    from .data import check_data as check

    report = check(root)
    typer.echo(json.dumps(report.as_dict(), indent=1) if as_json else report.text)
    raise typer.Exit(int(not report.ok))


@app.command()
def coverage(
    notebooks: Annotated[str, typer.Option(help="Folder of the book; empty = this project's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False,
):
    """Say which equation, figure, table and algorithm of the papers has an executed cell; exit code 1 if one has none."""
    from . import coverage as book
    from .results import ROOT

    rows = book.coverage(notebooks or ROOT / "notebooks")
    typer.echo(rows.to_json(orient="records", indent=1) if as_json else book.summary(rows))
    raise typer.Exit(int((rows.state != "shown").any()))


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False):
    """List the networks, their variants and their parameter counts."""
    import json

    import torch

    from .models import count_parameters, create_model, list_models, list_variants

    with torch.device("meta"):  # shapes without numbers
        rows = [
            {"model": name, "variant": variant, "parameters": count_parameters(create_model(name, variant))}
            for name in list_models()
            for variant in list_variants(name)
        ]
    typer.echo(json.dumps(rows, indent=1) if as_json else _as_text(rows))


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="A network, e.g. svdn, or a row of a table, e.g. svdn_table2:fd_og.")] = "svdn",
    variant: Annotated[str, typer.Option(help="Which variant of the network; see `deblurlib models`.")] = "paper",
    preset: Annotated[str, typer.Option(help="Where the numbers below come from if they are not given.")] = "quick",
    size: Annotated[str, typer.Option(help="full or small; empty = the preset's.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0 = the preset's.")] = 0,
    batch: Annotated[int, typer.Option(min=0, help="Crops a step; 0 = the preset's.")] = 0,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts that a batch is computed in, for less memory.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights, scenes and crops.")] = 0,
    photos: Annotated[str, typer.Option(help="Sharp photographs to render scenes from; empty = the bundled ones.")] = "",
    real: Annotated[str, typer.Option(help="Root of real pairs to take a share of the crops from.")] = "",
    real_share: Annotated[float, typer.Option(min=0, max=1, help="That share; 1 = nothing is rendered.")] = 1.0,
    real_variant: Annotated[str, typer.Option(help="blur or blur_gamma, where the real pairs have both.")] = "blur",
    position: Annotated[float, typer.Option(help="Weight of SVDN's position loss; 0 = no flow guidance.")] = 0.0,
    ema: Annotated[float, typer.Option(min=0, max=1, help="Decay of the average of the weights; 0 = none.")] = 0.0,
    precision: Annotated[str, typer.Option(help="32-true or bf16-mixed.")] = "32-true",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that render scenes.")] = 0,
    validate_every: Annotated[int, typer.Option(min=0, help="Steps between measurements on held-out scenes; 0 = none.")] = 0,
    results: Annotated[str, typer.Option(help="Runs go to its folder runs/; empty = results/ of this project.")] = "",
):
    """Train a network on rendered scenes or real pairs; an interrupted training is taken up again, a finished one is reused.

    Several GPUs or machines: torchrun --nproc-per-node 4 -m deblurlib train svdn --preset paper --real /data/GOPRO_Large
    """
    from . import experiments
    from .results import results_folder
    from .training import fit

    changes = {"size": size, "steps": steps, "batch": batch, "photos": photos, "position": position, "ema": ema}
    changes |= {"real": real, "real_share": real_share, "real_variant": real_variant} if real else {}
    changes = {name: value for name, value in changes.items() if value}
    changes |= {"accumulate": accumulate, "precision": precision}
    table, _, name = model.partition(":")
    if name:
        experiment = experiments.row(table, name, preset, seed, **changes)
    else:
        experiment = experiments.network(model, variant, preset, seed, **changes)
    runs = results_folder(results) / "runs"
    run = fit(experiment, device=device, workers=workers, folder=runs, validate_every=validate_every)
    if int(os.environ.get("RANK", 0)) == 0:
        how = "reused" if run.cached else f"trained in {run.seconds:.0f} s"
        typer.echo(f"{how}: {run.folder / 'model.safetensors'}")


@app.command()
def sweep(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables, e.g. svdn_table2 radn_table1; none = all.")] = None,
    preset: Annotated[str, typer.Option(help="Size and length of the trainings, and the number of seeds.")] = "reference",
    scheduler: Annotated[str, typer.Option(help="A running Dask scheduler, tcp://host:8786; empty = this machine.")] = "",
    jobs: Annotated[int, typer.Option(min=0, help="Local processes; 0 = one a core.")] = 0,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    photos: Annotated[str, typer.Option(help="Sharp photographs to render scenes from; empty = the bundled ones.")] = "",
    real: Annotated[str, typer.Option(help="Root of real pairs to train on instead of rendered scenes.")] = "",
    real_variant: Annotated[str, typer.Option(help="blur or blur_gamma, where the real pairs have both.")] = "blur",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    results: Annotated[str, typer.Option(help="Runs go to its folder runs/; empty = results/ of this project.")] = "",
):
    """Train every row of ablation tables; finished rows are reused, interrupted ones taken up, exit code 1 if one failed."""
    from .sweep import sweep as run

    changes = {"photos": photos} if photos else {}
    changes |= {"real": real, "real_share": 1.0, "real_variant": real_variant} if real else {}
    table = run(tables or (), preset, scheduler=scheduler, jobs=jobs, device=device, results=results, seed=seed, **changes)
    typer.echo(table.to_string(index=False))
    raise typer.Exit(int(table.state.str.startswith("failed").any()))


@app.command()
def evaluate(
    data: Annotated[str, typer.Argument(help="Root of a real data set; empty = the rendered test scenes.")] = "",
    model: Annotated[str, typer.Option(help="Which network; empty = measure the blurry pictures alone.")] = "svdn",
    weights: Annotated[str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped ones.")] = "default",
    split: Annotated[str, typer.Option(help="train or test, where the data set has both.")] = "",
    variant: Annotated[str, typer.Option(help="blur or blur_gamma, where the data set has both.")] = "",
    frames: Annotated[str, typer.Option(help="Only these, counted from 0: FIRST:END.")] = "",
    preset: Annotated[str, typer.Option(help="Number and size of the rendered scenes.")] = "quick",
    metrics: Annotated[str, typer.Option(help="Names, separated by commas.")] = "rgb-psnr,ssim-skimage",
    output: Annotated[Path | None, typer.Option(help="Write the table, one row an image, as CSV here.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
):
    """Measure a network on a data set: one row an image, and the mean."""
    from torch.utils.data import Subset

    from . import evaluation
    from .data import PairedFolder, SceneDataset
    from .lesson import choose_device
    from .models import load_model
    from .presets import get_preset
    from .results import save_table

    chosen = get_preset(preset)
    scenes = data == ""
    dataset = SceneDataset("test", chosen.test_scenes, chosen.scene_size, variant=variant or "blur") if scenes else None
    dataset = dataset or PairedFolder(data, split or None, variant or None, neighbours=False)
    if frames:
        first, _, end = frames.partition(":")
        dataset = Subset(dataset, range(len(dataset))[int(first or 0) : int(end) if end else None])
    network = load_model(model, weights).to(choose_device(device)) if model else None
    table = evaluation.evaluate(network, dataset, metrics.split(","))
    if output:
        save_table(table, output, data=Path(data).name or "rendered test scenes", model=model, weights=Path(weights).name)
    typer.echo(table.round(3).to_string(index=False))
    typer.echo("mean\n" + table.drop(columns="image").mean().round(3).to_string())


def _as_text(rows: list[dict]) -> str:
    import pandas as pd

    return pd.DataFrame(rows).to_string(index=False)


if __name__ == "__main__":
    sys.exit(app())
