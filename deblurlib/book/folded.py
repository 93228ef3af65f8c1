"""A table behind one line: for long tables, which a reader opens when they want them."""

import html
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Folded:
    """A table that a notebook shows closed, under a line that says what is in it.

    Attributes:
        table: The table.
        title: The line, plain text.
    """

    table: pd.DataFrame
    title: str

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table}"

    def _repr_html_(self) -> str:
        title = f"<summary>{html.escape(self.title)}</summary>"
        return f"<details>{title}{self.table.to_html(na_rep='')}</details>"


def folded(table: pd.DataFrame, what: str = "rows") -> Folded:
    """Show a table closed, under a line with its number of rows.

    Args:
        table: The table.
        what: What its rows are, in the plural.

    Returns:
        What a cell shows when it ends with it.
    """
    return Folded(table, f"Open the table: {len(table)} {what}")
