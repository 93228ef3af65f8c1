"""What the commands share: exit codes, options and the two ways to print a table."""

import json
from typing import Annotated

import typer

DONE, FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]


def print_json(content) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))


def records(table) -> list[dict]:
    """The rows of a table as JSON has them: what is no number is null."""
    return json.loads(table.to_json(orient="records"))


def as_text(rows: list[dict]) -> str:
    import pandas as pd

    return pd.DataFrame(rows).to_string(index=False)
