"""The drawings of cells become part of their page, where they take the colors of its theme."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# What a cell has drawn, and how matplotlib defines a letter in it.
DRAWING = re.compile(r'<img [^>]*src="[^"]*_images/(?P<name>[0-9a-f]{64}\.svg)"[^>]*>')
GLYPH = re.compile(r'<path id="([\w-]+)" d="[^"]*" transform="scale\(0\.015625\)"/>')


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps below with the build."""
    app.connect("html-page-context", load_late, priority=400)  # before the cards are made
    app.connect("html-page-context", inline_figures, priority=900)  # cards have what was there before
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def load_late(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Load a picture when it comes into sight, on the page or in a card."""
    context["body"] = re.sub("<img (?![^>]*loading=)", '<img loading="lazy" ', context.get("body", ""))


def inline_figures(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Put the drawings that cells show into the page itself, where they take the colors of its theme."""
    sources = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}
    glyphs: dict[str, str] = {}

    def drawing(image: re.Match[str]) -> str:
        name, alt = image["name"], re.search(r'alt="([^"]*)"', image[0])
        svg = GLYPH.sub(
            lambda glyph: glyphs.update({glyph[1]: glyph[0]}) or "", sources[name].read_text("utf-8")
        )
        return inline(svg, name[:8], alt[1] if alt else "")

    context["body"] = DRAWING.sub(drawing, context.get("body", ""))
    if glyphs:
        letters = f"<defs>{''.join(glyphs.values())}</defs>"
        context["body"] = f'<svg class="glyphs" aria-hidden="true">{letters}</svg>{context["body"]}'


def inline(svg: str, name: str, alt: str) -> str:
    """Return a drawing as a picture with a text; its ids are those in use, and begin with a name."""
    svg = re.sub(r"<!--.*?-->|<defs>\s*</defs>", "", svg)
    svg = re.sub(r" *\n *", "\n", svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    own = set(re.findall(r' id="([^"]+)"', svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)([\w-]+)', lambda m: f"{m[1]}{name}-{m[2]}" if m[2] in own else m[0], svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
    return f'<div class="drawing">{svg}</div>'
