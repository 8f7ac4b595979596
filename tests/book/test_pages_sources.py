"""What every page owes its reader, checked in the source."""

import ast
import inspect
import re

import pytest

from pages import BOOK, ROOT, code_cells, notebook_pages, only
from simam_edu.exercises import chapters

PAGES = notebook_pages()
CHAPTERS = [page for page in PAGES if page.stem != "index"]
EXERCISE = re.compile(r"^### .+ \((?:(easy|medium|hard), (\d+) minutes|open)\)$", re.MULTILINE)
CHECKED = re.compile(r"check\(\"(\w+)\"")


def by_name(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


def text_of(page):
    return page.read_text(encoding="utf-8")


def exercises_of(page):
    return text_of(page).partition("\n## Exercises\n")[2]


def where(page, cell):
    return f"{page.relative_to(ROOT)}:{cell.line}"


def test_table_of_contents_lists_every_page():
    listed = re.findall(r"(?:root|file): book/(\S+)", text_of(ROOT / "_toc.yml"))
    assert {page.stem for page in PAGES} <= set(listed)


@by_name(CHAPTERS)
def test_the_page_says_what_to_expect(page):
    text = text_of(page)
    assert "{admonition} Before you start" in text, "the page needs its box 'Before you start'"
    for part in ("**You will be able to**", "**You need**", "**Time**", "**GPU**"):
        assert part in text, f"'Before you start' lacks {part}"


@by_name(CHAPTERS)
def test_minutes_promised_for_the_exercises_are_those_of_their_headings(page):
    promised = re.search(r"\*\*Time\*\* about \d+ minutes(?:, and (\d+) for the exercises)?", text_of(page))
    assert promised, "'Before you start' must say '**Time** about N minutes'"
    minutes = [int(match[2] or 0) for match in EXERCISE.finditer(exercises_of(page))]
    assert int(promised[1] or 0) == sum(minutes)


@by_name(CHAPTERS)
def test_the_chapter_ends_with_its_take_away_and_its_exercises(page):
    headings = re.findall(r"^## (.*)$", only("markdown", text_of(page)), flags=re.MULTILINE)
    expected = ["Take-away", "Exercises"] if page.stem in chapters() else ["Take-away"]
    assert headings[-len(expected) :] == expected


@pytest.mark.parametrize("chapter", chapters())
def test_each_exercise_has_its_question_and_its_solution(chapter):
    """Three or more a page, open ones counted; the solution, which the build runs, is folded."""
    section = exercises_of(BOOK / f"{chapter}.md")
    names = [exercise.name for exercise in chapters()[chapter]]
    parts = re.split(r"(?=^### )", section, flags=re.MULTILINE)[1:]
    assert len(parts) >= 3
    assert all(EXERCISE.match(part) for part in parts), "'### Title (easy, 5 minutes)', or '(open)'"
    checked = [CHECKED.findall(part) for part in parts if "(open)" not in part.splitlines()[0]]
    assert checked == [[name, name] for name in names], "first the reader's cell, then the solution"
    for part in parts:
        cells = code_cells(part)
        folded = ["hide-cell" in cell.tags for cell in cells]
        assert folded == [False, True] or (not cells and "(open)" in part.splitlines()[0])
        assert all("verdict.passed" in cell.source for cell in cells[1:]), "the solution is asserted to pass"


ORACLES = {"simam", "stable_gain"}  # held against the oracle, where the page has torch or float32


@pytest.mark.parametrize("chapter", chapters())
def test_a_solution_on_the_page_is_that_of_the_package(chapter):
    section = exercises_of(BOOK / f"{chapter}.md")
    folded = [c.source for c in code_cells(section) if "hide-cell" in c.tags]
    for exercise, cell in zip(chapters()[chapter], folded, strict=True):
        if callable(exercise.solution) and "def " in cell and exercise.name not in ORACLES:
            assert inspect.getsource(exercise.solution) in cell, exercise.name


PRINTED = {
    "index": "TenLines",
    "module": "TenLines",
    "gradients": "fused.backward",
    "training": "loop.train",
}


@pytest.mark.parametrize("page", PRINTED)
def test_the_page_prints_the_code_of_the_package(page):
    assert f"print(inspect.getsource({PRINTED[page]}))" in text_of(BOOK / f"{page}.md")


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
