"""The numbered equations of the pages: proven with sympy, and compared with numbers.

An :class:`Equation` says what the names in one equation of a page mean. The equation itself is not repeated
there: it is read from the page. So a sign that is wrong on the page is a test that fails.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from page_latex import COUNT, RELATION, LatexError, read_latex, symbol

LABELED = re.compile(r"^\$\$\n((?:(?!\$\$).)*?)\n\$\$ \(([\w-]+)\)$", re.MULTILINE | re.DOTALL)
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class Equation:
    r"""What the names in one numbered equation mean.

    Attributes:
        numbers: Given a generator, the value of every name at a random point, from code that does not
            use the equation. An array stands for the indexed values: ``x[0]`` is :math:`x_1`.
        symbols: A sympy expression for each name that is not free. Names are those of LaTeX without
            backslashes, with ``that`` for ``\hat t``. The meaning of ``z_i`` holds in a sum over ``i`` too.
        functions: What a name means that is applied to arguments.
        proof: Replaces the comparison of sides in sympy. It is handed the sides with the meanings put in.
    """

    numbers: Callable[[np.random.Generator], Mapping[str, Any]]
    symbols: Mapping[str, Any] = field(default_factory=dict)
    functions: Functions = field(default_factory=dict)
    proof: Callable[[tuple[Any, ...]], bool] | None = None

    def proven(self, latex: str) -> bool:
        """Whether all sides of the equation are the same expression once meanings are put in."""
        sides = tuple(in_power_sums(side, self.symbols) for side in sides_of(latex, self.functions))
        if self.proof is not None:
            return self.proof(sides)
        return all(vanishes(left - right) for left, right in pairwise(sides))

    def holds(self, latex: str, seed: int) -> bool:
        """Whether all sides of the equation are the same number at a random point."""
        values = point_of(self, seed)
        known = {name: value for name, value in values.items() if callable(value)}
        applied = {name: sp.Function(identifier(name)) for name in self.functions}
        found = [evaluate(side, values, known) for side in sides_of(latex, applied)]
        return all(
            np.shape(left) == np.shape(right) and np.allclose(left, right, rtol=1e-9, atol=1e-12)
            for left, right in pairwise(found)
        )


@cache
def point_of(equation: Equation, seed: int) -> Mapping[str, Any]:
    """The values of an equation's names at a point, made once for all of its wrong signs."""
    return equation.numbers(np.random.default_rng(seed))


def sides_of(latex: str, functions: Functions) -> tuple[Any, ...]:
    """The sides of an equation; those of several equations in one display become vectors."""
    found = [read_latex(part, functions) for part in re.split(r",\s*\\qquad", latex)]
    if len({len(sides) for sides in found}) != 1:
        raise LatexError(f"the equations of one display must have equally many sides, got {found}")
    return found[0] if len(found) == 1 else tuple(sp.Matrix(column) for column in zip(*found, strict=True))


def equations_of(text: str) -> dict[str, str]:
    """The LaTeX of the labeled equations of a page, or of all pages in a row, by label."""
    found = {label: latex for latex, label in LABELED.findall(text)}
    if len(found) != len(LABELED.findall(text)):
        raise ValueError("each label of an equation must stand in one place of the book, got one twice")
    return found


def flipped_signs(latex: str) -> list[str]:
    """The equation with one sign turned, for each of its signs, and with its last side negated."""
    signs = [match.start() for match in re.finditer(r"[+-]", latex)]
    turned = [latex[:at] + ("-" if latex[at] == "+" else "+") + latex[at + 1 :] for at in signs]
    of_indices = re.sub(r"_\{[^{}]*\}", lambda index: "." * len(index[0]), latex)  # as in a sum from i = 1
    end = max((match.end() for match in RELATION.finditer(of_indices)), default=0)
    return [*turned, f"{latex[:end]} -1 \\cdot {latex[end:]}"]


def identifier(name: str) -> str:
    """A name that Python accepts for a name of LaTeX."""
    return re.sub(r"\W", "_", name.replace("*", "star").replace("'", "prime"))


def power_sum(power: int) -> sp.Symbol:
    """The symbol of the sum of a power of the others."""
    return sp.Symbol(f"P_{power}", real=True)


def in_power_sums(expression: Any, meanings: Mapping[str, Any]) -> Any:
    """Put meanings in and write every sum over the neurons by sums of their powers and products.

    A sum is linear in its terms, so this holds for every number of neurons. The sum of powers of all neurons
    is that of the others and the power of the target. The sum of a product, as of ``x_i**2 * g_i``, is a
    symbol of its own.
    """
    if isinstance(expression, sp.MatrixBase):
        return expression.applyfunc(lambda entry: in_power_sums(entry, meanings))
    reduced = expression.replace(lambda e: isinstance(e, sp.Sum), lambda e: _reduce_sum(e, meanings))
    free = reduced.free_symbols
    known = {symbol(name): sp.sympify(value) for name, value in meanings.items() if symbol(name) in free}
    return reduced.subs(known, simultaneous=True)


def _reduce_sum(total: sp.Sum, meanings: Mapping[str, Any]) -> sp.Expr:
    ((index, first, last),) = total.limits
    if first != 1 or last not in (COUNT, COUNT - 1):
        raise LatexError(f"a sum must run from 1 to M or to M - 1, got {total}")
    in_terms = {e: symbol(f"{e.base}_{index}") for e in total.function.atoms(sp.Indexed)}
    known = {symbol(name): value for name, value in meanings.items() if name.endswith(f"_{index}")}
    function = sp.expand(total.function.xreplace(in_terms).subs(known, simultaneous=True))
    varying = [s for s in function.free_symbols if s.name.endswith(f"_{index}")]
    terms = []
    for term in sp.Add.make_args(function):
        factor, product = term.as_independent(*varying, as_Add=False)
        terms.append(factor * _sum_of_product(product, index, last))
    return sp.Add(*terms)


def _sum_of_product(product: sp.Expr, index: sp.Symbol, last: sp.Expr) -> sp.Expr:
    """The sum of a product of powers: known for one, of powers of x it is a power sum."""
    powers = product.as_powers_dict()
    if product == 1:
        return last
    if not all(base.is_Symbol and power.is_Integer for base, power in powers.items()):
        raise LatexError(f"a sum must be over powers of x_i and their products, got {product}")
    if list(powers) != [symbol(f"x_{index}")]:
        return sp.Symbol(f"sum of {product} to {last}", real=True)
    (power,) = powers.values()
    return power_sum(int(power)) + (symbol("t") ** power if last == COUNT else 0)


def vanishes(difference: Any) -> bool:
    """Whether an expression, or every entry of a matrix, is identically zero."""
    entries = difference if isinstance(difference, sp.MatrixBase) else [sp.sympify(difference)]
    return all(is_zero(entry) for entry in entries)


@cache
def is_zero(expression: sp.Expr) -> bool:
    """Whether an expression is identically zero; that it is not at one point is much quicker to find."""
    names = sorted(expression.free_symbols - {COUNT}, key=str)
    point = {name: sp.Rational(sp.prime(5 + place), 13) for place, name in enumerate(names)}
    value = expression.evalf(subs=point | {COUNT: 11}, maxn=40)
    if value.is_number and abs(value) > 1e-9:
        return False
    return sp.expand(sp.together(expression).as_numer_denom()[0]) == 0 or bool(sp.simplify(expression) == 0)


def evaluate(expression: Any, values: Mapping[str, Any], functions: Functions) -> Any:
    """The value of an expression at a point; an indexed name takes its entries from an array."""
    indexed = {base.name for base in expression.atoms(sp.IndexedBase)}
    used = indexed | {name.name for name in expression.free_symbols}
    names = [name for name in values if name in used]
    # x_1 is x[0] in numpy and x[1] in a sum that begins with one, so a dummy comes first.
    point = [np.insert(values[name], 0, np.nan) if name in indexed else values[name] for name in names]
    arguments = [sp.IndexedBase(name) if name in indexed else symbol(name) for name in names]
    by_name = {identifier(name): function for name, function in functions.items()}
    try:
        return sp.lambdify(arguments, expression, [by_name, "numpy"])(*point)
    except IndexError as error:
        raise LatexError(f"a sum of {expression} runs past the last neuron") from error
