"""Check the pages: their code cells with ruff, and their prose for numbers that somebody typed.

Ruff does not read MyST text by itself. For each page it is handed the page with every line but the code
blanked out, so the line numbers it reports are those of the page.

A decimal, a percentage or a number of points in prose must be computed in a cell and shown with glue, or
stand in a table that is followed by a line with its source. Only what a cell of the page sets may be typed
as well, such as the 0.05 of a test or the 95 % of an interval: nobody computes these, and to spell them out
would evade the rule.
"""

import ast
import math
import re
import subprocess
import sys
from pathlib import Path

from pages import BOOK, ROOT, code_cells, notebook_pages, only

MAX_LINES = 20
# A cell ends with the value it shows (B018); an import may stand where it is needed (E402); the blanked lines
# between cells look like wrong spacing (I001); Greek letters are the field's names (RUF001, RUF003); and
# strict=True in every zip is noise where the reader sees both lengths (B905).
RULES = ["--select=B,C4,E,F,I,NPY,PIE,RUF,SIM,UP,W", "--ignore=B018,B905,E402,I001,RUF001,RUF003"]
RULES += ["--quiet", "--no-cache", "--isolated", "--line-length=110", "--output-format=concise"]

TYPED = re.compile(
    r"\d*(?<![.])[.]\d+"  # 0.62 and .62
    r"|\d+(?:\s|&nbsp;|~|\\[,;: !]?)*%"  # 38 %, 38\,\%
    r"|\d+[ -](?:percent|per cent|percentage|points?\b)"
    r"|\b\d+e[-+]?\d+\b"  # 1e-4
)
DECIMAL = re.compile(r"(\d*[.]?\d+)(?:\s|&nbsp;|~|\\[,;: !]?)*(%|$|[^\w%-])")
# What is no typed number, and why.
NOT_PROSE = [
    re.compile(r"^(?:\|.*\n)+(?:```\n)?\n?(?=Source: )", re.MULTILINE),  # tables with their source
    re.compile(r"`[^`\n]*`"),  # code, and the names that glue shows
    re.compile(r"https?://\S+"),  # the addresses of links
    re.compile(r"^ {4,}\S.*$", re.MULTILINE),  # code, indented
]


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
    prose = only("markdown", text)
    for pattern in NOT_PROSE:
        prose = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), prose)
    known = settings(text)
    found = [(prose.count("\n", 0, match.start()) + 1, match) for match in TYPED.finditer(prose)]
    for cell in code_cells(text):
        alt = cell.options.get("mystnb", {}).get("image", {}).get("alt", "")
        found += [(cell.line, match) for match in TYPED.finditer(alt)]
    advice = "compute it in a cell and show it with glue, or give the table its line 'Source: ...'"
    where = page.relative_to(ROOT)
    return [
        f"{where}:{line}: the number {m[0]} is typed; {advice}" for line, m in found if not is_set(m, known)
    ]


def settings(text: str) -> set[float]:
    """Return the decimals that the cells of a page set; those in an assert are tolerances and bounds."""
    nodes: list[ast.AST] = [ast.parse(cell.source) for cell in code_cells(text)]
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.add(node.value)
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.Assert)]
    return found


def is_set(typed: re.Match[str], known: set[float]) -> bool:
    """Return whether a decimal or percentage of the prose is one that a cell of the page sets."""
    number = DECIMAL.match(typed.string, typed.start())
    if number is None or not (number[2] == "%" or "." in number[1]):
        return False
    value = float(number[1]) / (100 if number[2] == "%" else 1)
    return any(math.isclose(value, setting) for setting in known)


def clean(page: Path) -> bool:
    """Print what is wrong with the cells of a page and return whether nothing is."""
    name = page.relative_to(ROOT)
    text = page.read_text(encoding="utf-8")
    lengths = {cell.line: len(cell.source.splitlines()) for cell in code_cells(text)}
    long_cells = {line: count for line, count in lengths.items() if count > MAX_LINES}
    for line, count in long_cells.items():
        print(f"{name}:{line}: the cell has {count} lines; the limit is {MAX_LINES}, split it")
    command = [sys.executable, "-m", "ruff", "check", *RULES, f"--stdin-filename={name}.py", "-"]
    run = subprocess.run(command, input=only("code", text), text=True, capture_output=True, check=False)
    print(run.stdout.replace(f"{name}.py:", f"{name}:") + run.stderr, end="")
    return run.returncode == 0 and not long_cells


if __name__ == "__main__":
    sys.exit(main())
