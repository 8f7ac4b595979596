"""The pages of the book as their authors write them: where they are, and the cells in them."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from myst_nb.core.read import read_myst_markdown_notebook

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


class Cell(NamedTuple):
    """A cell of a page: code, or the text between two of them."""

    kind: str  # code or markdown
    line: int  # of the page, where the source begins, counted from one
    source: str  # without the options
    options: dict[str, Any]  # at the top of the cell

    @property
    def tags(self) -> set[str]:
        """The tags among the options."""
        return set(self.options.get("tags", []))


def notebook_pages() -> list[Path]:
    """Return the pages that have code cells, in the order of their names."""
    return [page for page in sorted(BOOK.glob("*.md")) if code_cells(page.read_text("utf-8"))]


@cache
def cells(text: str) -> list[Cell]:
    """Return the cells of a page, given its text, as the build reads them."""
    notebook = read_myst_markdown_notebook(text, add_source_map=True)
    lines, found = text.splitlines(), []
    for start, cell in zip(notebook.metadata.source_map, notebook.cells, strict=True):
        line = lines.index(cell.source.partition("\n")[0], start) + 1  # behind the options
        found.append(Cell(cell.cell_type, line, cell.source, cell.metadata))
    return found


def code_cells(text: str) -> list[Cell]:
    """Return the code cells of a page, given its text."""
    return [cell for cell in cells(text) if cell.kind == "code"]


def only(kind: str, text: str) -> str:
    """Return the cells of a kind on their lines, every other line of the page blank."""
    kept = ""
    for cell in cells(text):
        if cell.kind == kind:
            kept += "\n" * (cell.line - 1 - kept.count("\n")) + cell.source + "\n"
    return kept
