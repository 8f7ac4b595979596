"""The pages of the book as their authors write them: where they are, and the cells in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"

TOP = r"---\n(?P<yaml>.*?)^---\n|(?P<short>(?::[^\n]*\n)+)"
OPTIONS = re.compile(TOP, re.MULTILINE | re.DOTALL)
CODE = re.compile(
    rf"^```\{{code-cell\}}[^\n]*\n(?:{TOP})?(?P<source>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL
)
FRONT = re.compile(r"\A---\n.*?^---\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Cell:
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
    return [page for page in sorted(BOOK.glob("*.md")) if CODE.search(page.read_text(encoding="utf-8"))]


def cells(text: str) -> list[Cell]:
    """Return the cells of a page, given its text; the front matter is none."""
    front = FRONT.match(text)
    found: list[Cell] = []
    start = front.end() if front else 0
    for match in CODE.finditer(text):
        found += _cell("markdown", text, start, match.start())
        options = match["yaml"] or (match["short"] or "").replace("\n:", "\n")[1:]
        found += _cell("code", text, *match.span("source"), options)
        start = match.end()
    return found + _cell("markdown", text, start, len(text))


def _cell(kind: str, text: str, start: int, end: int, options: str = "") -> list[Cell]:
    """The cell between two places of a page, if anything stands there."""
    source = text[start:end]
    line = text.count("\n", 0, start) + len(source) - len(source.lstrip("\n")) + 1
    cell = Cell(kind=kind, line=line, source=source.strip("\n"), options=yaml.safe_load(options) or {})
    return [cell] if cell.source else []


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
