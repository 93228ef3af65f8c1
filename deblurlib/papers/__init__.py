"""What was printed: every table of the four papers as CSV, and the list of all their numbered items."""

from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent


def table(name: str) -> pd.DataFrame:
    """A printed table, e.g. table("svdn_table2"): reported values, none of them measured here."""
    path = FOLDER / "tables" / f"{name}.csv"
    if not path.is_file():
        raise ValueError(f"There is no printed table {name!r}: choose one of {', '.join(list_tables())}.")
    return pd.read_csv(path)


def list_tables() -> list[str]:
    """Names of all printed tables."""
    return sorted(path.stem for path in (FOLDER / "tables").glob("*.csv"))


def printed_on_gopro() -> pd.DataFrame:
    """What the four main tables print for GoPro's test set: paper, method (one name, whoever prints it), printed, psnr, ssim."""
    methods, found = pd.read_csv(FOLDER / "methods.csv"), []
    for name, rows in methods.groupby("table", sort=False):
        lines = table(name)
        lines = lines.rename(columns={lines.columns[0]: "printed", "psnr_db": "psnr"})
        found.append(rows.merge(lines[["printed", "psnr", "ssim"]], on="printed", validate="one_to_one"))
    return pd.concat(found, ignore_index=True)[["paper", "method", "printed", "psnr", "ssim"]]


def items() -> pd.DataFrame:
    """Every numbered equation, figure, table and algorithm of the four papers."""
    return pd.read_csv(FOLDER / "items.csv", dtype=str)
