"""The pages of the book as their authors write them: where they are, and the code cells in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
OPTIONS = re.compile(r"---\n(?P<yaml>.*?)^---\n|(?P<short>(?::[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A code cell of a page."""

    line: int  # of the page, where the source begins, counted from one
    source: str  # without the options
    options: dict[str, Any]  # at the top of the cell


def notebook_pages() -> list[Path]:
    """Return the pages that have code cells, in the order of their names."""
    return [page for page in sorted(BOOK.glob("*.md")) if CELL.search(page.read_text(encoding="utf-8"))]


def code_cells(text: str) -> list[Cell]:
    """Return the code cells of a page, given its text."""
    cells = []
    for match in CELL.finditer(text):
        options = OPTIONS.match(text, match.start("body"), match.end("body"))
        start = options.end() if options else match.start("body")
        written = (options["yaml"] or options["short"].replace("\n:", "\n")[1:]) if options else ""
        source = text[start : match.end("body")]
        line = text.count("\n", 0, start) + len(source) - len(source.lstrip("\n")) + 1
        cells.append(Cell(line=line, source=source.strip("\n"), options=yaml.safe_load(written) or {}))
    return cells


def blank_code(text: str) -> str:
    """Return the text of a page with its front matter and its code cells blanked, its lines in place."""
    blank = re.compile(rf"\A---\n.*?^---\n|{CELL.pattern}", re.MULTILINE | re.DOTALL)
    return blank.sub(lambda match: "\n" * match[0].count("\n"), text)
