r"""A reader of the LaTeX that the pages write their equations in.

sympy has a parser of its own, but it gives several readings for what follows a sum, and refuses
``\sigma_t^2``. The dialect of the pages is small: sums, products, fractions, roots, powers, vectors,
matrices, and functions whose names it is told.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

RELATIONS = {"=", "<", ">", r"\le", r"\ge", r"\approx", r"\leftarrow", r"\to"}
FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    r"\ln": sp.log,
    r"\log": sp.log,
    r"\exp": sp.exp,
    "sigmoid": lambda z: 1 / (1 + sp.exp(-z)),
}
SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])")
SPACES = re.compile(r"(?<!\\)\\[,;:! ]|\\q?quad|~")
TOKEN = re.compile(r"\\[a-zA-Z]+|\\\\|\d+|[a-zA-Z]|[^\s]")
COUNT = sp.Symbol("M", integer=True, positive=True)


class LatexError(ValueError):
    """The LaTeX of an equation is not in the dialect of the pages."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """An equation as read: its sides and the relations between them."""

    expressions: tuple[Any, ...]
    relations: tuple[str, ...]


def symbol(name: str) -> sp.Symbol:
    """Return the symbol of a name on a page; the number of neurons is a positive integer."""
    return COUNT if name == "M" else sp.Symbol(name, real=True)


def read_latex(latex: str, functions: Mapping[str, Callable[..., Any]] | None = None) -> Sides:
    """Read a chain of expressions and the relations between them.

    Raises:
        LatexError: If the text is not in the dialect of the pages.
    """
    return _Reader(latex, functions or {}).chain()


class _Reader:
    """A reader of the dialect by recursive descent: each method reads one kind of thing."""

    def __init__(self, latex: str, functions: Mapping[str, Callable[..., Any]]) -> None:
        plain = (
            SPACES.sub(" ", SIZES.sub(" ", latex)).replace(r"\tfrac", r"\frac").replace(r"\dfrac", r"\frac")
        )
        plain = re.sub(r"\\operatorname\{(\w+)\}", r"\\\1", plain)
        self.tokens: list[str] = [*TOKEN.findall(plain.strip().rstrip(".,").rstrip()), ""]
        self.latex, self.at = latex, 0
        self.functions = {name.replace("\\", ""): f for name, f in {**FUNCTIONS, **functions}.items()}
        self.indices: list[str] = []

    @property
    def next(self) -> str:
        """The token that comes next; none at the end."""
        return self.tokens[self.at]

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or (wanted and token != wanted):
            left = "".join(self.tokens[self.at :])
            raise LatexError(f"expected {wanted or 'more'} before {left!r} in {self.latex!r}")
        self.at += 1
        return token

    def chain(self) -> Sides:
        expressions, relations = [self.sum()], []
        while self.next in RELATIONS:
            relations.append(self.take())
            expressions.append(self.sum())
        if self.next:
            raise LatexError(f"did not expect {''.join(self.tokens[self.at :])!r} in {self.latex!r}")
        return Sides(expressions=tuple(expressions), relations=tuple(relations))

    def sum(self) -> Any:
        total = self.product(signed=True)
        while self.next in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            total = total + sign * self.product()
        return total

    def product(self, *, signed: bool = False) -> Any:
        sign = 1
        while signed and self.next in ("+", "-"):
            sign = sign if self.take() == "+" else -sign
        product = self.factor()
        while self.begins_factor():
            if self.next == "/":
                self.take()
                product = product / self.factor()
            else:
                if self.next in (r"\cdot", r"\odot"):
                    self.take()
                    signs = self.take() if self.next == "-" else ""
                    product = -product if signs else product
                product = product * self.factor()
        return sign * product

    def begins_factor(self) -> bool:
        stops = {"", "+", "-", ")", "]", "}", ",", ";", "|", "&", r"\\", r"\end", *RELATIONS}
        return self.next not in stops

    def factor(self) -> Any:
        base = self.atom()
        while self.next == "^":
            self.take()
            base = base ** self.argument()
        return base

    def argument(self) -> Any:
        """Read what stands in braces, or one token: the argument of a fraction, root or power."""
        if self.next == "{":
            return self.enclosed("{", "}")
        if self.next.isdigit():  # \frac12 is one over two
            digits = self.take()
            if len(digits) > 1:
                self.at -= 1
                self.tokens[self.at] = digits[1:]
            return sp.Integer(digits[0])
        return self.atom()

    def enclosed(self, first: str, last: str) -> Any:
        self.take(first)
        inside = self.sum()
        self.take(last)
        return inside

    def atom(self) -> Any:
        token = self.next
        if token.isdigit():
            return sp.Integer(self.take())
        if token == "(":
            inside = self.arguments()  # (w, b) is a vector
            return inside[0] if len(inside) == 1 else sp.Matrix(inside)
        if token in ("[", "{"):
            return self.enclosed(token, {"[": "]", "{": "}"}[token])
        if token == "|":
            return sp.Abs(self.enclosed("|", "|"))
        readers = {
            r"\frac": self.fraction,
            r"\sqrt": self.root,
            r"\sum": self.indexed_sum,
            r"\begin": self.matrix,
        }
        if token in readers:
            self.take()
            return readers[token]()
        return self.name()

    def fraction(self) -> Any:
        top = self.argument()
        return top / self.argument()

    def root(self) -> Any:
        return sp.sqrt(self.argument())

    def indexed_sum(self) -> Any:
        index, first, last = "i", sp.Integer(1), COUNT  # a bare \sum_i runs over all neurons
        self.take("_")
        if self.next == "{":
            self.take("{")
            index = self.take()
            self.take("=")
            first = self.sum()
            self.take("}")
            self.take("^")
            last = self.argument()
        else:
            index = self.take()
        self.indices.append(index)
        summand = self.product()
        self.indices.pop()
        return sp.Sum(summand, (sp.Symbol(index, integer=True, positive=True), first, last))

    def matrix(self) -> Any:
        self.take("{")
        while self.take() != "}":
            pass
        rows: list[list[Any]] = [[self.sum()]]
        while self.next in ("&", r"\\"):
            if self.take() == "&":
                rows[-1].append(self.sum())
            else:
                rows.append([self.sum()])
        self.take(r"\end")
        self.take("{")
        while self.take() != "}":
            pass
        return sp.Matrix(rows)

    def name(self) -> Any:
        token = self.take()
        if not re.fullmatch(r"\\?[a-zA-Z]+", token):
            raise LatexError(f"did not expect {token!r} in {self.latex!r}")
        word = token.removeprefix("\\")
        if token in (r"\hat", r"\bar", r"\tilde"):
            inner = self.take("{") and self.take() if self.next == "{" else self.take()
            if self.tokens[self.at - 2] == "{":
                self.take("}")
            word = inner.removeprefix("\\") + word
        if token in (r"\det", r"\tr"):
            matrix = self.take()
            if self.next == "_":
                self.take()
                matrix += f"_{self.subscript()}"
            return symbol(f"{word} {matrix}")
        if token == r"\nabla":
            word = f"nabla {self.take()}"
        index = ""
        if self.next == "_":
            self.take()
            index = self.subscript()
        if index in self.indices:
            indexed: sp.Expr = sp.IndexedBase(word)[sp.Symbol(index, integer=True, positive=True)]
            return indexed
        word = f"{word}_{index}" if index else word
        if self.next == "^" and self.tokens[self.at + 1] == "*":
            self.at += 2
            word += "^*"
        while self.next == "'":
            word += self.take()
        function = self.functions.get(word)
        if function is None or not (self.next in ("(", "{") or word in ("ln", "log", "exp")):
            return symbol(word)
        return function(*self.arguments())

    def arguments(self) -> list[Any]:
        """Read the arguments of a function: in parentheses, or the one factor that follows."""
        if self.next != "(":
            return [self.factor()]
        self.take("(")
        found = [self.sum()]
        while self.next in (",", ";"):
            self.take()
            found.append(self.sum())
        self.take(")")
        return found

    def subscript(self) -> str:
        """Read a subscript as text: it is a part of a name."""
        if self.next != "{":
            return self.take().removeprefix("\\")
        self.take("{")
        parts = []
        while self.next != "}":
            parts.append(self.take().removeprefix("\\"))
        self.take("}")
        return "".join(parts)
