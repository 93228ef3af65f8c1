"""The rule behind each verdict, in words for readers of the report."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from ..analysis.significance import ALPHA
from ..analysis.verdicts import GATES, HALF, NEGLIGIBLE, TRAININGS

_SIDES = {"+": "above", "-": "below"}


def rule_in_words(claim: pd.Series) -> str:
    """Explain from what the verdict of a claim follows.

    Args:
        claim: A row of `papers.claims`.

    Returns:
        Sentences: what decides, what must have been learned, and since when the rule holds.
    """
    parts = [_decision(claim)]
    gates = [GATES[name] for name in claim.gate.split()]
    if gates:
        needs = [f"{gate.name} of at least {gate.least:g} {gate.unit}" for gate in gates]
        parts.append(f"Judged only after learning: {', '.join(needs)}.")
    if claim.trainings:
        parts.append(f"Needs {TRAININGS} or more trainings of each network.")
    return " ".join([*parts, f"Rule of {claim.dated}."])


def meanings(rule: Callable[..., Any]) -> dict[str, str]:
    """Read what each verdict means from the table in the description of the rule.

    Args:
        rule: `analysis.verdicts.verdict`.

    Returns:
        The meaning by verdict.
    """
    table = re.findall(r"^ *=+ +=+$(.*?)^ *=+ +=+$", rule.__doc__ or "", re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in table[0].splitlines() if table else []:
        first = re.match(r" {4}(\S+(?: \S+)*) {2,}(.+)", line)
        if first:
            name = first[1]
            found[name] = first[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _decision(claim: pd.Series) -> str:
    if claim.rule == "exact":
        return "A statement that holds or does not."
    if claim.rule == "needs GoPro":
        return "Only GoPro's test set decides it."
    negligible = claim.negligible if pd.notna(claim.negligible) else NEGLIGIBLE * claim.margin
    within = f"within ±{negligible:.3g} {claim.unit}".strip()
    if claim.rule == "equivalence":
        return f"Reproduced if the whole 95 % interval is {within}, contradicted if it is outside."
    text = f"Reproduced if the 95 % interval is {_SIDES[claim.direction]} 0 with p < {ALPHA:g}"
    if pd.notna(claim.margin):
        text += f", beyond {HALF:g} of the printed {claim.margin:g} {claim.unit} and reaching it"
    text += "; contradicted if it is on the other side"
    return text + (f"; no effect if it is {within}." if pd.notna(negligible) else ".")
