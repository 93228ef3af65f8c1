"""The student edition without solutions, the glossary and the teacher's page, and the site."""

import ast
import base64
import io
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from typer.testing import CliRunner

import deblurlib
from deblurlib import teaching
from deblurlib.book import editions
from deblurlib.book.api import public_modules
from deblurlib.cli.app import app
from deblurlib.results import ROOT

BOOK = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
by_notebook = pytest.mark.parametrize("path", BOOK, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


EXERCISES = {path: len(tagged(read(path), "exercise")) for path in BOOK}


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "edition"
    result = CliRunner().invoke(app, ["student-edition", str(folder)])
    assert result.exit_code == 0 and f"{len(BOOK)} notebooks without solutions" in result.output
    return folder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def lines(cells):
    return {line.strip() for cell in cells for line in cell.source.splitlines() if line.strip()}


@by_notebook
def test_no_line_of_a_solution_and_no_output_is_left(path, edition):
    original, left = read(path), read(edition / path.name)
    solutions = tagged(original, "solution")
    given_away = lines(
        cell for cell in original.cells if cell not in solutions
    )  # e.g. "return x" of another cell
    assert not (lines(solutions) - given_away) & lines(left.cells)
    assert len(tagged(left, "exercise")) == len(solutions) == EXERCISES[path]
    assert all(
        not cell.outputs and cell.execution_count is None
        for cell in left.cells
        if cell.cell_type == "code"
    )
    nbformat.validate(left)
    text = (edition / path.name).read_text()
    folded = sum(cell.source.count("<details>") for cell in original.cells)
    assert "✓ Exercise" not in text and text.count("<details>") == folded


@by_notebook
def test_one_check_stays_behind_each_exercise_and_all_else_as_it_was(path, edition):
    original, left = read(path), read(edition / path.name)
    checks = [
        number
        for cell in left.cells
        for number in re.findall(r'(?<!\w)check\("(\d\d\.\d)"', cell.source)
    ]
    assert (
        checks
        == sorted(set(checks))
        == [name for name in teaching.CHECKS if name.startswith(path.name[:2])]
    )
    kept, solutions = {cell.id for cell in left.cells}, tagged(original, "solution")
    gone = [cell for cell in original.cells if cell.id not in kept]
    assert all(
        cell in solutions or re.fullmatch(r"teaching\.check\(.*\)", cell.source) for cell in gone
    )


@by_notebook
def test_details_answer_questions_and_never_an_exercise(path):
    """A question stands between a folded answer and the last exercise: the edition may keep it."""
    asked = False
    for cell in read(path).cells:
        asked = asked and "exercise" not in cell.metadata.get("tags", [])
        for part in re.findall(
            r"\*\*Predict|<details>", cell.source if cell.cell_type == "markdown" else ""
        ):
            assert part == "**Predict" or asked, cell.source[:60]
            asked = asked or part == "**Predict"


def names_of(notebook):
    """The names a student can use without the experiments: imports, functions, parameters."""
    namespace = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not {"exercise", "solution"} & set(
            cell.metadata.get("tags", [])
        ):
            for node in ast.parse(cell.source).body:
                plain = isinstance(node, ast.Assign) and isinstance(
                    node.value, (ast.Attribute, ast.Constant)
                )
                if plain or isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)):
                    with suppress(NameError):  # an attribute of what an experiment found
                        exec(compile(ast.Module([node], []), "<notebook>", "exec"), namespace)
    return namespace


def verdicts(cells, namespace):
    """Run exercises, solutions and checks in order; what the checks say."""
    for cell in cells:
        if {"exercise", "solution"} & set(cell.metadata.get("tags", [])) or editions.is_check(cell):
            *body, last = ast.parse(cell.source).body
            if not editions.is_check(cell):
                body.append(last)
            exec(compile(ast.Module(body, []), "<exercise>", "exec"), namespace)
            if editions.is_check(cell):
                yield eval(compile(ast.Expression(last.value), "<check>", "eval"), namespace)


@pytest.mark.parametrize(
    "path", [path for path in BOOK if EXERCISES[path]], ids=lambda path: path.stem
)
def test_every_skeleton_is_told_what_to_do_and_every_solution_passes(path, edition):
    skeletons = list(verdicts(read(edition / path.name).cells, names_of(read(path))))
    assert len(skeletons) == EXERCISES[path]
    for verdict in skeletons:
        assert not verdict.passed and "replace the `...` in the skeleton" in verdict.reason, verdict
    both = list(verdicts(read(path).cells, names_of(read(path))))
    assert [verdict.passed for verdict in both] == [False, True] * EXERCISES[path], both


def links(path):
    markdown = path.suffix == ".md"
    text = (
        path.read_text()
        if markdown
        else "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    )
    return re.findall(r'\]\(([^)\s#:]+\.(?:ipynb|md|png))|href="([^"#:]+)"', text)


def test_the_links_of_the_edition_lead_to_files_in_it(edition):
    found = [(path.name, a or b) for path in edition.iterdir() for a, b in links(path)]
    assert (
        len(found) > 40
        and [(name, link) for name, link in found if not (edition / link).is_file()] == []
    )


def test_linked_notebooks_come_along_without_their_solutions(tmp_path):
    written = editions.student_edition(tmp_path / "out", "00")
    assert (
        {path.name for path in written}
        == {path.name for path in BOOK}
        == {p.name for p in (tmp_path / "out").glob("*.ipynb")}
    )
    assert not any(tagged(read(path), "solution") for path in written)


def test_what_is_linked_comes_along_and_nothing_else(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    def notebook(name, text):
        cell = nbformat.v4.new_markdown_cell(text)
        return write(name, nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))

    path = notebook(
        "01_a.ipynb",
        "[b](b.md#part), [web](https://example.org/x.md), $[f](x)$, [up](../01_a/secret.md)",
    )
    write("b.md", '<a href="c.png">c</a> and [gone](gone.md)')
    write("c.png", "picture")
    write("d.md", "nobody links here")
    assert {file.name for file in editions.linked_files([path])} == {"b.md", "c.png"}
    editions.student_edition(tmp_path / "out", tmp_path)
    assert names_in(tmp_path / "out") == ["01_a.ipynb", "b.md", "c.png"]


def test_a_folder_that_holds_something_is_left_alone_in_one_sentence(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("1")
    (tmp_path / "file").write_text("1")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        result = CliRunner().invoke(app, ["student-edition", str(tmp_path / name)])
        assert (
            result.exit_code == 2
            and len(result.stderr.splitlines()) == 1
            and "give a new one" in result.stderr
        )
    assert CliRunner().invoke(app, ["student-edition", str(tmp_path / "empty")]).exit_code == 0
    assert names_in(tmp_path) == ["empty", "file", "full"]
    assert names_in(tmp_path / "full") == ["mine.txt"]


def test_an_edition_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(editions, "linked_files", lambda paths: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        editions.student_edition(tmp_path / "out")
    assert names_in(tmp_path) == []


# ------------------------------------------------------------------------------------------------
# The glossary and the teacher's page

PAGES = BOOK[0].parent
HEADINGS = {
    path.name: {
        line.lstrip("# ")
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("#")
    }
    for path in BOOK
}
TEACHING = (PAGES / "TEACHING.md").read_text()


def rows_of(head):
    """The rows of all tables of the teacher's page whose first column has that title."""
    tables = re.findall(r"((?:^\|.*\n)+)", TEACHING, re.MULTILINE)
    found = [
        [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.splitlines()]
        for table in tables
    ]
    return [row for table in found if table[0][0] == head for row in table[2:]]


def test_the_glossary_is_in_order_and_each_term_leads_to_a_lesson():
    entries = re.split(r"\n\n(?=\*\*)", (PAGES / "GLOSSARY.md").read_text().strip())[1:]
    terms = [re.match(r"\*\*(.+?)\.?\*\*", entry)[1] for entry in entries]
    assert len(terms) > 40 and terms == sorted(set(terms), key=str.lower)
    for entry in entries:
        assert len(entry.splitlines()) == 2 and re.search(r"\]\(\d\d_\w+\.ipynb\)", entry), entry


@pytest.mark.parametrize("name", ["GLOSSARY.md", "TEACHING.md", "../README.md"])
def test_the_links_of_the_pages_lead_to_files(name):
    found = [
        a or b for a, b in links(PAGES / name) if not a.startswith("results/")
    ]  # what `make reproduce` writes
    assert found and [link for link in found if not ((PAGES / name).parent / link).is_file()] == []


def test_every_exercise_of_the_book_has_one_marking_hint_and_no_other_has():
    hints = rows_of("exercise")
    assert sorted(row[0] for row in hints) == sorted(teaching.CHECKS)
    assert all(len(row) == 4 and all(row) for row in hints)
    assert set(re.findall(r"\b\d\d\.\d\b(?! dB)", TEACHING)) <= set(teaching.CHECKS)


def test_the_six_sessions_leave_time_for_exercises_and_show_sections_and_figures_that_exist():
    lessons = [lesson.split("\n## ")[0] for lesson in TEACHING.split("\n## Session ")[1:]]
    assert len(lessons) == 6 and all(
        "Needs no GPU" in lesson and "Common mistakes:" in lesson for lesson in lessons
    )
    for lesson in lessons:
        assert (
            sum(int(minutes) for minutes in re.findall(r"^\| (\d+) \|", lesson, re.MULTILINE)) == 60
        )
        said = re.search(
            r"\*\*Exercises in class\*\* \(30 minutes\): (.+?)\. \*\*Homework:\*\* (.+?)\.\n",
            lesson,
        )
        marked = re.findall(r"^\| (\d\d\.\d) \|", lesson, re.MULTILINE)
        assert said and sorted(", ".join(said.groups()).split(", ")) == sorted(marked), lesson[:20]
        assert "**Goals.** Students can " in lesson
    for row, lesson in zip(rows_of("session")[:6], lessons, strict=True):  # the overview
        on_screen = re.findall(r"^\| \d+ \| \[(\d\d)\]", lesson, re.MULTILINE)
        assert row[0] == lesson[0] and row[1] in lesson.splitlines()[0]
        assert re.findall(r"\[(\d\d)\]", row[2]) == list(dict.fromkeys(on_screen))
        assert f"(30 minutes): {row[3]}. **Homework:** {row[4]}.\n" in lesson
    for _, shown, seen in rows_of("minutes"):
        ((link, titles),) = re.findall(r"\]\((\S+?)\) (.+)", shown)
        assert set(re.findall(r"\*(.+?)\*", titles)) <= HEADINGS[link], shown
        source = (PAGES / link).read_text()
        for number, name in re.findall(r"`(\d\d)_(\w+)`", seen):
            assert number == link[:2] and f'\\"{name}\\"' in source, (shown, name)


# ------------------------------------------------------------------------------------------------
# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as (folder, page name -> parsed page), built where no connection can be opened."""
    folder = tmp_path_factory.mktemp("web") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "socket.socket.connect",
            lambda *arguments: pytest.fail("the site was built over a network"),
        )
        result = CliRunner().invoke(app, ["site", str(folder)])
    assert result.exit_code == 0 and "index.html" in result.output
    return folder, {
        path.name: BeautifulSoup(path.read_text(), "html.parser")
        for path in sorted(folder.glob("*.html"))
    }


def test_every_notebook_and_text_has_its_page_with_all_cells_and_figures(site):
    _, pages = site
    assert set(pages) == {
        "index.html",
        "GLOSSARY.html",
        "TEACHING.html",
        *(f"{path.stem}.html" for path in BOOK),
    }
    for path in BOOK:
        cells, page = read(path).cells, pages[f"{path.stem}.html"]
        images = sum(
            any(kind.startswith("image/") for kind in output.get("data", {}))
            for cell in cells
            for output in cell.get("outputs", [])
        )
        assert (
            len(page.select(".jp-Cell")) == len(cells)
            and len(page.select(".jp-OutputArea img")) == images
        )


def test_no_picture_of_the_site_is_broken(site):
    _, pages = site
    images = [image["src"] for page in pages.values() for image in page.find_all("img")]
    assert len(images) > 60
    for source in images:
        kind, data = source.split(",", 1)
        assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
        Image.open(io.BytesIO(base64.b64decode(data))).verify()


def test_the_links_of_the_site_lead_to_pages_and_places_in_them(site):
    folder, pages = site
    found = [
        (name, urlsplit(link["href"]))
        for name, page in pages.items()
        for link in page.find_all("a", href=True)
    ]
    assert (folder / "api" / "index.html").is_file()
    inside = [(name, link) for name, link in found if not link.scheme and "api/" not in link.path]
    assert len(inside) > 300
    for name, link in inside:
        target = link.path or name
        assert target in pages, (name, link)
        assert not link.fragment or pages[target].find(
            id=[link.fragment, unquote(link.fragment)]
        ), (name, link)


def test_every_page_leads_to_every_other_and_to_its_neighbours(site):
    _, pages = site
    for name, page in pages.items():
        assert {link["href"] for link in page.select("nav.pages a")} == set(pages), name
        assert page.select_one("nav.pages [aria-current]")["href"] == name
        assert page.title.text and len(page.find_all("h1")) == 1
    following = pages["00_tour.html"].select_one("a[rel=next]")["href"]
    assert (
        following == f"{BOOK[1].stem}.html"
        and pages[following].select_one("a[rel=prev]")["href"] == "00_tour.html"
    )


def test_a_reader_loads_nothing(site):
    _, pages = site
    for name, page in pages.items():
        loaded = [tag.get("src") or tag.get("href") for tag in page.find_all(["script", "link"])]
        assert not any(loaded), (name, loaded)


def test_every_formula_is_drawn(site):
    _, pages = site
    formula = re.compile(r"(?<![\\\w$])\$[^$\s][^$\n]*\$|\\(frac|sum|mathbf|sqrt|begin)\b")
    for path in BOOK:
        texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
        page = pages[f"{path.stem}.html"]
        formulas = page.find_all("math")
        assert len(formulas) >= sum(text.count("$$") for text in texts) // 2
        assert all(
            len(each.get_text(strip=True)) and not re.search(r"\\[a-z]", each.get_text())
            for each in formulas
        )
        for cell in page.select(".jp-RenderedMarkdown"):
            assert not formula.search(cell.get_text()), formula.search(cell.get_text())[0]


@pytest.fixture(scope="module")
def reference(site):
    """The API reference that comes with the site: module name -> parsed page."""
    folder = site[0] / "api"
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): BeautifulSoup(
            path.read_text(), "html.parser"
        )
        for path in folder.rglob("*.html")
    }


def test_every_public_name_has_an_entry(reference):
    def has(module, name):
        return reference[module].find(id=re.compile(rf"^{re.escape(name)}$")) is not None

    for package in ("data", "experiments", "figures", "inference", "models", "ops", "training"):
        module = import_module(f"deblurlib.{package}")
        for name in getattr(module, "__all__", ()):
            assert has(f"deblurlib.{package}", name), f"{package}.{name}"
    for name in ("deblur", "create_model", "load_model", "list_models", "list_variants"):
        assert has("deblurlib", name), name
    assert set(public_modules(deblurlib)) <= set(reference)


def test_the_reference_names_no_folder_of_this_machine(site):
    pages = [path for path in (site[0] / "api").rglob("*") if path.suffix in (".html", ".js")]
    assert any("deblurlib/weights/runs" in path.read_text() for path in pages)
    assert not [path.name for path in pages if str(ROOT) in path.read_text()]


def test_arguments_and_results_are_sections(reference):
    entry = reference["deblurlib.analysis.significance"].find(id="paired_bootstrap")
    assert {"Arguments:", "Returns:", "Raises:"} <= {h.text for h in entry.find_all("h6")}


def test_the_pages_load_nothing_from_elsewhere(reference):
    for name, page in reference.items():
        loaded = [
            tag.get("src") or tag.get("href") for tag in page.find_all(["script", "link", "img"])
        ]
        assert not [link for link in loaded if link and link.startswith(("http", "//"))], name
