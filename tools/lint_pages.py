"""Check the code cells of the pages with ruff, which does not read MyST text by itself.

For each page ruff is handed the page with every line but the code blanked out, so the line numbers
it reports are those of the page.
"""

import subprocess
import sys
from pathlib import Path

from pages import ROOT, code_cells, notebook_pages

MAX_LINES = 20
SELECT = "B,C4,E,F,I,NPY,PIE,RUF,SIM,UP,W"
IGNORE = ",".join(
    [
        "B905",  # strict=True in every zip is noise where the reader sees both lengths
        "B018",  # a cell ends with the value it shows
        "E402",  # an import may stand where it is needed
        "I001",  # the blanked lines between cells look like wrong spacing to the sorter
        "RUF001",  # Greek letters are the field's names
        "RUF003",
    ]
)


def main() -> int:
    """Lint all pages and return the exit code."""
    pages = notebook_pages()
    failed = [page for page in pages if not clean(page)]
    if not failed:
        print(f"The code cells of {len(pages)} pages are clean.")
    return 1 if failed else 0


def clean(page: Path) -> bool:
    """Print what is wrong with the cells of a page and return whether nothing is."""
    name = page.relative_to(ROOT)
    text = page.read_text(encoding="utf-8")
    long_cells = [cell for cell in code_cells(text) if len(cell.source.splitlines()) > MAX_LINES]
    for cell in long_cells:
        count = len(cell.source.splitlines())
        print(f"{name}:{cell.line}: the cell has {count} lines; the limit is {MAX_LINES}, split it")
    arguments = ["--quiet", "--no-cache", "--isolated", "--line-length", "110", "--output-format", "concise"]
    rules = ["--select", SELECT, "--ignore", IGNORE, "--stdin-filename", f"{name}.py", "-"]
    command = [sys.executable, "-m", "ruff", "check", *arguments, *rules]
    run = subprocess.run(command, input=blanked(text), text=True, capture_output=True, check=False)
    print(run.stdout.replace(f"{name}.py:", f"{name}:") + run.stderr, end="")
    return run.returncode == 0 and not long_cells


def blanked(text: str) -> str:
    """Return the text of a page with every line blank that is not code."""
    lines = [""] * len(text.splitlines())
    for cell in code_cells(text):
        source = cell.source.splitlines()
        lines[cell.line - 1 : cell.line - 1 + len(source)] = source
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
