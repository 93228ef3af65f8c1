"""The command line: `deblurlib`, or `python -m deblurlib`.

Commands import what they need when they run, so that `--help` starts without torch.
"""

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from . import book, conversion, pictures, trainings
from .shared import ExitCode, ended_as_by_ctrl_c

HELP = "Dynamic-scene motion deblurring: four papers, one library."
EXIT_CODES = (
    "Exit codes: 0 = success; 1 = some items failed, the rest completed; 2 = invalid usage; "
    "128 + the number of the signal that ended it: 130 = interrupted, 143 = terminated; "
    "finished work is kept. "
    "An error is one sentence on stderr; set DEBLURLIB_DEBUG=1 for its traceback."
)
OUT_OF_MEMORY = "Out of memory: use smaller images, batches or tiles."
INTERRUPTED = "Interrupted: finished work is kept."


def missing_module(error: ImportError) -> str | None:
    """Say which package to install.

    Args:
        error: An import that failed.

    Returns:
        One sentence; None if one of deblurlib's own modules or names is missing, which is a bug.
    """
    module = (error.name or "").partition(".")[0]
    if module == "deblurlib":
        return None
    sentence = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and "pip install" not in sentence:
        return f"{module} is not installed: reinstall deblurlib with its dependencies."
    return sentence  # of an optional package: deblurlib names the extra that installs it


def explain(error: Exception) -> tuple[str, ExitCode] | None:
    """Turn an error into a message and an exit code.

    Args:
        error: Anything that a command raised.

    Returns:
        One sentence and the exit code; None for a bug, whose traceback should be shown.
    """
    from ..storage import NO_SPACE

    if isinstance(error, ImportError):
        sentence = missing_module(error)
        return None if sentence is None else (sentence, ExitCode.USAGE)
    if isinstance(error, RuntimeError) and _is_out_of_memory(error):
        return OUT_OF_MEMORY, ExitCode.FAILURE
    sentence = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.filename and error.strerror:
        sentence = f"{error.filename}: {error.strerror}."
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        sentence += " Free some space and run the same command again: finished work is kept."
    if isinstance(error, ValueError | FileNotFoundError | NotADirectoryError):
        return sentence, ExitCode.USAGE
    if isinstance(error, OSError | MemoryError | ArithmeticError):
        return sentence, ExitCode.FAILURE
    return None


def _is_out_of_memory(error: RuntimeError) -> bool:
    from ..inference.memory import is_out_of_memory  # torch raised the error: it is imported

    return is_out_of_memory(error)


class Commands(TyperGroup):
    """Reports an error in one sentence on stderr, with its exit code, instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:  # Any: depending on its version, typer bundles click
        """Run the chosen command.

        Args:
            ctx: The parsed command line.

        Returns:
            What the command returns.

        Raises:
            typer.Exit: If the command failed and the user has been told why.
        """
        try:
            with ended_as_by_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:  # a training says how to resume it
            sentence = str(interrupt) or INTERRUPTED
            outcome = sentence, getattr(interrupt, "exit_code", ExitCode.INTERRUPTED)
        except (typer.Exit, BrokenPipeError):  # a closed pipe, as with `| head`, is not an error
            raise
        except Exception as error:
            explained = explain(error)
            if explained is None or os.environ.get("DEBLURLIB_DEBUG"):
                raise
            outcome = explained
        sentence, code = outcome
        typer.secho(sentence, fg="red", err=True)
        raise typer.Exit(code)


class App(typer.Typer):
    """Ends in one sentence, too, if Ctrl-C comes before a command has begun."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line.

        Args:
            *arguments: Those of the command line; by default the process's own.
            **options: Further options of the command that typer makes.

        Returns:
            What the command returns.
        """
        try:
            return super().__call__(*arguments, **options)
        except KeyboardInterrupt:
            typer.secho(INTERRUPTED, fg="red", err=True)
            sys.exit(ExitCode.INTERRUPTED)


app = App(
    cls=Commands, help=HELP, epilog=EXIT_CODES, no_args_is_help=True, pretty_exceptions_enable=False
)
for group in (pictures, conversion, trainings, book):
    app.add_typer(group.commands)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deblurlib {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of `deblurlib` itself."""
    for stream in (sys.stdout, sys.stderr):  # names of files need not be text in its encoding
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
