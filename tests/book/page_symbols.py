"""The symbols that the equations of several pages share."""

from page_latex import COUNT, symbol
from page_math import power_sum

t, w, b, lam, mu, sigma, z = (symbol(name) for name in ("t", "w", "b", "lambda", "mu", "sigma", "z"))
M = COUNT
P1, P2 = power_sum(1), power_sum(2)  # of the others
