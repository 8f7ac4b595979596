"""Draft the notebook of each page: the one that Colab opens and that the page offers for download.

A notebook reads like its page. What only the build of the book knows, such as the number of an
equation or a value that a cell computes, is a *place* in the draft. The build fills it
(tools/book_extension.py), `make notebooks` copies the result to `book/colab`. Run as a program,
this compares those copies with their pages, by what the build leaves alone, and needs none.
"""

import ast
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode, v4

from pages import BOOK, ROOT, cells, notebook_pages

COLAB = BOOK / "colab"

# How Colab and JupyterLab keep out of sight what the page folds or leaves out.
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}
HIDDEN_TAGS = {"hide-cell", "remove-cell"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

INSTALL = """\
# Made from book/{name}; the numbers in the text are those of the built page.
# A cell prints each number that it has for the text, under a name, so you can compare.
# The package is installed where it is missing.
try:
    import simam_edu
except ModuleNotFoundError:
    %pip install -q "simam-edu @ git+{repository}\""""

# A place holds a role and its content between characters that no page has.
PLACE = re.compile("\ue000(.+?)\ue001(.+?)\ue002")
ROLES = {"cite:p", "cite:t", "doc", "eq", "glue:text", "numref", "ref", "term"}
QUOTED = {"admonition", "caution", "hint", "important", "note", "seealso", "tip", "warning"}
# Directives that are no quotes; what is behind the answers of a prediction is why.
SHOWN = {
    "dropdown": "<details><summary>{title}</summary>\n\n{body}\n\n</details>",
    "figure-move": "> **A figure to move** stands on {page}. {body}",
    "grid": "{body}",
    "grid-item-card": "- {link}: {body}",
    "index": "",
    "predict": "**Predict first.** {title}\n\n{answers}\n\n"
    "<details><summary>The answer</summary>\n\n{why}\n\n</details>",
    "table": "*{title}*\n\n{body}",
}
TOKEN = re.compile(
    r"""
    ^(?P<fence>`{3,}|:{3,})(?:\{(?P<directive>[\w:-]+)\}[ ]*(?P<title>[^\n]*)|[^\n]*)\n
        (?P<inside>.*?)^(?P=fence)[ \t]*$
    | ^(?P<target>\([\w-]+\)=|%[^\n]*)\n
    | \{(?P<role>[a-z][\w:-]*)\}`(?P<content>[^`]+)`
    | (?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)
    | \$\$(?P<display>.*?)\$\$(?:[ ]\((?P<label>[\w-]+)\))?
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def main() -> int:
    """Check the committed notebooks of all pages and return the exit code."""
    pages = notebook_pages()
    stale = [f"book/colab/{page.stem}.ipynb" for page in pages if not is_current(page)]
    good = f"The notebooks of {len(pages)} pages are up to date."
    print(f"run `make notebooks`: {', '.join(stale)} must be made anew" if stale else good)
    return 1 if stale else 0


def is_current(page: Path) -> bool:
    """Return whether the committed notebook of a page has the cells of its draft."""
    file = COLAB / f"{page.stem}.ipynb"
    committed = nbformat.read(file, as_version=4).cells if file.exists() else []
    return [fixed(cell) for cell in committed] == [fixed(cell) for cell in draft(page).cells]


def fixed(cell: NotebookNode) -> tuple[str, dict[str, Any], str]:
    """Return what the build leaves alone: the name, the fold, and the source of code."""
    return cell.id, cell.metadata, cell.source if cell.cell_type == "code" else ""


def repository() -> str:
    """Return the address of the repository, which `make address` sets in `_config.yml`."""
    return str(yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"])


def site(address: str = "") -> str:
    """Return where GitHub shows the built book of a repository, of this one by default."""
    owner, name = (address or repository()).split("/")[-2:]
    return f"https://{owner}.github.io/{name}/"


def draft(page: Path) -> NotebookNode:
    """Return the notebook of a page with its places not yet filled, without outputs.

    The first cell installs the package, the last lists what the page cites. The name of a cell is
    made from its draft: it stays when a number changes, and says when its page has changed.
    """
    install = INSTALL.format(name=page.name, repository=repository())
    found = [v4.new_code_cell(install, id=digest(INSTALL))]
    for cell in cells(page.read_text("utf-8")):
        source = printing(cell.source) if cell.kind == "code" else markdown(cell.source)
        if source:
            make: Any = v4.new_code_cell if cell.kind == "code" else v4.new_markdown_cell
            name = digest(f"{cell.kind}\n{source}")
            found.append(make(source, id=name, metadata=FOLDED if HIDDEN_TAGS & cell.tags else {}))
    places = PLACE.findall("".join(cell.source for cell in found))
    cited = [key for role, keys in places if role.startswith("cite:") for key in keys.split(",")]
    if cited:
        listed = "\n".join(f"- {place('reference', key)}" for key in dict.fromkeys(cited))
        source = f"## References\n\n{listed}"
        found.append(v4.new_markdown_cell(source, id=digest(f"markdown\n{source}")))
    seen = Counter[str]()
    for cell in found:
        seen[cell.id] += 1
        cell.id += f"-{seen[cell.id]}"  # a cell may stand on its page twice
    notebook: NotebookNode = v4.new_notebook(cells=found, metadata=METADATA)
    return notebook


def digest(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fill(notebook: NotebookNode, resolve: Callable[[str, str], str]) -> NotebookNode:
    """Put what a function makes of a role and its content into each place."""
    for cell in notebook.cells:
        cell.source = PLACE.sub(lambda match: resolve(*match.groups()), cell.source)
    return notebook


def printing(source: str) -> str:
    """Return a cell in which each call of glue, which needs the build, is one of print."""
    source = re.sub(r"from myst_nb import glue\n?", "", source)
    cell = source  # whose places the nodes name, whatever has been replaced already
    for node in ast.walk(ast.parse(cell)) if "glue(" in cell else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "glue":
            parts = node, *node.args[:2]
            call, name, value = (str(ast.get_source_segment(cell, part)) for part in parts)
            said = f"{name[:-1]}:{name[-1]}" if name[-1] in "\"'" else f'{name} + ":"'
            source = source.replace(call, f"print({said}, {value})")
    return source.rstrip()


def markdown(text: str) -> str:
    """Return MyST text as the Markdown that notebooks show, with a place for each role."""
    return TOKEN.sub(plain, text).strip("\n")


def plain(token: re.Match[str]) -> str:
    """Return what a notebook shows for a role, directive, target, comment or equation."""
    if token["directive"]:
        return box(token["directive"], token["title"], token["inside"])
    if token["role"]:
        if token["role"] not in ROLES:
            raise ValueError(f"say in tools/notebooks.py how a notebook shows {token[0]!r}")
        return place(token["role"], " ".join(token["content"].split()))
    if token["label"]:
        number = place("number", token["label"])
        return rf"$${token['display'].rstrip()} \tag{{{number}}}" + "\n$$"
    return "" if token["target"] else token[0]


def box(directive: str, title: str, inside: str) -> str:
    """Return a directive as a block quote under its title, or as :data:`SHOWN` says."""
    options = str(re.match(r"(?::.*\n)*", inside)[0])  # type: ignore[index]
    option = dict(re.findall(r":([\w-]+): (.*)", options))
    title, body = markdown(title), markdown(inside.removeprefix(options))
    if directive in SHOWN:
        answers, _, why = body.partition("\n\n")
        page = place("page", option.get("name", ""))
        link = place(option.get("link-type", ""), f"{title} <{option.get('link')}>")
        known = {"title": title, "body": body, "answers": answers, "why": why}
        return SHOWN[directive].format(**known, page=page, link=link)
    if directive not in QUOTED:
        raise ValueError(f"say in tools/notebooks.py how a notebook shows {directive!r}")
    # The mark of a quote must not stand inside an equation.
    body = re.sub(r"\$\$.*?\$\$", lambda m: " ".join(m[0].split()), body, flags=re.DOTALL)
    lines = f"**{title or directive.capitalize()}**\n\n{body}".split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def place(role: str, content: str) -> str:
    """Return the mark of a place that the build fills."""
    return f"\ue000{role}\ue001{content}\ue002"


if __name__ == "__main__":
    sys.exit(main())
