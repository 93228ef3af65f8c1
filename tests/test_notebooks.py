"""The rules of the book, checked on the stored notebooks without running them.

Each rule is shown to fail on a broken notebook. nbval runs the notebooks, but passes one that was
never executed: these rules cover what it does not see.
"""

import ast
import json
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.translators import PythonTranslator

import deblurlib
from deblurlib.book.notebooks import PLAIN_METADATA
from deblurlib.book.parameters import KNOWN

BOOK = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
ITEMS = pd.read_csv(Path(deblurlib.__file__).parent / "papers" / "items.csv", dtype=str)
ITEM_TAGS = set("item:" + ITEMS.paper + ":" + ITEMS["item"])
PARAMETERS = {
    "preset": "quick",
    "data": "",
    "variant": "",
    "results": "",
    "seed": 0,
    "device": "auto",
}
MOST_BYTES, FEWEST_WORDS = 900_000, 4
# A line of code fits into JupyterLab at 1400 pixels, a cell onto its screen, with its first output.
MOST_COLUMNS, MOST_CELL_LINES = 88, 32
# How much code a lesson has is counted in statements: their number stays the same however they are
# wrapped, whereas a limit on lines would reward long ones.
MOST_STATEMENTS = 400
# Terms that a reader of one lesson may meet there first, as regular expressions.
TERMS = (
    "AUC",
    "[Ss]oftmax",
    "[Ss]kips?|[Ss]kip connections?",
    "Holm",
    "Spearman",
    "[Ll]inear probe",
)
FEWEST_PIXELS = 500  # that a figure is wide on the screen
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|tmp|work|workspace|content|Users|usr|opt|var|mnt|srv|private)/|[A-Z]:\\\\|site-packages"
)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def count_lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def count_statements(notebook):
    return sum(
        isinstance(node, ast.stmt)
        for cell in code_cells(notebook)
        for node in ast.walk(ast.parse(cell.source))
    )


def count_words(notebook):
    """Words of prose, without formulas, links' addresses and markup."""
    text = re.sub(
        r"\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|<[^>]+>|```.*?```",
        " ",
        "\n".join(markdown(notebook)),
        flags=re.S,
    )
    return len(re.findall(r"[A-Za-zÀ-ÿ][\w'’-]*", text))


def words_per_statement(notebook):
    return count_words(notebook) / max(count_statements(notebook), 1)


# Each rule takes a path and the notebook, and yields what is wrong.


def is_named_by_number(path, notebook):
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name):
        yield f"{path.name} is not named like 01_blur_and_inverse_filters.ipynb"


def is_valid(path, notebook):
    try:
        nbformat.validate(json.loads(path.read_text()))
    except nbformat.ValidationError as error:
        yield str(error).splitlines()[0]


def was_executed_from_top_to_bottom(path, notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)) or not counts:
        yield f"execution counts are {counts}: restart the kernel, run all cells, save"


def shows_no_error(path, notebook):
    yield from (
        f"{output.ename}: {output.evalue}"
        for output in outputs(notebook)
        if output.output_type == "error"
    )


def has_one_cell_of_literal_parameters(path, notebook):
    cells = tagged(notebook, "parameters")
    if len(cells) != 1:
        yield f"{len(cells)} cells are tagged parameters"
        return
    found = {}
    for statement in ast.parse(cells[0].source).body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)):
            yield f"not a literal: {ast.unparse(statement)}"
        else:
            found[statement.targets[0].id] = statement.value.value
    if found != PARAMETERS:
        yield f"parameters are {found}, not {PARAMETERS}"


def shows_papermill_its_parameters(path, notebook):
    """A second equals sign in a line, for example in its comment, hides the parameter."""
    for cell in tagged(notebook, "parameters"):
        found = [parameter.name for parameter in PythonTranslator.inspect(cell)]
        if found != list(PARAMETERS):
            yield f"papermill finds the parameters {found}, not {list(PARAMETERS)}"


def catches_planned_errors(path, notebook):
    if tagged(notebook, "raises-exception"):
        yield (
            "the tag raises-exception, with which papermill fails the notebook, and nbval passes a "
            "cell that no longer raises: catch the error in the cell"
        )


def is_small(path, notebook):
    if path.stat().st_size > MOST_BYTES:
        yield f"{path.stat().st_size} bytes, {MOST_BYTES} at most"


def has_short_cells(path, notebook):
    for cell in code_cells(notebook):
        if count_lines(cell) > MOST_CELL_LINES:
            start = cell.source[:40]
            yield f"{count_lines(cell)} lines in the cell {start!r}, {MOST_CELL_LINES} at most"


def has_narrow_code(path, notebook):
    for cell in code_cells(notebook):
        for line in cell.source.splitlines():
            if len(line) > MOST_COLUMNS:
                yield f"{len(line)} columns, {MOST_COLUMNS} at most: {line.strip()[:40]!r}"


def has_little_code(path, notebook):
    if (found := count_statements(notebook)) > MOST_STATEMENTS:
        yield f"{found} statements, {MOST_STATEMENTS} at most"


def has_prose(path, notebook):
    if (found := words_per_statement(notebook)) <= FEWEST_WORDS:
        yield f"{found:.1f} words of prose per statement, more than {FEWEST_WORDS} wanted"


def links_terms_to_the_glossary(path, notebook):
    """Where the prose of a lesson first uses such a term, a click explains it."""
    prose = re.sub(
        r"(?m)^#[^\n]*|```.*?```|`[^`\n]+`", " ", "\n".join(markdown(notebook)), flags=re.S
    )
    for term in TERMS:
        first = re.search(rf"(\[[^\]]*)?\b(?:{term})\b([^\[\]]*\]\(GLOSSARY\.md\))?", prose)
        if first and not (first[1] and first[2]):
            yield f"{first[0]!r} is not linked to the glossary where it is first used"


def tags_items_that_exist(path, notebook):
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("item:") and (tag not in ITEM_TAGS or cell.cell_type != "code"):
                yield f"{tag} is not in papers/items.csv, or not on a code cell"


def names_no_machine(path, notebook):
    for cell in notebook.cells:
        shown = [output.get("text", "") for output in cell.get("outputs", [])]
        for output in cell.get("outputs", []):
            shown += [
                json.dumps(data)
                for kind, data in output.get("data", {}).items()
                if not kind.startswith("image/")
            ]
        for text in (cell.source, *shown):
            if match := MACHINE_PATH.search(text):
                around = text[max(match.start() - 20, 0) : match.end() + 20]
                yield f"a path of this machine: {around!r}"


def trains_through_the_lesson(path, notebook):
    for cell in code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "fit" or called.endswith("training.fit"):
                yield f"{ast.unparse(node)[:60]!r} ignores the results folder: call lesson.fit"


def resamples_photographs(path, notebook):
    """`lesson.estimate` knows which pictures share a photograph; `paired_bootstrap` does not."""
    for cell in code_cells(notebook):
        if "paired_bootstrap" in cell.source:
            yield f"the cell {cell.source[:40]!r} resamples by itself: use `lesson.estimate`"


def has_one_title_on_top(path, notebook):
    prose = re.sub("```.*?```", "", "\n".join(markdown(notebook)), flags=re.S)
    titles = [line for line in prose.splitlines() if line.startswith("# ")]
    if len(titles) != 1 or not re.match("# [^#]", notebook.cells[0].source):
        yield f"titles are {titles}: one is wanted, in the first line"


def checks_and_solves_each_exercise(path, notebook):
    """After each skeleton: a check that fails, the solution, and a check that passes."""
    cells = notebook.cells
    starts = [i for i, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    for start, end in pairwise([*starts, len(cells)]):
        kinds = ""
        for cell in cells[start:end]:
            kinds += "s" * ("solution" in cell.metadata.get("tags", []))
            kinds += verdict(cell)
        if not re.search("✗.*s✓", kinds):
            yield (
                f"the exercise {cells[start].source[:40]!r} needs a check that says ✗, a solution, "
                f"a check that says ✓: {kinds}"
            )


def verdict(cell):
    """The mark that a cell with a check shows, "?" if it shows none, "" for other cells."""
    if cell.cell_type != "code" or not re.search(r"(?<!\w)check\(", cell.source):
        return ""
    shown = " ".join(
        str(output.get("data", {}).get("text/plain", "")) + output.get("text", "")
        for output in cell.outputs
    )
    return (re.findall("[✓✗]", shown) or ["?"])[-1]


def has_no_vector_graphics(path, notebook):
    if any("image/svg+xml" in output.get("data", {}) for output in outputs(notebook)):
        yield "an SVG output, which differs from run to run: show PNG"


def shows_wide_figures_in_words_too(path, notebook):
    for output in outputs(notebook):
        for kind in {"image/png", "image/jpeg"} & set(output.get("data", {})):
            said = output.metadata.get(kind, {})
            words, width = said.get("alt", ""), said.get("width", 0)
            if width < FEWEST_PIXELS or not words:
                yield f"a figure of {width} pixels, {words!r}: {FEWEST_PIXELS} at least, and a text"


def has_only_tags_as_metadata(path, notebook):
    kernel = {
        **PLAIN_METADATA["kernelspec"],
        "display_name": notebook.metadata.get("kernelspec", {}).get("display_name"),
    }
    if notebook.metadata != {
        **PLAIN_METADATA,
        "kernelspec": kernel,
    }:  # front ends differ in the name they show
        yield f"metadata {dict(notebook.metadata)}: run `make notebooks`"
    for cell in notebook.cells:
        if set(cell.metadata) - {"tags"}:
            yield f"cell metadata {dict(cell.metadata)}: run `make notebooks`"


RULES = [
    is_named_by_number,
    is_valid,
    was_executed_from_top_to_bottom,
    shows_no_error,
    has_one_cell_of_literal_parameters,
    shows_papermill_its_parameters,
    catches_planned_errors,
    is_small,
    has_short_cells,
    has_narrow_code,
    has_little_code,
    has_prose,
    links_terms_to_the_glossary,
    tags_items_that_exist,
    names_no_machine,
    trains_through_the_lesson,
    resamples_photographs,
    has_one_title_on_top,
    checks_and_solves_each_exercise,
    has_no_vector_graphics,
    shows_wide_figures_in_words_too,
    has_only_tags_as_metadata,
]
by_name = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


@by_name
@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)
def test_the_book(path, rule):
    assert list(rule(path, nbformat.read(path, as_version=4))) == []


def test_the_lessons_know_the_parameters_of_their_cell():
    assert list(KNOWN) == list(PARAMETERS)


def test_there_is_a_book_and_no_number_twice():
    numbers = [path.name[:2] for path in BOOK]
    assert numbers and len(numbers) == len(set(numbers))


# ------------------------------------------------------------------------------------------------
# The rules themselves


def good_notebook():
    def code(source, tags=(), **output):
        cell = new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
        cell.outputs = [new_output(**output)] if output else []
        return cell

    parameters = "\n".join(f"{name} = {value!r}  # why" for name, value in PARAMETERS.items())
    cells = [
        new_markdown_cell("# A title\n\n" + "Prose that says what the code does, and why. " * 20),
        code(parameters, ["parameters"]),
        code(
            "1 + 1",
            ["item:svrnn:eq1"],
            output_type="execute_result",
            data={"text/plain": "2"},
            execution_count=1,
        ),
        code("def answer(x): ...", ["exercise"]),
        code(
            'teaching.check("01.1", answer)',
            output_type="execute_result",
            data={"text/plain": "✗ not yet"},
        ),
        code("def answer(x): return x", ["solution"]),
        code(
            'teaching.check("01.1", answer)',
            output_type="execute_result",
            data={"text/plain": "✓ so it is"},
        ),
    ]
    for count, cell in enumerate(cells[1:], 1):
        cell.execution_count = count
    return new_notebook(cells=cells, metadata=nbformat.from_dict(PLAIN_METADATA))


def save(notebook, path):
    path.write_text(json.dumps(notebook))
    return path


def edit(change):
    """A way to break a notebook: change(notebook) edits it in place."""

    def apply(notebook, path):
        change(notebook)
        return save(notebook, path)

    return apply


def output_of(notebook, **output):
    notebook.cells[2].outputs = [new_output(**output)]


def picture(**said):
    return new_output("display_data", {"image/png": ""}, metadata={"image/png": said})


def replace_in(cell, old, new):
    cell.source = cell.source.replace(old, new)


BREAKAGES = [
    (is_named_by_number, lambda notebook, path: save(notebook, path.with_name("tour.ipynb"))),
    (is_valid, edit(lambda nb: nb.cells[1].pop("outputs"))),
    (was_executed_from_top_to_bottom, edit(lambda nb: nb.cells[3].update(execution_count=None))),
    (was_executed_from_top_to_bottom, edit(lambda nb: nb.cells[3].update(execution_count=7))),
    (
        shows_no_error,
        edit(lambda nb: output_of(nb, output_type="error", ename="E", evalue="bad", traceback=[])),
    ),
    (has_one_cell_of_literal_parameters, edit(lambda nb: nb.cells[1].metadata.clear())),
    (has_one_cell_of_literal_parameters, edit(lambda nb: replace_in(nb.cells[1], "0", "int(0)"))),
    (
        has_one_cell_of_literal_parameters,
        edit(lambda nb: replace_in(nb.cells[1], "quick", "smoke")),
    ),
    (
        has_one_cell_of_literal_parameters,
        edit(lambda nb: nb.cells[2].metadata.tags.append("parameters")),
    ),
    (
        shows_papermill_its_parameters,
        edit(lambda nb: replace_in(nb.cells[1], "# why", '# "" = none')),
    ),
    (
        catches_planned_errors,
        edit(lambda nb: nb.cells[2].metadata.update(tags=["raises-exception"])),
    ),
    (is_small, edit(lambda nb: output_of(nb, output_type="stream", text="x" * MOST_BYTES))),
    (has_short_cells, edit(lambda nb: nb.cells[2].update(source="x = 1\n" * 33))),
    (has_narrow_code, edit(lambda nb: nb.cells[2].update(source=f"x = 1  # {'x' * 80}"))),
    (has_little_code, edit(lambda nb: nb.cells.extend([new_code_cell("x = 1\n" * 20)] * 20))),
    (
        links_terms_to_the_glossary,
        edit(lambda nb: nb.cells.append(new_markdown_cell("A softmax, a [softmax](GLOSSARY.md)"))),
    ),
    (
        has_prose,
        edit(
            lambda nb: nb.cells[0].update(
                source="# A title\n\n$$a$$ and [a](b c d e f g h i j k l m n o p)"
            )
        ),
    ),
    (tags_items_that_exist, edit(lambda nb: nb.cells[2].metadata.update(tags=["item:svrnn:eq99"]))),
    (tags_items_that_exist, edit(lambda nb: nb.cells[0].metadata.update(tags=["item:svrnn:eq1"]))),
    (names_no_machine, edit(lambda nb: nb.cells[2].update(source="open('/home/me/x')"))),
    (
        names_no_machine,
        edit(lambda nb: output_of(nb, output_type="stream", text="saved /tmp/x/y.png")),
    ),
    (
        names_no_machine,
        edit(
            lambda nb: output_of(nb, output_type="display_data", data={"text/plain": "'/root/x'"})
        ),
    ),
    (
        trains_through_the_lesson,
        edit(lambda nb: nb.cells[2].update(source="runs = [training.fit(e) for e in rows]")),
    ),
    (trains_through_the_lesson, edit(lambda nb: nb.cells[2].update(source="fit(chosen)"))),
    (
        resamples_photographs,
        edit(lambda nb: nb.cells[2].update(source="lead = paired_bootstrap(gain)")),
    ),
    (has_one_title_on_top, edit(lambda nb: nb.cells[0].update(source="no title"))),
    (has_one_title_on_top, edit(lambda nb: nb.cells[0].update(source="# # A title"))),
    (has_one_title_on_top, edit(lambda nb: nb.cells.append(new_markdown_cell("text\n# Another")))),
    (checks_and_solves_each_exercise, edit(lambda nb: nb.cells.pop(6))),
    (checks_and_solves_each_exercise, edit(lambda nb: nb.cells.pop(5))),
    (checks_and_solves_each_exercise, edit(lambda nb: nb.cells.pop(4))),
    (
        checks_and_solves_each_exercise,
        edit(lambda nb: nb.cells[6].outputs[0].data.update({"text/plain": "✗ no"})),
    ),
    (checks_and_solves_each_exercise, edit(lambda nb: nb.cells[4].outputs.clear())),
    (
        has_no_vector_graphics,
        edit(
            lambda nb: output_of(nb, output_type="display_data", data={"image/svg+xml": "<svg/>"})
        ),
    ),
    (
        shows_wide_figures_in_words_too,
        edit(lambda nb: nb.cells[2].update(outputs=[picture(width=499, alt="A line")])),
    ),
    (
        shows_wide_figures_in_words_too,
        edit(lambda nb: nb.cells[2].update(outputs=[picture(width=500, alt="")])),
    ),
    (has_only_tags_as_metadata, edit(lambda nb: nb.metadata.update(papermill={}))),
    (has_only_tags_as_metadata, edit(lambda nb: nb.cells[2].metadata.update(collapsed=True))),
]


@by_name
def test_a_good_notebook_keeps_the_rule(rule, tmp_path):
    path = save(good_notebook(), tmp_path / "01_good.ipynb")
    assert list(rule(path, nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize(
    "rule, breakage",
    BREAKAGES,
    ids=[f"{rule.__name__}-{i}" for i, (rule, _) in enumerate(BREAKAGES)],
)
def test_the_rule_notices_a_broken_notebook(rule, breakage, tmp_path):
    notebook = good_notebook()
    path = breakage(notebook, tmp_path / "01_bad.ipynb")
    assert list(rule(path, notebook)) != []


def test_every_rule_has_a_breakage():
    assert {rule for rule, _ in BREAKAGES} == set(RULES)


def rows_shown(notebook):
    """The rows of all tables that a notebook shows, by heading."""
    for output in outputs(notebook):
        head, _, body = output.get("data", {}).get("text/html", "").partition("</thead>")
        headings = re.findall(r"<th>(.*?)</th>", head, re.DOTALL)
        for row in body.split("</tr>"):
            cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
            if cells:
                yield dict(zip(headings[-len(cells) :], cells, strict=False))


def verdicts_shown(path):
    """The verdicts that a notebook shows of each claim."""
    found: dict[str, set[str]] = {}
    for row in rows_shown(nbformat.read(path, as_version=4)):
        if {"id", "verdict"} <= row.keys():
            found.setdefault(row["id"], set()).add(row["verdict"])
    return found


@pytest.mark.parametrize("path", BOOK[:-1], ids=lambda path: path.stem)
def test_a_lesson_and_the_ledger_show_the_same_verdicts(path):
    ledger, lesson = verdicts_shown(BOOK[-1]), verdicts_shown(path)
    assert len(ledger) == 73
    assert {id: ledger[id] for id in lesson} == lesson, "run `make notebooks` for all of them"


def verdicts_told(notebook):
    """The verdicts that lists such as "- **Reproduced:** V1, V2" tell, by claim."""
    told = {}
    for text in markdown(notebook):
        for verdict, ids in re.findall(
            r"^- \*\*([A-Z][\w ]+):\*\* ((?:[A-Z]\d+(?:, )?)+)$", text, re.M
        ):
            told |= dict.fromkeys(ids.split(", "), verdict[0].lower() + verdict[1:])
    return told


def test_the_outcomes_that_lesson_12_tells_are_those_of_its_tables():
    ledger, told = verdicts_shown(BOOK[-1]), verdicts_told(nbformat.read(BOOK[-1], as_version=4))
    open_ones = {"needs GoPro", "not measured"}  # which the text need not list
    assert told == {id: next(iter(v)) for id, v in ledger.items() if not v <= open_ones}


def test_an_outcome_that_is_told_wrongly_is_noticed():
    notebook = new_notebook(cells=[new_markdown_cell("Text.\n\n- **Not learned enough:** V1, C12")])
    assert verdicts_told(notebook) == {"V1": "not learned enough", "C12": "not learned enough"}
