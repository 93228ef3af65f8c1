"""The report: results/index.html, one page with every table and figure below results/, to open in any browser."""

import base64
import csv
import json
import math
import re
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from .. import papers
from ..analysis.significance import VERDICTS
from ..results import write_atomically
from .extra import notebook_packages
from .ledger import ledger, readable
from .notebooks import number, plain_text, title_of

with notebook_packages():
    import nbformat

NUMBER = re.compile(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)", re.IGNORECASE)
LONG = 40  # letters from which a cell may break its line


def write_report(folder: Path, notebooks: Iterable[Path]) -> Path:
    """Write results/index.html from what lies in the folder, whatever is missing; equal files make equal bytes.

    The verdicts come first, then the tables that stand beside printed ones, then each lesson with the rest of its tables and
    figures, and at the end what belongs to no lesson, such as benchmarks. It shows `notebooks`, and those beside them that an
    earlier run recorded in the manifest.
    """
    folder, notebooks = Path(folder), list(notebooks)
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        manifest = {"notebooks": {}, "inputs": {}}
    neighbours = {neighbour for path in notebooks for neighbour in path.parent.glob("*.ipynb")}
    shown = sorted(
        {*notebooks, *(path for path in neighbours if path.stem in manifest["notebooks"])},
        key=lambda path: path.name,
    )
    tables = {path: _table(path) for path in sorted(folder.glob("tables/*.csv"))}
    beside = {path for path in tables if path.stem.partition("_")[2] in papers.list_tables()}
    lessons, placed = [], set(beside)
    for path in shown:
        mine = [table for table in tables if number(table) == number(path)]
        figures = sorted(folder.glob(f"figures/{number(path)}_*.png"))
        placed |= {*mine, *figures}
        sections = _sections(path)
        lessons.append(
            _lesson(folder, path, manifest["notebooks"].get(path.stem, {}))
            | {
                "figures": [
                    _figure(figure, sections.get(figure.stem.partition("_")[2], ""))
                    for figure in figures
                ]
            }
            | {"tables": [tables[table] for table in mine if table not in beside]}
            | {"elsewhere": [tables[table] for table in mine if table in beside]}
        )
    executed = {lesson["number"]: lesson["copies"][0][0] for lesson in lessons if lesson["copies"]}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(Path(__file__).with_suffix(".html").read_text()).render(
        inputs=" · ".join(
            f"{name} {value}"
            for name, value in manifest["inputs"].items()
            if value not in ("", "auto")
        ),
        commit=manifest.get("git_commit", "unknown"),
        claims=_claims(folder, executed),
        beside=[tables[path] for path in tables if path in beside],
        lessons=lessons,
        other_tables=[tables[path] for path in tables if path not in placed],
        other_figures=[
            _figure(path) for path in sorted(folder.glob("figures/*.png")) if path not in placed
        ],
    )
    return write_atomically(folder / "index.html", page + "\n")


def describe_origin(sidecar: dict) -> str:
    """One line that says where a table came from: measured or reported, preset, seed, device, data, commit."""
    parts = [str(sidecar.get("source", "measured"))]
    parts += [
        f"{name} {sidecar[name]}"
        for name in ("preset", "seed", "steps")
        if sidecar.get(name) not in (None, "")
    ]
    parts += [str(sidecar[name]) for name in ("device", "data") if sidecar.get(name)]
    return " · ".join([*parts, f"commit {sidecar.get('git_commit', 'unknown')}"])


def _claims(folder, executed) -> dict:
    """The ledger as rows to show, and how many have which verdict; "error" where a record is damaged."""
    try:
        found = ledger(folder)
    except ValueError as error:
        return {"rows": [], "counts": [], "error": str(error)}
    rows = readable(found).to_dict("records")
    for row, (_, claim) in zip(rows, found.iterrows(), strict=True):
        where = (
            []
            if pd.isna(claim.preset)
            else [f"preset {claim.preset}", f"seed {claim.seed}", claim.data]
        )
        row |= {
            "paper": claim.paper.upper(),
            "notebook": claim.notebook,
            "executed": executed.get(claim.notebook),
            "origin": where,
        }
        row |= {
            "printed_key": _key(claim.printed),
            "ours_key": "" if pd.isna(claim.value) else f"{claim.value:g}",
        }
        row |= {"verdict_key": VERDICTS.index(claim.verdict), "kind": _slug(claim.verdict)}
    counts = [
        {"verdict": verdict, "kind": _slug(verdict), "count": (found.verdict == verdict).sum()}
        for verdict in VERDICTS
    ]
    return {"rows": rows, "counts": [each for each in counts if each["count"]], "error": ""}


def _lesson(folder, notebook, entry) -> dict:
    title, claim = title_of(notebook)
    copies = {
        f"notebooks/{notebook.stem}.html": "read",
        f"notebooks/{notebook.stem}.ipynb": "notebook",
    }
    return {
        "id": notebook.stem,
        "number": number(notebook),
        "title": title,
        "claim": claim,
        "state": entry.get("state", "not run"),
        "error": entry.get("error", ""),
        "cell": entry.get("cell"),
        "copies": [(path, word) for path, word in copies.items() if (folder / path).exists()],
        "sliders": list(
            filter(
                None, map(_slider, sorted(folder.glob(f"pictures/{number(notebook)}_*_before.png")))
            )
        ),
    }


def _table(path: Path) -> dict:
    """A table as the page shows it: columns, each of one kind, and rows of cells."""
    table = {
        "path": f"tables/{path.name}",
        "title": _caption(path),
        "columns": [],
        "rows": [],
        "error": "",
    }
    try:
        origin = describe_origin(json.loads(path.with_suffix(".json").read_text()))
    except (OSError, ValueError, AttributeError):
        origin = "origin unknown: the file beside this table is missing"
    try:
        with path.open(newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        return table | {"origin": origin, "error": f"This table cannot be read: {error}"}
    columns = [_column(title, texts) for title, *texts in zip_longest(*lines, fillvalue="")]
    rows = list(zip(*(column["cells"] for column in columns), strict=True))
    return table | {"origin": origin, "columns": columns, "rows": rows}


def _column(title: str, texts: list[str]) -> dict:
    """A column as numbers with equally many decimals, or as text if anything in it is no number; cells with keys to sort by."""
    kind = (
        "number" if any(texts) and all(NUMBER.fullmatch(text) for text in texts if text) else "text"
    )
    plain = kind == "number" and not any(re.search("[a-z]", text, re.IGNORECASE) for text in texts)
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return {
        "title": title,
        "kind": f"{kind} printed" if title.startswith("printed") else kind,
        "cells": [
            {
                "text": f"{float(text):.{decimals}f}" if plain and text else text or "–",
                "key": _key(text) if kind == "number" else text,
                "long": len(text) > LONG,
            }
            for text in texts
        ],
    }


def _figure(path: Path, section: str = "") -> dict:
    """A figure within the page: its caption, the section of the lesson that draws it, and in words what it shows."""
    caption, data = _caption(path), path.read_bytes()
    try:
        words = Image.open(path).info.get("Description", "")
    except OSError:
        words = ""
    return {
        "name": path.stem,
        "caption": caption,
        "section": section,
        "alt": words or caption,
        "data": _embed(data),
    }


def _slider(before: Path) -> dict | None:
    """Two pictures to lay over each other: pictures/NN_NAME_before.png and the one that ends in _after."""
    stem = before.stem.removesuffix("_before")
    pictures = [before, before.with_name(f"{stem}_after.png")]
    if not all(path.is_file() for path in pictures):
        return None
    return {
        "caption": _caption(before.with_name(stem)),
        "data": [_embed(path.read_bytes()) for path in pictures],
    }


def _sections(notebook: Path) -> dict[str, str]:
    """By the name of a figure: the heading above the cell that draws it."""
    heading, found = "", {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif "lesson.figure(" in cell.source:
            found |= {name: plain_text(heading) for name in re.findall(r'"(\w+)",?\s*\)', cell.source)}
    return found


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _key(text: str) -> str:
    """What a browser sorts a number by, "" for what is none."""
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return "" if math.isnan(value) else repr(value).replace("inf", "Infinity")


def _slug(words: str) -> str:
    return words.lower().replace(" ", "-")


def _caption(path: Path) -> str:
    numbered = re.fullmatch(r"\d+_(.+)", path.stem)
    return (numbered[1] if numbered else path.stem).replace("_", " ")
