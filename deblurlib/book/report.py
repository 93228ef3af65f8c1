"""The report: results/index.html, one page with every table and figure, for any browser."""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from .. import papers
from ..analysis.verdicts import VERDICTS, verdict
from ..figures import VERDICT_COLOURS
from ..results import origin_of
from ..storage import write_atomically
from ..wording import counted
from .data_page import data_page
from .extra import notebook_packages
from .ledger import ledger, readable
from .manifest import read_manifest
from .names import lessons_in, number
from .notebooks import is_readable, plain_text, read_notebook, title_of
from .report_tables import as_shown, key
from .rule_words import meanings, rule_in_words

with notebook_packages():
    import jinja2

NO_MANIFEST: dict[str, Any] = {"notebooks": {}, "inputs": {}}


def write_report(folder: str | Path, notebooks: Iterable[Path]) -> Path:
    """Write results/index.html from the files in a results folder; missing ones are left out.

    The data dictionary of its tables is written to README.md beside it.

    The verdicts come first, then the tables with printed counterparts, then each lesson with its
    other tables and figures, and finally everything without a lesson, such as benchmarks. Equal
    files give identical bytes.

    Args:
        folder: The results folder.
        notebooks: The notebooks to show. Others in their folder that the manifest records from an
            earlier run are shown as well.

    Returns:
        Path of the page.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    tables = {path: as_shown(path) for path in sorted(folder.glob("tables/*.csv"))}
    figures = sorted(folder.glob("figures/*.png"))
    beside = {path for path in tables if path.stem.partition("_")[2] in papers.list_tables()}
    shown = _shown(notebooks, manifest)
    hero = next(filter(None, map(_slider, sorted(folder.glob("pictures/*_before.png")))), None)
    lessons = [
        _lesson(folder, path, manifest["notebooks"].get(path.stem, {}))
        | _material(path, tables, figures, beside)
        for path in shown
    ]
    executed = {lesson["number"]: lesson["copies"][0][0] for lesson in lessons if lesson["copies"]}
    numbers = {number(path) for path in shown}
    others = {path for path in [*tables, *figures] if number(path) not in numbers} - beside
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
        shows=_shows(tables),
        hero=hero,
        claims=_claims(folder, executed),
        verdict_colours={_slug(name): colour for name, colour in VERDICT_COLOURS.items()},
        beside=[tables[path] for path in tables if path in beside],
        lessons=lessons,
        other_tables=[tables[path] for path in tables if path in others],
        other_figures=[_figure(path) for path in figures if path in others],
    )
    write_atomically(folder / "README.md", data_page(path.stem for path in tables))
    return write_atomically(folder / "index.html", page + "\n")


def _shows(tables: Iterable[Path]) -> str:
    """Say which preset and data the tables of lessons come from, if their origins tell."""
    found = Counter[str]()
    for path in tables:
        with suppress(OSError, ValueError, AttributeError):
            origin = json.loads(origin_of(path).read_text())
            if origin.get("preset"):
                found[f"preset {origin['preset']} on {origin.get('data', 'unknown data')}"] += 1
    if len(found) < 2:
        return "".join(f"All measurements are of {settings}." for settings in found)
    listed = ", ".join(f"{settings} ({counted(n, 'table')})" for settings, n in found.most_common())
    return f"Measurements of several settings are mixed here: {listed}."


def _read_manifest(folder: Path) -> dict[str, Any]:
    entries, content, _ = read_manifest(folder)
    return NO_MANIFEST | content | {"notebooks": entries}


def _shown(notebooks: Iterable[Path], manifest: Mapping[str, Any]) -> list[Path]:
    """The notebooks, and others in their folder that the manifest lists, in order."""
    given = set(notebooks)
    beside = {path for folder in {p.parent for p in given} for path in lessons_in(folder)[0]}
    known = {p for p in beside if p.stem in manifest["notebooks"] and is_readable(p)}
    return sorted(given | known, key=lambda path: path.name)


def _material(
    notebook: Path, tables: Mapping[Path, dict[str, Any]], figures: list[Path], beside: set[Path]
) -> dict[str, Any]:
    """Figures and tables of one lesson, without the tables shown `elsewhere`."""
    sections = _sections(notebook)
    mine = [table for table in tables if number(table) == number(notebook)]
    return {
        "figures": [
            _figure(figure, sections.get(figure.stem.partition("_")[2], ""))
            for figure in figures
            if number(figure) == number(notebook)
        ],
        "tables": [tables[table] for table in mine if table not in beside],
        "elsewhere": [tables[table] for table in mine if table in beside],
    }


def _claims(folder: Path, executed: Mapping[str, str]) -> dict[str, Any]:
    """The ledger as rows to show and the number of each verdict, or the error of a record."""
    try:
        found = ledger(folder)
    except ValueError as error:
        return {"rows": [], "counts": [], "error": str(error)}
    rows = readable(found).to_dict("records")
    for row, (_, claim) in zip(rows, found.iterrows(), strict=True):
        measured = not pd.isna(claim.preset)
        row |= {
            "paper": claim.paper.upper(),
            "notebook": claim.notebook,
            "executed": executed.get(claim.notebook),
            "origin": [f"preset {claim.preset}", f"seed {claim.seed}", claim.data]
            if measured
            else [],
            "printed_key": key(claim.printed),
            "ours_key": "" if pd.isna(claim.value) else f"{claim.value:g}",
            "verdict_key": VERDICTS.index(claim.verdict),
            "rule": rule_in_words(claim),
            "kind": _slug(claim.verdict),
        }
    means = meanings(verdict)
    counts = [
        {"verdict": name, "kind": _slug(name), "count": n, "meaning": means[name]}
        for name in VERDICTS
        if (n := (found.verdict == name).sum())
    ]
    return {"rows": rows, "counts": counts, "error": ""}


def _lesson(folder: Path, notebook: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Title, state, executed copies and sliders of one lesson."""
    title, claim = title_of(notebook)
    copies = {
        f"notebooks/{notebook.stem}.html": "read",
        f"notebooks/{notebook.stem}.ipynb": "notebook",
    }
    pairs = sorted(folder.glob(f"pictures/{number(notebook)}_*_before.png"))
    return {
        "id": notebook.stem,
        "number": number(notebook),
        "title": title,
        "claim": claim,
        "state": entry.get("state", "not run"),
        "error": entry.get("error", ""),
        "cell": entry.get("cell"),
        "copies": [(path, word) for path, word in copies.items() if (folder / path).exists()],
        "sliders": [slider for before in pairs if (slider := _slider(before))],
    }


def _figure(path: Path, section: str = "") -> dict[str, str]:
    """A figure within the page: caption, section of the lesson, and a description in words."""
    caption = _caption(path)
    try:
        words = Image.open(path).info.get("Description", "")
    except OSError:
        words = ""
    return {
        "name": path.stem,
        "caption": caption,
        "section": section,
        "alt": words or caption,
        "data": _embed(path.read_bytes()),
    }


def _slider(before: Path) -> dict[str, Any] | None:
    """The images NN_NAME_before.png and NN_NAME_after.png to compare; None if one is missing."""
    stem = before.stem.removesuffix("_before")
    pictures = [before, before.with_name(f"{stem}_after.png")]
    if not all(path.is_file() for path in pictures):
        return None
    return {
        "caption": _caption(before.with_name(stem)),
        "data": [_embed(path.read_bytes()) for path in pictures],
    }


def _sections(notebook: Path) -> dict[str, str]:
    """The heading above the cell that draws a figure, by the name of the figure."""
    heading = ""
    found: dict[str, str] = {}
    for cell in read_notebook(notebook).cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif "lesson.figure(" in cell.source:
            names = re.findall(r'"(\w+)",?\s*\)', cell.source)
            found |= dict.fromkeys(names, plain_text(heading))
    return found


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _slug(words: str) -> str:
    return words.lower().replace(" ", "-")


def _caption(path: Path) -> str:
    numbered = re.fullmatch(r"\d+_(.+)", path.stem)
    return (numbered[1] if numbered else path.stem).replace("_", " ")
