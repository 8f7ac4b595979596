r"""The closed form of SimAM and its gradient, derived with sympy, one named step after another.

No answer is typed in. :func:`derive` starts from the energy of Eq. (2), a sum over the other
neurons with a symbolic number :math:`M` of neurons; :func:`derive_gradient` from the output of
Eq. (6). Every later expression is computed by sympy from the ones before. Equation numbers are
those of Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module for
Convolutional Neural Networks", ICML 2021.
"""

from dataclasses import dataclass

import sympy as sp

w, b, t, s = sp.symbols("w b t s", real=True)  # weight, bias, target, a point on the line of values
mu = sp.Symbol("mu_t", real=True)  # the mean of the others
sigma, lam = sp.symbols("sigma_t lambda", nonnegative=True)  # their standard deviation, the penalty
M, i, j = sp.symbols("M i j", integer=True, positive=True)  # the number of neurons, and two of them
mean = sp.Symbol("mu", real=True)  # of all neurons, as in the gradient
tau = sp.Symbol("tau", positive=True)  # the root of their variance plus the penalty
# Inputs, scores, importances, gains; the gradients of the loss by inputs, outputs and importances.
x, z, a, g = (sp.IndexedBase(name, real=True) for name in ("x", "zeta", "a", "g"))
x_bar, y_bar, a_bar = (sp.IndexedBase(rf"\bar{{{name}}}", real=True) for name in "xya")

# What a formula stands for on the left of its equals sign.
E = sp.Function("e_t")
ENERGY = E(w, b)
OPTIMAL_WEIGHT, OPTIMAL_BIAS, MINIMUM, LOSS = sp.symbols("w_t b_t e_t^* L")
DELTA_W, DELTA_B = sp.symbols("Delta_w Delta_b", real=True)
SLOPES = sp.ImmutableMatrix([sp.Derivative(ENERGY, w), sp.Derivative(ENERGY, b)])

# A label of one of these names would be taken for the symbol of a step.
RESERVED = {"A", "w", "b", "t", "x", "s", "M", "i", "mu_t", "sigma_t", "lambda"}
RESERVED |= {"Delta_w", "Delta_b", "e_t", "w_t", "b_t", "e_t^*"}

# The two sums that are left of the others once the energy is expanded.
SUM = sp.Sum(x[i], (i, 1, M - 1))
SUM_OF_SQUARES = sp.Sum(x[i] ** 2, (i, 1, M - 1))


@dataclass(frozen=True)
class Step:
    """One step of the derivation; a notebook shows it as the equation ``symbol = expression``.

    Attributes:
        symbol: The left side of the equation.
        statement: What the step says, in a sentence.
        expression: The right side, computed from the steps before.
    """

    symbol: sp.Basic
    statement: str
    expression: sp.Basic

    def latex(self) -> str:
        """Return the equation in LaTeX, without dollar signs."""
        # This order prints t - mu and w t + b, where the default has -mu + t and b + t w, but -1 + M.
        left, right = (sp.latex(side, order="rev-lex") for side in (self.symbol, self.expression))
        return f"{left} = {right}".replace("-1 + M", "M - 1")

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


# The steps of the closed form, then those of the gradient, in order: the left side and what the step says.
CLOSED_FORM = {
    "energy": (ENERGY, "The energy: the mean squared miss of the others, that of the target, a penalty."),
    "expanded_energy": (ENERGY, "Of the others, only the sums of their values and of their squares matter."),
    "sum": (SUM, "The sum of the others is their number times their mean."),
    "sum_of_squares": (SUM_OF_SQUARES, "So is that of their squares, with variance plus squared mean."),
    "moment_energy": (ENERGY, "The others miss by as much as their mean does, plus their spread; M is gone."),
    "gradient": (SLOPES, "The gradient is linear in the weight and the bias."),
    "hessian": (sp.Symbol("A"), "The second derivatives depend on neither the weight nor the bias."),
    "determinant": (sp.Symbol(r"\det A"), "It is 0 only for equal neurons without a penalty."),
    "bias_of_weight": (b, "Whatever the weight, this bias is the best for it."),
    "weight": (OPTIMAL_WEIGHT, "The best weight."),
    "bias": (OPTIMAL_BIAS, "The best bias."),
    "minimum": (MINIMUM, "The least energy."),
    "excess": (
        sp.Add(E(OPTIMAL_WEIGHT + DELTA_W, OPTIMAL_BIAS + DELTA_B), -MINIMUM, evaluate=False),
        "Off the minimum by Delta_w in the weight and Delta_b in the bias, two squares are added.",
    ),
    "importance": (1 / MINIMUM, "The importance is a constant plus squared distance over spread."),
    "decision_point": (s, "The line is halfway between the labels at the midpoint of target and mean."),
    "printed_sign": (
        sp.Add(E(-OPTIMAL_WEIGHT, -OPTIMAL_BIAS), -MINIMUM, evaluate=False),
        "With the sign of the weight turned, and the bias with it, the energy is larger by this.",
    ),
    "no_penalty": (sp.Limit(MINIMUM, lam, 0), "Without a penalty, distance over spread counts."),
    "large_penalty": (sp.Limit(MINIMUM, lam, sp.oo, "-"), "Under a large penalty all neurons cost the same."),
    "equal_others": (sp.Limit(MINIMUM, sigma, 0), "Where the others are equal, only the penalty costs."),
    "far_target": (sp.Limit(MINIMUM, t, sp.oo, "-"), "A target far away costs nothing."),
}
GRADIENT = {
    "score": (z[i], "The score is the distance from the mean in units of the spread."),
    "importance": (a[i], "The importance is one half plus a quarter of the squared score."),
    "loss": (LOSS, "To first order the loss is the outputs times what arrives at them."),
    "arriving": (a_bar[i], "What arrives at an importance passes through the slope of the sigmoid."),
    "direct": (sp.Symbol(r"\text{direct}"), "The direct path: the input that is multiplied by the gain."),
    "deviation": (sp.Symbol(r"\text{deviation}"), "The neuron's own deviation makes its importance."),
    "by_mean": (sp.Derivative(LOSS, mean), "The mean is shared: every neuron takes part."),
    "by_spread": (sp.Derivative(LOSS, tau), "The spread is shared: every neuron takes part."),
    "mean_slope": (sp.Derivative(mean, x[j]), "The mean moves by one part in M."),
    "spread_slope": (sp.Derivative(tau, x[j]), "The spread moves with the score of the neuron."),
    "gradient": (x_bar[j], "The gradient is the sum over the four paths."),
}


def derive(*, target_label: sp.Expr | float = 1, other_label: sp.Expr | float = -1) -> dict[str, Step]:
    r"""Return every step from Eq. (2) to the minimum and what follows from it, in order.

    The labels, :math:`y_t` of the target and :math:`y_o` of the others, are by default
    those of Eq. (2). Each is a real number or a sympy expression in symbols of your own;
    a float stands for the decimal that it prints.

    Raises:
        ValueError: If a label is no finite real number or expression, has a name of
            :data:`RESERVED` in it, or equals the other one.
    """
    y_t = _exact_label("target_label", target_label)
    y_o = _exact_label("other_label", other_label)
    if sp.simplify(y_t - y_o) == 0:
        raise ValueError(
            f"target_label must differ from other_label, got {target_label} for both; "
            "with equal labels there is nothing to separate, and Eq. (2) has 1 and -1"
        )
    found = _energy_in_moments(y_t, y_o)
    energy = found["moment_energy"]
    found |= _minimum(energy)
    weight, bias, minimum = (found[name] for name in ("weight", "bias", "minimum"))
    found["importance"] = sp.apart(1 / minimum, lam)  # the module computes this
    (found["decision_point"],) = map(sp.factor, sp.solve(sp.Eq(weight * s + bias, (y_t + y_o) / 2), s))
    # The weight of the opposite sign, its bias by Eq. (4), as the paper prints it.
    found["printed_sign"] = _around_mean(energy.subs({w: -weight, b: -bias}) - minimum)
    for name in ("no_penalty", "large_penalty", "equal_others", "far_target"):
        _, variable, end, _ = CLOSED_FORM[name][0].args
        found[name] = _around_mean(sp.limit(minimum, variable, end))
    return {name: Step(*said, found[name]) for name, said in CLOSED_FORM.items()}


def _energy_in_moments(y_t: sp.Expr, y_o: sp.Expr) -> dict[str, sp.Expr]:
    """Start from Eq. (2), and put mean and variance in the place of the sums over the others."""
    others = sp.Sum((y_o - (w * x[i] + b)) ** 2, (i, 1, M - 1))
    target, penalty = (y_t - (w * t + b)) ** 2, lam * w**2
    # The one formula that is given and not derived.
    found = {"energy": sp.Add(others / (M - 1), target, penalty, evaluate=False)}
    # Multiply out the square under the sum and take all that does not depend on i out of it.
    sums = sp.collect(_split(others), [SUM, SUM_OF_SQUARES], sp.factor)
    by_sums = sp.Add(*[term / (M - 1) for term in sp.Add.make_args(sums)])
    found["expanded_energy"] = by_sums + target + penalty
    # Solve the definitions of their mean and variance for the two sums.
    total, squares = sp.symbols("total squares", cls=sp.Dummy)
    (found["sum"],) = map(sp.factor, sp.solve(sp.Eq(mu, total / (M - 1)), total))
    variance = _split(sp.Sum((x[i] - mu) ** 2, (i, 1, M - 1))) / (M - 1)
    variance = variance.xreplace({SUM: found["sum"], SUM_OF_SQUARES: squares})
    (found["sum_of_squares"],) = map(sp.factor, sp.solve(sp.Eq(sigma**2, variance), squares))
    # Put both in and complete the square.
    moments = {SUM: found["sum"], SUM_OF_SQUARES: found["sum_of_squares"]}
    by_moments = sp.expand(sp.cancel(by_sums.xreplace(moments)))
    of_mean = sp.factor(by_moments.subs(sigma, 0))
    of_spread = sp.factor(by_moments - sp.expand(of_mean))
    found["moment_energy"] = of_mean + of_spread + (target + penalty)
    return found


def _minimum(energy: sp.Expr) -> dict[str, sp.Basic]:
    """Differentiate, set the gradient to zero, solve, and put the solution back into the energy."""
    slopes = (sp.expand(sp.diff(energy, v)) for v in (w, b))
    gradient = sp.ImmutableMatrix([sp.collect(slope, [w, b], sp.factor) for slope in slopes])
    hessian = gradient.jacobian([w, b]).applyfunc(sp.factor)
    (of_weight,) = map(sp.factor, sp.solve(gradient[1], b))  # Eq. (4)
    (weight,) = map(_around_mean, sp.solve(gradient[0].subs(b, of_weight), w))  # Eq. (3) but for its sign
    bias = of_weight.subs(w, weight)
    # Complete the square of the Hessian's form. The energy is quadratic, so this is exact, and it
    # shows without any calculus that the minimum is one.
    pivot, mixed = hessian[1, 1], hessian[0, 1]
    rest = _around_mean(hessian.det() / pivot)
    return {
        "gradient": gradient,
        "hessian": hessian,
        "determinant": _around_mean(hessian.det()),  # four times the denominator of Eqs. (3) and (5)
        "bias_of_weight": of_weight,
        "weight": weight,
        "bias": bias,
        "minimum": _around_mean(energy.subs({w: weight, b: bias})),  # Eq. (5), statistics of the others
        "excess": pivot / 2 * (DELTA_B + sp.factor(mixed / pivot) * DELTA_W) ** 2 + rest / 2 * DELTA_W**2,
    }


def derive_gradient() -> dict[str, Step]:
    r"""Return every step from the output of Eq. (6) to its gradient by name, in the order of ``GRADIENT``.

    The loss is any function of the outputs. Its derivatives by them, :math:`\bar y_i`, are the
    upstream gradient, and to first order the loss is their product with the outputs.

    >>> steps = derive_gradient()
    >>> steps["mean_slope"].latex(), steps["mean_slope"].statement
    ('\\frac{d}{d {x}_{j}} \\mu = \\frac{1}{M}', 'The mean moves by one part in M.')
    """
    half, total = sp.Rational(1, 2), sp.Sum(x[i], (i, 1, M))
    found = {"score": (x[i] - mean) / tau, "importance": half + z[i] ** 2 / 4}  # the inverse of Eq. (5)
    importance = half + found["score"] ** 2 / 4
    output = y_bar[i] * x[i] / (1 + sp.exp(-a[i]))
    found["loss"] = sp.Sum(output, (i, 1, M))
    found["arriving"] = _by_gain(sp.diff(output, a[i]))
    found["direct"] = _by_gain(sp.diff(output, x[i])).subs(i, j)  # the gains held fixed
    found["deviation"] = (a_bar[i] * _by_score(sp.diff(importance, x[i]))).subs(i, j)
    for name, of in (("by_mean", mean), ("by_spread", tau)):  # through all importances
        constant, varying = (a_bar[i] * _by_score(sp.diff(importance, of))).as_independent(i)
        found[name] = constant * sp.Sum(varying, (i, 1, M))
    found["mean_slope"] = _of_the_channel(sp.diff(total / M, x[j]))
    root = sp.sqrt((sp.Sum(x[i] ** 2, (i, 1, M)) - total**2 / M) / (M - 1) + lam)
    slope = _of_the_channel(sp.diff(root, x[j]).subs(root, tau).subs(total, M * mean))
    found["spread_slope"] = sp.factor(slope.subs(x[j], mean + tau * z[j]))
    shared = found["by_mean"] * found["mean_slope"], found["by_spread"] * found["spread_slope"]
    found["gradient"] = found["direct"] + found["deviation"] + shared[0] + shared[1]
    return {name: Step(*said, found[name]) for name, said in GRADIENT.items()}


def _exact_label(name: str, value: sp.Expr | float) -> sp.Expr:
    """Return a label without floats: with these, two sides of a step are equal only up to rounding."""
    label = sp.nsimplify(sp.sympify(value, strict=True), rational=True)
    if label.has(sp.nan) or label.is_finite is False or label.is_real is False:
        raise ValueError(
            f"{name} must be a finite real number or expression of sympy, got {value!r}; Eq. (2) has 1 and -1"
        )
    taken = sorted({symbol.name for symbol in label.atoms(sp.Symbol)} & RESERVED)
    if taken:
        raise ValueError(
            f"{name} must not have the derivation's own {', '.join(taken)} in it, got {value}; "
            "call the label something else, y_t or y_o for example"
        )
    return label


def _split(total: sp.Sum) -> sp.Expr:
    """Write a sum over the others as sums of powers of ``x[i]``: a sum is linear in its terms."""
    parts = []
    for term in sp.Add.make_args(sp.expand(total.function)):
        factor, power = term.as_independent(i)
        parts.append(factor * (M - 1 if power == 1 else sp.Sum(power, *total.limits)))
    return sp.Add(*parts)


def _around_mean(expression: sp.Expr) -> sp.Expr:
    """Simplify with ``t`` written as ``mu`` plus a distance, so that the distance shows in the result."""
    distance = sp.Dummy("d", real=True)
    return sp.factor_terms(sp.factor(expression.subs(t, mu + distance)).subs(distance, t - mu))


def _by_score(slope: sp.Expr) -> sp.Expr:
    """Write the derivative of an importance by its score."""
    return sp.factor(slope.subs(x[i], mean + tau * z[i]))


def _by_gain(expression: sp.Expr) -> sp.Expr:
    """Write an expression in an importance by the gain, its sigmoid."""
    return sp.simplify(expression.subs(a[i], sp.log(g[i] / (1 - g[i]))))


def _of_the_channel(slope: sp.Expr) -> sp.Expr:
    """Do the sums over Kronecker's delta, for a ``j`` from 1 to ``M``."""
    return slope.doit().replace(sp.Piecewise, lambda *pairs: pairs[0][0])
