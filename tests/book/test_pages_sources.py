"""What every page owes its reader, checked in the source."""

import ast
import inspect
import re

import pytest
import yaml

from lint_pages import MAX_LINES
from pages import BOOK, ROOT, code_cells, notebook_pages, prose
from simam_edu.exercises import chapters

PAGES = notebook_pages()
CHAPTERS = [page for page in PAGES if page.stem != "index"]
MINUTES = re.compile(r"\*\*Time\*\* about (\d+) minutes(?:, and (\d+) for the exercises)?")
EXERCISE = re.compile(r"^### .+ \((?:(easy|medium|hard), (\d+) minutes|open)\)$", re.MULTILINE)
CHECKED = re.compile(r"check\(\"(\w+)\"")


def by_name(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


def text_of(page):
    return page.read_text(encoding="utf-8")


def split_exercises(text):
    """The text of a page before its exercises, and the exercises."""
    before, heading, exercises = text.partition("\n## Exercises\n")
    return before, heading + exercises


def where(page, cell):
    return f"{page.relative_to(ROOT)}:{cell.line}"


def is_listed(page):
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return f"book/{page.stem}" in re.findall(r"(?:root|file): (\S+)", toc)


@by_name(PAGES)
def test_the_page_is_in_the_table_of_contents(page):
    assert is_listed(page), f"add book/{page.stem} to _toc.yml"


@by_name(PAGES)
def test_the_page_says_what_to_expect(page):
    text = text_of(page)
    assert "{admonition} Before you start" in text, "the page needs its box 'Before you start'"
    for part in ("**You will be able to**", "**You need**", "**Time**", "**GPU**"):
        assert part in text, f"'Before you start' lacks {part}"


@by_name(PAGES)
def test_the_minutes_are_those_of_the_text(page):
    text, exercises = split_exercises(text_of(page))
    promised = MINUTES.search(text)
    assert promised, "'Before you start' must say '**Time** about N minutes'"
    counted = round(len(prose(text).split()) / 200 + len(code_cells(text)) / 2)
    slack = max(2.0, 0.2 * counted)
    assert abs(int(promised[1]) - counted) <= slack, f"{promised[1]} minutes promised, {counted} counted"
    of_exercises = sum(int(match[2] or 0) for match in EXERCISE.finditer(exercises))
    assert int(promised[2] or 0) == of_exercises, (
        f"the exercises take {of_exercises} minutes by their headings"
    )


@by_name(CHAPTERS)
def test_the_chapter_ends_with_its_take_away_and_its_exercises(page):
    headings = re.findall(r"^## (.*)$", prose(text_of(page)), flags=re.MULTILINE)
    expected = ["Take-away", "Exercises"] if page.stem in chapters() else ["Take-away"]
    assert headings[-len(expected) :] == expected


@pytest.mark.parametrize("chapter", chapters())
def test_each_exercise_has_its_question_and_its_solution(chapter):
    """Three or more a chapter; each is asked, and its solution, which the build runs, is folded."""
    _, section = split_exercises(text_of(BOOK / f"{chapter}.md"))
    names = [exercise.name for exercise in chapters()[chapter]]
    assert len(names) >= 3
    parts = re.split(r"(?=^### )", section, flags=re.MULTILINE)[1:]
    assert all(EXERCISE.match(part) for part in parts), "'### Title (easy, 5 minutes)', or '(open)'"
    checked = [CHECKED.findall(part) for part in parts if "(open)" not in part.splitlines()[0]]
    assert checked == [[name, name] for name in names], "first the reader's cell, then the solution"
    for part in parts:
        cells = code_cells(part)
        folded = ["hide-cell" in cell.options.get("tags", []) for cell in cells]
        assert folded == [False, True] or (not cells and "(open)" in part.splitlines()[0])
        assert all("verdict.passed" in cell.source for cell in cells[1:]), "the solution is asserted to pass"


ORACLES = {"simam", "stable_gain"}  # held against the oracle, where the page has torch or float32


@pytest.mark.parametrize("chapter", chapters())
def test_a_solution_on_the_page_is_that_of_the_package(chapter):
    _, section = split_exercises(text_of(BOOK / f"{chapter}.md"))
    folded = [c.source for c in code_cells(section) if "hide-cell" in c.options.get("tags", [])]
    for exercise, cell in zip(chapters()[chapter], folded, strict=True):
        if callable(exercise.solution) and "def " in cell and exercise.name not in ORACLES:
            assert inspect.getsource(exercise.solution) in cell, exercise.name


@by_name(PAGES)
def test_cells_are_short(page):
    for cell in code_cells(text_of(page)):
        count = len(cell.source.splitlines())
        assert count <= MAX_LINES, f"{where(page, cell)}: {count} lines; the limit is {MAX_LINES}"


@by_name(PAGES)
def test_every_assert_says_what_must_hold(page):
    for cell in code_cells(text_of(page)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                assert node.msg is not None, f"{where(page, cell)}: this assert has no message"


@by_name(PAGES)
def test_every_figure_has_its_text(page):
    drawing: set[str] = set()  # the names that the page has from simam_edu.plots
    for cell in code_cells(text_of(page)):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simam_edu"):
                from_plots = node.module.startswith("simam_edu.plots")
                drawing |= {a.asname or a.name for a in node.names if from_plots or a.name == "plots"}
        if shows_one_of(drawing, tree):
            text = cell.options.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(text) > 20, f"{where(page, cell)}: say in its alt text what the figure shows"


def shows_one_of(drawing, tree):
    """Whether the value that a cell shows is made with one of the given names."""
    last = tree.body[-1] if tree.body else None
    return isinstance(last, ast.Expr) and any(
        isinstance(node, ast.Name) and node.id in drawing for node in ast.walk(last)
    )


def test_the_address_of_the_repository_stands_in_one_place():
    address = yaml.safe_load(text_of(ROOT / "_config.yml"))["repository"]["url"]
    folders = [ROOT, *(ROOT / name for name in ("book", "src", "tests", "tools", ".github", ".ci"))]
    files = [f for d in folders for f in (d.glob("*") if d == ROOT else d.rglob("*")) if f.is_file()]
    texts = {".md", ".py", ".yml", ".toml", ".cff", ".bib", ".js", ".css", ""}
    holders = {
        f.name for f in files if f.suffix in texts and "__pycache__" not in f.parts and address in text_of(f)
    }
    assert holders == {"_config.yml"}, (
        "the notebooks are made from _config.yml; nothing else repeats the address"
    )
