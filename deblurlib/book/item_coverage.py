"""Which equations, figures, tables and algorithms of the papers have an executed cell."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ..papers import items
from .names import lessons_in

STATES = ("shown", "failed", "not run")  # from the best to the worst
NO_CELL = "no cell"
COVERAGES = ("full", "stand-in", "printed only")  # in items.csv, with a reason, as a person judged
GAPS = (NO_CELL, "not run", "failed")


def coverage(notebooks: str | Path) -> pd.DataFrame:
    """List the notebooks that show each row of papers/items.csv.

    A notebook shows an item by a code cell with the tag item:<paper>:<item>.

    Args:
        notebooks: The folder of the book.

    Returns:
        Columns paper, item and title; coverage, one of `COVERAGES`, and its reason; notebooks, the
        numbers of those that have such a cell, such as "01 02"; and state: "shown" if one of the
        cells was executed without an error, otherwise "failed" if one was executed, "not run" if
        there is one, and "no cell".

    Raises:
        FileNotFoundError: If the folder has no notebooks.
        ValueError: If a file is not a valid notebook.
    """
    paths = lessons_in(Path(notebooks))[0]
    if not paths:
        raise FileNotFoundError(
            f"There is no notebook in {notebooks}: give the folder of the book."
        )
    found: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        for tag, number, state in _tagged_cells(path):
            found.setdefault(tag, []).append((number, state))
    rows = items()[["paper", "item", "title", "coverage", "reason"]]
    cells = [found.get(f"item:{row.paper}:{row['item']}", []) for _, row in rows.iterrows()]
    return rows.assign(
        notebooks=[" ".join(dict.fromkeys(number for number, _ in tagged)) for tagged in cells],
        state=[_best({state for _, state in tagged}) for tagged in cells],
    )


def summary(rows: pd.DataFrame) -> str:
    """Format a coverage table as text.

    Args:
        rows: Result of `coverage`.

    Returns:
        One line per item, then how many items are shown, how fully, and the gaps by kind.
    """
    names = rows.paper + " " + rows["item"]
    lines = [f"{'item':13} {'notebooks':10} {'state':8} {'coverage':12} title"]
    lines += [
        f"{name:13} {row.notebooks:10} {row.state:8} {row.coverage:12} {row.title}"
        for name, row in zip(names, rows.itertuples(), strict=True)
    ]
    fully = [f"{(rows.coverage == coverage).sum()} {coverage}" for coverage in COVERAGES]
    lines += ["", f"{(rows.state == 'shown').sum()} of {len(rows)} items are shown"]
    lines += [f"as judged by a person: {', '.join(fully)}"]
    lines += [
        f"{state}: {', '.join(names[rows.state == state])}"
        for state in GAPS
        if (rows.state == state).any()
    ]
    return "\n".join(lines)


def _best(states: set[str]) -> str:
    return next((state for state in STATES if state in states), NO_CELL)


def _tagged_cells(path: Path) -> Iterator[tuple[str, str, str]]:
    """Tag, number of the notebook and state for every item tag on a code cell."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} is not a valid notebook: restore it from version control."
        ) from None
    for cell in cells:
        if cell["cell_type"] == "code":
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith("item:"):
                    yield tag, path.stem.split("_")[0], _state(cell)


def _state(cell: dict[str, Any]) -> str:
    if cell["execution_count"] is None:
        return "not run"
    return "failed" if any(o["output_type"] == "error" for o in cell["outputs"]) else "shown"
