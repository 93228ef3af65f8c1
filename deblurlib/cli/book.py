"""Commands for the book and the benchmark: reproduce, refresh, coverage, editions, bench."""

import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from ..wording import counted
from .shared import (
    AsJson,
    Device,
    ExitCode,
    Results,
    folder_for_results,
    given,
    print_json,
    records,
)

commands = typer.Typer()
Notebooks = Annotated[
    str | None, typer.Option(help='A folder, or numbers such as "01 04"; default: all.')
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Notebooks to run at the same time; default: chosen from the number of cores."
    ),
]


@commands.command(epilog='Example: deblurlib reproduce --preset smoke --notebooks "01 04"')
def reproduce(
    preset: Annotated[
        str, typer.Option(help="Amount of work: smoke, quick, reference, long, gpu or paper.")
    ] = "quick",
    data: Annotated[
        str | None, typer.Option(help="Root of a data set; default: the bundled scenes.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="blur or blur_gamma, if the data set has both.")
    ] = None,
    notebooks: Notebooks = None,
    jobs: Jobs = None,
    results: Results = None,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    device: Device = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Also run notebooks that are up to date.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the notebooks through papermill and regenerate every table and figure."""
    from ..book import reproduce as runner

    summary = runner.run(
        preset,
        seed=seed,
        device=device,
        force=force,
        **given(data=data, variant=variant, notebooks=notebooks, jobs=jobs, results=results),
    )
    if as_json:
        print_json({"report": str(summary.report), "notebooks": records(summary.table)})
    raise typer.Exit(summary.exit_code)


@commands.command(epilog="Example: deblurlib refresh --notebooks 04")
def refresh(
    notebooks: Notebooks = None,
    jobs: Jobs = None,
    reproduced: Annotated[
        bool,
        typer.Option(
            "--reproduced", help="Take the outputs that `deblurlib reproduce` left; run nothing."
        ),
    ] = False,
    results: Results = None,
) -> None:
    """Execute the committed notebooks in place and strip machine-made metadata."""
    if reproduced:
        from ..book.filling import fill_pages

        filled = fill_pages(notebooks, folder_for_results(results))
        typer.echo(f"{counted(len(filled), 'notebook')} filled: {', '.join(filled)}")
        return
    from ..book.notebooks import refresh_notebooks

    if refresh_notebooks(**given(notebooks=notebooks, jobs=jobs)):
        raise typer.Exit(ExitCode.FAILURE)


@commands.command(epilog="Example: deblurlib coverage")
def coverage(
    notebooks: Annotated[
        str | None, typer.Option(help="Folder of the book; default: this project's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the papers' equations, figures, tables and algorithms and the notebooks that show them.

    Exit code 1 if an item has no executed cell.
    """
    from ..book import item_coverage as book
    from ..book.notebooks import book_home

    rows = book.coverage(given(notebooks=notebooks).get("notebooks") or book_home())
    typer.echo(rows.to_json(orient="records", indent=1) if as_json else book.summary(rows))
    if (rows.state != "shown").any():
        raise typer.Exit(ExitCode.FAILURE)


@commands.command(epilog="Example: deblurlib student-edition course/")
def student_edition(out: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Write the book for students: exercises and first checks, without solutions or outputs."""
    from ..book.editions import student_edition as write

    typer.echo(f"{counted(len(write(out)), 'notebook')} without solutions in {out}.")


@commands.command(epilog="Example: deblurlib site build/site")
def site(out: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Write the book and an API reference as web pages, without executing any notebook."""
    import deblurlib

    from ..book.api import write_api
    from ..book.editions import site as write

    pages = [*write(out), *write_api(deblurlib, out / "api")]
    typer.echo(f"{counted(len(pages), 'page')}: {out / 'index.html'}")


@commands.command(epilog="Example: deblurlib bench networks --size 360x640")
def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="operators, networks, pictures, rivals, training, precision, metrics; default: "
            "the first two."
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(help="Image size for whole networks, HEIGHTxWIDTH.")
    ] = "720x1280",
    repeats: Annotated[
        int, typer.Option(min=1, help="Runs per contestant; slow contestants run less often.")
    ] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small shapes only, as a quick check.")
    ] = False,
    device: Annotated[
        str, typer.Option(help="cpu or cuda for operators; networks are timed on the CPU.")
    ] = "cpu",
    backends: Annotated[
        str,
        typer.Option(
            help='Backends of our operators, such as "auto torch"; ratios refer to the first.'
        ),
    ] = "auto",
    against: Annotated[
        Path | None,
        typer.Option(
            help="For training and pictures: a checkout of another commit, timed in turn with this."
        ),
    ] = None,
    results: Results = None,
    as_json: AsJson = False,
) -> None:
    """Time our operators and networks against plain PyTorch on this machine.

    Writes tables/operators.csv, tables/inference.csv, and for training steps on one thread
    tables/training_steps.csv and tables/training_parts.csv, for equal trainings in both precisions
    from five seeds tables/precision.csv. "pictures" times deblur() with each network at full width
    on one thread, into tables/picture_times.csv. "rivals" times SVDN at 180x320 against ONNX
    Runtime, OpenVINO and ncnn, as far as they are installed, into tables/rivals.csv. "metrics"
    writes what each installed package calls SSIM and PSNR to tables/ssim_packages.csv. At 720x1280
    the networks take about a quarter of an hour on two cores; keep the machine otherwise idle.
    """
    if not re.fullmatch(r"\d+x\d+", size) or min(map(int, size.split("x"))) < 16:
        raise ValueError(
            f"--size is {size!r}: give HEIGHTxWIDTH, such as 720x1280, each 16 or more."
        )
    height, width = map(int, size.split("x"))
    from ..bench import metrics, networks, operators, pictures, precision, rivals, steps
    from .tables import print_table

    folder = folder_for_results(results)
    shape = (96, 160) if quick else (height, width)
    runs = {
        "operators": lambda: operators.run(folder, quick, repeats, device, backends.split()),
        "networks": lambda: networks.run(folder, shape, repeats),
        "pictures": lambda: pictures.run(
            folder, shape, repeats, against, width="small" if quick else "full"
        ),
        "rivals": lambda: rivals.run(
            folder, **given(size=(32, 48), threads=(1,)) if quick else {}, repeats=repeats
        ),
        "training": lambda: steps.run(folder, repeats, against, quick),
        "precision": lambda: precision.run(folder, **given(seeds=2, steps=5) if quick else {}),
        "metrics": lambda: metrics.run(folder),
    }
    if unknown := set(parts or ()) - set(runs):
        raise ValueError(
            f"There is no part {unknown.pop()!r}: choose {', '.join(runs)}, or none for the "
            "first two."
        )
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        chosen = parts or ["operators", "networks"]
        tables = {name: run() for name, run in runs.items() if name in chosen}
        if "metrics" in tables:
            print_table(tables["metrics"].round(4))
    if as_json:
        print_json({name: records(table) for name, table in tables.items()})
