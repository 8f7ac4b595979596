"""Check the built pages: nothing loads from another host, no link is broken, images have a text.

A number that a cell hands to a sentence must be a number there, and not the name of its type too.

python tools/check_pages.py _build/html
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from notebooks import site

PUBLISHED = urlsplit(site()).path
# What numpy and torch call their numbers: np.int64(9) where 9 is meant.
GLUED_OBJECT = re.compile(r"""class="pasted-text">\s*((?:np\.\w+|array|tensor)\([^<]*\))""")
# What a style sheet or a script loads from another host.
FOREIGN = re.compile(
    r"""(?:url\(\s*["']?|(?:@import|fetch\(|import\(|importScripts\(|\bfrom|\bimport|\.src\s*="""
    r"""|\.open\(\s*["']\w+["']\s*,)\s*["'`])((?:https?:)?//[^"'`)\s]+)"""
)


class Page(HTMLParser):
    """The tags of a page with their attributes, and what stands in its styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.code: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.ids = {values.get(name) for _, values in self.tags for name in ("id", "name")}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and the style that it has of its own."""
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        self.code.append(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Note what stands in a style or a script."""
        if self.tags and self.tags[-1][0] in ("style", "script"):
            self.code.append(data)

    def loads(self) -> list[str]:
        """Return what a browser loads unasked; a link that a reader follows may lead anywhere."""
        found = []
        for tag, values in self.tags:
            names = ["data", "poster", "src", "xlink:href"]
            if tag in ("image", "use") or (tag == "link" and values.get("rel") != "canonical"):
                names.append("href")
            found += [values[name] for name in names if values.get(name)]
            choices = values.get("srcset", "").split(",")
            found += [choice.split()[0] for choice in choices if choice.strip()]
        return found


def page_problems(path: Path, root: Path, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with one page."""
    page = pages[path]
    loads = page.loads()
    problems = [f"loads {address}" for address in loads if urlsplit(address).netloc]
    problems += [f"loads {address}" for address in FOREIGN.findall("\n".join(page.code))]
    images = [v for tag, v in page.tags if tag == "img" or v.get("role") == "img"]
    bare = [values.get("src", "of a cell") for values in images if not has_text(values)]
    problems += [f"the image {source} has no alt text" for source in bare]
    glued = GLUED_OBJECT.findall(page.text)
    problems += [f"a sentence shows {found}; glue text or a plain number" for found in glued]
    links = [values["href"] for tag, values in page.tags if tag == "a" and "href" in values]
    local = {a for a in loads + links if not urlsplit(a).scheme and not urlsplit(a).netloc}
    return problems + [problem for a in sorted(local) if (problem := broken(a, path, root, pages))]


def has_text(image: dict[str, str]) -> bool:
    """Return whether an image has a text; Sphinx puts the path where the author gave none."""
    text = (image.get("alt") or image.get("aria-label") or "").strip()
    named = bool(text) and not re.search(r"\.(png|svg|jpe?g|gif)$", text)
    return named or image.get("aria-hidden") == "true"


def broken(address: str, path: Path, root: Path, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link from one file of the book to another, if anything is."""
    name, anchor = urldefrag(address)
    name = unquote(name.partition("?")[0])
    if name.startswith(PUBLISHED):  # so 404.html has them, which is read at any depth
        name = "/" + name.removeprefix(PUBLISHED)
    start = root if name.startswith("/") else path.parent
    target = (start / name.lstrip("/")).resolve() if name else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"{address} does not exist"
    known = not anchor or target not in pages or unquote(anchor) in pages[target].ids
    return "" if known else f"{address} has no such anchor"


def main(root: Path) -> int:
    """Print every problem of the built pages under a folder and return the exit code."""
    root = root.resolve()
    files = [path for path in sorted(root.rglob("*")) if "_sources" not in path.parts]
    html = [path for path in files if path.suffix == ".html" and "_static" not in path.parts]
    pages = {path: Page(path.read_text("utf-8")) for path in html}
    if not pages:
        print(f"{root} holds no pages; build the book first")
        return 1
    found = {path: page_problems(path, root, pages) for path in pages}
    for path in files:
        if path.suffix in (".css", ".js"):
            foreign = FOREIGN.findall(path.read_text("utf-8", errors="replace"))
            found[path] = [f"loads {address}" for address in foreign]
    told = [f"{path.relative_to(root)}: {problem}" for path in found for problem in found[path]]
    good = f"{len(pages)} pages: nothing from another host, no broken link, no image without text."
    print("\n".join(told) or good)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")))
