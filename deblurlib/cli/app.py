"""The command line: `deblurlib`, or `python -m deblurlib`."""

import os

import typer

from . import book, pictures, trainings
from .shared import FAILED, INTERRUPTED, WRONG_CALL

# Each command imports what it needs, so that --help takes no torch.

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


for group in (pictures, trainings, book):
    app.add_typer(group.commands)
