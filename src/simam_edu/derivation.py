r"""The closed form of SimAM and its gradient, derived with sympy, one named step after another.

No answer is typed in. :func:`derive` starts from the energy of Eq. (2), a sum over the other
neurons with a symbolic number :math:`M` of neurons; :func:`derive_gradient` from the output of
Eq. (6). Every later expression is computed by sympy from the ones before. Equation numbers are
those of Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention Module for
Convolutional Neural Networks", ICML 2021.

The symbols are constants of this module. For the energy: the free weight ``w`` and bias ``b``,
the target ``t``, the others ``x[i]``, their number ``M - 1``, their mean ``mu`` and standard
deviation ``sigma``, the penalty ``lam``, and a point ``s`` on the line of values. For the
gradient: all neurons ``x[i]``, their number ``M``, their ``mean`` and the root ``tau`` of their
variance plus the penalty; the scores ``z[i]``, importances ``a[i]`` and gains ``g[i]``; and the
gradients of the loss by an input, an output and an importance, ``x_bar[i]``, ``y_bar[i]`` and
``a_bar[i]``.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real

import sympy as sp

w, b, t, mu, s = sp.symbols("w b t mu_t s", real=True)
sigma, lam = sp.symbols("sigma_t lambda", nonnegative=True)
M, i, j = sp.symbols("M i j", integer=True, positive=True)
mean = sp.Symbol("mu", real=True)
tau = sp.Symbol("tau", positive=True)
x, z, a, g = (sp.IndexedBase(name, real=True) for name in ("x", "zeta", "a", "g"))
x_bar, y_bar, a_bar = (sp.IndexedBase(rf"\bar{{{name}}}", real=True) for name in "xya")

# What a formula stands for on the left of its equals sign.
ENERGY = sp.Function("e_t")(w, b)
OPTIMAL_WEIGHT, OPTIMAL_BIAS, MINIMUM, LOSS = sp.symbols("w_t b_t e_t^* L")

# What a label may not be called: a label of the same name would be taken for the symbol of a step.
RESERVED = frozenset({"w", "b", "t", "x", "s", "M", "i", "mu", "mu_t", "sigma", "sigma_t", "lam", "lambda"})
RESERVED |= {"A", "Delta_w", "Delta_b", "e_t", "w_t", "b_t", "e_t^*"}

# The two sums that are left of the others once the energy is expanded.
SUM = sp.Sum(x[i], (i, 1, M - 1))
SUM_OF_SQUARES = sp.Sum(x[i] ** 2, (i, 1, M - 1))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the derivation; a notebook shows it as the equation ``symbol = expression``.

    Attributes:
        name: The key of the step in :func:`derive`.
        statement: What the step says, in a sentence.
        symbol: The left side of the equation.
        expression: The right side, computed from the steps before.
    """

    name: str
    statement: str
    symbol: sp.Basic
    expression: sp.Basic

    def latex(self) -> str:
        """Return the equation in LaTeX, without dollar signs."""
        # This order prints t - mu and w t + b, where the default has -mu + t and b + t w, but -1 + M.
        left, right = (sp.latex(side, order="rev-lex") for side in (self.symbol, self.expression))
        return f"{left} = {right}".replace("-1 + M", "M - 1")

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"


class Steps(dict[str, Step]):
    """The steps by name, in order."""

    def add(self, name: str, symbol: sp.Basic, expression: sp.Basic, statement: str) -> sp.Basic:
        """Write down a step, and return its expression for the next."""
        self[name] = Step(name=name, symbol=symbol, expression=expression, statement=statement)
        return expression


def derive(
    *, target_label: sp.Expr | Decimal | float = 1, other_label: sp.Expr | Decimal | float = -1
) -> dict[str, Step]:
    r"""Return every step from Eq. (2) to the minimum and what follows from it, in order.

    Args:
        target_label: The label :math:`y_t` of the target; 1 in Eq. (2). A real number of any type, or a
            sympy expression in symbols of your own. A float stands for the decimal that it prints.
        other_label: The label :math:`y_o` of the others; -1 in Eq. (2).

    Returns:
        The steps by name: ``energy``, ``expanded_energy``, ``sum``, ``sum_of_squares``, ``moment_energy``,
        ``gradient``, ``hessian``, ``determinant``, ``bias_of_weight``, ``weight``, ``bias``, ``minimum``,
        ``excess``, ``importance``, ``decision_point``, ``printed_sign`` and the limits of the minimum,
        ``no_penalty``, ``large_penalty``, ``equal_others`` and ``far_target``.

    Raises:
        ValueError: If a label is no finite real number or expression, has a name of :data:`RESERVED` in it,
            or equals the other one.
    """
    y_t = _exact_label("target_label", target_label)
    y_o = _exact_label("other_label", other_label)
    if sp.simplify(_by_names(y_t - y_o)) == 0:
        raise ValueError(
            f"target_label must differ from other_label, got {target_label} for both; "
            "with equal labels there is nothing to separate, and Eq. (2) has 1 and -1"
        )
    steps = Steps()
    energy = _energy_in_moments(steps, y_t, y_o)
    minimum = _minimum(steps, energy)
    weight, bias = steps["weight"].expression, steps["bias"].expression
    steps.add(
        "importance",
        1 / MINIMUM,
        sp.apart(1 / minimum, lam),  # the module computes this
        "The importance is a constant plus the squared distance in units of the spread.",
    )
    (midpoint,) = sp.solve(sp.Eq(weight * s + bias, (y_t + y_o) / 2), s)
    steps.add(
        "decision_point",
        s,
        sp.factor(midpoint),
        "The line is halfway between the labels at the midpoint of target and mean.",
    )
    # The weight of the opposite sign, its bias by Eq. (4), as the paper prints it.
    steps.add(
        "printed_sign",
        sp.Add(sp.Function("e_t")(-OPTIMAL_WEIGHT, -OPTIMAL_BIAS), -MINIMUM, evaluate=False),
        _around_mean(energy.subs({w: -weight, b: -bias}) - minimum),
        "With the sign of the weight turned, and the bias with it, the energy is larger by this.",
    )
    for name, variable, end, statement in LIMITS:
        symbol = sp.Limit(MINIMUM, variable, end, dir="-" if end is sp.oo else "+")
        steps.add(name, symbol, _around_mean(sp.limit(minimum, variable, end)), statement)
    return steps


LIMITS = (
    ("no_penalty", lam, 0, "Without a penalty only the ratio of distance and spread counts."),
    ("large_penalty", lam, sp.oo, "Under a large penalty every neuron costs the same."),
    ("equal_others", sigma, 0, "Where the others are equal, only the penalty costs energy."),
    ("far_target", t, sp.oo, "A target far away costs nothing."),
)


def _energy_in_moments(steps: Steps, y_t: sp.Expr, y_o: sp.Expr) -> sp.Expr:
    """Write down Eq. (2), and put mean and variance in the place of the sums over the others."""
    others = sp.Sum((y_o - (w * x[i] + b)) ** 2, (i, 1, M - 1))
    target, penalty = (y_t - (w * t + b)) ** 2, lam * w**2
    steps.add(  # the one formula that is given and not derived
        "energy",
        ENERGY,
        sp.Add(others / (M - 1), target, penalty, evaluate=False),
        "The energy is the mean squared miss of the others, that of the target, and a penalty.",
    )
    # Multiply out the square under the sum and take all that does not depend on i out of it.
    sums = sp.collect(_split(others), [SUM, SUM_OF_SQUARES], sp.factor)
    by_sums = sp.Add(*[term / (M - 1) for term in sp.Add.make_args(sums)])
    steps.add(
        "expanded_energy",
        ENERGY,
        by_sums + target + penalty,
        "Of the others, only the sum of their values and the sum of their squares matter.",
    )
    # Solve the definitions of their mean and variance for the two sums.
    total, squares = sp.symbols("total squares", cls=sp.Dummy)
    (by_mean,) = sp.solve(sp.Eq(mu, total / (M - 1)), total)
    by_mean = steps.add(
        "sum", SUM, sp.factor(by_mean), "The sum of the others is their number times their mean."
    )
    variance = _split(sp.Sum((x[i] - mu) ** 2, (i, 1, M - 1))) / (M - 1)
    variance = variance.xreplace({SUM: by_mean, SUM_OF_SQUARES: squares})
    (by_variance,) = sp.solve(sp.Eq(sigma**2, variance), squares)
    by_variance = steps.add(
        "sum_of_squares",
        SUM_OF_SQUARES,
        sp.factor(by_variance),
        "The sum of their squares is their number times the variance plus the squared mean.",
    )
    # Put both in and complete the square.
    by_moments = sp.expand(sp.cancel(by_sums.xreplace({SUM: by_mean, SUM_OF_SQUARES: by_variance})))
    of_mean = sp.factor(by_moments.subs(sigma, 0))
    of_spread = sp.factor(by_moments - sp.expand(of_mean))
    return steps.add(
        "moment_energy",
        ENERGY,
        of_mean + of_spread + (target + penalty),
        "The others miss by as much as their mean does, plus their spread; M is gone.",
    )


def _minimum(steps: Steps, energy: sp.Expr) -> sp.Expr:
    """Differentiate, set the gradient to zero, solve, and put the solution back into the energy."""
    slopes = [sp.collect(sp.expand(sp.diff(energy, v)), [w, b], sp.factor) for v in (w, b)]
    by_both = sp.Matrix([sp.Derivative(ENERGY, w), sp.Derivative(ENERGY, b)])
    gradient = steps.add(
        "gradient", by_both, sp.Matrix(slopes), "The gradient is linear in the weight and the bias."
    )
    hessian = steps.add(
        "hessian",
        sp.Symbol("A"),
        gradient.jacobian([w, b]).applyfunc(sp.factor),
        "The matrix of second derivatives depends on neither the weight nor the bias.",
    )
    steps.add(  # four times the denominator of Eqs. (3) and (5)
        "determinant",
        sp.Symbol(r"\det A"),
        _around_mean(hessian.det()),
        "The determinant is positive unless all neurons are equal and there is no penalty.",
    )
    (of_weight,) = sp.solve(gradient[1], b)  # Eq. (4)
    of_weight = steps.add(
        "bias_of_weight", b, sp.factor(of_weight), "Whatever the weight, this bias is the best for it."
    )
    (weight,) = sp.solve(gradient[0].subs(b, of_weight), w)  # Eq. (3), but for its sign
    weight = steps.add("weight", OPTIMAL_WEIGHT, _around_mean(weight), "The best weight.")
    bias = steps.add("bias", OPTIMAL_BIAS, of_weight.subs(w, weight), "The best bias.")
    minimum = steps.add(  # Eq. (5) with the statistics of the others
        "minimum", MINIMUM, _around_mean(energy.subs({w: weight, b: bias})), "The least energy."
    )
    # Complete the square of the Hessian's form. The energy is quadratic, so this is exact, and it
    # shows without any calculus that the minimum is one.
    by_w, by_b = sp.symbols("Delta_w Delta_b", real=True)
    pivot, mixed = hessian[1, 1], hessian[0, 1]
    rest = _around_mean(hessian.det() / pivot)
    at_distance = sp.Function("e_t")(OPTIMAL_WEIGHT + by_w, OPTIMAL_BIAS + by_b)
    steps.add(
        "excess",
        sp.Add(at_distance, -MINIMUM, evaluate=False),
        pivot / 2 * (by_b + sp.factor(mixed / pivot) * by_w) ** 2 + rest / 2 * by_w**2,
        "Off the minimum by Delta_w in the weight and Delta_b in the bias, two squares are added.",
    )
    return minimum


def derive_gradient() -> dict[str, Step]:
    r"""Return every step from the output of Eq. (6) to its gradient, in order.

    The loss is any function of the outputs. Its derivatives by them, :math:`\bar y_i`, are the
    upstream gradient, and to first order the loss is their product with the outputs.

    Returns:
        The steps by name: ``score``, ``importance`` and ``loss``; ``arriving``, the gradient at
        an importance; the paths ``direct``, ``deviation``, ``by_mean`` and ``by_spread``;
        ``mean_slope`` and ``spread_slope``; and ``gradient``.
    """
    steps, half, total = Steps(), sp.Rational(1, 2), sp.Sum(x[i], (i, 1, M))
    score = steps.add(
        "score", z[i], (x[i] - mean) / tau, "The score is the distance from the mean in units of the spread."
    )
    steps.add(  # the inverse of Eq. (5)
        "importance",
        a[i],
        half + z[i] ** 2 / 4,
        "The importance is one half plus a quarter of the squared score.",
    )
    importance = half + score**2 / 4
    output = y_bar[i] * x[i] / (1 + sp.exp(-a[i]))
    first_order = "To first order the loss is the outputs times what arrives at them."
    steps.add("loss", LOSS, sp.Sum(output, (i, 1, M)), first_order)
    steps.add(
        "arriving",
        a_bar[i],
        _by_gain(sp.diff(output, a[i])),
        "What arrives at an importance passes through the slope of the sigmoid.",
    )
    paths = [
        steps.add(
            "direct",
            sp.Symbol(r"\text{direct}"),
            _by_gain(sp.diff(output, x[i])).subs(i, j),  # the gains held fixed
            "The direct path: the input that is multiplied by the gain.",
        ),
        steps.add(
            "deviation",
            sp.Symbol(r"\text{deviation}"),
            (a_bar[i] * _by_score(sp.diff(importance, x[i]))).subs(i, j),
            "The neuron's own deviation, which its importance is made of.",
        ),
    ]
    shared = []
    for name, of in (("by_mean", mean), ("by_spread", tau)):  # through all importances
        constant, varying = (a_bar[i] * _by_score(sp.diff(importance, of))).as_independent(i)
        summed, statement = (
            sp.Sum(varying, (i, 1, M)),
            "The mean and the spread are shared: every neuron takes part.",
        )
        shared.append(steps.add(name, sp.Derivative(LOSS, of), constant * summed, statement))
    mean_slope = steps.add(
        "mean_slope",
        sp.Derivative(mean, x[j]),
        _of_the_channel(sp.diff(total / M, x[j])),
        "The mean moves by one part in M.",
    )
    root = sp.sqrt((sp.Sum(x[i] ** 2, (i, 1, M)) - total**2 / M) / (M - 1) + lam)
    slope = _of_the_channel(sp.diff(root, x[j]).subs(root, tau).subs(total, M * mean))
    spread_slope = steps.add(
        "spread_slope",
        sp.Derivative(tau, x[j]),
        sp.factor(slope.subs(x[j], mean + tau * z[j])),
        "The spread moves with the neuron's score; that the mean moves does not matter for it.",
    )
    paths += [shared[0] * mean_slope, shared[1] * spread_slope]
    steps.add(
        "gradient",
        x_bar[j],
        paths[0] + paths[1] + paths[2] + paths[3],
        "The gradient is the sum over the four paths.",
    )
    return steps


def _exact_label(name: str, value: object) -> sp.Expr:
    """Return a label without floats: with these, two sides of a step are equal only up to rounding."""
    if isinstance(value, sp.Expr):
        label = value.xreplace({number: sp.Rational(str(number)) for number in value.atoms(sp.Float)})
    elif isinstance(value, Real | Decimal) and not isinstance(value, bool) and math.isfinite(value):
        label = sp.Rational(Fraction(str(value)))  # 1.25 and numpy's float32(0.1) are 5/4 and 1/10
    else:
        raise ValueError(f"{name} must be a finite real number or an expression of sympy, got {value!r}")
    infinite = label.has(sp.oo, -sp.oo, sp.zoo, sp.nan) or label.is_finite is False
    if infinite or label.has(sp.I) or label.is_real is False or not label.is_commutative:
        raise ValueError(f"{name} must be finite and real, got {value}; Eq. (2) has 1 and -1")
    taken = sorted({symbol.name for symbol in label.atoms(sp.Symbol)} & RESERVED)
    if taken:
        raise ValueError(
            f"{name} must not have the derivation's own {', '.join(taken)} in it, got {value}; "
            "call the label something else, y_t or y_o for example"
        )
    return label


def _by_names(expression: sp.Expr) -> sp.Expr:
    """Take symbols of one name for one symbol, whatever is assumed of each: they print alike."""
    return expression.xreplace({symbol: sp.Symbol(symbol.name) for symbol in expression.atoms(sp.Symbol)})


def _split(total: sp.Sum) -> sp.Expr:
    """Write a sum over the others as sums of powers of ``x[i]``: a sum is linear in its terms."""
    parts = []
    for term in sp.Add.make_args(sp.expand(total.function)):
        factor, power = term.as_independent(i)
        count = M - 1 if power == 1 else sp.Sum(power, *total.limits)
        parts.append(factor * count)
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
