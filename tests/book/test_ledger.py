"""What notebooks record for a claim, and what the ledger makes of all records together."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from deblurlib import papers
from deblurlib.analysis.significance import paired_bootstrap
from deblurlib.analysis.verdicts import VERDICTS
from deblurlib.book import ledger as book
from deblurlib.book.ledger import changes, ledger, readable, record, summary
from deblurlib.book.lesson import Lesson, open_lesson
from deblurlib.experiments.presets import get_preset

ENOUGH = {"gain": 0.8}
MOVED = {"gain": 0.8, "offsets": 0.4, "attention": 0.2}
STRONG = {"value": 0.7, "interval": (0.5, 0.9), "p": 0.001, "seeds": 3, "learned": MOVED}
WEAK = {"value": 0.1, "interval": (0.01, 0.2), "p": 0.01, "seeds": 3, "learned": MOVED}
OF_ONE_NETWORK = {"seeds": None}


@pytest.fixture
def lesson(tmp_path):
    def make(name, data=None):
        return Lesson(
            name,
            get_preset("smoke"),
            data,
            None,
            tmp_path,
            tmp_path / "runs",
            3,
            torch.device("cpu"),
        )

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
            "kind": "experiment",
            "claim": "Dilations of 1, 2 and 4 beat dilations of 1 at equal parameters.",
            "where": "Table 2",
            "printed": "0.67 dB",
            "ours": "0.7 [0.5, 0.9] dB",
            "verdict": "reproduced",
            "note": "3 seeds; learned: gain 0.8 dB",
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
        "learned": ENOUGH,
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
    estimate = paired_bootstrap(differences)
    record(lesson("08"), "S2", *estimate, seeds=len(differences), learned=MOVED)
    first = path.read_bytes()
    gates = {name: torch.tensor(value, dtype=torch.float64) for name, value in MOVED.items()}
    record(
        lesson("08"), "S2", *map(torch.tensor, estimate), seeds=np.int64(3), learned=gates
    )  # numbers of any library
    assert path.read_bytes() == first and b"commit" not in first
    assert sorted(p.name for p in path.parent.iterdir()) == ["08_S2.json", "08_S2.origin.json"]


def test_holm_counts_the_whole_family_measured_or_not(lesson, tmp_path):
    lesson("08").claim("S3", **WEAK)
    rows = ledger(tmp_path).set_index("id")
    assert rows.loc["S3", "p_holm"] == pytest.approx(0.03)  # of three claims, two not measured
    assert rows.loc["S3", "verdict"] == "direction only"
    lesson("08").claim("S3", **WEAK | {"p": 0.02})
    assert verdicts(tmp_path)["S3"] == "inconclusive"
    lesson("08").claim("S1", **STRONG)
    rows = ledger(tmp_path).set_index("id")
    assert rows.loc[["S1", "S3"], "p_holm"].tolist() == pytest.approx([0.003, 0.04])
    assert rows.loc[["S1", "S3"], "verdict"].tolist() == ["reproduced", "direction only"]
    lesson("08").claim("R8", **WEAK)  # Table 2 of another paper
    assert ledger(tmp_path).set_index("id").loc[["R8", "S3"], "p_holm"].tolist() == pytest.approx(
        [0.03, 0.04]
    )


def test_a_lesson_and_the_ledger_say_the_same_whatever_else_was_recorded(lesson, tmp_path):
    fifth, eighth = lesson("05"), lesson("08")
    fifth.claim("R2", **STRONG | OF_ONE_NETWORK | {"p": 0.008})
    before = fifth.claims()
    for id in ("R3", "R4", "R5"):  # of the same table
        eighth.claim(id, **STRONG)
    assert fifth.claims().equals(before) and set(before.id) == {"R2", "R20"}
    assert before.set_index("id").verdict.to_dict() == {"R2": "reproduced", "R20": "not measured"}
    every = ledger(tmp_path).set_index("id")
    for name in ("05", "08"):
        shown = ledger(tmp_path, name).set_index("id")
        assert set(shown.notebook) == {name}
        assert shown.verdict.equals(every.verdict[shown.index])
    assert every.loc["R2", "p_holm"] == pytest.approx(6 * 0.008)


def test_what_has_not_learned_enough_is_not_judged(lesson, tmp_path):
    for learned in ({"gain": 0.13}, {"gain": 0.13, "offsets": 0.5}, {"gain": 1, "offsets": 0.02}):
        shown = lesson("08").claim("S2", **STRONG | {"learned": learned})
        assert shown.verdict[0] == "not learned enough"
    assert "learned: gain 1 dB, offsets 0.02 px" in shown.note[0]
    assert lesson("08").claim("S2", **STRONG).verdict[0] == "reproduced"
    with pytest.raises(ValueError, match="Claim S2: The gate 'offsets' was not measured"):
        lesson("08").claim("S2", **STRONG | {"learned": {"gain": 0.8}})
    with pytest.raises(ValueError, match="Claim S1: The gate 'gain' was not measured"):
        lesson("08").claim("S1", **STRONG | {"learned": None})


def test_an_effect_of_a_fifth_of_the_printed_one_is_none(lesson):
    none = {"value": 0.0005, "interval": (-0.012, 0.013), "p": 0.9}
    assert lesson("08").claim("S1", **STRONG | none).verdict[0] == "no effect at this scale"


def test_the_summary_counts_kinds_and_no_claim_twice(lesson, tmp_path):
    lesson("01").claim("V2", 1.7, holds=True)
    lesson("01").claim("S11", 3.2, holds=True)  # the same claim of another paper
    lesson("10").claim("V7", 36.9, holds=True)
    table = summary(ledger(tmp_path)).set_index("kind")
    assert table.loc["theorem", "reproduced"] == 1 and table.loc["count", "reproduced"] == 1
    assert table.loc["all", "claims"] == 71 and table.loc["all"].drop("claims").sum() == 71
    assert list(table.index) == ["theorem", "count", "consistency", "experiment", "all"]


def test_changes_name_their_cause(lesson, tmp_path):
    earlier = papers.earlier_verdicts().set_index("id")
    lesson("01").claim("V1", float(earlier.value["V1"]), holds=False)  # by an unchanged rule
    table = changes(ledger(tmp_path)).set_index("id")
    assert table.loc["V1"].tolist()[:3] == ["reproduced", "contradicted", "data"]
    like = earlier.loc["S1"]
    lesson("08").claim("S1", like.value, (like.low, like.high), 1, seeds=3, learned={"gain": 0.13})
    table = changes(ledger(tmp_path)).set_index("id")
    assert table.loc["S1"].tolist() == [
        "inconclusive",
        "not learned enough",
        "rule",
        "The gate is closed: gain 0.13 dB.",
    ]
    assert table.loc["R7"].tolist()[:3] == ["inconclusive", "not measured", "rule and data"]
    assert table.loc["C9"].why.startswith("A loss of less than 5 dB was called a copy")
    assert "V9" not in table.index  # waits for GoPro, as before


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
    assert alone.verdict[0] == "inconclusive" and alone.note[0].startswith("a single seed")
    against = STRONG | {"value": -0.7, "interval": (-0.9, -0.5)}
    assert lesson("08").claim("S1", **against | {"seeds": 1}).verdict[0] == "inconclusive"
    assert lesson("08").claim("S1", **against | {"seeds": 2}).verdict[0] == "contradicted"
    for seeds, wanted in ((1, "inconclusive"), (2, "reproduced")):
        shown = lesson("06").claim("C17", 0.01, (0.0, 0.02), seeds=seeds, learned=ENOUGH)
        assert shown.verdict[0] == wanted
    assert verdicts(tmp_path)[["S1", "C17"]].tolist() == ["contradicted", "reproduced"]
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
        ("06", ("C17", 1), "C17 is judged by its interval: give one"),
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
