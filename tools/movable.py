"""The directive that puts a figure to move on a page, and the scripts of those that a page has.

    ```{figure-move} bowl
    :name: fig-bowl
    :alt: What the picture shows, for those who do not see it.

    What to see in it.
    ```

The figure itself is `book/_static/figures/bowl.js`; `bowl.svg` beside it stands on the page until the
script has run, or where none runs. It has a number and a caption like every other figure.
"""

from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri
from sphinx.writers.html5 import HTML5Translator

FOLDER = Path(__file__).resolve().parent.parent / "book" / "_static" / "figures"
SHARED = ("simam", "core")  # loaded before every figure


class movable(nodes.General, nodes.Element):  # noqa: N801
    """The place of a figure to move on a page."""


class FigureMove(SphinxDirective):
    """A figure to move, by its name."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"name": unchanged_required, "alt": unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return a figure with its place, its caption and its number."""
        name = self.arguments[0]
        if name not in figure_names():
            raise self.error(f"figure-move must name one of {', '.join(figure_names())}, got {name}")
        for option in self.option_spec:
            if option not in self.options:
                raise self.error(f"figure-move {name} must have the option :{option}:")
        figure = nodes.figure("", movable(figure=name, alt=self.options["alt"]))
        caption, *rest = self.parse_content_to_nodes()
        if rest or not isinstance(caption, nodes.paragraph):
            raise self.error(f"figure-move {name} must have a caption of one paragraph")
        figure += nodes.caption("", "", *caption.children)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def figure_names() -> list[str]:
    """Return the names of all figures to move."""
    return sorted(path.stem for path in FOLDER.glob("*.js") if path.stem not in SHARED)


def visit_movable(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write the place of a figure, with the picture of its start."""
    page = translator.builder.get_target_uri(translator.builder.current_docname)
    picture = relative_uri(page, f"_static/figures/{node['figure']}.svg")
    translator.body.append(
        f'<div class="sim-figure" data-figure="{node["figure"]}">'
        f'<img src="{picture}" alt="{escape(node["alt"])}" loading="lazy"></div>'
    )
    raise nodes.SkipNode


def add_scripts(
    app: Sphinx, _page: str, _template: str, _context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Load the scripts of the figures that a page has, and nothing on a page that has none."""
    names = dict.fromkeys(node["figure"] for node in tree.findall(movable)) if tree else {}
    if names:
        app.add_css_file("figures/figures.css")
    # Plain scripts that wait for the page: a browser loads no modules from a folder, only from a server.
    for name in (*SHARED, *names) if names else ():
        app.add_js_file(f"figures/{name}.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive to the build."""
    app.add_node(movable, html=(visit_movable, None))
    app.add_directive("figure-move", FigureMove)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
