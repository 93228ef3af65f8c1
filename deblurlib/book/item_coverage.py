"""Which equation, figure, table and algorithm of the four papers has a cell in the book that was run."""

import json
from pathlib import Path

import pandas as pd

from ..papers import items

GAPS = ("no cell", "not run", "failed")


def coverage(notebooks: str | Path) -> pd.DataFrame:
    """One row for each row of papers/items.csv: paper, item, title, notebooks, state.

    A cell shows an item if it is a code cell tagged item:<paper>:<item>. notebooks: the numbers of those that have one, e.g.
    "01 02". state: "shown" where such a cell was executed without an error, else "failed" where one was executed,
    "not run" where one is there, and "no cell". Raises FileNotFoundError for a folder without notebooks.
    """
    paths = sorted(Path(notebooks).glob("*.ipynb"))
    if not paths:
        raise FileNotFoundError(
            f"There is no notebook in {notebooks}: give the folder of the book."
        )
    cells = pd.DataFrame(
        [row for path in paths for row in _tagged_cells(path)], columns=["tag", "notebook", "state"]
    )
    rows = items()[["paper", "item", "title"]]
    found = [cells[cells.tag == f"item:{row.paper}:{row['item']}"] for _, row in rows.iterrows()]
    return rows.assign(
        notebooks=[" ".join(dict.fromkeys(tagged.notebook)) for tagged in found],
        state=[
            next(
                (best for best in ("shown", "failed", "not run") if best in set(tagged.state)),
                "no cell",
            )
            for tagged in found
        ],
    )


def summary(rows: pd.DataFrame) -> str:
    """A coverage table as text, how many items are shown, and the gaps by kind."""
    names = rows.paper + " " + rows["item"]
    lines = [f"{'item':13} {'notebooks':10} {'state':8} title"]
    lines += [
        f"{n:13} {r.notebooks:10} {r.state:8} {r.title}"
        for n, r in zip(names, rows.itertuples(), strict=True)
    ]
    lines += ["", f"{(rows.state == 'shown').sum()} of {len(rows)} items are shown"]
    lines += [
        f"{state}: {', '.join(names[rows.state == state])}"
        for state in GAPS
        if (rows.state == state).any()
    ]
    return "\n".join(lines)


def _tagged_cells(path):
    """(tag, number of the notebook, state) for every item tag on a code cell."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no notebook: restore it from version control.") from None
    for cell in cells:
        if cell["cell_type"] == "code":
            failed = any(output["output_type"] == "error" for output in cell["outputs"])
            state = (
                "not run" if cell["execution_count"] is None else "failed" if failed else "shown"
            )
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith("item:"):
                    yield tag, path.stem.split("_")[0], state
