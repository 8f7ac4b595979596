"""The notebooks beside the pages: up to date, and each runs where only the package is installed."""

import nbformat
import pytest
from nbclient import NotebookClient

from notebooks import as_text, convert, differences, install_cell, read
from pages import BOOK, code_cells, notebook_pages

PAGES = notebook_pages()
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_each_notebook_has_its_page():
    notebooks = {path.stem for path in BOOK.glob("*.ipynb")}
    assert notebooks == {page.stem for page in PAGES}, "run `make notebooks`, and remove what has no page"


@by_name
def test_the_committed_notebook_is_the_converted_page(page):
    found, wanted = read(page), convert(page)
    assert found == wanted, f"run `make notebooks`:\n{differences(found, wanted)}"


@by_name
def test_the_notebook_is_valid_and_says_what_it_needs(page):
    notebook = nbformat.reads(as_text(convert(page)), as_version=4)
    nbformat.validate(notebook)
    first = notebook.cells[0].source
    assert first == install_cell(page)
    assert "simam-edu @ git+https://" in first, "the first cell must install the package from its repository"
    assert not any("myst_nb" in cell.source for cell in notebook.cells if cell.cell_type == "code")


@by_name
def test_the_solutions_and_nothing_else_are_folded(page):
    folded = [
        cell["metadata"].get("cellView") == "form" and cell["metadata"]["jupyter"]["source_hidden"]
        for cell in convert(page)["cells"]
        if cell["cell_type"] == "code"
    ]
    hidden = ["hide-cell" in cell.options.get("tags", []) for cell in code_cells(page.read_text("utf-8"))]
    assert folded == [False, *hidden]


@by_name
def test_the_notebook_runs_in_a_folder_of_its_own(page, tmp_path):
    notebook = nbformat.reads(as_text(convert(page)), as_version=4)
    # As on Colab: only the package is there, not what builds the book.
    bare = "import sys\nsys.modules['myst_nb'] = None"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(bare))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
