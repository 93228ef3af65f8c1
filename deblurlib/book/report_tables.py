"""Tables as the report shows them: printed values beside ours, headings in words, few digits."""

import csv
import json
import math
import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from .. import dictionary
from ..results import origin_of

NUMBER = re.compile(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)", re.IGNORECASE)
LONG = 40  # characters from which a cell may break its line
MOST_ROWS = 150  # of a longer table, the first few are shown
FEW_ROWS = 8
# what is compared, in this order, behind the names of the rows
COMPARED = ("rgb_psnr_db", "psnr_db", "difference_db", "gain_db", "ssim_", "runtime_", "size_mb")


def as_shown(path: Path) -> dict[str, Any]:
    """Read a table for the page.

    Args:
        path: The CSV file.

    Returns:
        path, title, origin, columns (each with title, kind and cells), rows of cells, note, and
        error, which is empty if the table could be read.
    """
    title = dictionary.title_of(path.stem)
    table: dict[str, Any] = {"path": f"tables/{path.name}", "title": title}
    table |= {"columns": [], "rows": [], "note": "", "error": ""}
    try:
        record = json.loads(origin_of(path).read_text())
        origin, headings = describe_origin(record), record.get("headings", {})
    except (OSError, ValueError, AttributeError):
        origin, headings = "origin unknown: its JSON file is missing or damaged", {}
    try:
        with path.open(newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        return table | {"origin": origin, "error": f"This table cannot be read: {error}"}
    if len(lines) > MOST_ROWS:
        table["note"] = f"The first {FEW_ROWS} of {len(lines) - 1:,} rows; the file has all."
        lines = lines[: FEW_ROWS + 1]
    by_name = {name: texts for name, *texts in zip_longest(*lines, fillvalue="")}
    _join_interval(by_name)
    columns = [
        column(_heading(name, headings), by_name[name], printed=name.startswith("printed"))
        for name in _beside(list(by_name))
    ]
    rows = list(zip(*(each["cells"] for each in columns), strict=True))
    return table | {"origin": origin, "columns": columns, "rows": rows}


def column(title: str, texts: list[str], printed: bool = False) -> dict[str, Any]:
    """Format a column, with keys to sort by.

    Args:
        title: Its heading.
        texts: Its cells as in the file.
        printed: Whether a paper prints its values.

    Returns:
        title, kind and cells. It consists of numbers with equally many decimals, or of text if any
        of its cells is not a number.
    """
    numeric = any(texts) and all(NUMBER.fullmatch(text) for text in texts if text)
    kind = "number" if numeric else "text"
    written = _rounded(texts) if numeric else texts
    return {
        "title": title,
        "kind": f"{kind} printed" if printed else kind,
        "cells": [
            {
                "text": shown or "–",
                "key": key(text) if numeric else _key_of_interval(text) or text,
                "long": len(shown) > LONG,
            }
            for text, shown in zip(texts, written, strict=True)
        ],
    }


def key(text: str) -> str:
    """Return the key by which a browser sorts a number.

    Args:
        text: A cell.

    Returns:
        The number, or "" if the text is not one.
    """
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return "" if math.isnan(value) else repr(value).replace("inf", "Infinity")


def _key_of_interval(text: str) -> str:
    value, bracket, _ = text.partition(" [")
    return key(value) if bracket else ""


def describe_origin(sidecar: Mapping[str, Any]) -> str:
    """Describe the origin of a table in one line.

    Args:
        sidecar: Content of the JSON file beside the table.

    Returns:
        Measured or reported, preset, seed, steps, device, data and commit, if they are known.
    """
    parts = [str(sidecar.get("source", "measured"))]
    parts += [
        f"{name} {sidecar[name]}"
        for name in ("preset", "seed", "steps")
        if sidecar.get(name) not in (None, "")
    ]
    parts += [str(sidecar[name]) for name in ("device", "data") if sidecar.get(name)]
    return " · ".join([*parts, f"commit {sidecar.get('git_commit', 'unknown')}"])


def _heading(name: str, headings: Mapping[str, str]) -> str:
    """The notebook's heading if it is made of words, else the words of the name."""
    heading = str(headings.get(name, name))
    return dictionary.words_of(name) if "_" in heading or name == heading else heading


def _beside(names: list[str]) -> list[str]:
    """Bring what is compared to the front, each printed value right behind ours."""
    printed = [name for name in names if name.startswith("printed_")]
    if not printed or not names:
        return names
    pairs = [
        (ours, theirs)
        for start in COMPARED
        for ours in names
        if ours.startswith(start)
        for theirs in printed
        if theirs.removeprefix("printed_") in (ours, ours.removeprefix("rgb_"))
    ]
    front = dict.fromkeys(name for pair in pairs for name in pair)
    lead = names[:1] if names[0] not in front else []
    return [*lead, *front, *(name for name in names[len(lead) :] if name not in front)]


def _join_interval(by_name: dict[str, list[str]]) -> None:
    """Write an interval behind its value, in one column instead of three."""
    for name in list(by_name):
        stem, _, unit = name.rpartition("_")
        ends = (f"{stem}_low_{unit}", f"{stem}_high_{unit}")
        if not all(end in by_name for end in ends):
            ends = (f"{name}_low", f"{name}_high")
        if all(end in by_name for end in ends):
            low, high = (_rounded(by_name.pop(end)) for end in ends)
            by_name[name] = [
                f"{value} [{a}, {b}]" if a and b else value
                for value, a, b in zip(_rounded(by_name[name]), low, high, strict=True)
            ]


def _rounded(texts: list[str]) -> list[str]:
    """Numbers with equally many decimals, about four digits; tiny and infinite ones by themselves.

    Whole numbers stay whole.
    """
    values = [abs(float(t)) for t in texts if t and NUMBER.fullmatch(t) and "inf" not in t.lower()]
    if not values or any(t and not NUMBER.fullmatch(t) for t in texts):
        return texts
    decimals = 3 if max(values) < 10 else 2 if max(values) < 1000 else 1
    decimals = min(decimals, max(len(t.partition(".")[2]) for t in texts))
    if any("e" in t.lower() for t in texts) or 0 < min(v or 1 for v in values) < 0.0005:
        return [f"{float(t):.3g}" if t else t for t in texts]
    return [f"{float(t):.{decimals}f}" if t and "inf" not in t else t for t in texts]
