"""Every numbered equation of the book is proven, holds in numbers, and would be missed with a wrong sign."""

import re

import pytest
import sympy as sp

from equations import registry
from page_latex import LatexError, read_latex, symbol
from page_math import Equation, equations_of, flipped_signs
from pages import BOOK

PAGES = sorted(BOOK.glob("*.md"))
REGISTRY = registry()
ON_PAGES = {page.stem: equations_of(page) for page in PAGES}
ENTRIES = [(page, entry) for page, entries in REGISTRY.items() for entry in entries]
POINTS = 5


def latex_of(page, entry):
    return ON_PAGES.get(page, {}).get(entry.label, "")


def holds(entry, latex):
    return all(entry.holds(latex, seed) for seed in range(POINTS))


def fails(test, latex):
    """Whether a test says no to an equation; a text that is no longer an equation is a no as well."""
    try:
        return not test(latex)
    except (LatexError, sp.SympifyError):
        return True


by_entry = pytest.mark.parametrize(("page", "entry"), ENTRIES, ids=[entry.label for _, entry in ENTRIES])
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@by_page
def test_equations_of_the_page_and_of_the_registry_are_the_same(page):
    registered = [entry.label for entry in REGISTRY.get(page.stem, ())]
    assert sorted(registered) == sorted(ON_PAGES[page.stem]), (
        f"tests/book/equations/{page.stem}.py must have one entry for each labeled equation of {page.name}"
    )


def test_every_entry_belongs_to_a_page():
    assert set(REGISTRY) <= {page.stem for page in PAGES}


def test_no_label_is_used_twice():
    labels = [label for equations in ON_PAGES.values() for label in equations]
    assert len(labels) == len(set(labels))


@by_page
def test_every_numbered_equation_is_read(page):
    """Only $$ ... $$ (eq-...) makes a number, and the registry sees each of these."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\\begin\{(align|equation|gather|multline)\}|```\{math\}|:label:", text)
    assert len(re.findall(r"^\$\$ *\(", text, flags=re.MULTILINE)) == len(ON_PAGES[page.stem])


@by_entry
def test_the_equation_is_proven(page, entry):
    assert entry.proven(latex_of(page, entry)), f"sympy does not find both sides of {entry.label} equal"


@by_entry
def test_the_equation_holds_in_numbers(page, entry):
    assert holds(entry, latex_of(page, entry)), f"the numbers contradict {entry.label}"


@by_entry
def test_a_wrong_sign_is_noticed_by_the_proof_and_by_the_numbers(page, entry):
    missed = {"the proof": [], "the numbers": []}
    for wrong in flipped_signs(latex_of(page, entry)):
        if not fails(entry.proven, wrong):
            missed["the proof"].append(wrong)
        if not fails(lambda latex: holds(entry, latex), wrong):
            missed["the numbers"].append(wrong)
    assert missed == {"the proof": [], "the numbers": []}


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        (r"\frac12 a", "a/2"),
        (r"\tfrac{1}{2} (a - b)^2", "(a - b)**2/2"),
        (r"a / b c", "a*c/b"),
        (r"-a^2 + b", "-a**2 + b"),
        (r"\sqrt{a} \cdot \bigl(b + |a|\bigr)", "sqrt(a)*(b + Abs(a))"),
        (r"\ln(1/a)", "log(1/a)"),
        (r"\operatorname{sigmoid}(a)", "1/(1 + exp(-a))"),
    ],
)
def test_the_reader_reads(latex, value):
    names = {"a": symbol("a"), "b": symbol("b"), "c": symbol("c")}
    (found,) = read_latex(latex)
    assert sp.simplify(found - sp.sympify(value, locals=names)) == 0


@pytest.mark.parametrize("latex", [r"\frac{a}{", "a +", "(a", "a )", r"\unknown{a} 1 }", "a = ", "2 : 3"])
def test_the_reader_refuses(latex):
    with pytest.raises(LatexError):
        read_latex(latex)


MOMENTS = [
    (r"\sum_i a_i (x_i - c)", {}, True),
    (r"\sum_i a_i (c - x_i)", {}, False),
    (r"\sum_{i=1}^{M-1} a_i (x_i - c)", {}, False),  # another number of terms is another sum
    (r"\sum_i b_i", {"b_i": symbol("a_i") * (symbol("x_i") - symbol("c"))}, True),
    (r"\sum_i b_i", {"b_j": symbol("a_j") * (symbol("x_j") - symbol("c"))}, False),
]


@pytest.mark.parametrize(("latex", "symbols", "same"), MOMENTS)
def test_sums_of_products_are_compared_term_by_term(latex, symbols, same):
    entry = Equation("eq", symbols=symbols, numbers=lambda _: {})
    assert entry.proven(rf"{latex} = \sum_i x_i a_i - c \sum_i a_i") is same


def test_a_sum_is_over_powers_of_the_neurons():
    entry = Equation("eq", symbols={}, numbers=lambda _: {})
    with pytest.raises(LatexError, match="powers of x_i"):
        entry.proven(r"a = \sum_{i=1}^{M} \ln(x_i)")
