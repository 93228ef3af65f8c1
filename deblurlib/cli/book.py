"""The commands for the book and the measurements: reproduce, refresh, coverage, student-edition, site, bench."""

import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from .shared import DONE, FAILED, AsJson, Device, print_json, records

commands = typer.Typer()


@commands.command(epilog='Example: deblurlib reproduce --preset smoke --notebooks "01 04"')
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
        print_json({"report": str(summary.report), "notebooks": records(summary.table)})
    raise typer.Exit(summary.exit_code)


@commands.command(epilog="Example: deblurlib refresh --notebooks 04")
def refresh(
    notebooks: Annotated[
        str, typer.Option(help='A folder, or numbers such as "01 04"; empty = all.')
    ] = "",
    jobs: Annotated[
        int, typer.Option(min=0, help="Notebooks run at the same time; 0 = by the number of cores.")
    ] = 0,
):
    """Execute the committed notebooks in place with their own parameters and strip machine-made metadata."""
    from ..book.notebooks import refresh_notebooks

    raise typer.Exit(FAILED if refresh_notebooks(notebooks, jobs) else DONE)


@commands.command(epilog="Example: deblurlib coverage")
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


@commands.command(epilog="Example: deblurlib student-edition course/")
def student_edition(out: Annotated[Path, typer.Argument(help="A new folder.")]):
    """Write the book for students: exercises with their first checks, without solutions and outputs."""
    from ..book.editions import student_edition as write

    typer.echo(f"{len(write(out))} notebooks without solutions in {out}.")


@commands.command(epilog="Example: deblurlib site build/site")
def site(out: Annotated[Path, typer.Argument(help="A new folder.")]):
    """Write the book as web pages, from the outputs that are stored in the notebooks; nothing is executed."""
    from ..book.editions import site as write

    typer.echo(f"{len(write(out))} pages: {out / 'index.html'}")


@commands.command(epilog="Example: deblurlib bench networks --size 360x640")
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
        print_json({name: records(table) for name, table in tables.items()})
