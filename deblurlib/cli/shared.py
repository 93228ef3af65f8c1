"""Shared parts of the commands: exit codes, options, and output as text or JSON."""

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd


class ExitCode(IntEnum):
    """Exit codes of the commands; the numbers are stable."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    INTERRUPTED = 130
    TERMINATED = 143


Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or mps; auto = the fastest one available.")
]
Results = Annotated[
    str | None,
    typer.Option(
        help="Folder for results; default: $DEBLURLIB_RESULTS, else results/ of this project."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the file of --output if it exists.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def given(**options: object) -> dict[str, Any]:
    """Collect the options that the user gave.

    Args:
        **options: Values by the names of their options, with underscores.

    Returns:
        The options that are not None; 0 and False are values.

    Raises:
        ValueError: If an option is an empty string, usually from an unset shell variable.
    """
    for name, value in options.items():
        if value == "":
            raise ValueError(f"{name.replace('_', '-')} is empty: give a value or leave it out.")
    return {name: value for name, value in options.items() if value is not None}


class Ended(KeyboardInterrupt):
    """A command was ended by a signal; it is handled like Ctrl-C.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Let termination, and a terminal that closes, end a command as Ctrl-C does.

    What `nohup` ignores stays ignored. Libraries may turn an interrupt that comes while they call
    Python into an error of their own, such as a file of weights that cannot be read; that error is
    not shown.

    Yields:
        Nothing.

    Raises:
        Ended: If a signal came.
    """
    previous, came = {}, list[int]()

    def end(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if number not in (signal.SIGINT, signal.SIGTERM):
            _silence_terminal()
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) not in (None, signal.SIG_IGN):
                previous[number] = signal.signal(number, end)
    try:
        yield
    except Exception:
        if came:
            raise Ended(came[0]) from None
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _silence_terminal() -> None:
    """Write no more to a terminal, which is closed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream.isatty():
                os.dup2(nowhere, stream.fileno())


def folder_for_results(results: str | None) -> Path:
    """The folder of `--results`, or the default one.

    Args:
        results: Value of the option; None = not given.

    Returns:
        An absolute path.
    """
    from ..results import results_folder

    return results_folder(*given(results=results).values())


def print_json(content: object) -> None:
    """Print a value as indented JSON on stdout.

    Args:
        content: Anything that `json` takes; paths and other objects are written as text.
    """
    typer.echo(json.dumps(content, indent=1, default=str))


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as JSON objects.

    Args:
        table: Any table.

    Returns:
        One dictionary per row. JSON lacks NaN, which becomes None, and infinity, which becomes the
        text "Infinity" or "-Infinity": `float` and JavaScript's `Number` read both.
    """
    rows: list[dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
