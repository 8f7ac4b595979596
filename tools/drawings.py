"""The drawings of cells become part of their page, where they take the colors of its theme."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# What a cell has drawn, and how matplotlib defines a letter in it.
DRAWING = re.compile(r'<img [^>]*src="[^"]*_images/(?P<name>[0-9a-f]{64}\.svg)"[^>]*>')
GLYPH = re.compile(r'<path id="([\w-]+)" d="[^"]*" transform="scale\(0\.015625\)"/>')
Context = dict[str, Any]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps below with the build."""
    app.connect("html-page-context", load_late, priority=400)  # before the cards are made
    app.connect("html-page-context", draw, priority=900)  # cards have what was there before
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def load_late(_app: Sphinx, _page: str, _template: str, context: Context, _tree: object) -> None:
    """Load a picture when it comes into sight, on the page or in a card."""
    body = context.get("body", "")
    context["body"] = re.sub("<img (?![^>]*loading=)", '<img loading="lazy" ', body)


def draw(app: Sphinx, _page: str, _template: str, context: Context, _tree: object) -> None:
    """Put drawings into the page itself; a letter that several of them have stands there once."""
    sources = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}
    glyphs: dict[str, str] = {}

    def drawing(image: re.Match[str]) -> str:
        svg = sources[image["name"]].read_text("utf-8")
        glyphs.update({glyph[1]: glyph[0] for glyph in GLYPH.finditer(svg)})
        alt = re.search(r'alt="([^"]*)"', image[0])
        return inline(GLYPH.sub("", svg), image["name"][:8], alt[1] if alt else "")

    body = DRAWING.sub(drawing, context.get("body", ""))
    if glyphs:
        letters = f"<defs>{''.join(glyphs.values())}</defs>"
        body = f'<svg class="glyphs" aria-hidden="true">{letters}</svg>{body}'
    context["body"] = body


def inline(svg: str, name: str, alt: str) -> str:
    """Return a drawing with a text; its ids are those in use, and begin with a name."""
    svg = re.sub(r"<!--.*?-->|<defs>\s*</defs>", "", svg)
    svg = re.sub(r" *\n *", "\n", svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    own = "|".join(map(re.escape, re.findall(r' id="([^"]+)"', svg)))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(rf'(href="#|url\(#)(?=(?:{own})["\)])', rf"\g<1>{name}-", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
    return f'<div class="drawing">{svg}</div>'
