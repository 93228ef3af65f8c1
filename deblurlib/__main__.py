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


if __name__ == "__main__":
    sys.exit(app())
