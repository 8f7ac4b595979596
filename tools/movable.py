"""The directives for figures to move and predictions, and the scripts that a page then has.

A figure to move has a number and a caption like every other figure.

    ```{figure-move} bowl
    :name: fig-bowl
    :alt: What the picture shows, for those who do not see it.

    What to see in it.
    ```

A prediction stands in the text and opens its answer after the choice; without a script it is a
fold.

    ```{predict} The target moves into the middle of the others. Its energy ...
    :right: 2

    - falls to 0
    - rises to 2

    Why it does.
    ```

The figure itself is `book/_static/figures/bowl.js`; `bowl.svg` beside it stands on the page until
the script has run, or where none runs.
"""

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst.directives import positive_int, unchanged_required
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri
from sphinx.writers.html5 import HTML5Translator

FOLDER = Path(__file__).resolve().parent.parent / "book" / "_static" / "figures"
SHARED = ("simam", "core")  # loaded before every figure
HELPERS = {"live": ("resnet", "pictures", "live-view")}  # loaded before one of them
Context = dict[str, Any]


def html(text: str) -> nodes.Node:
    """Return a node that is written as it stands."""
    return nodes.raw("", text, format="html")


class prediction(nodes.General, nodes.Element):
    """A question with answers to choose from, and what is right."""


class FigureMove(SphinxDirective):
    """A figure to move, by its name."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"name": unchanged_required, "alt": unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return a figure with its place, its caption and its number."""
        name, alt = self.arguments[0], escape(self.options.get("alt", ""))
        if name not in figure_names():
            raise self.error(f"figure-move must name one of {figure_names()}, got {name}")
        picture = relative_uri(self.env.docname, f"_static/figures/{name}.svg")
        image = f'<img class="dark-light" src="{picture}" alt="{alt}" loading="lazy">'
        place = html(f'<div class="sim-figure" data-figure="{name}">{image}</div>')
        figure = nodes.figure("", place)
        (caption,) = self.parse_content_to_nodes()
        figure += nodes.caption("", "", *caption.children)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


class Predict(SphinxDirective):
    """A question with two answers or more, of which ``:right:`` is the number of the right one."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {"right": positive_int}

    def run(self) -> list[nodes.Node]:
        """Return the question, the list of answers and what is said after the choice, in a fold."""
        asked, _ = self.parse_inline(self.arguments[0])
        answers, *why = self.parse_content_to_nodes()
        right = self.options.get("right", 0)
        if not isinstance(answers, nodes.bullet_list) or not why or not 1 <= right <= len(answers):
            raise self.error("predict must have a list of answers, a paragraph, and :right:")
        fold, end = html("<details><summary>The answer</summary>"), html("</details>")
        parts = nodes.paragraph("", "", *asked), answers, fold, *why, end
        return [prediction("", *parts, right=right)]


def figure_names() -> list[str]:
    """Return the names of all figures to move."""
    others = {*SHARED, *(helper for of_one in HELPERS.values() for helper in of_one)}
    return sorted(path.stem for path in FOLDER.glob("*.js") if path.stem not in others)


def scripts_of(names: Iterable[str]) -> list[str]:
    """Return the scripts that some figures need, each once and in the order of loading."""
    scripts = (script for name in names for script in (*HELPERS.get(name, ()), name))
    return list(dict.fromkeys(scripts))


def visit_prediction(translator: HTML5Translator, node: nodes.Element) -> None:
    """Open the box of a prediction."""
    right = {"data-right": node["right"]}
    translator.body.append(translator.starttag(node, "div", CLASS="sim-predict", **right))


def depart_prediction(translator: HTML5Translator, _: nodes.Element) -> None:
    """Close it."""
    translator.body.append("</div>")


def add_scripts(app: Sphinx, _page: str, _template: str, context: Context, _tree: object) -> None:
    """Load the scripts of the figures that a page has, and nothing on a page that has none."""
    body = context.get("body", "")
    names = re.findall(r'class="sim-figure" data-figure="([\w-]+)"', body)
    shared = SHARED if names or "sim-predict" in body else ()
    if shared:
        app.add_css_file("figures/figures.css")
    # Plain scripts that wait for the page: a browser loads no modules from a folder.
    for name in (*shared, *scripts_of(names)):
        app.add_js_file(f"figures/{name}.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives to the build."""
    app.add_node(prediction, html=(visit_prediction, depart_prediction))
    app.add_directive("figure-move", FigureMove)
    app.add_directive("predict", Predict)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
