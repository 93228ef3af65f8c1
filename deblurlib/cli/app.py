"""The command line: `deblurlib`, or `python -m deblurlib`."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

# Each command imports what it needs, so that --help takes no torch.

DONE, FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = (
    "Exit codes: 0 = done; 1 = a part of the work could not be done (a damaged picture, a failed notebook, a faulty data set, "
    "a full disk, too little memory), the rest is; 2 = the call must be mended; 130 = interrupted, what was finished is kept. "
    "Errors are one sentence on stderr; DEBLURLIB_DEBUG=1 shows where they come from."
)


class Commands(typer.core.TyperGroup):
    """Says what went wrong in one sentence on stderr instead of a traceback, and gives it one of EXIT_CODES."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, MemoryError, ArithmeticError, RuntimeError) as error:
            out_of_memory = type(
                error
            ).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
            unexpected = (
                isinstance(error, RuntimeError) and not out_of_memory
            )  # a fault of ours: show where
            if unexpected or os.environ.get("DEBLURLIB_DEBUG"):
                raise
            sentence = " ".join(str(error).split()) or type(error).__name__
            if out_of_memory:
                sentence = (
                    "There is too little memory for this: take smaller pictures, batches or tiles."
                )
            typer.secho(sentence, fg="red", err=True)
            mend = isinstance(error, (ValueError, FileNotFoundError, NotADirectoryError))
            raise typer.Exit(WRONG_CALL if mend else FAILED) from None
        except KeyboardInterrupt:
            typer.secho("Interrupted: what was finished is kept.", fg="red", err=True)
            raise typer.Exit(INTERRUPTED) from None


HELP = "Dynamic-scene motion deblurring: four papers, one library."
app = typer.Typer(
    cls=Commands, help=HELP, epilog=EXIT_CODES, no_args_is_help=True, pretty_exceptions_enable=False
)
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]


@app.command(epilog="Example: deblurlib deblur holiday/ portrait.jpg -o sharp/")
def deblur(
    inputs: Annotated[
        list[str],
        typer.Argument(help='Pictures, folders with all below them, or patterns such as "*.jpg".'),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A folder; for one picture also a file.")
    ],
    model: Annotated[str, typer.Option(help="Which network; see `deblurlib models`.")] = "svdn",
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped ones.")
    ] = "default",
    tile: Annotated[
        str,
        typer.Option(help="Side of the pieces in pixels; auto = by the memory, 0 = in one piece."),
    ] = "auto",
    compare: Annotated[
        bool, typer.Option("--compare", help="Also write NAME_compare.jpg: before and after.")
    ] = False,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite pictures that exist already.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
):
    """Deblur pictures: PNG, JPEG, TIFF, WebP and BMP of any size, 8 or 16 bits, grey or colour; inputs are never changed.

    What stands beside the pixels is kept: transparency, EXIF, colour profile, resolution. A picture that cannot be read is
    named at the end, and the others are done.
    """
    from ..inference import choose_device
    from ..inference.files import deblur_files
    from ..models import load_model

    if tile != "auto" and not tile.isdecimal():
        raise ValueError(
            f"--tile is {tile!r}: give a number of pixels, 0 for the whole picture, or auto."
        )
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a terminated run leaves no half-written file, as after Ctrl-C
    chosen = choose_device(device)
    network = model if weights == "default" else load_model(model, weights).to(chosen)
    rows = deblur_files(
        inputs,
        output,
        network,
        device,
        tile if tile == "auto" else int(tile),
        force=force,
        compare=compare,
        quality=quality,
    )
    left = [row for row in rows if row["state"] != "done"]
    if as_json:
        _print_json(
            {
                "model": model,
                "weights": weights,
                "device": str(chosen),
                "done": len(rows) - len(left),
                "pictures": rows,
            }
        )
    else:
        typer.echo(f"{len(rows) - len(left)} of {len(rows)} pictures deblurred into {output}.")
    for row in left:
        typer.secho(row["error"], fg="red", err=True)
    raise typer.Exit(FAILED if left else DONE)


@app.command(epilog='Example: deblurlib reproduce --preset smoke --notebooks "01 04"')
def reproduce(
    preset: Annotated[
        str, typer.Option(help="How much work: smoke, quick, gpu or paper.")
    ] = "quick",
    data: Annotated[
        str, typer.Option(help="Root of a real data set; empty = the bundled scenes.")
    ] = "",
    variant: Annotated[
        str, typer.Option(help="blur or blur_gamma, where the data set has both.")
    ] = "",
    notebooks: Annotated[
        str, typer.Option(help='A folder, or numbers such as "01 04"; empty = all.')
    ] = "",
    jobs: Annotated[
        int, typer.Option(min=0, help="Notebooks run at the same time; 0 = by the number of cores.")
    ] = 0,
    results: Annotated[
        str, typer.Option(help="Where tables and figures go; empty = results/ of this project.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
    as_json: AsJson = False,
):
    """Run the notebooks through papermill and regenerate every table and figure."""
    from ..book import reproduce as runner

    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a terminated run ends its notebooks as Ctrl-C does
    summary = runner.run(preset, data, variant, notebooks, jobs, results, seed, device, force)
    if as_json:
        _print_json({"report": str(summary.report), "notebooks": _records(summary.table)})
    raise typer.Exit(summary.exit_code)


@app.command(epilog="Example: deblurlib refresh --notebooks 04")
def refresh(
    notebooks: Annotated[
        str, typer.Option(help='A folder, or numbers such as "01 04"; empty = all.')
    ] = "",
    jobs: Annotated[
        int, typer.Option(min=0, help="Notebooks run at the same time; 0 = by the number of cores.")
    ] = 0,
):
    """Execute the committed notebooks in place with their own parameters and strip machine-made metadata."""
    from ..book.reproduce import refresh_notebooks

    raise typer.Exit(FAILED if refresh_notebooks(notebooks, jobs) else DONE)


@app.command(epilog="Example: deblurlib check-data /data/GOPRO_Large --json")
def check_data(
    root: Annotated[Path, typer.Argument(help="Root of a data set.")], as_json: AsJson = False
):
    """Say what a data folder holds, what is missing, and how that compares with the official counts."""
    from ..data import check_data as check

    report = check(root)
    _print_json(report.as_dict()) if as_json else typer.echo(report.text)
    raise typer.Exit(DONE if report.ok else FAILED if root.is_dir() else WRONG_CALL)


@app.command(epilog="Example: deblurlib coverage")
def coverage(
    notebooks: Annotated[
        str, typer.Option(help="Folder of the book; empty = this project's.")
    ] = "",
    as_json: AsJson = False,
):
    """Say which equation, figure, table and algorithm of the papers has an executed cell; exit code 1 if one has none."""
    from ..book import item_coverage as book
    from ..results import ROOT

    rows = book.coverage(notebooks or ROOT / "notebooks")
    typer.echo(rows.to_json(orient="records", indent=1) if as_json else book.summary(rows))
    raise typer.Exit(FAILED if (rows.state != "shown").any() else DONE)


@app.command(epilog="Example: deblurlib student-edition course/")
def student_edition(out: Annotated[Path, typer.Argument(help="A new folder.")]):
    """Write the book for students: exercises with their first checks, without solutions and outputs."""
    from ..book.editions import student_edition as write

    typer.echo(f"{len(write(out))} notebooks without solutions in {out}.")


@app.command(epilog="Example: deblurlib site build/site")
def site(out: Annotated[Path, typer.Argument(help="A new folder.")]):
    """Write the book as web pages, from the outputs that are stored in the notebooks; nothing is executed."""
    from ..book.editions import site as write

    typer.echo(f"{len(write(out))} pages: {out / 'index.html'}")


@app.command(epilog="Example: deblurlib models --json")
def models(as_json: AsJson = False):
    """List the networks, their variants and their parameter counts."""
    import torch

    from ..models import count_parameters, create_model, list_models, list_variants

    with torch.device("meta"):  # shapes without numbers
        rows = [
            {
                "model": name,
                "variant": variant,
                "parameters": count_parameters(create_model(name, variant)),
            }
            for name in list_models()
            for variant in list_variants(name)
        ]
    _print_json(rows) if as_json else typer.echo(_as_text(rows))


@app.command(epilog="Example: deblurlib train svdn --variant fd_og --position 1e-4 --steps 5000")
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
            _print_json(
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


@app.command(epilog="Example: deblurlib sweep svdn_table2 --jobs 2")
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
    _print_json(_records(table)) if as_json else typer.echo(table.to_string(index=False))
    raise typer.Exit(FAILED if table.state.str.startswith("failed").any() else DONE)


@app.command(epilog="Example: deblurlib ablation svdn_table2 --against base --preset smoke")
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
    _print_json(_records(shown)) if as_json else typer.echo(
        shown.round(3).to_string(index=False, na_rep="")
    )
    if found.seed.nunique() == 1:
        typer.echo(
            "With one seed the intervals speak of other pictures, not of other trainings.", err=True
        )


@app.command(
    epilog="Example: deblurlib evaluate /data/GOPRO_Large --split test --variant blur --output svdn_gopro.csv"
)
def evaluate(
    data: Annotated[
        str, typer.Argument(help="Root of a real data set; empty = the rendered test scenes.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="Which network; empty = measure the blurry pictures alone.")
    ] = "svdn",
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pth file, or 'default' for the shipped ones.")
    ] = "default",
    split: Annotated[str, typer.Option(help="train or test, where the data set has both.")] = "",
    variant: Annotated[
        str, typer.Option(help="blur or blur_gamma, where the data set has both.")
    ] = "",
    frames: Annotated[str, typer.Option(help="Only these, counted from 0: FIRST:END.")] = "",
    preset: Annotated[str, typer.Option(help="Number and size of the rendered scenes.")] = "quick",
    metrics: Annotated[
        str, typer.Option(help="Names, separated by commas.")
    ] = "rgb-psnr,ssim-skimage",
    output: Annotated[
        Path | None, typer.Option(help="Write the table, one row an image, as CSV here.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
):
    """Measure a network on a data set: one row an image, and the mean."""
    from torch.utils.data import Subset

    from .. import evaluation
    from ..data import PairedFolder, SceneDataset
    from ..experiments.presets import get_preset
    from ..inference import choose_device
    from ..models import load_model
    from ..results import save_table

    chosen = get_preset(preset)
    scenes = data == ""
    dataset = (
        SceneDataset("test", chosen.test_scenes, chosen.scene_size, variant=variant or "blur")
        if scenes
        else None
    )
    dataset = dataset or PairedFolder(data, split or None, variant or None, neighbours=False)
    if frames:
        if not re.fullmatch(r"\d*:\d*", frames):
            raise ValueError(
                f"--frames is {frames!r}: give FIRST:END, such as 0:100, counted from 0."
            )
        first, end = frames.split(":")
        chosen_frames = range(len(dataset))[int(first or 0) : int(end) if end else None]
        if not chosen_frames:
            raise ValueError(
                f"--frames {frames} takes none of the {len(dataset)} pictures: give FIRST:END, counted from 0."
            )
        dataset = Subset(dataset, chosen_frames)
    network = load_model(model, weights).to(choose_device(device)) if model else None
    table = evaluation.evaluate(network, dataset, metrics.split(","))
    if output:
        save_table(
            table,
            output,
            data=Path(data).name or "rendered test scenes",
            model=model,
            weights=Path(weights).name,
        )
    mean = table.drop(columns="image").mean()
    if as_json:
        _print_json(
            {"model": model, "mean": _records(mean.to_frame().T)[0], "images": _records(table)}
        )
    else:
        typer.echo(table.round(3).to_string(index=False))
        typer.echo("mean\n" + mean.round(3).to_string())


@app.command(epilog="Example: deblurlib bench networks --size 360x640")
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(help="operators, networks; none = both.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="Of the picture that whole networks are timed on: HEIGHTxWIDTH.")
    ] = "720x1280",
    repeats: Annotated[
        int, typer.Option(min=1, help="Runs that a median is taken of; slow ones are fewer.")
    ] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small shapes only, to see that it works.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(help="cpu or cuda, of the operators; whole networks are timed on the CPU."),
    ] = "cpu",
    backends: Annotated[
        str,
        typer.Option(help='Of our operators, e.g. "auto torch"; the first is the base of ratios.'),
    ] = "auto",
    results: Annotated[
        str, typer.Option(help="Where tables and figures go; empty = results/ of this project.")
    ] = "",
    as_json: AsJson = False,
):
    """Time our operators and whole networks against plain PyTorch on this machine, into tables/operators.csv and inference.csv.

    At 720x1280 the networks take about a quarter of an hour on two cores; keep the machine quiet meanwhile.
    """
    from contextlib import redirect_stdout

    from ..results import results_folder

    if unknown := set(parts or ()) - {"operators", "networks"}:
        raise ValueError(
            f"There is no part {unknown.pop()!r}: choose operators, networks, or none for both."
        )
    if not re.fullmatch(r"\d+x\d+", size) or min(map(int, size.split("x"))) < 16:
        raise ValueError(
            f"--size is {size!r}: give HEIGHTxWIDTH, such as 720x1280, each 16 or more."
        )
    folder, tables = results_folder(results), {}
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        if "operators" in (parts or ["operators"]):
            from ..bench.operators import run

            tables["operators"] = run(folder, quick, repeats, device, backends.split())
        if "networks" in (parts or ["networks"]):
            from ..bench.networks import run

            tables["networks"] = run(
                folder, (96, 160) if quick else tuple(map(int, size.split("x"))), repeats
            )
    if as_json:
        _print_json({name: _records(table) for name, table in tables.items()})


def _print_json(content) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))


def _records(table) -> list[dict]:
    """The rows of a table as JSON has them: what is no number is null."""
    return json.loads(table.to_json(orient="records"))


def _as_text(rows: list[dict]) -> str:
    import pandas as pd

    return pd.DataFrame(rows).to_string(index=False)
