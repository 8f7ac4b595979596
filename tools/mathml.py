"""Formulas as MathML, made when the book is built: a page needs no script to show them.

Every browser of today draws MathML. The source of a formula stays with it as ``alttext``, which the
book's script puts into what a reader copies.
"""

from xml.etree import ElementTree as ET

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
MO = f"{NAMESPACE}mo"
SCRIPTED = {f"{NAMESPACE}{name}" for name in ("msub", "msup", "msubsup")}
OPENING, CLOSING = frozenset("([{\u230a"), frozenset(")]}\u230b")
RELATIONS = frozenset("=<>\u2264\u2265\u2248,;\u00d7\u22c5/")
SIGNS = frozenset("+-\u2212\u00b1")

ET.register_namespace("", NAMESPACE[1:-1])


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer; ``html_math_renderer: mathml`` in the configuration chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(latex: str, *, display: bool) -> str:
    """Return a formula without its dollar signs as a ``math`` element, or raise ExtensionError."""
    latex = " ".join(latex.split())
    refusal = f"a formula must be LaTeX that becomes MathML, got {latex!r}"
    try:
        root = ET.fromstring(convert(latex, display="block" if display else "inline"))
    except Exception as error:  # the converter has no error of its own that all others derive from
        raise ExtensionError(f"{refusal}: {error!r}") from error
    # The converter shows a command that it does not know, and takes a missing brace for granted.
    unbalanced = latex.replace(r"\{", "").count("{") != latex.replace(r"\}", "").count("}")
    if unbalanced or any("\\" in text for text in root.itertext()):
        raise ExtensionError(refusal)
    root.set("alttext", latex)
    for parent in list(root.iter()):
        _set_forms(list(parent))
        _group_fences(parent)
    return ET.tostring(root, encoding="unicode")


def _set_forms(row: list[ET.Element]) -> None:
    """Say what a browser cannot know of an operator from its place among its neighbors."""
    opens = False  # whether what stands before begins a new term
    inside = False  # an absolute value
    for element in row:
        core = element[0] if element.tag in SCRIPTED else element
        if core.text == "|":
            inside = not inside
            core.set("fence", "true")
            core.set("form", "prefix" if inside else "postfix")
        elif core.get("fence"):  # as tall above the line as below
            core.set("symmetric", "true")
            if core.text in OPENING or core.text in CLOSING:
                core.set("form", "prefix" if core.text in OPENING else "postfix")
        elif core.tag == MO and core.text in SIGNS and opens:
            core.set("form", "prefix")  # a sign, and no difference
        begins = element.get("form") == "prefix" or element.text in OPENING | RELATIONS
        opens = element.tag == MO and begins


def _group_fences(parent: ET.Element) -> None:
    """Make a group in brackets one element where it has an exponent.

    LaTeX hangs an exponent on the closing bracket alone, where a browser draws it apart from the
    opening one.
    """
    opened: list[int] = []
    row = list(parent)
    for place, element in enumerate(row):
        scripted = element.tag in SCRIPTED
        form = (element[0] if scripted else element).get("form")
        if form == "prefix" and element.get("fence"):
            opened.append(place)
        elif form == "postfix":
            start = opened.pop() if opened else place
            if scripted:
                group = ET.Element(f"{NAMESPACE}mrow")
                for child in [child for child in row[start:place] if child in list(parent)]:
                    parent.remove(child)
                    group.append(child)
                group.append(element[0])
                element[0] = group


def rows(latex: str) -> str:
    """Return a display with its rows in a table, which Sphinx lets a docstring leave out."""
    bare = r"\\" in latex and r"\begin" not in latex
    return rf"\begin{{split}} {latex} \end{{split}}" if bare else latex


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    self.body.append(mathml(node.astext(), display=False))
    raise nodes.SkipNode


def visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, its number beside it."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(f'<div class="formula">{mathml(rows(node.astext()), display=True)}</div>')
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode
