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


def test_table_of_contents_lists_every_page():
    listed = re.findall(r"(?:root|file): book/(\S+)", text_of(ROOT / "_toc.yml"))
    assert {page.stem for page in PAGES} <= set(listed)


@by_name(CHAPTERS)
def test_the_page_says_what_to_expect_and_its_minutes_are_those_of_its_exercises(page):
    text = text_of(page)
    box = "{admonition} Before you start", "**You will be able to**", "**You need**", "**GPU**"
    assert not [part for part in box if part not in text]
    promised = re.search(r"\*\*Time\*\* about \d+ minutes(?:, and (\d+) for the exercises)?", text)
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
        assert all("verdict.passed" in cell.source for cell in cells[1:]), "asserted to pass"


ORACLES = {"simam", "stable_gain"}  # held against the oracle, where the page has torch or float32


@pytest.mark.parametrize("chapter", chapters())
def test_a_solution_on_the_page_is_that_of_the_package(chapter):
    section = exercises_of(BOOK / f"{chapter}.md")
    folded = [c.source for c in code_cells(section) if "hide-cell" in c.tags]
    for exercise, cell in zip(chapters()[chapter], folded, strict=True):
        if callable(exercise.solution) and "def " in cell and exercise.name not in ORACLES:
            assert inspect.getsource(exercise.solution) in cell, exercise.name


@pytest.mark.parametrize(
    ("page", "name"),
    [
        *(("index", "TenLines"), ("module", "TenLines")),
        *(("gradients", "fused.backward"), ("training", "loop.train")),
    ],
)
def test_the_page_prints_the_code_of_the_package(page, name):
    assert f"print(inspect.getsource({name}))" in text_of(BOOK / f"{page}.md")


@by_name(PAGES)
def test_every_assert_says_what_must_hold(page):
    for cell in code_cells(text_of(page)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                assert node.msg is not None, f"line {cell.line}: this assert has no message"
