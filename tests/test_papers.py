"""The printed tables, items, claims, errata and symbols: complete, readable, and consistent with
each other.
"""

import pkgutil
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import deblurlib
from deblurlib import papers
from deblurlib.analysis import verdicts

PAPERS = Path(deblurlib.__file__).parent / "papers"
ITEMS = pd.read_csv(PAPERS / "items.csv", dtype=str)
PRINTED = {  # paper: equations, figures, tables, algorithms
    "svrnn": (3, 9, 4, 0),
    "svdn": (10, 6, 2, 1),
    "radn": (6, 8, 2, 0),
    "aspdc": (7, 8, 6, 0),
}
PREFIX = {"equation": "eq", "figure": "fig", "table": "table", "algorithm": "alg"}


def printed_table(paper, number):
    return pd.read_csv(PAPERS / "tables" / f"{paper}_table{number}.csv")


@pytest.mark.parametrize("paper", PRINTED)
def test_every_numbered_item_is_listed_once(paper):
    items = ITEMS[ITEMS.paper == paper]
    wanted = {
        f"{PREFIX[kind]}{n}"
        for kind, count in zip(PREFIX, PRINTED[paper], strict=True)
        for n in range(1, count + 1)
    }
    assert sorted(items["item"]) == sorted(wanted)


def test_items_are_well_formed():
    assert set(ITEMS.paper) == set(PRINTED)
    assert (ITEMS["item"] == ITEMS.kind.map(PREFIX) + ITEMS.number).all()
    assert not ITEMS.isna().any(axis=None)
    assert not ITEMS.duplicated(["paper", "title"]).any()
    assert set(ITEMS.needs_gopro) == {"no", "partly", "yes"}


def test_how_fully_an_item_is_covered_is_judged_with_a_reason():
    assert set(ITEMS.coverage) == {"full", "stand-in", "printed only"}
    assert (ITEMS.reason.str.len() > 15).all()
    needing = ITEMS[ITEMS.needs_gopro != "no"]
    assert (needing.coverage != "full").all()  # no GoPro, no full coverage of what needs it
    less = ITEMS[ITEMS.coverage != "full"]
    assert less.reason.str.contains(r",|;|not |beside|in place of|rendered").all()
    formulas = ITEMS[ITEMS.kind.isin(["equation", "algorithm"])]
    assert (formulas.coverage == "full").all()


def test_every_printed_table_is_there_and_no_other():
    wanted = {
        f"{row.paper}_{row['item']}.csv" for _, row in ITEMS[ITEMS.kind == "table"].iterrows()
    }
    assert {path.name for path in (PAPERS / "tables").iterdir()} == wanted


@pytest.mark.parametrize(
    "path", sorted((PAPERS / "tables").glob("*.csv")), ids=lambda path: path.stem
)
def test_printed_tables_hold_plausible_numbers(path):
    table = pd.read_csv(path)
    assert len(table) and table.columns.is_unique
    for column in table.columns.intersection(["psnr_db"]):
        assert table[column].between(20, 56).all()
    if "ssim" in table:
        assert table.ssim.between(0.7, 1).all()
    named = table.columns.intersection(["method", "model", "network", "version"])
    assert not table.duplicated(list(named)).any() if len(named) else True


@pytest.mark.parametrize(
    "paper, number, row, column, value",
    [
        ("svrnn", 1, 31, "channel", 512),
        ("svrnn", 2, -1, "psnr_db", 29.1872),
        ("svrnn", 3, -1, "size_mb", 37.1),
        ("svrnn", 4, 0, "psnr_db", 25.7687),
        ("svdn", 1, -1, "psnr_db", 29.81),
        ("svdn", 2, 0, "ssim", 0.9124),
        ("radn", 1, -1, "psnr_db", 32.15),
        ("radn", 2, 1, "psnr_db", 30.64),
        ("aspdc", 1, -1, "psnr_db", 32.09),
        ("aspdc", 2, -1, "ssim", 0.945),
        ("aspdc", 3, -1, "runtime_s", 0.28),
        ("aspdc", 4, 0, "psnr_db", 55.71),
        ("aspdc", 5, 10, "psnr_db", 31.16),
        ("aspdc", 6, 1, "psnr_db", 32.22),
    ],
)
def test_key_values_as_printed(paper, number, row, column, value):
    assert printed_table(paper, number)[column].iloc[row] == value


def test_what_the_papers_say_in_words_agrees_with_their_tables():
    aspdc, radn = (
        printed_table("aspdc", 1).set_index("method").psnr_db,
        printed_table("radn", 1).set_index("model").psnr_db,
    )
    assert aspdc.idxmax() == "Ours+" and round(aspdc["Ours+"] - aspdc["Suin [48]"], 2) == 0.07
    assert (
        radn.idxmax() == "RADN(Final)+"
        and round(radn["RADN(Final)"] - radn["Stack(4)-DMPHN"], 2) == 0.56
    )
    ablation, comparison = printed_table("svdn", 2), printed_table("svdn", 1).set_index("method")
    assert list(ablation.psnr_db[2:]) == list(comparison.psnr_db[["Ours(A)", "Ours(B)"]])
    layers = printed_table("svrnn", 1).layer
    assert list(layers[layers.duplicated()]) == ["rnn1"]  # the paper's misprint for rnn2, kept


# ------------------------------------------------------------------------------------------------
# Claims, errata, symbols

LESSONS = [f"{n:02}" for n in range(13)]
LEDGER = {"svrnn": ("V", 17), "svdn": ("S", 18), "radn": ("R", 21), "aspdc": ("C", 17)}
CLAIMS = papers.claims()


def test_every_claim_is_listed_once():
    wanted = [
        (paper, f"{letter}{n}")
        for paper, (letter, count) in LEDGER.items()
        for n in range(1, count + 1)
    ]
    assert list(zip(CLAIMS.paper, CLAIMS.id, strict=True)) == wanted and len(wanted) == 73


def test_claims_are_well_formed():
    assert set(CLAIMS.kind) == set(verdicts.KINDS) and set(CLAIMS.rule) == set(verdicts.RULES)
    assert set(CLAIMS.notebook) <= set(LESSONS[1:])
    signed = CLAIMS.rule.isin(["difference", "correlation"])
    assert CLAIMS.direction[signed].isin(["+", "-"]).all()
    assert (CLAIMS.direction[~signed] == "").all()
    assert (CLAIMS.rule[CLAIMS.margin.notna()] == "difference").all() and (
        CLAIMS.unit[CLAIMS.margin.notna()] == "dB"
    ).all()
    for column in ("claim", "where", "test"):
        assert CLAIMS[column].str.len().min() > 3 and not CLAIMS[column].str.contains("\n").any()
    assert (
        CLAIMS.trainings[CLAIMS.notebook == "08"].all()
        and not CLAIMS.trainings[CLAIMS.rule == "correlation"].any()
    )
    assert (
        CLAIMS.claim.str.endswith(".").all()
        and CLAIMS.test.str.endswith(".").all()
        and CLAIMS.claim.is_unique
    )


def test_every_rule_was_settled_before_its_measurement():
    signed = CLAIMS.rule.isin(["difference", "correlation"])
    assert (CLAIMS.family[signed] != "").all() and (CLAIMS.family[~signed] == "").all()
    has_size = CLAIMS.margin.notna() | (CLAIMS.negligible > 0)
    assert has_size[signed | (CLAIMS.rule == "equivalence")].all()
    gates = set(" ".join(CLAIMS.gate).split())
    assert gates == set(verdicts.GATES)
    assert (CLAIMS.kind[CLAIMS.gate != ""] == "experiment").all()
    assert CLAIMS.dated.str.fullmatch(r"2026-11-\d\d").all()
    stricter = (CLAIMS.gate != "") | CLAIMS.negligible.notna() | CLAIMS.margin.notna()
    assert (CLAIMS.dated[stricter] == "2026-11-30").all()


def test_claims_that_repeat_another_say_which():
    repeated = CLAIMS[CLAIMS.repeats != ""].set_index("id").repeats
    assert repeated.to_dict() == {"S11": "V2", "R13": "V2"}
    assert CLAIMS.set_index("id").kind[[*repeated.index, *repeated]].nunique() == 1


def test_every_changed_rule_says_what_it_was_and_why():
    changed = papers.rule_changes()
    assert not changed.isna().any(axis=None) and changed.reason.str.endswith(".").all()
    named = {id for ids in changed.id if not ids.startswith("all ") for id in ids.split(", ")}
    assert named < set(CLAIMS.id)
    assert set(CLAIMS.id[CLAIMS.dated == "2026-11-30"]) >= set(
        " ".join(changed.id[(changed.dated == "2026-11-30") & ~changed.id.str.startswith("all ")])
        .replace(",", " ")
        .split()
    )
    earlier = papers.earlier_verdicts()
    assert list(earlier.id) == list(CLAIMS.id) and set(earlier.verdict) <= set(verdicts.VERDICTS)


def test_the_claims_of_the_blind_check_were_drawn_by_its_generator():
    drawn = np.random.default_rng(2026).choice(CLAIMS.id, 15, replace=False)
    ids = sorted(CLAIMS.id[(CLAIMS.repeats == "") & ~CLAIMS.id.isin(["R6", "S17", "V16"])])
    random.Random(20261130).shuffle(ids)
    checked = papers.blind_check()
    by_draw = {draw: sorted(rows.id) for draw, rows in checked.groupby("draw")}
    assert by_draw == {"1": sorted(drawn), "2": sorted(ids[:15])}
    assert {*checked.judged, *checked.ledger} <= set(verdicts.VERDICTS)
    assert (checked.remark[~checked.agree] != "").all()


def test_margins_are_the_printed_ones():
    def values(paper, number, name, column):
        return printed_table(paper, number).set_index(name)[column]

    v, s = values("svrnn", 4, "network", "psnr_db"), values("svdn", 2, "column", "psnr_db")
    r = values("radn", 1, "model", "psnr_db")
    plain, attention, three, six, both = printed_table("radn", 2).psnr_db
    a, c, w = (
        values("aspdc", 1, "method", "psnr_db"),
        values("aspdc", 5, "version", "psnr_db"),
        values("aspdc", 6, "lambda", "psnr_db"),
    )
    wanted = {
        "V13": v["proposed"] - v.drop("proposed").max(),
        "S1": s[2] - s[1],
        "S2": s[3] - s[2],
        "S3": s[4] - s[3],
        "R2": r["RADN(Final)+"] - r["RADN(Final)"],
        "R3": r["RADN(Final)"] - r["RADN4"],
        "R4": r["RADN4"] - r["RADN3"],
        "R5": r["RADN3"] - r["RADN2"],
        "R6": r["RADN2"] - r["RADN1"],
        "R7": min(three - plain, six - three),
        "R8": min(attention - plain, three - attention),
        "R9": both - max(six, attention),
        "R21": r["RADN(Final)"] - r[["Hyun et al. 2013", "Whyte et al. 2012", "MBMF"]].max(),
        "C2": a["Ours+"] - a["Ours"],
        "C3": c[12] - c[[8, 9, 10]].max(),
        "C4": c[[2, 3, 4]].min() - c[1],
        "C5": c[12] - c[11],
        "C12": w[0.1] - w[[0.01, 1]].max(),
    }
    margins = CLAIMS.set_index("id").margin.dropna()
    assert margins.to_dict() == pytest.approx(wanted)
    printed = CLAIMS.set_index("id").printed[margins.index].astype(float)
    assert printed.tolist() == margins.tolist()


@pytest.mark.parametrize(
    "id, paper, number, row, column",
    [
        ("V7", "svrnn", 3, -1, "size_mb"),
        ("V8", "svrnn", 3, -1, "runtime_s"),
        ("V9", "svrnn", 2, -1, "psnr_db"),
        ("S8", "svdn", 1, -1, "runtime_s"),
        ("S15", "svdn", 1, -1, "psnr_db"),
        ("R1", "radn", 1, 13, "psnr_db"),
        ("R12", "radn", 1, 13, "runtime_ms"),
        ("C1", "aspdc", 1, -2, "psnr_db"),
        ("C11", "aspdc", 4, 0, "psnr_db"),
        ("C13", "aspdc", 3, -1, "runtime_s"),
    ],
)
def test_printed_values_of_claims_are_those_of_the_tables(id, paper, number, row, column):
    claim = CLAIMS.set_index("id").loc[id]
    value = str(printed_table(paper, number)[column].iloc[row])
    assert (float(claim.printed), claim.unit) == (
        float(value.split()[0]),
        value.split()[1] if " " in value else claim.unit,
    )


def test_claims_that_share_a_table_name_it_alike():
    tables = CLAIMS[CLAIMS["where"].str.fullmatch(r"Table \d")]
    listed = ITEMS[ITEMS.kind == "table"]
    assert set(
        zip(tables.paper, tables["where"].str.lower().str.replace(" ", ""), strict=True)
    ) <= set(zip(listed.paper, listed["item"], strict=True))
    assert not CLAIMS["where"].str.contains(r"Tab\.|table|Tables \d$|Fig \d|Figure").any()


def test_errata_parse_and_name_lessons():
    errata = papers.errata()
    assert set(errata.paper) == set(PRINTED) and (errata.paper.value_counts() >= 17).all()
    assert set(errata.notebook) <= set(LESSONS)
    assert (
        not (errata == "").any(axis=None)
        and not errata.duplicated(["paper", "where", "printed"]).any()
    )
    table_lines = [
        line
        for line in (PAPERS / "errata.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    assert all(line.count("|") == 5 for line in table_lines)
    assert len(table_lines) == len(errata) + 2 * len(PRINTED)  # a head and a rule each


def test_every_symbol_can_be_imported():
    for symbol in papers.symbols().symbol:
        pkgutil.resolve_name(symbol)


def test_every_equation_and_algorithm_has_a_symbol():
    symbols = papers.symbols()
    known = set(zip(ITEMS.paper, ITEMS["item"], strict=True))
    found = set(zip(symbols.paper, symbols["item"], strict=True))
    formulas = ITEMS[ITEMS.kind.isin(["equation", "algorithm"])]
    assert found <= known
    assert set(zip(formulas.paper, formulas["item"], strict=True)) <= found
    assert not symbols.duplicated().any() and not symbols.isna().any(axis=None)


@pytest.mark.parametrize(
    "item, symbol, words",
    [
        ("svrnn:eq1", "deblurlib.theory.convolve", "SVRNN eq. 1"),
        ("svrnn:eq2", "deblurlib.theory.invert_recursively", "SVRNN eq. 2"),
        ("svdn:eq8", "deblurlib.losses.pixel_loss", "SVDN eq. 8"),
        ("svdn:eq7", "deblurlib.training.LossTerms", "SVDN eq. 7"),
        ("radn:eq5", "deblurlib.models.radn.attention_map", "Eq. (5)"),
        ("aspdc:eq4", "deblurlib.models.aspdc.ASPDCModule.attention", "Eq. (4)"),
    ],
)
def test_symbols_say_which_equation_they_are(item, symbol, words):
    rows = papers.symbols()
    assert symbol in set(rows.symbol[rows.paper + ":" + rows["item"] == item])
    assert words in pkgutil.resolve_name(symbol).__doc__
