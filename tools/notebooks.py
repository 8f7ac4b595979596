"""Write beside each page the notebook that its Colab button opens.

`make notebooks` writes them; with `--check` nothing is written, and stale notebooks are named.
"""

import difflib
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import jupytext
import yaml

from pages import ROOT, notebook_pages

GLUE_IMPORT = "from myst_nb import glue"
GLUE = '''

def glue(name, value, display=False):
    """On the book's page this puts a number into the text; a notebook has no use for it."""'''

# How Colab and JupyterLab keep a solution out of sight until the reader opens it.
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}

Notebook = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Write or check the notebooks of all pages and return the exit code."""
    check = "--check" in arguments
    pages = notebook_pages()
    stale = [page for page in pages if read(page) != convert(page)]
    for page in stale:
        target = page.with_suffix(".ipynb")
        if not check:
            target.write_text(as_text(convert(page)), encoding="utf-8")
        name = target.relative_to(ROOT)
        print(f"{name}: out of date; run `make notebooks`" if check else f"wrote {name}")
    if not stale:
        print(f"The notebooks of {len(pages)} pages are up to date.")
    return 1 if stale and check else 0


def convert(page: Path) -> Notebook:
    """Return the notebook of a page: no outputs, stable ids, and a first cell that installs the package."""
    seen: dict[str, int] = {}
    cells = [notebook_cell("code", install_cell(page), seen)]
    for cell in jupytext.read(page).cells:
        source = without_myst_nb(cell.source) if cell.cell_type == "code" else cell.source
        cells.append(notebook_cell(cell.cell_type, source, seen))
        if "hide-cell" in cell.metadata.get("tags", []):
            cells[-1]["metadata"] = FOLDED
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_cell(kind: str, source: str, seen: dict[str, int]) -> dict[str, Any]:
    """Return a cell; its id is made from its content, so it stays when cells are added elsewhere."""
    digest = hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:12]
    seen[digest] = seen.get(digest, 0) + 1
    cell: dict[str, Any] = {"cell_type": kind, "id": f"{digest}-{seen[digest]}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def install_cell(page: Path) -> str:
    """Return the code that makes the notebook run where the package is missing, as on Colab."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    return (
        f"# Made from book/{page.name} by `make notebooks`. Installs the package where it is missing.\n"
        "try:\n"
        "    import simam_edu\n"
        "except ModuleNotFoundError:\n"
        f'    %pip install -q "simam-edu @ git+{repository}"'
    )


def without_myst_nb(source: str) -> str:
    """Replace the import of glue, which only the build of the book has, by a function that does nothing."""
    lines = source.splitlines()
    if GLUE_IMPORT not in lines:
        return source
    lines.remove(GLUE_IMPORT)
    return "\n".join(lines).rstrip() + "\n" + GLUE


def read(page: Path) -> Notebook | None:
    """Return the notebook that stands beside a page, if there is one."""
    target = page.with_suffix(".ipynb")
    notebook: Notebook = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    return notebook or None


def as_text(notebook: Notebook) -> str:
    """Return a notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def differences(found: Notebook | None, wanted: Notebook) -> str:
    """Return how two notebooks differ, line by line."""
    old, new = (as_text(notebook or {}).splitlines() for notebook in (found, wanted))
    return "\n".join(difflib.unified_diff(old, new, "committed", "converted", lineterm=""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
