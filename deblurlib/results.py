"""Writing results together with their origin.

Tables are CSV files, each with a JSON file beside it (`NAME.csv.origin.json`); figures are PNG
files with a description. Every file is written whole or not at all, and a folder has one writer at
a time.
"""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .dictionary import name_of
from .pixels import as_unit
from .provenance import ROOT, environment
from .storage import check_writable, write_atomically

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

PUBLISHED_PRESET = "quick"  # of the tables and figures in results/


def results_folder(folder: str | Path | None = None) -> Path:
    """Choose the folder for results.

    Args:
        folder: The folder; None (or "", as notebooks pass it) for the default: the environment
            variable DEBLURLIB_RESULTS if it is set, otherwise `results` beside the package, or in
            the current folder if the package is installed without its notebooks.

    Returns:
        An absolute path.
    """
    beside = ROOT / "results" if (ROOT / "notebooks").is_dir() else Path.cwd() / "results"
    return Path(str(folder or os.environ.get("DEBLURLIB_RESULTS") or beside)).resolve()


def book_folder(
    preset: str,
    data: Path | None = None,
    variant: str | None = None,
    results: str | Path | None = None,
) -> Path:
    """Choose the folder for the results of lessons, so that other settings never replace them.

    Args:
        preset: Name of the preset.
        data: Root of a real data set; None for the bundled scenes.
        variant: Its blur; None where it has only one.
        results: The folder that the user chose; None or "" for none.

    Returns:
        The folder that the user chose; else the default folder (see `results_folder`) for the
        preset that is published, and one below it, such as smoke or quick-GOPRO_Large, for others.
    """
    if results or (preset == PUBLISHED_PRESET and data is None):
        return results_folder(results)
    settings = [preset, data and data.name, data and variant]
    return results_folder() / "-".join(str(each) for each in settings if each)


def data_folder(data: str | Path | None) -> Path | None:
    """Resolve the root of a data set.

    Args:
        data: The folder; None (or "", as notebooks pass it) for the bundled scenes.

    Returns:
        An absolute path, or None for the bundled scenes.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    if not data:
        return None
    folder = Path(str(data)).expanduser()  # papermill turns a folder named 2020 into a number
    if not folder.is_dir():
        raise FileNotFoundError(
            f"The data folder {data} does not exist: give the root of a data set, or '' for the "
            "bundled scenes."
        )
    return folder.resolve()


def whole_seed(seed: int) -> int:
    """Check a seed.

    Args:
        seed: A whole number that every random generator accepts, 0 to 2**32 - 1.

    Returns:
        The same seed.

    Raises:
        ValueError: For anything else.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}: give a whole number from 0 to {2**32 - 1}.")
    return seed


def save_table(table: "pd.DataFrame", path: Path, **origin: object) -> "pd.DataFrame":
    """Write a table as CSV and, beside it, a JSON file that records its origin.

    The CSV holds nothing that varies between equal runs, so they write identical bytes. Numbers
    have all their digits, and columns the names of the data dictionary; the JSON file keeps the
    headings that differ from them.

    Args:
        table: The table; its index is not written. Headings that `deblurlib.dictionary` does not
            know stay as they are.
        path: The CSV file.
        origin: Preset, seed, data and the like; the versions of the libraries and the git commit
            are added.

    Returns:
        The same table.
    """
    text = as_csv(table, path.stem)
    names = {name_of(heading, path.stem): str(heading) for heading in table}
    headings = {name: heading for name, heading in names.items() if name != heading}
    if headings:
        origin = {**origin, "headings": headings}
    sidecar = {**origin, "sha256": hashlib.sha256(text.encode()).hexdigest(), **environment()}
    write_atomically(origin_of(path), json.dumps(sidecar, indent=1, default=str) + "\n")
    write_atomically(path, text)  # last: it is there only if its origin is
    return table


def read_table(path: Path) -> "pd.DataFrame":
    """Read a table that `save_table` wrote.

    Args:
        path: The CSV file; without the JSON file beside it, its names stay.

    Returns:
        The table with its headings.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    import pandas as pd

    table, origin = pd.read_csv(path), origin_of(path)
    recorded = json.loads(origin.read_text()).get("headings", {}) if origin.is_file() else {}
    return table.rename(columns=recorded)


def as_csv(table: "pd.DataFrame", name: str, *, header: bool = True) -> str:
    """Format a table as `save_table` writes it.

    Args:
        table: The table; its index is left out.
        name: Name of its file without the suffix.
        header: Whether the names of the columns come first.

    Returns:
        Text in the format CSV.
    """
    return str(
        table.rename(columns=lambda heading: name_of(heading, name)).to_csv(
            index=False, header=header, float_format=_as_text, lineterminator="\n"
        )
    )


def check_new_table(path: Path, *, overwrite: bool = False) -> None:
    """Check before the work that a table can be written.

    Args:
        path: The CSV file that will be written; missing folders above it will be created.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        ValueError: If it is a folder, does not end in .csv, exists, or its folder is not writable.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the name of a CSV file.")
    if path.suffix.lower() != ".csv":
        raise ValueError(f"{path} would hold a table: give a name that ends in .csv.")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already: choose another name, or add --overwrite.")
    check_writable(path.parent)


def origin_of(path: Path) -> Path:
    """Name the file that records the origin of a table.

    Args:
        path: The CSV file.

    Returns:
        NAME.csv.origin.json beside it, a name that no other program uses.
    """
    return path.with_name(f"{path.name}.origin.json")


def _as_text(number: float) -> str:
    """The shortest text that reads back as the same number, whole ones without a point."""
    whole = number.is_integer() and abs(number) < 2**53
    return f"{number:.0f}" if whole else repr(float(number))


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as a PNG of 100 dpi without a date, so that equal figures are equal files.

    The PNG's field "Description" describes the figure in words for readers who cannot see it.

    Args:
        figure: The figure.
        path: The PNG file.

    Returns:
        The same path.
    """
    buffer = io.BytesIO()
    metadata = {"Software": None, "Description": describe(figure)}
    figure.savefig(buffer, format="png", dpi=100, metadata=metadata)
    return write_atomically(path, buffer.getvalue())


def save_picture(picture: "np.ndarray", path: Path) -> Path:
    """Write an image as an 8-bit PNG.

    Args:
        picture: (H, W, 3) array, uint8, uint16 or floats in [0, 1].
        path: The PNG file.

    Returns:
        The same path.

    Raises:
        ValueError: If the array has another type or range.
    """
    from PIL import Image

    Image.fromarray((255 * as_unit(picture)).round().astype("uint8")).save(
        buffer := io.BytesIO(), "PNG", optimize=True
    )
    return write_atomically(path, buffer.getvalue())


def describe(figure: "Figure") -> str:
    """Describe a figure in words.

    Args:
        figure: The figure.

    Returns:
        Its title, then title, axis labels and legend of each panel.
    """
    panels = []
    for axes in figure.axes:
        words = [axes.get_title(place) for place in ("left", "center", "right")]
        labels = {"x": axes.get_xlabel(), "y": axes.get_ylabel()}
        words += [f"{name}: {label}" for name, label in labels.items() if label]
        names = axes.get_legend_handles_labels()[1] if axes.get_legend() else []
        words += [f"shown: {', '.join(names)}"] if names else []
        panels.append(", ".join(word for word in words if word))
    parts = [figure.get_suptitle(), *panels]
    return "; ".join(" ".join(part.split()) for part in parts if part)
