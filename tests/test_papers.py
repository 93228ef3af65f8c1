"""The printed tables and the list of every numbered item: complete, readable, and consistent with each other."""

from pathlib import Path

import pandas as pd
import pytest

import deblurlib

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
    wanted = {f"{PREFIX[kind]}{n}" for kind, count in zip(PREFIX, PRINTED[paper], strict=True) for n in range(1, count + 1)}
    assert sorted(items["item"]) == sorted(wanted)


def test_items_are_well_formed():
    assert set(ITEMS.paper) == set(PRINTED)
    assert (ITEMS["item"] == ITEMS.kind.map(PREFIX) + ITEMS.number).all()
    assert not ITEMS.isna().any(axis=None)
    assert not ITEMS.duplicated(["paper", "title"]).any()
    assert set(ITEMS.needs_gopro) == {"no", "partly", "yes"}


def test_every_printed_table_is_there_and_no_other():
    wanted = {f"{row.paper}_{row['item']}.csv" for _, row in ITEMS[ITEMS.kind == "table"].iterrows()}
    assert {path.name for path in (PAPERS / "tables").iterdir()} == wanted


@pytest.mark.parametrize("path", sorted((PAPERS / "tables").glob("*.csv")), ids=lambda path: path.stem)
def test_printed_tables_hold_plausible_numbers(path):
    table = pd.read_csv(path)
    assert len(table) and table.columns.is_unique
    for column in table.columns.intersection(["psnr", "psnr_db"]):
        assert table[column].between(20, 56).all()
    if "ssim" in table:
        assert table.ssim.between(0.7, 1).all()
    named = table.columns.intersection(["method", "model", "network", "version"])
    assert not table.duplicated(list(named)).any() if len(named) else True


@pytest.mark.parametrize(
    "paper, number, row, column, value",
    [
        ("svrnn", 1, 31, "channel", 512),
        ("svrnn", 2, -1, "psnr", 29.1872),
        ("svrnn", 3, -1, "size_MB", 37.1),
        ("svrnn", 4, 0, "psnr", 25.7687),
        ("svdn", 1, -1, "psnr_db", 29.81),
        ("svdn", 2, 0, "ssim", 0.9124),
        ("radn", 1, -1, "psnr_db", 32.15),
        ("radn", 2, 1, "psnr_db", 30.64),
        ("aspdc", 1, -1, "psnr", 32.09),
        ("aspdc", 2, -1, "ssim", 0.945),
        ("aspdc", 3, -1, "time_s", 0.28),
        ("aspdc", 4, 0, "psnr", 55.71),
        ("aspdc", 5, 10, "psnr", 31.16),
        ("aspdc", 6, 1, "psnr", 32.22),
    ],
)
def test_key_values_as_printed(paper, number, row, column, value):
    assert printed_table(paper, number)[column].iloc[row] == value


def test_what_the_papers_say_in_words_agrees_with_their_tables():
    aspdc, radn = printed_table("aspdc", 1).set_index("method").psnr, printed_table("radn", 1).set_index("model").psnr_db
    assert aspdc.idxmax() == "Ours+" and round(aspdc["Ours+"] - aspdc["Suin [48]"], 2) == 0.07
    assert radn.idxmax() == "RADN(Final)+" and round(radn["RADN(Final)"] - radn["Stack(4)-DMPHN"], 2) == 0.56
    ablation, comparison = printed_table("svdn", 2), printed_table("svdn", 1).set_index("method")
    assert list(ablation.psnr_db[2:]) == list(comparison.psnr_db[["Ours(A)", "Ours(B)"]])
    layers = printed_table("svrnn", 1).layer
    assert list(layers[layers.duplicated()]) == ["rnn1"]  # the paper's misprint for rnn2, kept
