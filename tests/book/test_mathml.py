"""Formulas become MathML that browsers draw as LaTeX would, in a font with all their characters."""

import re
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

from mathml import mathml, rows
from pages import BOOK, only

FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$]+?)\$", re.DOTALL)
M = "{http://www.w3.org/1998/Math/MathML}"


def formulas():
    for page in sorted(BOOK.glob("*.md")):
        text = only("markdown", page.read_text(encoding="utf-8"))
        text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        yield from (match["display"] or match["inline"] for match in FORMULA.finditer(text))


def parsed(latex):
    return ET.fromstring(mathml(latex, display=False))


def test_the_font_has_every_character_of_every_formula_and_a_table_for_mathematics():
    font = TTFont(BytesIO((BOOK / "_static" / "stix-two-math-subset.woff2").read_bytes()))
    assert "MATH" in font
    used = {c for latex in formulas() for text in parsed(latex).itertext() for c in text}
    assert len(used) > 60
    missing = {c for c in used if ord(c) not in font.getBestCmap()} - set("\u2061\u2062")
    assert not missing, "make the subset anew; book/_static/fonts.txt says how"


@pytest.mark.parametrize(
    ("latex", "forms"),
    [
        ("(-a)", [None, "prefix", None]),
        ("a - b", [None]),
        ("a = -b", [None, "prefix"]),
        ("a, -b", [None, "prefix"]),
        (r"\bigl(-a\bigr)", ["prefix", "prefix", "postfix"]),
        (r"a(b) - c", [None, None, None]),
        (r"|-a| < |b|^2", ["prefix", "prefix", "postfix", None, "prefix", "postfix"]),
    ],
)
def test_a_minus_that_opens_a_term_is_a_sign_and_bars_open_and_close(latex, forms):
    assert [mo.get("form") for mo in parsed(latex).iter(f"{M}mo")] == forms


def test_an_exponent_is_that_of_the_whole_group_in_brackets():
    root = parsed(r"\bigl(a + \bigl(b\bigr)^2\bigr)^3")
    outer = root.find(f"{M}mrow/{M}msup")
    assert [outer[0].tag, outer[1].text] == [f"{M}mrow", "3"]
    assert "".join(outer[0].itertext()) == "(a+(b)2)"
    inner = outer[0].find(f"{M}msup")
    assert "".join(inner[0].itertext()) == "(b)"


def test_the_source_stays_with_the_formula():
    assert parsed('a < b"').get("alttext") == 'a < b"'
    assert parsed("a\n  + b").get("alttext") == "a + b"


@pytest.mark.parametrize("latex", [r"\frac{a", r"\unheardof a", "a}", r"\{ a }"])
def test_what_is_no_latex_stops_the_build(latex):
    with pytest.raises(ExtensionError, match="LaTeX that becomes MathML, got"):
        mathml(latex, display=False)


def test_rows_of_a_docstring_are_rows_of_a_table():
    root = parsed(rows(r"a &= b \\ c &= d"))
    assert [len(row) for row in root.iter(f"{M}mtr")] == [2, 2]
    assert rows("a = b") == "a = b"
