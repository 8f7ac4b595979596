#!/bin/sh
# SymPy's parse_latex with the backend "lark" does not know \sigma: it raises UnexpectedCharacters for SimAM's
# energy, as for every formula with a standard deviation in it. The backend "antlr" reads the same text.
# Expected before it was run: lark reads the energy, and gives what is typed by hand.
# Seen with sympy 1.14.0, lark 1.3.1: with s for \sigma the energy is read rightly; of the Greek letters that LaTeX
# has as commands, lark refuses \iota, \pi, \sigma, \varsigma, \varpi and the eleven capitals; antlr refuses
# none. It matters where a page's formulas are checked against code by parsing them: mu and lambda pass, sigma not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
    sympy==1.14.0 lark==1.3.1 antlr4-python3-runtime==4.11.1
"$folder/env/bin/python" - <<'PY'
import sys

import lark
import sympy
from sympy.parsing.latex import parse_latex

print("sympy", sympy.__version__, "lark", lark.__version__)
small = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi
    psi omega varepsilon vartheta varphi varrho varsigma varpi"""
capitals = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
text = r"\frac{4(\sigma^2+\lambda)}{(t-\mu)^2+2\sigma^2+2\lambda}"


def read(latex, backend):
    try:
        return parse_latex(latex, backend=backend)
    except lark.exceptions.UnexpectedCharacters as error:
        return type(error).__name__


def energy(sigma):
    mean, regulariser, t = sympy.symbols("mu lambda t")
    return 4 * (sigma**2 + regulariser) / ((t - mean) ** 2 + 2 * sigma**2 + 2 * regulariser)


def right(found, sigma):
    return isinstance(found, sympy.Expr) and sympy.simplify(found - energy(sympy.Symbol(sigma))) == 0


found = {}
for backend in ("lark", "antlr"):
    whole, plain = read(text, backend), read(text.replace(r"\sigma", "s"), backend)
    letters = (small + " " + capitals).split()
    refused = {letter for letter in letters if not isinstance(read("\\" + letter, backend), sympy.Expr)}
    print(f"{backend}: energy {whole}; with s for sigma {plain}; refused alone: {' '.join(sorted(refused)) or 'none'}")
    found[backend] = (right(whole, "sigma"), right(plain, "s"), refused)
lark_refuses = {"iota", "pi", "sigma", "varsigma", "varpi", *capitals.split()}
seen = {"lark": (False, True, lark_refuses), "antlr": (True, True, set())}
sys.exit(0 if found == seen else "the behaviour has changed")
PY
