"""The report as a browser reads it: complete, sortable, and self-contained."""

import base64
import dataclasses
import json
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import tinycss2
import torch
from bs4 import BeautifulSoup

from deblurlib import papers, results
from deblurlib.analysis.verdicts import GATES, VERDICTS, verdict
from deblurlib.book.lesson import Lesson
from deblurlib.book.report import title_of, write_report
from deblurlib.book.report_tables import column as as_column
from deblurlib.book.rule_words import meanings, rule_in_words
from deblurlib.experiments.presets import get_preset


@pytest.fixture
def lesson(tmp_path):
    return lambda name: Lesson(
        name,
        get_preset("smoke"),
        None,
        None,
        tmp_path,
        tmp_path / "runs",
        0,
        torch.device("cpu"),
    )


@pytest.fixture
def full(tmp_path, write_notebook, lesson):
    """A folder with a bit of everything that notebooks and benchmarks write, and its notebooks."""
    notebooks = [write_notebook("07_first"), write_notebook("08_second")]
    first, second = lesson("07"), lesson("08")
    table = pd.DataFrame(
        {
            "method": ["<b>", "b & c", "d"],
            "rgb-psnr": [9.5, 29.81, np.nan],
            "p": [1e-13, 0.5, np.inf],
        }
    )
    first.table(table, "numbers", source="measured <here>")
    second.table(
        pd.DataFrame({"row": ["base"], "rgb-psnr": [25.4], "printed psnr_db": [28.34]}),
        "svdn_table2",
    )
    results.save_table(
        pd.DataFrame({"ms": [3.0]}),
        tmp_path / "tables" / "inference.csv",
        preset="",
        source="measured",
    )
    figure, axes = plt.subplots()
    axes.set(title="Gain & loss", xlabel="GMAC", ylabel="dB")
    results.save_figure(figure, tmp_path / "figures" / "07_gain.png")
    plt.close(figure)
    first.compare(torch.zeros(3, 8, 9), torch.ones(3, 8, 9), "restored")
    trained = {"seeds": 3, "learned": dict.fromkeys(GATES, 1.0)}
    second.claim("S1", 0.7, (0.5, 0.9), 0.001, **trained)
    second.claim("S2", -0.02, (-0.3, 0.3), 0.7, **trained, note="a < b")
    (tmp_path / "notebooks" / "08_second.html").write_text("executed")
    return notebooks


def read(folder, notebooks):
    return BeautifulSoup(write_report(folder, notebooks).read_text(), "html.parser")


def texts(rows):
    return [[cell.get_text(strip=True) for cell in row(["td", "th"])] for row in rows]


def test_every_table_figure_and_comparison_is_there_once(full, tmp_path):
    page = read(tmp_path, full)
    assert sorted(div["data-table"] for div in page.select("div.table")) == [
        "tables/07_numbers.csv",
        "tables/08_svdn_table2.csv",
        "tables/inference.csv",
    ]
    assert [image["data-figure"] for image in page.select("img[data-figure]")] == ["07_gain"]
    embedded = page.find("img", attrs={"data-figure": "07_gain"})["src"].removeprefix(
        "data:image/png;base64,"
    )
    assert base64.b64decode(embedded) == (tmp_path / "figures" / "07_gain.png").read_bytes()
    assert page.select_one("[id='07_first']").find(
        "div", attrs={"data-table": "tables/07_numbers.csv"}
    )
    assert page.select_one("#beside").find("div", attrs={"data-table": "tables/08_svdn_table2.csv"})
    assert page.select_one("#others").find("div", attrs={"data-table": "tables/inference.csv"})
    hero = page.header.select_one(".slider")
    assert hero("img")[0]["src"] == page.select_one("[id='07_first'] .slider")("img")[0]["src"]
    slider = page.select_one("[id='07_first'] .slider")
    assert len(slider("img")) == 2 and slider.find("input", type="range")["aria-label"]


def test_it_needs_no_other_file_and_all_links_lead_somewhere(full, tmp_path):
    page = read(tmp_path, full)
    assert not page("link") and not page("script", src=True)
    assert all(
        image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page("img")
    )
    ids = [tag["id"] for tag in page(id=True)]
    assert len(ids) == len(set(ids))
    for link in page("a"):
        target = link["href"]
        assert (
            target[1:] in ids
            if target.startswith("#")
            else (tmp_path / target).exists() or target == "manifest.json"
        )
    contents = [link["href"] for link in page.select("nav a")]
    assert contents == ["#claims", "#beside", "#07_first", "#08_second", "#others"]


def test_each_claim_has_its_verdict_and_the_counts_agree(full, tmp_path):
    page = read(tmp_path, full)
    rows = page.select("#claims tbody tr")
    assert [row.td.text for row in rows] == list(papers.claims().id)
    found = {row.td.text: row.select_one(".verdict").text for row in rows}
    assert (
        found["S1"] == "reproduced"
        and found["S2"] == "inconclusive"
        and set(found.values()) <= set(VERDICTS)
    )
    counts = {
        button.span.text: int(button.text.split()[-1])
        for button in page.select("#claims .filter button")
    }
    assert counts == {
        verdict: n for verdict in VERDICTS if (n := list(found.values()).count(verdict))
    }
    kinds = {button["value"] for button in page.select("#claims .filter button")}
    assert (
        {row["data-verdict"] for row in rows}
        == kinds
        == {i["class"][0] for i in page.select(".bar i")}
    )
    styles = page.style.text
    assert all(f".{kind} {{ --verdict" in styles for kind in kinds)


def test_a_claim_shows_numbers_interval_origin_and_the_notebook_that_measured_it(full, tmp_path):
    page = read(tmp_path, full)
    _, _, where, printed, ours, verdict, measured = page.select_one("#claim-S1")("td")
    assert where.text == "SVDN, Table 2" and (printed.text, printed["data-key"]) == (
        "0.67 dB",
        "0.67",
    )
    assert (ours.text, ours["data-key"]) == ("0.7 [0.5, 0.9] dB", "0.7") and verdict[
        "data-key"
    ] == "0"
    assert measured.a["href"] == "notebooks/08_second.html"
    assert measured.small.text == "preset smoke · seed 0 · bundled scenes"
    assert page.select_one("#claim-S2 small").text.startswith("a < b; 3 seeds")
    unmeasured = page.select_one("#claim-V1")("td")
    assert unmeasured[4].text == "–" and unmeasured[4]["data-key"] == "" and not unmeasured[6].a


def test_numbers_are_right_aligned_and_sort_as_numbers(full, tmp_path):
    page = read(tmp_path, full)
    table = page.find("div", attrs={"data-table": "tables/07_numbers.csv"}).table
    assert [head["class"][0] for head in table("th")] == ["text", "number", "number"]
    keys = [[cell.get("data-key", cell.text) for cell in row("td")] for row in table.tbody("tr")]
    assert [float(key or "nan") for key in [row[1] for row in keys]] == pytest.approx(
        [9.5, 29.81, np.nan], nan_ok=True
    )
    assert [row[2] for row in keys] == ["1e-13", "0.5", "Infinity"]
    assert texts(table.tbody("tr"))[2] == ["d", "–", "inf"]
    assert "td.number, th.number { text-align: right; }" in page.style.text
    beside = page.find("div", attrs={"data-table": "tables/08_svdn_table2.csv"}).table
    assert beside("td")[2]["class"] == ["number", "printed"]
    assert [head.text for head in beside("th")] == ["row", "rgb-psnr", "printed PSNR, dB"]


def test_text_is_escaped(full, tmp_path):
    raw = write_report(tmp_path, full).read_text()
    assert "&lt;b&gt;" in raw and "<td><b>" not in raw and "measured &lt;here&gt;" in raw
    page = read(tmp_path, full)
    assert (
        texts(page.find("div", attrs={"data-table": "tables/07_numbers.csv"}).tbody("tr"))[0][0]
        == "<b>"
    )
    assert (
        page.find("img", attrs={"data-figure": "07_gain"})["alt"] == "Gain & loss, x: GMAC, y: dB"
    )


def test_the_origin_stands_above_its_table(full, tmp_path):
    table = read(tmp_path, full).find("div", attrs={"data-table": "tables/07_numbers.csv"})
    assert table.select_one(".origin").text.startswith(
        "measured <here> · preset smoke · seed 0 · cpu · bundled scenes · commit "
    )
    (tmp_path / "tables" / "07_numbers.csv.origin.json").unlink()
    assert (
        "origin unknown"
        in read(tmp_path, full).find("div", attrs={"data-table": "tables/07_numbers.csv"}).text
    )
    (tmp_path / "tables" / "07_numbers.csv.origin.json").write_text(
        json.dumps({"source": "reported", "git_commit": "abc"})
    )
    assert "reported · commit abc" in read(tmp_path, full).text


def test_the_report_says_which_preset_it_shows_and_when_several_are_mixed(full, lesson, tmp_path):
    shown = read(tmp_path, full).select_one("#shows").text
    assert shown == "All measurements are of preset smoke on bundled scenes."
    other = dataclasses.replace(lesson("08"), preset=get_preset("quick"))
    other.table(pd.DataFrame({"a": [1]}), "other")
    shown = read(tmp_path, full).select_one("#shows").text
    assert shown.startswith("Measurements of several settings are mixed here: preset smoke on")
    assert "preset quick on bundled scenes (1 table)" in shown


def test_equal_results_make_equal_bytes(full, tmp_path):
    first = write_report(tmp_path, full).read_bytes()
    assert write_report(tmp_path, reversed(full)).read_bytes() == first
    (tmp_path / "tables" / "inference.csv").write_text("ms\n4\n")
    assert write_report(tmp_path, full).read_bytes() != first


def test_an_empty_folder_has_all_claims_and_says_that_nothing_ran(tmp_path, write_notebook):
    page = read(tmp_path / "empty", [write_notebook("01_lesson")])
    assert len(page.select("#claims tbody tr")) == len(papers.claims())
    assert "not run" in page.select_one("[id='01_lesson']").text and not page.select(
        "#beside, #others, .table, figure"
    )
    assert "A claim about 01_lesson." in page.text


def test_what_is_damaged_is_named_and_the_rest_is_shown(full, tmp_path):
    (tmp_path / "tables" / "07_ragged.csv").write_text("a,b\n1\n2,3,4\n")
    (tmp_path / "tables" / "07_empty.csv").write_text("")
    (tmp_path / "tables" / "07_bytes.csv").write_bytes(b"a\n\xff\n")
    (tmp_path / "figures" / "07_broken.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "07_restored_after.png").unlink()
    page = read(tmp_path, full)
    assert len(page.select("div.table")) == 6 and not page.select(".slider")
    assert texts(page.find("div", attrs={"data-table": "tables/07_ragged.csv"}).tbody("tr")) == [
        ["1", "–", "–"],
        ["2", "3", "4"],
    ]
    assert (
        "cannot be read" in page.find("div", attrs={"data-table": "tables/07_bytes.csv"}).pre.text
    )
    assert page.find("img", attrs={"data-figure": "07_broken"})["alt"] == "broken"
    (tmp_path / "ledger" / "08_S1.json").write_text("{")
    page = read(tmp_path, full)
    assert (
        "08_S1.json is not a valid record of a claim" in page.select_one("#claims pre").text
        and len(page.select("div.table")) == 6
    )


def test_a_failed_notebook_shows_its_cell_and_error(full, tmp_path):
    entry = {"state": "failed", "cell": "x = <1>", "error": "ValueError: <bad>"}
    entry |= {"key": "", "seconds": 1.0, "outputs": {}}
    manifest = {
        "inputs": {"preset": "smoke", "data": ""},
        "git_commit": "abc",
        "notebooks": {"07_first": entry},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    page = read(tmp_path, full[1:])  # the other one is known from the manifest
    section = page.select_one("[id='07_first']")
    assert (
        section.pre.text.splitlines() == ["x = <1>", "ValueError: <bad>"]
        and section.select_one(".failed").text == "failed"
    )
    assert "preset smoke · commit abc" in page.header.text


def test_a_figure_says_in_which_section_it_is_drawn(full, tmp_path):
    notebook = nbformat.read(full[0], as_version=4)
    heading = nbformat.v4.new_markdown_cell("Words.\n\n## The `gain`\n\nMore.")
    notebook.cells += [heading, nbformat.v4.new_code_cell('f()\nlesson.figure(plot("a"), "gain")')]
    nbformat.write(notebook, full[0])
    captions = [caption.text for caption in read(tmp_path, full)("figcaption")]
    assert captions[1:] == ["restored · drag to compare before and after", "gain in “The gain”"]


def test_a_phone_and_a_dark_room_are_provided_for(full, tmp_path):
    page = read(tmp_path, full)
    assert "width=device-width" in page.find("meta", attrs={"name": "viewport"})["content"]
    assert "prefers-color-scheme: dark" in page.style.text and "max-width: 45rem" in page.style.text
    for table in page("table"):
        assert "scroll" in table.parent["class"]
    rules = tinycss2.parse_stylesheet(page.style.text, skip_whitespace=True)
    assert not [rule for rule in rules if rule.type == "error"]
    defined = set(re.findall(r"(--[a-z]+):", page.style.text))
    assert set(re.findall(r"var\((--[a-z]+)\)", page.style.text)) <= defined


def test_a_column_has_equally_many_decimals_and_one_kind():
    def column(*texts):
        found = as_column("x", list(texts))
        return (
            found["kind"],
            [cell["text"] for cell in found["cells"]],
            [cell["key"] for cell in found["cells"]],
        )

    assert column("1", "0.994", "") == ("number", ["1.000", "0.994", "–"], ["1.0", "0.994", ""])
    assert column("1", "1e-13") == ("number", ["1", "1e-13"], ["1.0", "1e-13"])
    assert column("1", "1.4 s") == ("text", ["1", "1.4 s"], ["1", "1.4 s"])
    assert column("", "") == ("text", ["–", "–"], ["", ""])


def test_title_and_claim_lose_their_markup(write_notebook):
    path = write_notebook("01_x")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# A **title**\n\n> _An inverse_ of `K_1` is *wide*.\n\nMore."
    nbformat.write(notebook, path)
    assert title_of(path) == ("A title", "An inverse of K_1 is wide.")


def test_printed_values_stand_right_behind_ours_before_everything_else(tmp_path, lesson):
    table = pd.DataFrame(
        {
            "row": ["base", "fd"],
            "parameters": [180607, 284979],
            "seeds": [3, 3],
            "rgb-psnr": [25.43049, 25.41118],
            "minus base": [np.nan, -0.0192837],
            "low": [np.nan, -0.1364],
            "high": [np.nan, 0.0601],
            "p": [np.nan, 1.0],
            "printed column": [1, 3],
            "printed psnr_db": [28.34, 29.57],
            "printed ssim-matlab-rgb3d": [0.9124, 0.9338],
            "printed difference": [0, 1.23],
        }
    )
    lesson("08").table(table, "svdn_table2")
    page = read(tmp_path, [])
    shown = page.select_one("#beside")
    assert (
        shown.h3.text == "SVDN, Table 2: backbone, deconvolution and guidance, ours beside theirs"
    )
    heads = [head.text for head in shown("th")]
    assert heads[:5] == ["row", "rgb-psnr", "printed PSNR, dB", "minus base", "printed difference"]
    assert len(heads) == 10 and "low" not in heads
    cells = texts(shown.tbody("tr"))
    assert cells[1][:5] == ["fd", "25.41", "29.57", "-0.019 [-0.136, 0.060]", "1.23"]
    assert cells[0][3] == "–"
    sorted_by = shown.tbody("tr")[1]("td")[3]["data-key"]
    assert float(sorted_by) == pytest.approx(-0.019)


def test_a_long_table_shows_its_head_and_says_so(full, tmp_path):
    rows = pd.DataFrame({"image": [f"image {i}" for i in range(2000)], "rgb-psnr": 25.0})
    results.save_table(rows, tmp_path / "tables" / "07_trained.csv")
    table = read(tmp_path, full).find("div", attrs={"data-table": "tables/07_trained.csv"})
    assert len(table.tbody("tr")) == 8
    assert table.select_one(".origin").text.endswith("The first 8 of 2,000 rows; the file has all.")


def test_the_rule_behind_each_verdict_can_be_read(full, tmp_path):
    page = read(tmp_path, full)
    claims = papers.claims().set_index("id")
    for row in page.select("#claims tbody tr"):
        text = row.details.get_text(" ", strip=True)
        assert text.startswith("rule ") and claims.dated[row.td.text] in text
    text = page.select_one("#claim-S1 details").text
    assert "of the printed 0.67 dB" in text and f"{GATES['gain'].least:g} dB" in text
    assert "±0.134 dB" in text and "above 0" in text
    definitions = page.select(".meanings dt")
    assert {term.text for term in definitions} == {
        button.span.text for button in page.select("#claims .filter button")
    }
    means = meanings(verdict)
    assert set(means) == set(VERDICTS) and all(len(text) >= 20 for text in means.values())
    assert means["not measured"] == "nothing was recorded"


@pytest.mark.parametrize(
    "rule", ["exact", "difference", "correlation", "equivalence", "needs GoPro"]
)
def test_every_rule_has_words(rule):
    claims = papers.claims()
    claim = claims[claims.rule == rule].iloc[0]
    words = rule_in_words(claim)
    assert words.endswith(f"Rule of {claim.dated}.") and "nan" not in words


def test_the_contents_stay_in_view(full, tmp_path):
    page = read(tmp_path, full)
    (rule,) = re.findall(r"^nav \{([^}]*)\}", page.style.text, re.MULTILINE)
    assert "position: sticky" in rule and not page.header.nav
