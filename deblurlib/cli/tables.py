"""Tables as text that fits the terminal."""

import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

import pandas as pd
import typer

GAP = "  "
NARROWEST = 24  # of a column of sentences


def columns() -> int | None:
    """Return the width that output has to fit.

    Returns:
        $COLUMNS, or else the width of the terminal; None for a pipe or a file, which take all.
    """
    return shutil.get_terminal_size((0, 0)).columns or None


def print_table(table: pd.DataFrame) -> None:
    """Print a table, one line per row where that fits the terminal.

    Where it does not, headings and sentences take several lines, and the columns that remain follow
    below, beside the first one again.

    Args:
        table: The table; missing values are left empty.
    """
    text, width = table.to_string(index=False, na_rep=""), columns()
    if width is None or max(map(len, text.splitlines())) <= width:
        typer.echo(text)
        return
    label, *others = (_column(table, name, width) for name in table)
    blocks = [[label]]
    for column in others:
        needed = sum(map(_width, [*blocks[-1], column])) + len(GAP) * len(blocks[-1])
        if needed > width and len(blocks[-1]) > 1:
            blocks.append([label])
        blocks[-1].append(column)
    typer.echo("\n\n".join("\n".join(_lines(block)) for block in blocks))


def _column(table: pd.DataFrame, name: str, width: int) -> list[list[str]]:
    """The heading and the cells of a column, each as its lines."""
    texts = table[[name]].to_string(index=False, header=False, na_rep="").split("\n")
    number = pd.api.types.is_numeric_dtype(table[name])
    cells = [[text] if number else textwrap.wrap(text.strip(), _room(width)) for text in texts]
    words = str(name).split()
    heading = textwrap.wrap(str(name), max(_width(cells), *map(len, words), 1))
    lines = [heading, *cells]
    side = str.rjust if number else str.ljust
    return [[side(line, _width(lines)) for line in cell] for cell in lines]


def _room(width: int) -> int:
    """How wide a column of sentences may be, so that one more fits beside it."""
    return max(width - NARROWEST - len(GAP), NARROWEST)


def _width(cells: Sequence[Sequence[str]]) -> int:
    return max((len(line) for cell in cells for line in cell), default=0)


def _lines(block: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    widths = [_width(column) for column in block]
    found = []
    for row in zip(*block, strict=True):
        for parts in zip_longest(*row, fillvalue=""):
            cells = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            found.append(GAP.join(cells).rstrip())
    return found


class Rows:
    """The lines of a table whose rows are printed one by one: a name, then numbers.

    Where a line does not fit the terminal, headings take several lines, the beginning of a long
    name gives way to "…", and the last columns are left out and named.
    """

    NAME = 24  # characters, more where there is room

    def __init__(self, names: Sequence[str]) -> None:
        """Lay out the columns.

        Args:
            names: Names of the numbers.
        """
        self.room = columns() or 10**6
        self.widths = list(map(len, names))
        headings = [[name] for name in names]
        if self._needed() > self.room:
            headings = [name.split() for name in names]
            self.widths = [max(len("-00.000"), *map(len, words)) for words in headings]
        while len(self.widths) > 1 and self._needed() > self.room:
            self.widths.pop()
        shown = zip_longest(["image"], *headings[: len(self.widths)], fillvalue="")
        self.heading = [self._line(cells) for cells in shown]
        if hidden := ", ".join(names[len(self.widths) :]):
            sentence = f"Left out, since the terminal is narrow: {hidden}. --json has all columns."
            self.heading = [*textwrap.wrap(sentence, self.room), *self.heading]

    def row(self, name: str, numbers: Sequence[object]) -> str:
        """Form the line of a row.

        Args:
            name: Its name.
            numbers: Its numbers, in the order of the names.

        Returns:
            The line.
        """
        room = self.room - self._needed() + self.NAME
        name = name if len(name) <= room else "…" + name[1 - room :]
        return self._line([name, *(f"{number:.3f}" for number in numbers[: len(self.widths)])])

    def _needed(self) -> int:
        return self.NAME + sum(self.widths) + len(GAP) * len(self.widths)

    def _line(self, cells: Sequence[str]) -> str:
        name, *others = cells
        right = (cell.rjust(width) for cell, width in zip(others, self.widths, strict=True))
        return GAP.join([name.ljust(self.NAME), *right])
