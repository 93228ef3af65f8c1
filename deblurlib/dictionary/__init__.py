"""The data dictionary: what each column of a result means, and what it is called in files.

In a notebook a table has headings for readers, such as "gain in dB". In its file the same column
has one name in every table, `gain_db`: lower case, with the unit at its end.

    columns.csv    names, with kind (text, integer, number, truth), unit and meaning
    headings.csv   headings that differ from the name, by table (* = any table)
    tables.csv     titles of the tables, in words

In names and headings, * stands for a part that varies, such as a seed. `printed_NAME` is what a
paper prints for NAME, and `blurry_NAME` is NAME of the blurry input.
"""

import functools
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent
KINDS = {
    "integer": re.compile(r"-?\d+"),
    "number": re.compile(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)"),
    "text": re.compile(r"[\s\S]*"),
    "truth": re.compile("True|False"),
}
ENDINGS = {  # of names, by unit
    "dB": ("_db",),
    "ms": ("_ms",),
    "s": ("_s",),
    "px": ("_px",),
    "feature px": ("_px",),
    "%": ("_percent",),
    "°": ("_deg",),
    "10^6 bytes": ("_mb",),
    "2^20 bytes": ("_mib",),
    "10^9 bytes": ("_gb",),
    "10^9/s": ("_gflop_per_s",),
}
PREFIXES = {"printed": "as the paper prints it", "blurry": "of the blurry input"}
# how a heading announces one of the prefixes
_ANNOUNCED = {"printed ": "printed_", "reported ": "printed_", "blurry ": "blurry_"}


def name_of(heading: str, table: str = "") -> str:
    """Find the name that a column has in files.

    >>> name_of("blurry ssim-skimage"), name_of("minus base", "08_svdn_table2")
    ('blurry_ssim_skimage', 'difference_db')

    Args:
        heading: The column's heading in a notebook.
        table: Name of the table's file without its suffix.

    Returns:
        The name; the heading itself if the dictionary does not know it.
    """
    heading = str(heading)
    for pattern, of_heading, name in _headings():
        found = of_heading.fullmatch(heading) if fnmatchcase(table, pattern) else None
        if found:
            return name.replace("*", _slug(found[1]) if found.groups() else "")
    for words, prefix in _ANNOUNCED.items():
        if heading.startswith(words):
            return prefix + name_of(heading.removeprefix(words), table)
    plain = heading.replace("-", "_")
    return plain if is_known(plain) else heading


def is_known(name: str) -> bool:
    """Tell whether the dictionary has a name.

    Args:
        name: Name of a column, with or without a prefix.

    Returns:
        Whether it is in columns.csv.
    """
    return _column(name) is not None


def title_of(table: str) -> str:
    """Find the title of a table.

    Args:
        table: Name of its file without the suffix.

    Returns:
        The title in words; without an entry in tables.csv, the words of the name.
    """
    words = re.sub(r"^\d\d_", "", table).replace("_", " ")
    return _titles().get(table, words[:1].upper() + words[1:])


def words_of(name: str) -> str:
    """Turn the name of a column into a heading.

    >>> words_of("printed_rgb_psnr_db"), words_of("median_ms")
    ('printed rgb-psnr, dB', 'median, ms')

    Args:
        name: A name in files.

    Returns:
        Words, with the unit behind a comma.
    """
    column = _column(name)
    unit = column[1] if column is not None else ""
    ending = next((e for e in ENDINGS.get(unit, ()) if name.endswith(e)), "")
    words = name.removesuffix(ending).replace("_", " ").replace("rgb psnr", "rgb-psnr")
    words = re.sub(r"ssim (\w+)", r"ssim-\1", words).replace(" rho", " ρ")
    words = re.sub(r"\b(psnr|gmac|ssim|mse|epe)\b(?<!-psnr)(?!-)", lambda m: m[0].upper(), words)
    return f"{words}, {unit}" if ending else words


def columns() -> "pd.DataFrame":
    """List all names.

    Returns:
        Columns name, kind, unit and meaning.
    """
    return _read("columns")


def problems(path: Path) -> list[str]:
    """Compare a CSV file of results with the dictionary.

    Args:
        path: The file.

    Returns:
        One sentence for each column that is unknown, appears twice, or holds a value of another
        kind.
    """
    import pandas as pd

    table = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)
    names = table.iloc[0].tolist()
    found = [f"{path.name} has two columns {name!r}." for name in _twice(names)]
    for position, name in enumerate(names):
        column = _column(name)
        if column is None:
            found.append(f"{path.name} has the column {name!r}, which columns.csv does not list.")
            continue
        kind, values = column[0], table.iloc[1:, position]
        wrong = next((v for v in values if v and not KINDS[kind].fullmatch(v)), None)
        if wrong is not None:
            found.append(f"{path.name} has {wrong!r} in {name}, whose kind is {kind}.")
    return found


def unused(paths: Iterable[Path]) -> list[str]:
    """List the names that no file has, with or without a prefix: leftovers of former tables.

    Args:
        paths: CSV files.

    Returns:
        Names of columns.csv, in their order.
    """
    import pandas as pd

    found: set[str] = set()
    for path in paths:
        found |= {entry for name in pd.read_csv(path, nrows=0) if (entry := _entry(name))}
    return [name for name in _columns() if name not in found]


def as_markdown(tables: Iterable[str]) -> str:
    """Write the dictionary for readers of the results folder.

    Args:
        tables: Names of the tables that the folder holds.

    Returns:
        Markdown: the tables with their titles, then the names with kind, unit and meaning.
    """
    lines = [
        "# Results",
        "",
        "Tables, figures and verdicts as the notebooks and benchmarks wrote them. This page, the",
        "data dictionary, is written by `deblurlib reproduce` from `deblurlib/dictionary`.",
        "Beside each table, `NAME.csv.origin.json` says where its numbers come from, and its",
        "`headings` what the notebook calls the columns. Numbers have all their digits. A cell is",
        "empty where nothing was measured or printed.",
        "",
        "`tables/ablations_long.csv` and `tables/ablations.csv` stack all ablation tables;",
        "`deblurlib.ablations.load()` reads the former.",
        "",
        "## Tables",
        "",
        "| file in `tables/` | what it shows |",
        "|---|---|",
        *(f"| `{table}.csv` | {title_of(table)} |" for table in sorted(tables)),
        "",
        "## Columns",
        "",
        *(f"- `{prefix}_NAME`: NAME, {words}" for prefix, words in PREFIXES.items()),
        "- `*` in a name stands for a part that varies",
        "",
        "| name | kind | unit | meaning |",
        "|---|---|---|---|",
    ]
    table = columns().assign(name=lambda rows: "`" + rows.name + "`")
    return "\n".join(lines) + "\n" + markdown_rows(table)


def markdown_rows(table: "pd.DataFrame") -> str:
    """Format the rows of a table of texts in Markdown, without a head.

    Args:
        table: The table.

    Returns:
        One line per row.
    """
    rows = ([str(cell).replace("|", r"\|") for cell in row] for row in table.to_numpy())
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _column(name: str) -> tuple[str, str, str] | None:
    """Kind, unit and meaning of a name; None for an unknown one."""
    entry = _entry(name)
    return None if entry is None else _columns()[entry]


def _entry(name: str) -> str | None:
    """The line of columns.csv that describes a name; None for an unknown one."""
    if name in _columns():
        return name
    found = next((n for n in _columns() if "*" in n and fnmatchcase(name, n)), None)
    for prefix in PREFIXES:
        if found is None and name.startswith(f"{prefix}_"):
            found = _entry(name.removeprefix(f"{prefix}_"))
    return found


def _read(name: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)


@functools.cache
def _columns() -> dict[str, tuple[str, str, str]]:
    rows = _read("columns").itertuples(index=False)
    return {name: (kind, unit, meaning) for name, kind, unit, meaning in rows}


@functools.cache
def _titles() -> dict[str, str]:
    return dict(_read("tables").itertuples(index=False, name=None))


@functools.cache
def _headings() -> list[tuple[str, re.Pattern[str], str]]:
    """Pattern of the table, of the heading, and the name; the most specific first."""
    rows = [
        (table, re.compile(re.escape(heading).replace(r"\*", "(.+)")), name)
        for table, heading, name in _read("headings").itertuples(index=False)
    ]
    return sorted(rows, key=lambda row: ("*" in row[0], row[1].groups, row[0] == "*"))


def _slug(words: str) -> str:
    """Lower-case ASCII words joined by underscores.

    >>> _slug("DIS medium"), _slug("0.005"), _slug("Farnebäck")
    ('dis_medium', '0_005', 'farneback')
    """
    plain = words.lower().replace("ä", "a").replace("ö", "o").replace("ü", "u")
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
