"""The claims ledger: what each notebook measured for a claim of a paper, and its verdict.

results/ledger/NN_ID.json holds one measurement, byte-identical between equal runs.
NN_ID.origin.json beside it names the device and the versions it was measured with.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat

import numpy as np
import pandas as pd

from ..analysis.significance import holm
from ..analysis.verdicts import GATES, KINDS, VERDICTS, has_learned, verdict
from ..papers import claims, earlier_verdicts, rule_changes
from ..provenance import environment
from ..storage import write_atomically

if TYPE_CHECKING:
    import torch

SIGNED = ("difference", "correlation")  # rules with an interval and a p value
RECORDED = (
    "value",
    "low",
    "high",
    "p",
    "holds",
    "seeds",
    "learned",
    "note",
    "preset",
    "seed",
    "data",
)


class Named(Protocol):
    """Anything with a name, such as a preset."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Measuring(Protocol):
    """The interface of a lesson that records a measurement."""

    @property
    def name(self) -> str:
        """Number of the lesson, such as "01"."""
        ...

    @property
    def preset(self) -> Named:
        """The preset of the run."""
        ...

    @property
    def data(self) -> Path | None:
        """Root of a real data set; None for the bundled scenes."""
        ...

    @property
    def data_name(self) -> str:
        """Name of the data set for readers."""
        ...

    @property
    def seed(self) -> int:
        """Seed of all random numbers."""
        ...

    @property
    def device(self) -> "torch.device":
        """Where networks ran."""
        ...

    @property
    def results(self) -> Path:
        """The results folder."""
        ...


def record(  # noqa: PLR0913 - one argument per column of the record
    lesson: Measuring,
    id: str,
    value: SupportsFloat,
    interval: tuple[SupportsFloat, SupportsFloat] | None = None,
    p: SupportsFloat | None = None,
    *,
    holds: bool | None = None,
    seeds: int | None = None,
    learned: Mapping[str, SupportsFloat] | None = None,
    note: str = "",
) -> pd.DataFrame:
    """Write a lesson's measurement for a claim to its results folder.

    The verdict shown counts the p values of all other claims of its family as 1; `ledger` reads
    those that the same lesson recorded.

    Args:
        lesson: The lesson that measured it.
        id: Identifier of the claim in papers/claims.csv.
        value: The number that the claim's `test` asks for, in its unit.
        interval: Lower and upper end of its 95 % interval, for all rules but exact ones, as
            `paired_bootstrap` and `spearman_interval` return it.
        p: Its p value, likewise; not needed for an equivalence.
        holds: Whether an exact statement is true; None, with a note that says why, if the
            measurement does not decide, and for claims about GoPro measured on other data.
        seeds: How often each training was repeated; only for claims that compare trainings. A
            single seed decides nothing.
        learned: What the gates of the claim ask for, by their names in `verdicts.GATES`.
        note: A remark for readers.

    Returns:
        The claim with its verdict, one row for display.

    Raises:
        ValueError: If the claim is unknown or belongs to another notebook, or if its rule cannot
            judge the measurement.
    """
    claim = _claim(id)
    if lesson.name != claim.notebook:
        raise ValueError(
            f"Claim {id} belongs to notebook {claim.notebook}, not {lesson.name}: record it there, "
            "or change its notebook in papers/claims.csv."
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
        "learned": _learned(claim, learned or {}),
        "note": note,
    }
    origin = {"device": lesson.device.type, **environment()}
    for path, content in zip(_paths(lesson.results, claim), (row, origin), strict=True):
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return readable(_judge(pd.DataFrame([claim.to_dict() | row])))


def ledger(results: str | Path, notebook: str | None = None) -> pd.DataFrame:
    """Join every claim of papers/claims.csv with its record and its verdict.

    Args:
        results: The results folder.
        notebook: Number of a notebook: only its claims. None for all claims.

    Returns:
        One row per claim. It adds value, low, high, p, p_holm, holds, seeds, learned, note, preset,
        seed, data and verdict, which are empty where nothing was recorded. p_holm is Holm's over
        all claims of the family, measured or not; those of other lessons count as p = 1, so that a
        claim has the same verdict in its lesson and in the ledger, regardless of what else the
        folder holds. That errs towards doubt.

    Raises:
        ValueError: If a record is damaged.
    """
    rows = claims()
    rows = rows if notebook is None else rows[rows.notebook == notebook]
    return _judge(pd.DataFrame([row.to_dict() | _read(results, row) for _, row in rows.iterrows()]))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Count verdicts by the kind of claim; claims that repeat another one are left out.

    Args:
        rows: The result of `ledger`.

    Returns:
        One row per kind, and one for all: claims, and a column for each verdict that occurs.
    """
    once = rows[rows.repeats == ""]
    counts = pd.crosstab(once.kind, once.verdict, margins=True, margins_name="all")
    order = [kind for kind in (*KINDS, "all") if kind in counts.index]
    columns = ["all", *(name for name in VERDICTS if name in counts)]
    counts = counts.loc[order, columns].rename(columns={"all": "claims"})
    return counts.rename_axis(columns=None).reset_index()


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare verdicts with those of the previous edition.

    Args:
        rows: The result of `ledger`.

    Returns:
        One row per claim whose verdict is another now: id, before, now, why, and by: "data" where
        an unchanged rule met another measurement, "rule" where a changed rule judged the same one,
        and "rule and data" otherwise.
    """
    both = rows.merge(earlier_verdicts(), on="id", suffixes=("", "_before"))
    both = both[both.verdict != both.verdict_before]
    moved = ~np.isclose(both.value, both.value_before, rtol=1e-4, equal_nan=True)
    stricter = both.dated > both.dated_before
    by = np.select([stricter & moved, stricter], ["rule and data", "rule"], "data")
    why = [_why(row) for _, row in both.iterrows()]
    columns = {"id": both.id, "before": both.verdict_before, "now": both.verdict, "by": by}
    return pd.DataFrame(columns | {"why": why}).reset_index(drop=True)


def _why(row: pd.Series) -> str:
    """The sentence that explains another verdict: what changed for the claim, or what decided."""
    reasons = [
        change.reason
        for change in rule_changes().itertuples()
        if row.id in change.id.split(", ") and change.dated > row.dated_before
    ]
    deciding = {
        "not measured": "Nothing was recorded.",
        "not learned enough": f"The gate is closed: {_gates(row)}.",
        "no effect at this scale": "The interval lies within the size that counts as none.",
        "direction only": "The interval does not exclude half of the printed difference, or ends "
        "below all of it.",
        "inconclusive": "The interval, over photographs and scenes, contains 0.",
    }
    return " ".join([*reasons, deciding.get(row.verdict, f"It is {_ours(row) or 'recorded'} now.")])


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """Reduce rows of the ledger to the columns for readers.

    Args:
        rows: Rows of `ledger`.

    Returns:
        Columns id, kind, claim, where, printed, ours, verdict and note; printed and ours are texts
        with unit and interval.
    """
    shown = rows[["id", "kind", "claim", "where"]].copy()
    shown["printed"] = [_with_unit(row.printed, row.unit) for _, row in rows.iterrows()]
    shown["ours"] = [_ours(row) for _, row in rows.iterrows()]
    shown["verdict"] = rows.verdict
    shown["note"] = [_note(row) for _, row in rows.iterrows()]
    return shown.reset_index(drop=True)


def _judge(rows: pd.DataFrame) -> pd.DataFrame:
    """Add p_holm and verdict to claims with their records."""
    numbers: dict[str, Any] = dict.fromkeys(("value", "low", "high", "p"), float)
    rows = rows.astype(numbers | {"seeds": "Int64", "seed": "Int64"}).assign(p_holm=np.nan)
    sizes = claims().family.value_counts()
    for (family, _), group in rows[rows.p.notna()].groupby(["family", "notebook"]):
        others = max(int(sizes.get(family, 0)) - len(group), 0)
        rows.loc[group.index, "p_holm"] = holm([*group.p, *[1.0] * others])[: len(group)]
    rows["verdict"] = [
        verdict(
            row.rule,
            value=None if np.isnan(row.value) else row.value,
            interval=(row.low, row.high),
            p=row.p_holm,
            holds=row.holds,
            direction=row.direction or "+",
            margin=row.margin,
            negligible=row.negligible,
            learned=_passes(row),
            seeds=None if pd.isna(row.seeds) else row.seeds,
        )
        for _, row in rows.iterrows()
    ]
    return rows


def _passes(row: pd.Series) -> bool | None:
    """Whether a recorded claim passes its gates."""
    if not isinstance(row.learned, dict):
        return None
    try:
        return has_learned(row.gate, row.learned)
    except ValueError as error:
        raise ValueError(f"Claim {row.id}: {error} Run notebook {row.notebook} again.") from None


def _claim(id: str) -> pd.Series:
    rows = claims().set_index("id", drop=False)
    if id not in rows.index:
        raise ValueError(
            f"There is no claim {id!r}: papers/claims.csv has V1 to V17, S1 to S18, R1 to R21 and "
            "C1 to C17."
        )
    return rows.loc[id]


def _paths(results: str | Path, claim: pd.Series) -> tuple[Path, Path]:
    """The files of the measurement and of its origin."""
    folder, stem = Path(results) / "ledger", f"{claim.notebook}_{claim.id}"
    return folder / f"{stem}.json", folder / f"{stem}.origin.json"


def _read(results: str | Path, claim: pd.Series) -> dict[str, Any]:
    """The record of a claim; None in every column if there is none."""
    path = _paths(results, claim)[0]
    if not path.is_file():
        return dict.fromkeys(RECORDED)
    try:
        found = json.loads(path.read_text())
        return {column: found[column] for column in RECORDED}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{path} is not a valid record of a claim: delete it and run notebook "
            f"{claim.notebook} again."
        ) from None


def _uncertainty(
    claim: pd.Series,
    interval: tuple[SupportsFloat, SupportsFloat] | None,
    p: SupportsFloat | None,
) -> dict[str, float | None]:
    if claim.rule in SIGNED and (interval is None or p is None):
        raise ValueError(
            f"Claim {claim.id} is judged by its {claim.rule}: give an interval and a p value."
        )
    if claim.rule == "equivalence" and interval is None:
        raise ValueError(f"Claim {claim.id} is judged by its interval: give one.")
    low = high = probability = None
    if interval is not None:
        low, high = (_number(end, f"The interval of {claim.id}") for end in interval)
    if p is not None:
        probability = _number(p, f"The p value of {claim.id}")
    disordered = low is not None and high is not None and low > high
    if disordered or (probability is not None and not 0 <= probability <= 1):
        raise ValueError(
            f"Claim {claim.id} has interval ({low}, {high}) and p {probability}: give the lower "
            "end before the upper one, and p between 0 and 1."
        )
    return {"low": low, "high": high, "p": probability}


def _truth(claim: pd.Series, holds: bool | None, note: str, data: Path | None) -> bool | None:
    if claim.rule == "exact" and holds is None and not note:
        raise ValueError(
            f"Claim {claim.id} is exact: say whether it holds, or explain in a note why that "
            "cannot be decided."
        )
    if claim.rule == "needs GoPro" and holds is not None and data is None:
        raise ValueError(
            f"Claim {claim.id} is about GoPro: omit `holds` for a measurement on rendered scenes."
        )
    return None if holds is None else bool(holds)


def _seeds(claim: pd.Series, seeds: int | None) -> int | None:
    if claim.trainings and seeds is None:
        raise ValueError(
            f"Claim {claim.id} compares trainings: say with `seeds` how often each was repeated."
        )
    if not claim.trainings and seeds is not None:
        raise ValueError(f"Claim {claim.id} does not compare trainings: omit `seeds`.")
    return None if seeds is None else int(seeds)


def _learned(claim: pd.Series, learned: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """What the gates of a claim ask for; an error if something is missing."""
    found = {name: _number(value, f"The {name} of {claim.id}") for name, value in learned.items()}
    try:
        has_learned(claim.gate, found)
    except ValueError as error:
        raise ValueError(f"Claim {claim.id}: {error}") from None
    return {name: found[name] for name in claim.gate.split() if name in found}


def _number(value: SupportsFloat, what: str) -> float:
    number = float(f"{float(value):.6g}")
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number}: only finite numbers can be judged.")
    return number


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".strip() if text else ""


def _note(row: pd.Series) -> str:
    seeds = row.seeds
    repeated = "" if pd.isna(seeds) else "a single seed" if seeds == 1 else f"{seeds} seeds"
    gates = _gates(row)
    texts = (row.note, repeated, gates and f"learned: {gates}")
    return "; ".join(text for text in texts if text and not pd.isna(text))


def _gates(row: pd.Series) -> str:
    """What was measured for the gates of a claim, in words."""
    learned = row.learned if isinstance(row.learned, dict) else {}
    return ", ".join(f"{name} {value:.3g} {GATES[name].unit}" for name, value in learned.items())


def _ours(row: pd.Series) -> str:
    if np.isnan(row.value):
        return ""
    interval = "" if np.isnan(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    return _with_unit(f"{row.value:.3g}{interval}", row.unit)
