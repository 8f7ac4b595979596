"""Every numbered equation of the book is proven, holds in numbers, and would be missed with a wrong sign."""

import re

import pytest
import sympy as sp

from equations import registry
from page_latex import LatexError, read_latex, symbol
from page_math import Equation, equations_of, flipped_signs
from pages import BOOK

TEXT = "\n".join(page.read_text(encoding="utf-8") for page in sorted(BOOK.glob("*.md")))
LATEX = equations_of(TEXT)  # by label, whatever page it stands on
REGISTRY = registry()
POINTS = 5
by_label = pytest.mark.parametrize("label", sorted(LATEX))


def holds(entry, latex):
    return all(entry.holds(latex, seed) for seed in range(POINTS))


def fails(test, latex):
    """Whether a test says no to an equation; a text that is no longer an equation is a no as well."""
    try:
        return not test(latex)
    except (LatexError, sp.SympifyError):
        return True


def test_each_numbered_equation_has_one_label_and_one_entry():
    """Only $$ ... $$ (eq-...) makes a number."""
    assert not re.search(r"\\begin\{(align|equation|gather|multline)\}|```\{math\}|:label:", TEXT)
    assert len(re.findall(r"^\$\$ *\(", TEXT, flags=re.MULTILINE)) == len(LATEX)
    assert set(REGISTRY) == set(LATEX), "tests/book/equations must have one entry for each labeled equation"


@by_label
def test_the_equation_is_proven(label):
    assert REGISTRY[label].proven(LATEX[label]), f"sympy does not find both sides of {label} equal"


@by_label
def test_the_equation_holds_in_numbers(label):
    assert holds(REGISTRY[label], LATEX[label]), f"the numbers contradict {label}"


@by_label
def test_a_wrong_sign_is_noticed_by_the_proof_and_by_the_numbers(label):
    entry, wrong = REGISTRY[label], flipped_signs(LATEX[label])
    assert [latex for latex in wrong if not fails(entry.proven, latex)] == []
    assert [latex for latex in wrong if not fails(lambda latex: holds(entry, latex), latex)] == []


@pytest.mark.parametrize(
    ("latex", "value"),
    [(r"\frac12 a", "a/2"), ("a / b c", "a*c/b"), ("-a^2 + b", "-a**2 + b"), (r"\ln(1/a)", "log(1/a)")],
)
def test_the_reader_reads(latex, value):
    (found,) = read_latex(latex)
    names = {name: symbol(name) for name in "abc"}
    assert sp.simplify(found - sp.sympify(value, locals=names)) == 0


@pytest.mark.parametrize("latex", [r"\frac{a}{", "a +", "(a", "a )", r"\unknown{a} 1 }", "a = ", "2 : 3"])
def test_the_reader_refuses(latex):
    with pytest.raises(LatexError):
        read_latex(latex)


MOMENTS = [
    (r"\sum_i a_i (x_i - c)", {}, True),
    (r"\sum_{i=1}^{M-1} a_i (x_i - c)", {}, False),  # another number of terms is another sum
    (r"\sum_i b_i", {"b_i": symbol("a_i") * (symbol("x_i") - symbol("c"))}, True),
    (r"\sum_i b_i", {"b_j": symbol("a_j") * (symbol("x_j") - symbol("c"))}, False),
]


@pytest.mark.parametrize(("latex", "symbols", "same"), MOMENTS)
def test_sums_of_products_are_compared_term_by_term(latex, symbols, same):
    entry = Equation(lambda _: {}, symbols)
    assert entry.proven(rf"{latex} = \sum_i x_i a_i - c \sum_i a_i") is same
