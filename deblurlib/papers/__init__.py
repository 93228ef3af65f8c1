"""The printed content of the four papers: tables, numbered items, claims and errata."""

from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent


def table(name: str) -> pd.DataFrame:
    """Read a printed table; all of its values are reported, none is measured here.

    >>> table("svdn_table2")["psnr_db"].tolist()
    [28.34, 29.01, 29.57, 29.81]

    Args:
        name: Its name, such as "svdn_table2"; see `list_tables`.

    Returns:
        The table as printed, one row per printed row.

    Raises:
        ValueError: If the table is unknown.
    """
    path = FOLDER / "tables" / f"{name}.csv"
    if not path.is_file():
        raise ValueError(
            f"There is no printed table {name!r}: choose one of {', '.join(list_tables())}."
        )
    return pd.read_csv(path)


def list_tables() -> list[str]:
    """List the names of all printed tables.

    Returns:
        The names in alphabetical order.
    """
    return sorted(path.stem for path in (FOLDER / "tables").glob("*.csv"))


def metrics() -> pd.DataFrame:
    """List the metrics of `deblurlib.evaluation.METRICS`.

    Returns:
        One row per preset: its unit, its formula, whose published values it is comparable with, and
        the source of both.
    """
    return pd.read_csv(FOLDER / "metrics.csv", dtype=str, keep_default_na=False)


def ssim_preset(name: str) -> str | None:
    """Tell with which metric the SSIM of a printed table was made, as far as that is known.

    >>> ssim_preset("svdn_table2"), ssim_preset("aspdc_table1")
    ('ssim-matlab-rgb3d', None)

    Args:
        name: Name of the table; see `list_tables`.

    Returns:
        A preset of `metrics`; None if the table has no SSIM, or several, or the settings are
        unknown. No paper states its settings: `ssim.csv` in this folder gives the reason for each.
    """
    rows = pd.read_csv(FOLDER / "ssim.csv", dtype=str, keep_default_na=False).set_index("table")
    return rows.preset.get(name) or None


def devices() -> pd.DataFrame:
    """List the cards on which the papers timed their networks.

    Returns:
        One row per paper, with the card's peak in 10^12 single-precision operations per second.
    """
    return pd.read_csv(FOLDER / "devices.csv")


def runtimes() -> pd.DataFrame:
    """List the printed running times for an image of 1280 x 720.

    >>> runtimes()["ms"].tolist()
    [1400.0, 10.0, 38.0, 280.0]

    Returns:
        The columns of `devices`, and ms.
    """
    printed = {
        "svrnn": 1e3 * table("svrnn_table3").set_index("method").runtime_s["proposed"],
        "svdn": 1e3 * table("svdn_table1").set_index("method").runtime_s["Ours(B)"],
        "radn": float(table("radn_table1").set_index("model").runtime_ms["RADN(Final)"]),
        "aspdc": 1e3 * table("aspdc_table3").set_index("method").runtime_s["Ours"],
    }
    return devices().assign(ms=lambda rows: rows.paper.map(printed).round(6))


def printed_on_gopro() -> pd.DataFrame:
    """Collect the printed results of the four main tables on GoPro's test set.

    Returns:
        Columns paper, method (one name, whichever paper prints it), printed, psnr_db and ssim.
    """
    methods, found = pd.read_csv(FOLDER / "methods.csv"), []
    for name, rows in methods.groupby("table", sort=False):
        lines = table(name)
        lines = lines.rename(columns={lines.columns[0]: "printed"})
        found.append(
            rows.merge(lines[["printed", "psnr_db", "ssim"]], on="printed", validate="one_to_one")
        )
    return pd.concat(found, ignore_index=True)[["paper", "method", "printed", "psnr_db", "ssim"]]


def items() -> pd.DataFrame:
    """List every numbered equation, figure, table and algorithm of the four papers.

    Returns:
        One row per item, with coverage: "full" if the book makes the same from its own
        computations, "stand-in" if from other data, shorter trainings or in part, "printed only" if
        it repeats what is printed; and the reason, as a person judged.
    """
    return pd.read_csv(FOLDER / "items.csv", dtype=str)


def claims() -> pd.DataFrame:
    """List every claim of the four papers that this book tests.

    Returns:
        One row per claim: id; kind (theorem, count, consistency of what is printed, experiment);
        claim, in our words; where it is made; repeats, the claim that says the same; test, what is
        measured; printed, the paper's value, and its unit; rule, direction, margin (the printed
        size of a difference, NaN if there is none), negligible (the largest size that counts as no
        effect, NaN for a fifth of the margin) and gate (what must have been learned), from which
        the verdict follows (see `deblurlib.analysis.verdicts.verdict`); trainings, whether it
        compares trainings, so that one seed cannot decide it; family, the claims whose p values are
        corrected together; notebook, the number of the lesson that measures it; dated, since when
        its rule holds.
    """
    rows = pd.read_csv(FOLDER / "claims.csv", dtype=str, keep_default_na=False)
    return rows.assign(
        margin=pd.to_numeric(rows.margin),
        negligible=pd.to_numeric(rows.negligible),
        trainings=rows.trainings == "yes",
    )


def rule_changes() -> pd.DataFrame:
    """List every change of a rule that was made after a measurement.

    Returns:
        Columns id, one or several claims; dated; was, the rule before; and reason.
    """
    return pd.read_csv(FOLDER / "rule_changes.csv", dtype=str)


def earlier_verdicts() -> pd.DataFrame:
    """List the verdicts of the previous edition, made by earlier rules from earlier measurements.

    Returns:
        Columns id, dated, verdict, value, low and high.
    """
    return pd.read_csv(FOLDER / "earlier_verdicts.csv")


def blind_check() -> pd.DataFrame:
    """List claims that were judged from paper and table alone, before looking at the ledger.

    Draw 1 are 15 of all claims, by `numpy.random.default_rng(2026)`; its reader had seen part of
    the ledger. Draw 2 are 15 of the measured claims, in the order of `random.Random(20261130)`;
    its reader had seen the papers, the claims, their measurements and tables, and nothing else.

    Returns:
        Columns id, draw, dated, judged, ledger (the verdict at that time), agree, remark, and
        follow up.
    """
    rows = pd.read_csv(FOLDER / "blind_check.csv", dtype=str, keep_default_na=False)
    rows.insert(5, "agree", rows.judged == rows.ledger)
    return rows


def symbols() -> pd.DataFrame:
    """Map the items of the papers to the code.

    Returns:
        Columns paper, item, and symbol: the function, class or table of variants that implements
        it.
    """
    return pd.read_csv(FOLDER / "symbols.csv", dtype=str)


def errata() -> pd.DataFrame:
    """List every mistake found in the four papers.

    Returns:
        Columns paper, where, printed, right, and the notebook that shows it.
    """
    paper, rows = "", []
    for line in (FOLDER / "errata.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            paper = line[3:]
        elif line.startswith("| ") and not line.startswith("| where"):
            rows.append([paper, *(cell.strip() for cell in line.strip("|").split("|"))])
    return pd.DataFrame(rows, columns=["paper", "where", "printed", "right", "notebook"])
