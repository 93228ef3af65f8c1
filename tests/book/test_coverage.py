"""Which items of the papers the book shows, by tags on executed cells; gaps are named."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

from deblurlib import papers
from deblurlib.book.item_coverage import COVERAGES, coverage, summary
from deblurlib.cli.app import app

ITEMS = papers.items()
TAGS = list("item:" + ITEMS.paper + ":" + ITEMS["item"])
COUNTS = ITEMS.coverage.value_counts()
JUDGED = "as judged by a person: " + ", ".join(f"{COUNTS[name]} {name}" for name in COVERAGES)
ERROR = new_output("error", ename="E", evalue="bad", traceback=[])


def cell(*tags, count=1, outputs=()):
    return new_code_cell(
        "1", metadata={"tags": list(tags)}, execution_count=count, outputs=list(outputs)
    )


def save(path, *cells):
    nbformat.write(new_notebook(cells=list(cells)), path)


def state(folder):
    rows = coverage(folder)
    return dict(
        zip(
            "item:" + rows.paper + ":" + rows["item"],
            zip(rows.notebooks, rows.state, strict=True),
            strict=True,
        )
    )


def call(folder, *options):
    return CliRunner().invoke(app, ["coverage", "--notebooks", str(folder), *options])


def test_a_full_book_has_no_gap(tmp_path):
    save(tmp_path / "01_one.ipynb", *(cell(tag, "other") for tag in TAGS[:40]))
    save(tmp_path / "02_two.ipynb", cell(*TAGS[40:]))
    rows = coverage(tmp_path)
    assert (rows.state == "shown").all() and rows.notebooks.tolist() == ["01"] * 40 + ["02"] * (
        len(TAGS) - 40
    )
    result = call(tmp_path)
    assert result.exit_code == 0 and result.stdout.endswith(
        f"\n{len(TAGS)} of {len(TAGS)} items are shown\n{JUDGED}\n"
    )


def test_every_kind_of_gap_is_told_apart(tmp_path):
    shown, not_run, failed, in_prose, absent = TAGS[:5]
    cells = [
        cell(shown),
        cell(not_run, count=None),
        cell(failed, outputs=[ERROR]),
        *map(cell, TAGS[5:]),
    ]
    save(
        tmp_path / "03_three.ipynb",
        *cells,
        new_markdown_cell("text", metadata={"tags": [in_prose]}),
    )
    found = state(tmp_path)
    wanted = [
        ("03", "shown"),
        ("03", "not run"),
        ("03", "failed"),
        ("", "no cell"),
        ("", "no cell"),
    ]
    assert [found[tag] for tag in (shown, not_run, failed, in_prose, absent)] == wanted
    result = call(tmp_path)
    assert result.exit_code == 1
    names = [
        tag.removeprefix("item:").replace(":", " ") for tag in (not_run, failed, in_prose, absent)
    ]
    gaps = f"no cell: {names[2]}, {names[3]}\nnot run: {names[0]}\nfailed: {names[1]}\n"
    assert result.stdout.endswith(
        f"\n{len(TAGS) - 4} of {len(TAGS)} items are shown\n{JUDGED}\n{gaps}"
    )


def test_one_good_cell_anywhere_is_enough(tmp_path):
    save(tmp_path / "02_b.ipynb", cell(TAGS[0], count=None), cell(TAGS[0]), cell(TAGS[0]))
    save(tmp_path / "01_a.ipynb", cell(TAGS[0], outputs=[ERROR]))
    assert state(tmp_path)[TAGS[0]] == ("01 02", "shown")


def test_json_holds_the_same_rows(tmp_path):
    save(tmp_path / "01_one.ipynb", cell(*TAGS[:3]))
    result = call(tmp_path, "--json")
    rows = json.loads(result.stdout)
    assert (
        result.exit_code == 1
        and rows == coverage(tmp_path).to_dict("records")
        and len(rows) == len(TAGS)
    )
    assert rows[0] == {
        "paper": "svrnn",
        "item": "eq1",
        "title": ITEMS.title[0],
        "coverage": ITEMS.coverage[0],
        "reason": ITEMS.reason[0],
        "notebooks": "01",
        "state": "shown",
    }


def test_a_cell_without_tags_or_outputs_is_no_trouble(tmp_path):
    save(tmp_path / "01_one.ipynb", new_code_cell("1"), new_markdown_cell("text"))
    assert {state for _, state in state(tmp_path).values()} == {"no cell"}
    head, first, *_ = summary(coverage(tmp_path)).splitlines()
    assert (
        head.split() == ["item", "notebooks", "state", "coverage", "title"]
        and first.startswith("svrnn eq1 ")
        and "no cell" in first
    )


def test_a_folder_without_a_book_and_a_broken_notebook_are_named(tmp_path):
    result = call(tmp_path)
    assert result.exit_code == 2 and "There is no notebook in" in result.stderr
    (tmp_path / "01_broken.ipynb").write_text("{")
    with pytest.raises(ValueError, match=r"01_broken\.ipynb is not a valid notebook: restore it"):
        coverage(tmp_path)


def test_the_book_itself_shows_every_item():
    result = CliRunner().invoke(app, ["coverage"])
    assert result.exit_code == 0 and f"{len(TAGS)} of {len(TAGS)} items" in result.stdout
