"""Check the built pages: nothing loads from another host, no link is broken, every image has a text.

A number that a cell hands to a sentence must be a number there, and not the name of its type as well.

python tools/check_pages.py _build/html
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from notebooks import site

# What a browser loads unasked. A link that a reader follows may lead anywhere.
LOADED = ("data", "poster", "src", "srcset", "xlink:href")
LOADED_HREFS = {"image", "use"}
LOADED_RELATIONS = {
    *("apple-touch-icon", "icon", "manifest", "modulepreload", "preload", "prefetch", "stylesheet"),
    *("dns-prefetch", "preconnect"),
}

# What numpy and torch call their numbers: np.int64(9) where 9 is meant.
GLUED_OBJECT = re.compile(r"""class="pasted-text">\s*((?:np\.\w+|array|tensor)\([^<]*\))""")
CSS_LOAD = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
JS_LOAD = re.compile(
    r"""(?:fetch\(|import\(|importScripts\(|\bfrom\s|\bimport\s|\.src\s*=|\.open\(\s*["']\w+["']\s*,)"""
    r"""\s*["'`]((?:https?:)?//[^"'`\s]+)"""
)


@dataclass
class Page(HTMLParser):
    """What the checks need to know of one page."""

    text: str
    ids: set[str] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    bare_images: list[str] = field(default_factory=list)
    inside: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag defines, loads and links to."""
        values = {name: value or "" for name, value in attrs}
        self.inside = tag
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        loaded = (
            LOADED_RELATIONS & set(values.get("rel", "").split()) if tag == "link" else tag in LOADED_HREFS
        )
        for name in (*LOADED, "href") if loaded else LOADED:
            entries = values.get(name, "").split(",") if name == "srcset" else [values.get(name, "")]
            self.loads += [entry.split()[0] for entry in entries if entry.strip()]
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img" and not has_text(values):
            self.bare_images.append(values.get("src", "?"))
        self.loads += CSS_LOAD.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Look into inline styles and scripts."""
        if self.inside in ("style", "script"):
            self.loads += (CSS_LOAD if self.inside == "style" else JS_LOAD).findall(data)


def has_text(image: dict[str, str]) -> bool:
    """Return whether an image has a text of its own; Sphinx puts the path where the author gave none."""
    hidden = image.get("aria-hidden") == "true" or image.get("role") in ("none", "presentation")
    text = image.get("alt", "").strip()
    return hidden or (bool(text) and not re.search(r"\.(png|svg|jpe?g|gif)$", text))


def page_problems(path: Path, root: Path, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with one page."""
    page = pages[path]
    problems = [f"loads {address}" for address in page.loads if urlsplit(address).netloc]
    problems += [f"the image {source} has no alt text" for source in page.bare_images]
    glued = GLUED_OBJECT.findall(page.text)
    problems += [f"a sentence shows {found}; glue text or a plain number" for found in glued]
    local = {a for a in page.loads + page.links if not urlsplit(a).scheme and not urlsplit(a).netloc}
    return problems + [problem for a in sorted(local) if (problem := broken(a, path, root, pages))]


def broken(address: str, path: Path, root: Path, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link from one file of the book to another, if anything is."""
    name, anchor = urldefrag(address)
    name = unquote(name.partition("?")[0])
    if name.startswith(start := urlsplit(site()).path):  # so 404.html has them, which is read at any depth
        name = "/" + name.removeprefix(start)
    target = (root / name[1:] if name.startswith("/") else path.parent / name).resolve() if name else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"{address} does not exist"
    known = not anchor or target not in pages or unquote(anchor) in pages[target].ids
    return "" if known else f"{address} has no such anchor"


def notebook_problems(path: Path, root: Path, pages: dict[Path, Page]) -> list[str]:
    """Return which links of a notebook lead nowhere; they lead to where the book is published."""
    links = re.findall(re.escape(f"]({site()}") + r"([^)\s]*)\)", path.read_text(encoding="utf-8"))
    return [problem for link in sorted(set(links)) if (problem := broken(f"/{link}", path, root, pages))]


def asset_problems(path: Path) -> list[str]:
    """Return what a style sheet or a script loads from another host."""
    pattern = CSS_LOAD if path.suffix == ".css" else JS_LOAD
    return [f"loads {address}" for address in pattern.findall(path.read_text("utf-8", errors="replace"))]


def main(root: Path) -> int:
    """Print every problem of the built pages under a folder and return the exit code."""
    root = root.resolve()
    files = [path for path in sorted(root.rglob("*")) if "_sources" not in path.parts]
    html = [path for path in files if path.suffix == ".html" and "_static" not in path.parts]
    pages = {path: Page(text=path.read_text(encoding="utf-8")) for path in html}
    if not pages:
        print(f"{root} holds no pages; build the book first")
        return 1
    found = {path: page_problems(path, root, pages) for path in pages}
    found |= {path: asset_problems(path) for path in files if path.suffix in (".css", ".js")}
    found |= {path: notebook_problems(path, root, pages) for path in root.glob("_sources/**/*.ipynb")}
    told = [f"{path.relative_to(root)}: {problem}" for path, all_of in found.items() for problem in all_of]
    good = f"{len(pages)} pages: nothing from another host, no broken link, every image has its text."
    print("\n".join(told) or good)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")))
