"""What notebooks record for a claim, and what the ledger makes of all records together."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from deblurlib import papers
from deblurlib.analysis.significance import VERDICTS, paired_bootstrap
from deblurlib.book import ledger as book
from deblurlib.book.ledger import ledger, readable, record
from deblurlib.book.lesson import Lesson, open_lesson
from deblurlib.experiments.presets import get_preset

STRONG = {"value": 0.7, "interval": (0.5, 0.9), "p": 0.001, "seeds": 3}
WEAK = {"value": 0.1, "interval": (0.01, 0.2), "p": 0.03, "seeds": 3}
OF_ONE_NETWORK = {"seeds": None}


@pytest.fixture
def lesson(tmp_path):
    def make(name, data=None):
        return Lesson(name, get_preset("smoke"), data, None, tmp_path, 3, torch.device("cpu"))

    return make


def verdicts(results, **options):
    return ledger(results, **options).set_index("id").verdict


def test_an_empty_ledger_has_every_claim_and_says_what_it_waits_for(tmp_path):
    rows = ledger(tmp_path)
    assert list(rows.id) == list(papers.claims().id) and len(rows) == 73
    waiting = rows.rule.map(lambda rule: "needs GoPro" if rule == "needs GoPro" else "not measured")
    assert (rows.verdict == waiting).all() and rows.value.isna().all()
    assert readable(rows).ours.eq("").all() and not readable(rows).isna().any(axis=None)


def test_a_record_is_judged_shown_and_kept_with_its_origin(lesson, tmp_path):
    shown = lesson("08").claim("S1", **STRONG)
    assert shown.to_dict("records") == [
        {
            "id": "S1",
            "claim": "Dilations of 1, 2 and 4 beat dilations of 1 at equal parameters.",
            "where": "Table 2",
            "printed": "0.67 dB",
            "ours": "0.7 [0.5, 0.9] dB",
            "verdict": "reproduced",
            "note": "3 seeds",
        }
    ]
    assert json.loads((tmp_path / "ledger" / "08_S1.json").read_text()) == {
        "id": "S1",
        "notebook": "08",
        "preset": "smoke",
        "seed": 3,
        "data": "bundled scenes",
        "value": 0.7,
        "low": 0.5,
        "high": 0.9,
        "p": 0.001,
        "holds": None,
        "seeds": 3,
        "note": "",
    }
    origin = json.loads((tmp_path / "ledger" / "08_S1.origin.json").read_text())
    assert origin["device"] == "cpu" and {"git_commit", "versions"} <= set(origin)
    row = ledger(tmp_path).set_index("id").loc["S1"]
    assert (row.value, row.low, row.high, row.preset, row.seed, row.verdict) == (
        0.7,
        0.5,
        0.9,
        "smoke",
        3,
        "reproduced",
    )


def test_equal_measurements_are_equal_bytes(lesson, tmp_path):
    path = tmp_path / "ledger" / "08_S2.json"
    differences = np.random.default_rng(0).normal(0.3, 0.1, (3, 9))
    record(lesson("08"), "S2", *paired_bootstrap(differences), seeds=len(differences))
    first = path.read_bytes()
    record(
        lesson("08"), "S2", *map(torch.tensor, paired_bootstrap(differences)), seeds=np.int64(3)
    )  # numbers of any library
    assert path.read_bytes() == first and b"commit" not in first
    assert sorted(p.name for p in path.parent.iterdir()) == ["08_S2.json", "08_S2.origin.json"]


def test_holm_corrects_within_a_table_and_over_what_was_recorded(lesson, tmp_path):
    lesson("08").claim("S3", **WEAK)
    assert verdicts(tmp_path)["S3"] == "direction only"  # p = 0.03 alone
    lesson("08").claim("S1", **STRONG | {"p": 0.04})
    rows = ledger(tmp_path).set_index("id")
    assert rows.loc[["S1", "S3"], "p_holm"].tolist() == pytest.approx([0.06, 0.06])
    assert rows.loc[["S1", "S3"], "verdict"].tolist() == ["inconclusive"] * 2
    lesson("08").claim("R3", **WEAK)  # Table 1 of another paper
    lesson("08").claim("R7", **WEAK)  # its Table 2
    rows = ledger(tmp_path).set_index("id")
    assert rows.loc[["R3", "R7"], "p_holm"].tolist() == [0.03, 0.03]
    assert (
        rows.loc["R3", "verdict"] == "reproduced" and rows.loc["R7", "verdict"] == "direction only"
    )


def test_tables_of_equal_number_in_two_papers_are_two_families(lesson, tmp_path):
    lesson("08").claim("S3", **WEAK)
    lesson("08").claim("R8", **WEAK)
    rows = ledger(tmp_path).set_index("id")
    assert rows.loc["S3", "where"] == rows.loc["R8", "where"] == "Table 2"
    assert rows.loc[["S3", "R8"], "p_holm"].tolist() == [0.03, 0.03]


def test_a_lesson_shows_its_own_claims_whatever_else_was_recorded(lesson, tmp_path):
    fifth, eighth = lesson("05"), lesson("08")
    fifth.claim("R2", **STRONG | OF_ONE_NETWORK | {"p": 0.03})
    before = fifth.claims()
    eighth.claim("R3", **WEAK)
    assert fifth.claims().equals(before) and set(before.id) == {"R2", "R20"}
    assert before.set_index("id").verdict.to_dict() == {"R2": "reproduced", "R20": "not measured"}
    assert verdicts(tmp_path)["R2"] == "inconclusive"  # of the two of Table 1
    assert set(ledger(tmp_path, "08").notebook) == {"08"}


def test_exact_statements_hold_or_do_not_or_cannot_be_decided(lesson, tmp_path):
    lesson("01").claim("V1", 2e-16, holds=np.bool_(True))
    lesson("03").claim("V5", 0.5, holds=False, note="half of the weights are negative")
    lesson("10").claim("V8", 0.35, note="the bound lies below the printed time")
    found = verdicts(tmp_path)
    assert found[["V1", "V5", "V8"]].tolist() == ["reproduced", "contradicted", "inconclusive"]
    assert (
        readable(ledger(tmp_path)).set_index("id").loc["V5", "note"]
        == "half of the weights are negative"
    )
    assert set(found) <= set(VERDICTS)


def test_trainings_from_a_single_seed_decide_nothing(lesson, tmp_path):
    alone = lesson("08").claim("S1", **STRONG | {"seeds": 1})
    assert alone.verdict[0] == "inconclusive" and alone.note[0] == "a single seed"
    against = {"value": -0.7, "interval": (-0.9, -0.5), "p": 0.001}
    assert lesson("08").claim("S1", **against, seeds=1).verdict[0] == "inconclusive"
    assert lesson("08").claim("S1", **against, seeds=2).verdict[0] == "contradicted"
    assert (
        lesson("06").claim("C17", 0.01, (0.0, 0.02), holds=True, seeds=1).verdict[0]
        == "inconclusive"
    )
    assert (
        lesson("06").claim("C17", 0.01, (0.0, 0.02), holds=True, seeds=2).verdict[0] == "reproduced"
    )
    assert (
        lesson("05").claim("R2", 0.4, (0.3, 0.5), 0.001, note="eight looks").note[0]
        == "eight looks"
    )
    assert verdicts(tmp_path)[["S1", "C17", "R2"]].tolist() == [
        "contradicted",
        "reproduced",
        "reproduced",
    ]
    with pytest.raises(ValueError, match="V5 does not compare trainings: omit `seeds`"):
        lesson("03").claim("V5", 0.5, holds=False, seeds=3)


def test_claims_about_gopro_wait_for_it(lesson, tmp_path):
    lesson("11").claim("V9", 24.2)
    assert verdicts(tmp_path)["V9"] == "needs GoPro"
    with pytest.raises(ValueError, match="V9 is about GoPro: omit `holds`"):
        lesson("11").claim("V9", 24.2, holds=True)
    lesson("11", data=tmp_path / "GOPRO_Large").claim("V9", 29.2, holds=True)
    row = ledger(tmp_path).set_index("id").loc["V9"]
    assert (row.verdict, row.data) == ("reproduced", "GOPRO_Large")


@pytest.mark.parametrize(
    "name, arguments, sentence",
    [
        ("08", ("S99", 1), "There is no claim 'S99'"),
        (
            "04",
            ("S1", 1, (0, 1), 0.1),
            "S1 belongs to notebook 08, not 04: record it there, or change",
        ),
        ("08", ("S1", 1), "S1 is judged by its difference: give an interval and a p value"),
        ("09", ("S6", 1, (0, 1)), "S6 is judged by its correlation"),
        ("08", ("S1", float("nan"), (0, 1), 0.1), "The value of S1 is nan"),
        ("08", ("S1", 1, (0, float("inf")), 0.1), "The interval of S1 is inf"),
        ("08", ("S1", 1, (1, 0), 0.1), r"S1 has interval \(1.0, 0.0\)"),
        ("08", ("S1", 1, (0, 1), 1.1), "p between 0 and 1"),
        ("01", ("V1", 0.1), "V1 is exact: say whether it holds, or explain in a note why"),
        ("08", ("S1", 1, (0, 2), 0.1), "S1 compares trainings: say with `seeds` how often"),
    ],
)
def test_what_cannot_be_judged_is_named_and_not_written(
    lesson, tmp_path, name, arguments, sentence
):
    with pytest.raises(ValueError, match=sentence):
        record(lesson(name), *arguments)
    assert not (tmp_path / "ledger").exists()


def test_a_broken_record_is_named(lesson, tmp_path):
    lesson("08").claim("S1", **STRONG)
    path = tmp_path / "ledger" / "08_S1.json"
    for text in ("{", "[]", '{"value": 1}'):
        path.write_text(text)
        with pytest.raises(
            ValueError,
            match=r"08_S1\.json is not a valid record of a claim: delete it and run notebook 08",
        ):
            ledger(tmp_path)


def test_a_record_of_a_claim_that_has_moved_is_ignored(lesson, tmp_path, monkeypatch):
    lesson("08").claim("S1", **STRONG)
    rows = papers.claims()
    rows.loc[rows.id == "S1", "notebook"] = "04"
    monkeypatch.setattr(book, "claims", lambda: rows)
    assert verdicts(tmp_path)["S1"] == "not measured"


def test_a_notebook_shows_whole_sentences(tmp_path):
    deterministic = torch.are_deterministic_algorithms_enabled()
    with plt.rc_context(), pd.option_context("display.max_colwidth", 50):
        shown = open_lesson("08", results=tmp_path, device="cpu").claim("S1", **STRONG)
        assert shown.claim[0] in shown._repr_html_() and len(shown.claim[0]) > 50
        assert papers.claims().claim.str.len().max() < pd.get_option("display.max_colwidth")
    torch.use_deterministic_algorithms(deterministic)


def test_the_ledger_is_a_table_that_can_be_saved(lesson, tmp_path):
    lesson("08").claim("S1", **STRONG)
    table = lesson("12").table(ledger(tmp_path), "claims", source="measured")
    again = pd.read_csv(tmp_path / "tables" / "12_claims.csv")
    assert len(again) == len(table) and again.verdict.tolist() == table.verdict.tolist()
