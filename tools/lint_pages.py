"""Check the pages: their code cells with ruff, and their prose for numbers that somebody typed.

Ruff does not read MyST text by itself. For each page it is handed the page with every line but the
code blanked out, so the line numbers it reports are those of the page.

A decimal, a percentage or a number of points in prose must be computed in a cell and shown with
glue, or stand in a table that is followed by a line with its source. Only what a cell of the page
sets may be typed as well, such as the 0.05 of a test or the 95 % of an interval: nobody computes
these, and to spell them out would evade the rule.
"""

import ast
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pages import BOOK, ROOT, code_cells, notebook_pages, only

MAX_LINES = 20
# A cell ends with the value it shows (B018); an import may stand where it is needed (E402); the
# blanked lines between cells look like wrong spacing (I001); Greek letters are the field's names
# (RUF001, RUF003); and strict=True in every zip is noise where the reader sees both lengths (B905).
RULES = ["--select=B,C4,E,F,I,NPY,PIE,RUF,SIM,UP,W", "--ignore=B018,B905,E402,I001,RUF001,RUF003"]
RULES += ["--quiet", "--no-cache", "--isolated", "--line-length=110", "--output-format=concise"]

SPACE = r"(?:\s|&nbsp;|~|\\[,;: !]?)*"
TYPED = re.compile(
    r"\d*(?<![.])[.]\d+"  # 0.62 and .62
    rf"|\d+{SPACE}%"  # 38 %, 38\,\%
    r"|\d+[ -](?:percent|per cent|percentage|points?\b)"
    r"|\b\d+e[-+]?\d+\b"  # 1e-4
)
DECIMAL = re.compile(rf"(\d*[.]?\d+){SPACE}(%|$|[^\w%-])")
NOT_PROSE = re.compile(
    r"^(?:\|.*\n)+(?:```\n)?\n?(?=Source: )"  # tables with their source
    r"|`[^`\n]*`"  # code, and the names that glue shows
    r"|https?://\S+"  # the addresses of links
    r"|^ {4,}\S.*$",  # code, indented
    re.MULTILINE,
)


def main() -> int:
    """Lint all pages and return the exit code."""
    pages = notebook_pages()
    failed = [page for page in pages if not clean(page)]
    typed = [problem for page in sorted(BOOK.glob("*.md")) for problem in typed_numbers(page)]
    good = f"The code cells of {len(pages)} pages are clean, and no number in their prose is typed."
    print("\n".join(typed) or ("" if failed else good))
    return 1 if failed or typed else 0


def typed_numbers(page: Path) -> list[str]:
    """Return where a page has a number in its prose, its headings or the texts of its figures."""
    text = page.read_text(encoding="utf-8")
    prose = NOT_PROSE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), only("markdown", text))
    found = [(prose.count("\n", 0, m.start()) + 1, m) for m in TYPED.finditer(prose)]
    for cell in code_cells(text):
        alt = cell.options.get("mystnb", {}).get("image", {}).get("alt", "")
        found += [(cell.line, m) for m in TYPED.finditer(alt)]
    where, known = page.relative_to(ROOT), set(settings(text))
    advice = "compute it in a cell and show it with glue, or give the table its line 'Source: ...'"
    told = [(line, m[0]) for line, m in found if not is_set(m, known)]
    return [f"{where}:{line}: the number {number} is typed; {advice}" for line, number in told]


def settings(text: str) -> Iterator[float]:
    """Yield the decimals that the cells of a page set; those in an assert are bounds."""
    nodes: list[ast.AST] = [ast.parse(cell.source) for cell in code_cells(text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.value
        if not isinstance(node, ast.Assert):
            nodes += ast.iter_child_nodes(node)


def is_set(typed: re.Match[str], known: set[float]) -> bool:
    """Return whether a decimal or percentage of the prose is one that a cell of the page sets."""
    number = DECIMAL.match(typed.string, typed.start())
    if number is None or not (number[2] == "%" or "." in number[1]):
        return False
    value = float(number[1]) / (100 if number[2] == "%" else 1)
    return any(math.isclose(value, setting) for setting in known)


def clean(page: Path) -> bool:
    """Print what is wrong with the cells of a page and return whether nothing is."""
    name, text = page.relative_to(ROOT), page.read_text(encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", *RULES, f"--stdin-filename={name}.py", "-"]
    code = only("code", text)
    run = subprocess.run(command, input=code, text=True, capture_output=True, check=False)
    told = run.stdout.replace(f"{name}.py:", f"{name}:") + run.stderr
    for cell in code_cells(text):
        count = len(cell.source.splitlines())
        if count > MAX_LINES:
            told += f"{name}:{cell.line}: the cell has {count} lines; the limit is {MAX_LINES}\n"
    print(told, end="")
    return not told


if __name__ == "__main__":
    sys.exit(main())
