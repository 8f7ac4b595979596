"""The book's own Sphinx extension: a cache of pages that knows the package, and notebooks."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import nbformat
import pybtex_docutils
from docutils import nodes
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue.crossref import read_glue_cache
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config

from notebooks import draft, fill, site
from pages import notebook_pages

Context = dict[str, Any]


class AuthorYearLabels(BaseLabelStyle):  # type: ignore[misc]
    """The list of references names an entry as the text does: by authors and year."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """Yield one label for each entry; a letter tells two of the same authors and year apart."""
        labels = [label(entry) for entry in sorted_entries]
        for place, name in enumerate(labels):
            before = labels[:place].count(name)
            yield name + "abc"[before] if labels.count(name) > 1 else name


class AuthorYearStyle(PlainStyle):  # type: ignore[misc]
    """The style of the bibliography; ``bibtex_default_style: author_year`` chooses it."""

    default_label_style = AuthorYearLabels


def label(entry: Entry) -> str:
    """Return the names of one or two authors, or of the first, and the year."""
    names = [" ".join(person.last_names) or str(person) for person in entry.persons["author"]]
    others = {1: "", 2: f" and {names[-1]}"}.get(len(names), " et al.")
    return f"{names[0]}{others}, {entry.fields['year']}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps below with the build."""
    register_plugin("pybtex.style.formatting", "author_year", AuthorYearStyle)
    app.connect("config-inited", configure)
    app.connect("doctree-read", name_folds)
    app.connect("html-page-context", open_in_colab, priority=502)  # the theme's buttons are at 501
    app.connect("build-finished", write_notebooks)
    app.connect("build-finished", drop_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def configure(app: Sphinx, config: Config) -> None:
    """Say where the book is published, and name the cache after all that outputs depend on.

    The cache itself looks at the cells only, so without this a page would keep the outputs of an
    older package. A changed setting also makes Sphinx read every page again, which fetches them.
    """
    config.ogp_site_url = site()
    config.notfound_urls_prefix = urlsplit(site()).path
    key = cache_key(Path(app.confdir), os.environ.get("SIMAM_EDU_DATA", ""))
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / key)


def cache_key(root: Path, data: str) -> str:
    """Return a hash of the package, the records, the pinned versions and the folder of images."""
    digest = hashlib.sha256(data.encode())
    digest.update(str(find_spec("triton") is not None).encode())  # a page runs a kernel with it
    package = (root / "src" / "simam_edu").rglob("*")
    files = [path for path in package if path.is_file() and "__pycache__" not in path.parts]
    records = [path for path in (root / "book" / "results").iterdir() if path.suffix in (".csv", ".jsonl")]
    for path in sorted([root / "requirements.txt", *records, *files]):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def name_folds(_app: Sphinx, doctree: nodes.document) -> None:
    """Say what a fold holds: a cell with its outputs is a solution, source alone is support code.

    Folds of support code that stand in a row, with nothing shown between them, become one.
    """
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("hide_mode") != "input":
            continue
        cell["prompt_show"], cell["prompt_hide"] = "Show the code", "Hide the code"
        before = cell.parent[max(cell.parent.index(cell) - 1, 0)]
        alone = isinstance(before, nodes.container) and len(before) == 1
        if alone and before.get("hide_mode") == "input" and before is not cell:
            cell[0].insert(0, before[0].children)
            cell["ids"] = before["ids"] + cell["ids"]
            cell.parent.remove(before)


def drop_icons(app: Sphinx, failed: Exception | None) -> None:
    """Leave out of the theme's sheet the two thousand icons that no page shows."""
    if failed or app.builder.format != "html":
        return
    icon = re.compile(r"fa-[\w-]+")
    pages = Path(app.outdir).rglob("*.html")
    used = {name for page in pages for name in icon.findall(page.read_text("utf-8"))}
    sheet = Path(app.outdir) / "_static" / "styles" / "pydata-sphinx-theme.css"
    rule = re.compile(r'(?<=\})(?:\.fa-[\w-]+:before,?)+\{content:"[^"]*"\}')

    def kept(match: re.Match[str]) -> str:
        return match[0] if used & {*icon.findall(match[0])} else ""

    sheet.write_text(rule.sub(kept, sheet.read_text("utf-8")), "utf-8")


def open_in_colab(_app: Sphinx, page: str, _template: str, context: Context, _tree: object) -> None:
    """Let the theme's button open the notebook of a page, which stands in a folder of its own."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                notebook = f"/book/colab/{Path(page).name}.ipynb"
                button["url"] = button["url"].replace(f"/{page}.md", notebook)


def write_notebooks(app: Sphinx, failed: Exception | None) -> None:
    """Put the notebook of each page where the theme offers one, in place of its own."""
    if failed or app.builder.format != "html":
        return
    for page in notebook_pages():
        notebook = fill(draft(page), partial(resolve, app, f"book/{page.stem}"))
        nbformat.write(notebook, Path(app.outdir) / "_sources" / "book" / f"{page.stem}.ipynb")


def resolve(app: Sphinx, page: str, role: str, content: str) -> str:
    """Return as Markdown what the build makes of a role on a page, with links to the built book."""
    base = site() + app.builder.get_target_uri(page)
    env: Any = app.env
    if role == "glue:text":
        glued = read_glue_cache(env.mystnb_config.output_folder, page)[content]
        return str(format_plain_text(glued["data"]["text/plain"], ""))
    if role == "reference":
        entries = env.get_domain("cite").citations
        found = next(entry for entry in entries if entry.key == content)
        return as_markdown(found.formatted_entry.text.render(pybtex_docutils.Backend()), base)
    if role == "page":
        return f"[the page of the book]({base}#{content})"
    if role == "number":
        return resolve(app, page, "eq", content).removeprefix("Eq. ")
    domain, _, kind = role.rpartition(":")
    domain = domain or ("math" if role == "eq" else "std")
    *titles, target = re.split(r"\s*<", content.removesuffix(">"))
    title = titles[0] if titles else ""
    # A reference with a title of its own takes it from the node, and a term is its own title.
    text = nodes.inline("", title or (target if role == "term" else ""))
    named = {"refdoc": page, "refdomain": domain, "reftype": kind, "reftarget": target}
    node = pending_xref("", text, refexplicit=bool(title), **named)
    link = env.domains[domain].resolve_xref(env, page, app.builder, kind, target, node, text)
    if link is None or not link.astext():
        raise ValueError(f"{page}: the build knows nothing of {role} {content!r}")
    return as_markdown([link], base)


def as_markdown(parts: list[nodes.Node], base: str) -> str:
    """Return a line of the built page as Markdown; a link within the page is left out."""
    marks = {"emphasis": "*", "strong": "**", "literal": "`"}
    text = ""
    for part in parts:
        if not isinstance(part, nodes.Element):
            text += part.astext()
            continue
        inner, mark = as_markdown(part.children, base), marks.get(part.tagname, "")
        address = part.get("refuri")
        text += f"[{inner}]({urljoin(base, address)})" if address else f"{mark}{inner}{mark}"
    return text
