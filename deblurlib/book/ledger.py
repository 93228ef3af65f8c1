"""The claims ledger: what each notebook measured for a claim of a paper, and the verdict that follows by rule.

results/ledger/NN_ID.json holds one measurement, equal to the byte between two equal runs; NN_ID.origin.json beside it says on
what it was measured.
"""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from ..analysis.significance import holm, verdict
from ..papers import claims
from ..results import environment, write_atomically

RECORDED = ("value", "low", "high", "p", "holds", "seeds", "note", "preset", "seed", "data")


def record(
    lesson, id: str, value, interval=None, p=None, *, holds=None, seeds=None, note: str = ""
) -> pd.DataFrame:
    """Write what `lesson` measured for the claim `id` to its results folder; return it as a row to show.

    value: the number that the claim's `test` in papers/claims.csv asks for, in its unit. interval and p: of a difference or
    a correlation, as `statistics.paired_bootstrap` and `spearman_interval` give them. holds: whether an exact statement is
    true; None with a note that says why where the measurement does not decide, and for claims about GoPro on other data.
    seeds: for a claim that compares trainings, and for no other, how often each was repeated; a single seed decides nothing.
    The verdict shown is that of the claim alone; `ledger` corrects for the other claims of the same table.

    Raises ValueError for an unknown claim, one of another notebook, or a measurement that its rule cannot judge.
    """
    claim = _claim(id)
    if lesson.name != claim.notebook:
        raise ValueError(
            f"Claim {id} belongs to notebook {claim.notebook}, not {lesson.name}: record it there, or change its notebook in "
            "papers/claims.csv."
        )
    row = {
        "id": id,
        "notebook": lesson.name,
        "preset": lesson.preset.name,
        "seed": lesson.seed,
        "data": lesson.data_name,
        "value": _number(value, f"The value of {id}"),
        **_uncertainty(claim, interval, p),
        "holds": _truth(claim, holds, note, lesson.data),
        "seeds": _seeds(claim, seeds),
        "note": note,
    }
    origin = {"device": lesson.device.type, **environment()}
    for path, content in zip(_paths(lesson.results, claim), (row, origin), strict=True):
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return readable(_judge(pd.DataFrame([claim.to_dict() | row])))


def ledger(results: str | Path, notebook: str | None = None) -> pd.DataFrame:
    """Every claim of papers/claims.csv with what was recorded below `results` and the verdict; one row a claim.

    Adds value, low, high, p, p_holm, holds, seeds, note, preset, seed, data and verdict, empty where nothing was recorded.
    p_holm is corrected within a table: over the recorded claims that share paper and `where`. notebook: the claims of that
    one alone, as if no other had run, so that it shows the same whatever else is in the folder.
    """
    rows = claims()
    rows = rows if notebook is None else rows[rows.notebook == notebook]
    return _judge(pd.DataFrame([row.to_dict() | _read(results, row) for _, row in rows.iterrows()]))


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of a ledger to show: id, claim, where, printed and ours as text with unit and interval, verdict, note."""
    shown = rows[["id", "claim", "where"]].copy()
    shown["printed"] = [_with_unit(row.printed, row.unit) for _, row in rows.iterrows()]
    shown["ours"] = [_ours(row) for _, row in rows.iterrows()]
    shown["verdict"] = rows.verdict
    shown["note"] = [_note(row.note, row.seeds) for _, row in rows.iterrows()]
    return shown.reset_index(drop=True)


def _judge(rows: pd.DataFrame) -> pd.DataFrame:
    kinds = dict.fromkeys(("value", "low", "high", "p"), float) | dict.fromkeys(
        ("seeds", "seed"), "Int64"
    )
    rows = rows.astype(kinds).assign(p_holm=np.nan)
    for _, table in rows[rows.p.notna()].groupby(["paper", "where"]):
        rows.loc[table.index, "p_holm"] = holm(table.p)
    rows["verdict"] = [
        verdict(
            row.rule,
            value=None if np.isnan(row.value) else row.value,
            interval=(row.low, row.high),
            p=row.p_holm,
            holds=row.holds,
            direction=row.direction,
            margin=row.margin,
            seeds=None if pd.isna(row.seeds) else row.seeds,
        )
        for _, row in rows.iterrows()
    ]
    return rows


def _claim(id: str) -> pd.Series:
    rows = claims().set_index("id", drop=False)
    if id not in rows.index:
        raise ValueError(
            f"There is no claim {id!r}: papers/claims.csv has V1 to V17, S1 to S18, R1 to R21 and C1 to C17."
        )
    return rows.loc[id]


def _paths(results, claim) -> tuple[Path, Path]:
    stem = f"{claim.notebook}_{claim.id}"
    return Path(results) / "ledger" / f"{stem}.json", Path(
        results
    ) / "ledger" / f"{stem}.origin.json"


def _read(results, claim) -> dict:
    path = _paths(results, claim)[0]
    if not path.is_file():
        return dict.fromkeys(RECORDED)
    try:
        found = json.loads(path.read_text())
        return {column: found[column] for column in RECORDED}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} is no record of a claim: delete it and run notebook {claim.notebook} again."
        ) from None


def _uncertainty(claim, interval, p) -> dict:
    if claim.rule in ("difference", "correlation") and (interval is None or p is None):
        raise ValueError(
            f"Claim {claim.id} is judged by its {claim.rule}: give an interval and a p value."
        )
    low, high = (
        (None, None)
        if interval is None
        else (_number(end, f"The interval of {claim.id}") for end in interval)
    )
    p = None if p is None else _number(p, f"The p value of {claim.id}")
    if low is not None and low > high or p is not None and not 0 <= p <= 1:
        raise ValueError(
            f"Claim {claim.id} has interval ({low}, {high}) and p {p}: give (low, high) and p between 0 and 1."
        )
    return {"low": low, "high": high, "p": p}


def _truth(claim, holds, note, data) -> bool | None:
    if claim.rule == "exact" and holds is None and not note:
        raise ValueError(
            f"Claim {claim.id} is exact: say whether it holds, or in a note why that cannot be decided."
        )
    if claim.rule == "needs GoPro" and holds is not None and data is None:
        raise ValueError(
            f"Claim {claim.id} speaks of GoPro: leave `holds` out for what was measured on rendered scenes."
        )
    return None if holds is None else bool(holds)


def _seeds(claim, seeds) -> int | None:
    if claim.trainings != (seeds is not None):
        wanted = (
            "compares trainings: say with `seeds`"
            if claim.trainings
            else "compares no trainings: do not say"
        )
        raise ValueError(f"Claim {claim.id} {wanted} how often each was repeated.")
    return None if seeds is None else int(seeds)


def _number(value, what) -> float:
    number = float(f"{float(value):.6g}")
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number}: only finite numbers can be judged.")
    return number


def _with_unit(text, unit) -> str:
    return f"{text} {unit}".strip() if text else ""


def _note(note, seeds) -> str:
    repeated = "" if pd.isna(seeds) else "a single seed" if seeds == 1 else f"{seeds} seeds"
    return "; ".join(text for text in (note, repeated) if text and not pd.isna(text))


def _ours(row) -> str:
    if np.isnan(row.value):
        return ""
    interval = "" if np.isnan(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    return _with_unit(f"{row.value:.3g}{interval}", row.unit)
