r"""A reader of the LaTeX that the pages write their equations in.

The dialect is small: sums, products, fractions, roots, powers, vectors, matrices, and functions whose names
are told. Of the 87 displays sympy's own parser (lark) reads 11 without several readings, and
latex2sympy2-extended 28, but it drops primes (``\mu'`` is ``\mu``) and makes capitals small.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

COUNT = sp.Symbol("M", integer=True, positive=True)  # the number of neurons
RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\approx", r"\leftarrow", r"\to"}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": sp.Abs,
    "exp": sp.exp,
    "ln": sp.log,
    "log": sp.log,
    "sigmoid": lambda z: 1 / (1 + sp.exp(-z)),
}
WITHOUT_PARENTHESES = ("exp", "ln", "log")
REWRITES = (
    (r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|(?<!\\)\\[,;:! ]|\\q?quad|~", " "),  # sizes, spaces
    (r"\|([^|]*)\|", r"\\abs(\1)"),
    (r"\\[td]frac", r"\\frac"),
    (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),  # \frac12 is one over two
    (r"\\operatorname\{(\w+)\}", r"\\\1"),
    (r"\\(begin|end)\{\w+\}", r"\\\1"),
    (r"\\(hat|bar|tilde)\s*\{?\\?([a-zA-Z]+)\}?", r"\\\2\1"),
)
KEYWORD = r"\\(?:sum|frac|sqrt|begin|end|cdot|odot|le|ge|approx|leftarrow|to)(?![a-zA-Z])"
# A name is read as a whole, with its index, star and primes: e_t^*, x_{\max}', \nabla e_t, \tr A.
NAME = r"(?:\\(?:det|tr|nabla)\s*)?(?:\\[a-zA-Z]+|[a-zA-Z])(?:_(?:\{[^{}]*\}|\\[a-zA-Z]+|\w))?(?:\^\*)?'*"
TOKEN = re.compile(rf"{KEYWORD}|{NAME}|\\\\|\d+|\S")
ENDS = {"", "+", "-", ")", "]", "}", ",", ";", "&", r"\\", r"\end", *RELATIONS}


class LatexError(ValueError):
    """The LaTeX of an equation is not in the dialect of the pages."""


def symbol(name: str) -> sp.Symbol:
    """The symbol of a name on a page, which is written without backslashes and braces."""
    return COUNT if name == "M" else sp.Symbol(name, real=True)


def read_latex(latex: str, functions: Mapping[str, Callable[..., Any]] | None = None) -> tuple[Any, ...]:
    """The expressions in a chain of relations; raises LatexError for what is not in the dialect."""
    text = latex
    for pattern, new in REWRITES:
        text = re.sub(pattern, new, text)
    tokens = TOKEN.findall(text.strip().rstrip(".,").rstrip())
    return _Reader(tokens, {**FUNCTIONS, **(functions or {})}).chain()


class _Reader:
    """A reader by recursive descent: each method reads one kind of thing."""

    def __init__(self, tokens: list[str], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.tokens, self.at, self.functions = [*tokens, ""], 0, functions

    @property
    def next(self) -> str:
        return self.tokens[self.at]  # none at the end

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            raise LatexError(f"expected {wanted or 'more'} at {self.tokens[self.at :]} in {self.tokens}")
        self.at += 1
        return token

    def chain(self) -> tuple[Any, ...]:
        sides = [self.sum()]
        while self.next in RELATIONS:
            self.take()
            sides.append(self.sum())
        if self.next:
            raise LatexError(f"did not expect {self.tokens[self.at :]} in {self.tokens}")
        return tuple(sides)

    def sum(self) -> Any:
        total = self.product()
        while self.next in ("+", "-"):
            total = total + self.product()  # a factor reads its own sign
        return total

    def product(self) -> Any:
        product = self.factor()
        while self.next not in ENDS:
            if self.next == "/":
                self.take()
                product = product / self.factor()
            else:
                if self.next in (r"\cdot", r"\odot"):
                    self.take()
                product = product * self.factor()
        return product

    def factor(self) -> Any:
        if self.next in ("+", "-"):
            return self.factor() if self.take() == "+" else -self.factor()
        base = self.atom()
        while self.next == "^":
            self.take()
            base = base ** self.argument()
        return base

    def argument(self) -> Any:
        """What stands in braces, or else one token."""
        return self.list("{", "}")[0] if self.next == "{" else self.atom()

    def list(self, first: str, last: str, separators: tuple[str, ...] = ()) -> list[Any]:
        self.take(first)
        found = [self.sum()]
        while self.next in separators:
            self.take()
            found.append(self.sum())
        self.take(last)
        return found

    def atom(self) -> Any:
        token = self.next
        if token in ("[", "{"):
            return self.list(token, {"[": "]", "{": "}"}[token])[0]
        if token == "(":
            inside = self.list("(", ")", (",", ";"))  # (w, b) is a vector
            return inside[0] if len(inside) == 1 else sp.Matrix(inside)
        self.take()
        if token.isdigit():
            return sp.Integer(token)
        if token == r"\frac":
            top = self.argument()
            return top / self.argument()
        if token == r"\sqrt":
            return sp.sqrt(self.argument())
        if token == r"\sum":
            return self.indexed_sum()
        if token == r"\begin":
            return self.matrix()
        if not re.fullmatch(NAME, token):
            raise LatexError(f"did not expect {token!r} in {self.tokens}")
        return self.named(token)

    def named(self, token: str) -> Any:
        """A symbol, or a function and what it is applied to."""
        name = re.sub(r"[\\{}\s]", "", re.sub(r"\\(det|tr|nabla)\s*\\?", r"\1@", token)).replace("@", " ")
        function = self.functions.get(name)
        if function is None or not (self.next in ("(", "{") or name in WITHOUT_PARENTHESES):
            return symbol(name)
        return function(*(self.list("(", ")", (",", ";")) if self.next == "(" else [self.factor()]))

    def indexed_sum(self) -> Any:
        first, last = sp.Integer(1), COUNT  # a bare \sum_i runs over all neurons
        self.take("_")
        braces = self.next == "{"
        if braces:
            self.take()
        name = self.take()
        if braces:
            self.take("=")
            first = self.sum()
            self.take("}")
            self.take("^")
            last = self.argument()
        index, term = sp.Symbol(name, integer=True, positive=True), sp.sympify(self.product())
        of_index = {s: s.name.removesuffix(f"_{name}") for s in term.atoms(sp.Symbol)}
        indexed = {s: sp.IndexedBase(word)[index] for s, word in of_index.items() if word != s.name}
        return sp.Sum(term.xreplace(indexed), (index, first, last))

    def matrix(self) -> Any:
        rows = [[self.sum()]]
        while self.next in ("&", r"\\"):
            if self.take() == "&":
                rows[-1].append(self.sum())
            else:
                rows.append([self.sum()])
        self.take(r"\end")
        return sp.Matrix(rows)
