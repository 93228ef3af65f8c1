"""The ablation tables as two files for pandas: one row per number, and one row per table row."""

from pathlib import Path

import pandas as pd

from ..analysis.verdicts import has_learned, verdict
from ..results import save_table
from . import ablations
from .tables import TABLES

# The row that the others of its table are compared with.
BASES = {
    "svrnn_table4": "paper",
    "svdn_table2": "base",
    "radn_table1": "radn1",
    "radn_table2": "conv6",
    "aspdc_table5": "v1",
    "aspdc_table4": "naive",
    "aspdc_table6": "lambda_0",
}


def overview() -> pd.DataFrame:
    """Compare each row of each table with the base of its table, ours beside theirs.

    Returns:
        One row per measured row: table, row, against (the base), seeds, parameters, rgb-psnr,
        gain, difference to the base with its interval and p value, the printed PSNR and difference,
        and the verdict: that of a claim that the printed difference holds.
    """
    found = [_of_table(table) for table in TABLES if not ablations.shipped(table).empty]
    return pd.concat(found, ignore_index=True)


def write(tables: Path) -> None:
    """Write ablations_long.csv and ablations.csv.

    Args:
        tables: The folder of tables in a results folder.
    """
    origin = {
        "source": "measured; the papers' values on GoPro where it says printed",
        "preset": ablations.provenance()["preset"],
        "data": ablations.provenance()["data"],
    }
    save_table(ablations.load(), tables / "ablations_long.csv", **origin)
    save_table(overview(), tables / "ablations.csv", **origin)


def _of_table(table: str) -> pd.DataFrame:
    measurements, base = ablations.shipped(table), BASES[table]
    made = ablations.beside_printed(table, ablations.summary(measurements, base))
    made = made.rename(
        columns={f"minus {base}": "difference", "gain over blurry": "gain", "p": "p_holm"}
    )
    printed = made.set_index("row")["printed psnr_db"]
    made["printed difference"] = made["printed psnr_db"] - printed.get(base, float("nan"))
    made["verdict"] = [_verdict(measurements, base, line) for line in made.to_dict("records")]
    columns = ["row", "against", "seeds", "parameters", "rgb-psnr", "gain", "difference", "low"]
    columns += ["high", "p_holm", "printed psnr_db", "printed difference", "verdict"]
    made = made.assign(against=base)[columns]
    made.insert(0, "table", table)
    return made


def _verdict(measurements: pd.DataFrame, base: str, line: dict[str, float]) -> str:
    """Judge the printed difference of a row; "" for the base and for controls of ours."""
    printed = line["printed difference"]
    if line["row"] == base or pd.isna(printed):
        return ""
    return verdict(
        "difference",
        value=line["difference"],
        interval=(line["low"], line["high"]),
        p=line["p_holm"],
        direction="+" if printed > 0 else "-",
        margin=abs(printed),
        learned=has_learned("gain", ablations.learned(measurements, [str(line["row"]), base])),
        seeds=int(line["seeds"]),
    )
