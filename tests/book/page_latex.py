r"""A reader of the LaTeX that the pages write their equations in.

The dialect is small: sums, products, fractions, roots, powers, vectors, matrices, and functions whose names
are told. It is rewritten as the Python-like text that sympy's own parser reads. Sympy's parser of LaTeX
(lark) reads 14 of the 93 equations, their sizes and spaces taken out: ``2 (a + b)`` is none to it.
"""

import re
import tokenize
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import sympy as sp
from sympy.parsing.sympy_parser import parse_expr

COUNT = sp.Symbol("M", integer=True, positive=True)  # the number of neurons
RELATION = re.compile(r"[=<>]|\\(?:le|ge|approx)(?![a-zA-Z])")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": sp.Abs,
    "exp": sp.exp,
    "ln": sp.log,
    "sigmoid": lambda z: 1 / (1 + sp.exp(-z)),
}
REWRITES = (
    (r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|(?<!\\)\\[,;:! ]|\\q?quad|~", " "),  # sizes, spaces
    (r"\|([^|]*)\|", r"\\abs(\1)"),
    (r"\\[td]frac", r"\\frac"),
    (r"\\(frac|sqrt)\s*(\w)", r"\\\1{\2}"),  # \frac12 is one over two
    (r"(\\frac\{\w\})\s*(\w)", r"\1{\2}"),
    (r"\\operatorname\{(\w+)\}", r"\\\1"),
    (r"\\(hat|bar|tilde)\s*\{?\\?([a-zA-Z]+)\}?", r"\\\2\1"),
    (r"\\begin\{\w+\}(.*?)\\end\{\w+\}", "⟦\\1⟧"),
    (r"\\\\", "], ["),
    (r"[&;]", ","),
    (r"\\(?:cdot|odot)(?![a-zA-Z])", "*"),
)
# A name is read as a whole, with its index, star and primes: e_t^*, x_{\max}', \nabla e_t, \tr A.
KEYWORD = r"\\(?:frac|sqrt|le|ge|approx)(?![a-zA-Z])"
NAME = re.compile(
    rf"{KEYWORD}|(?:\\(?:det|tr|nabla)\s*)?(?:\\[a-zA-Z]+|[a-zA-Z])"
    r"(?:_(?:\{[^{}]*\}|\\[a-zA-Z]+|\w))?(?:\^\*)?'*"
)
SUM = re.compile(r"\\sum_(?:\{(\w)\s*=\s*([^{}]*)\}\^(?:\{([^{}]*)\}|(\w))|(\w))")
BRACES = (  # replaced from the inside out
    (r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\sqrt\s*\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\^\s*\{([^{}]*)\}", r"^(\1)"),
)
TOKEN = re.compile(r"[ns]\d+|sqrt|\d+|\S")


class LatexError(ValueError):
    """The LaTeX of an equation is not in the dialect of the pages."""


def symbol(name: str) -> sp.Symbol:
    """The symbol of a name on a page, which is written without backslashes and braces."""
    return COUNT if name == "M" else sp.Symbol(name, real=True)


def read_latex(latex: str, functions: Mapping[str, Callable[..., Any]] | None = None) -> tuple[Any, ...]:
    """The expressions in a chain of relations; raises LatexError for what is not in the dialect."""
    text, found = latex.strip().rstrip(".,").rstrip(), []

    def numbered(kind: str, match: re.Match[str]) -> str:
        if re.match(KEYWORD, match[0]):
            return match[0]
        found.append(match)
        return f" {kind}{len(found) - 1} "

    for pattern, new in REWRITES:
        text = re.sub(pattern, new, text, flags=re.DOTALL)
    text = NAME.sub(partial(numbered, "n"), SUM.sub(partial(numbered, "§"), text)).replace("§", "s")
    for _ in range(text.count("{")):
        for pattern, new in BRACES:
            text = re.sub(pattern, new, text)
    sides = [_scoped(TOKEN.findall(side)) for side in RELATION.split(text)]
    try:
        return tuple(_read(side, found, {**FUNCTIONS, **(functions or {})}) for side in sides)
    except (SyntaxError, TypeError, ValueError, tokenize.TokenError) as error:
        raise LatexError(f"expected an equation in the dialect of the pages, got {latex}") from error


def _scoped(tokens: list[str]) -> list[str]:
    """The tokens with what a sum is over in parentheses: the rest of its product."""
    for start in (place for place in reversed(range(len(tokens))) if re.fullmatch(r"s\d+", tokens[place])):
        depth, end = 0, start + 1
        while end < len(tokens) and (depth or tokens[end] not in "+-,)]⟧"):
            depth += (tokens[end] in "(⟦") - (tokens[end] in ")⟧")
            end += 1
        tokens = [*tokens[: start + 1], "(", *tokens[start + 1 : end], ")", *tokens[end:]]
    return tokens


def _read(tokens: list[str], found: list[re.Match[str]], functions: Mapping[str, Any]) -> Any:
    """The expression of one side: products get their sign, names and sums what they stand for."""
    known: dict[str, Any] = {"group": lambda *parts: parts[0] if len(parts) == 1 else sp.Matrix(parts)}
    text: list[str] = []
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if re.fullmatch(r"n\d+", token):
            name = _plain(found[int(token[1:])][0])
            known[token] = functions[name] if name in functions and after == "(" else symbol(name)
        if re.fullmatch(r"s\d+", token):
            known[token] = partial(_indexed_sum, found[int(token[1:])])
        applied = before == "sqrt" or not isinstance(known.get(before, COUNT), sp.Symbol)
        if re.match(r"\w|[(⟦]", token) and re.match(r"\w|[)⟧]", before) and not applied:
            text.append("*")
        spelled = {"^": "**", "⟦": "Matrix([[", "⟧": "]])", "(": "(" if applied else "group("}
        text.append(spelled.get(token, token))
    return parse_expr(" ".join(text), local_dict=known)


def _plain(name: str) -> str:
    """A name without backslashes and braces; what is put before it, as the trace, stands apart."""
    return re.sub(r"[\\{}\s]", "", re.sub(r"\\(det|tr|nabla)\s*\\?", r"\1@", name)).replace("@", " ")


def _indexed_sum(found: re.Match[str], term: sp.Expr) -> sp.Sum:
    """The sum of a term over the index; a bare sum over i runs over all neurons."""
    name, first, last = found[1] or found[5], found[2] or "1", found[3] or found[4] or "M"
    index = sp.Symbol(name, integer=True, positive=True)
    of_index = {s: s.name.removesuffix(f"_{name}") for s in sp.sympify(term).atoms(sp.Symbol)}
    indexed = {s: sp.IndexedBase(word)[index] for s, word in of_index.items() if word != s.name}
    return sp.Sum(term.xreplace(indexed), (index, *read_latex(first), *read_latex(last)))
