r"""The closed form of SimAM, derived with sympy from the energy of Eq. (2), one named step after another.

No answer is typed in. :func:`derive` starts from the sum over the other neurons, with a symbolic
number :math:`M` of neurons, and every later expression is computed by sympy from the ones before.
Equation numbers are those of Yang, Zhang, Li and Xie, "SimAM: A Simple, Parameter-Free Attention
Module for Convolutional Neural Networks", ICML 2021.

The symbols are constants of this module: the free weight ``w`` and bias ``b``, the target ``t``, the
others ``x[i]``, their number ``M - 1``, their mean ``mu`` and standard deviation ``sigma``, the penalty
``lam``, and a point ``s`` on the line of values.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Real

import sympy as sp

w, b, t, mu, s = sp.symbols("w b t mu_t s", real=True)
sigma, lam = sp.symbols("sigma_t lambda", nonnegative=True)
M, i = sp.symbols("M i", integer=True, positive=True)
x = sp.IndexedBase("x", real=True)

# What a formula stands for on the left of its equals sign.
ENERGY = sp.Function("e_t")(w, b)
OPTIMAL_WEIGHT, OPTIMAL_BIAS, MINIMUM = sp.symbols("w_t b_t e_t^*")

# What a label may not be called: a label of the same name would be taken for the symbol of a step.
RESERVED = frozenset({"w", "b", "t", "x", "s", "M", "i", "mu", "mu_t", "sigma", "sigma_t", "lam", "lambda"})
RESERVED |= {"H", "v", "a", "e_t", "w_t", "b_t", "e_t^*"}

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
    labels = _exact_label("target_label", target_label), _exact_label("other_label", other_label)
    if sp.simplify(_by_names(labels[0] - labels[1])) == 0:
        raise ValueError(
            f"target_label must differ from other_label, got {target_label} for both; "
            "with equal labels there is nothing to separate, and Eq. (2) has 1 and -1"
        )
    energy = energy_step(*labels)
    expanded = expanded_energy_step(energy)
    total = sum_step()
    squares = sum_of_squares_step(total)
    moments = moment_energy_step(energy, expanded, total, squares)
    gradient = gradient_step(moments)
    hessian = hessian_step(gradient)
    bias_of_weight = bias_of_weight_step(gradient)
    weight = weight_step(gradient, bias_of_weight)
    bias = bias_step(bias_of_weight, weight)
    minimum = minimum_step(moments, weight, bias)
    steps = [energy, expanded, total, squares, moments, gradient, hessian, determinant_step(hessian)]
    steps += [bias_of_weight, weight, bias, minimum, excess_step(hessian)]
    steps += [importance_step(minimum), decision_point_step(weight, bias, sp.Add(*labels) / 2)]
    steps += [printed_sign_step(moments, weight, bias, minimum), *limit_steps(minimum)]
    return {step.name: step for step in steps}


def energy_step(target_label: sp.Expr, other_label: sp.Expr) -> Step:
    """Write down Eq. (2): the one formula that is given and not derived."""
    others = sp.Sum((other_label - (w * x[i] + b)) ** 2, (i, 1, M - 1)) / (M - 1)
    target = (target_label - (w * t + b)) ** 2
    return Step(
        name="energy",
        statement="The energy is the mean squared miss of the others, that of the target, and a penalty.",
        symbol=ENERGY,
        expression=sp.Add(others, target, lam * w**2, evaluate=False),
    )


def expanded_energy_step(energy: Step) -> Step:
    """Multiply out the square under the sum and take all that does not depend on ``i`` out of it."""
    total = _sum_over_others(energy)
    sums = sp.collect(_split(total), [SUM, SUM_OF_SQUARES], sp.factor)
    others = sp.Add(*[term / (M - 1) for term in sp.Add.make_args(sums)])
    return Step(
        name="expanded_energy",
        statement="Of the others, only the sum of their values and the sum of their squares matter.",
        symbol=ENERGY,
        expression=others + _target_and_penalty(energy),
    )


def sum_step() -> Step:
    """Solve the definition of the mean of the others for the sum of their values."""
    total = sp.Dummy("total")
    (solution,) = sp.solve(sp.Eq(mu, total / (M - 1)), total)
    return Step(
        name="sum",
        statement="The sum of the others is their number times their mean.",
        symbol=SUM,
        expression=sp.factor(solution),
    )


def sum_of_squares_step(total: Step) -> Step:
    """Solve the definition of the variance of the others for the sum of their squares."""
    variance = _split(sp.Sum((x[i] - mu) ** 2, (i, 1, M - 1))) / (M - 1)
    squares = sp.Dummy("squares")
    variance = variance.xreplace({SUM: total.expression, SUM_OF_SQUARES: squares})
    (solution,) = sp.solve(sp.Eq(sigma**2, variance), squares)
    return Step(
        name="sum_of_squares",
        statement="The sum of their squares is their number times the variance plus the squared mean.",
        symbol=SUM_OF_SQUARES,
        expression=sp.factor(solution),
    )


def moment_energy_step(energy: Step, expanded: Step, total: Step, squares: Step) -> Step:
    """Put mean and variance in the place of the two sums and complete the square."""
    rest = _target_and_penalty(energy)
    known = {SUM: total.expression, SUM_OF_SQUARES: squares.expression}
    others = sp.expand(sp.cancel((expanded.expression - rest).xreplace(known)))
    miss_of_mean = sp.factor(others.subs(sigma, 0))
    spread = sp.factor(others - sp.expand(miss_of_mean))
    return Step(
        name="moment_energy",
        statement="The others miss by as much as their mean does, plus their spread; M is gone.",
        symbol=ENERGY,
        expression=miss_of_mean + spread + rest,
    )


def gradient_step(energy: Step) -> Step:
    """Differentiate the energy by the weight and by the bias."""
    slopes = [sp.collect(sp.expand(sp.diff(energy.expression, v)), [w, b], sp.factor) for v in (w, b)]
    return Step(
        name="gradient",
        statement="The gradient is linear in the weight and the bias.",
        symbol=sp.Matrix([sp.Derivative(ENERGY, w), sp.Derivative(ENERGY, b)]),
        expression=sp.Matrix(slopes),
    )


def hessian_step(gradient: Step) -> Step:
    """Differentiate once more."""
    return Step(
        name="hessian",
        statement="The matrix of second derivatives depends on neither the weight nor the bias.",
        symbol=sp.Symbol("A"),
        expression=gradient.expression.jacobian([w, b]).applyfunc(sp.factor),
    )


def determinant_step(hessian: Step) -> Step:
    """Take the determinant of the Hessian; it is four times the denominator of Eqs. (3) and (5)."""
    return Step(
        name="determinant",
        statement="The determinant is positive unless all neurons are equal and there is no penalty.",
        symbol=sp.Symbol(r"\det A"),
        expression=_around_mean(hessian.expression.det()),
    )


def bias_of_weight_step(gradient: Step) -> Step:
    """Solve the second equation of a vanishing gradient for the bias; this is Eq. (4)."""
    (solution,) = sp.solve(gradient.expression[1], b)
    return Step(
        name="bias_of_weight",
        statement="Whatever the weight, this bias is the best for it.",
        symbol=b,
        expression=sp.factor(solution),
    )


def weight_step(gradient: Step, bias_of_weight: Step) -> Step:
    """Put that bias into the first equation and solve for the weight; this is Eq. (3), but for its sign."""
    (solution,) = sp.solve(gradient.expression[0].subs(b, bias_of_weight.expression), w)
    return Step(
        name="weight",
        statement="The best weight.",
        symbol=OPTIMAL_WEIGHT,
        expression=_around_mean(solution),
    )


def bias_step(bias_of_weight: Step, weight: Step) -> Step:
    """Put the best weight into the bias."""
    return Step(
        name="bias",
        statement="The best bias.",
        symbol=OPTIMAL_BIAS,
        expression=bias_of_weight.expression.subs(w, weight.expression),
    )


def minimum_step(energy: Step, weight: Step, bias: Step) -> Step:
    """Put the best weight and bias back into the energy; Eq. (5) with the statistics of the others."""
    least = energy.expression.subs({w: weight.expression, b: bias.expression})
    return Step(
        name="minimum",
        statement="The least energy.",
        symbol=MINIMUM,
        expression=_around_mean(least),
    )


def excess_step(hessian: Step) -> Step:
    """Complete the square of the Hessian's form: what it costs to be off the minimum.

    The energy is quadratic, so this is exact, and it shows without any calculus that the minimum is one.
    """
    by_w, by_b = sp.symbols("Delta_w Delta_b", real=True)
    pivot = hessian.expression[1, 1]
    shear = hessian.expression[0, 1] / pivot
    rest = _around_mean(hessian.expression.det() / pivot)
    return Step(
        name="excess",
        statement="Off the minimum by Delta_w in the weight and Delta_b in the bias, two squares are added.",
        symbol=sp.Add(
            sp.Function("e_t")(OPTIMAL_WEIGHT + by_w, OPTIMAL_BIAS + by_b), -MINIMUM, evaluate=False
        ),
        expression=pivot / 2 * (by_b + sp.factor(shear) * by_w) ** 2 + rest / 2 * by_w**2,
    )


def importance_step(minimum: Step) -> Step:
    """Invert the least energy and split the fraction; the module computes this."""
    return Step(
        name="importance",
        statement="The importance is a constant plus the squared distance in units of the spread.",
        symbol=1 / MINIMUM,
        expression=sp.apart(1 / minimum.expression, lam),
    )


def decision_point_step(weight: Step, bias: Step, halfway: sp.Expr) -> Step:
    """Solve for the value at which the best line is halfway between the labels, at 0 for 1 and -1."""
    (solution,) = sp.solve(sp.Eq(weight.expression * s + bias.expression, halfway), s)
    return Step(
        name="decision_point",
        statement="The line is halfway between the labels at the midpoint of target and mean.",
        symbol=s,
        expression=sp.factor(solution),
    )


def printed_sign_step(energy: Step, weight: Step, bias: Step, minimum: Step) -> Step:
    """Compute what the weight with the opposite sign costs, its bias by Eq. (4), as the paper prints it."""
    opposite = {w: -weight.expression, b: -bias.expression}
    return Step(
        name="printed_sign",
        statement="With the sign of the weight turned, and the bias with it, the energy is larger by this.",
        symbol=sp.Add(sp.Function("e_t")(-OPTIMAL_WEIGHT, -OPTIMAL_BIAS), -MINIMUM, evaluate=False),
        expression=_around_mean(energy.expression.subs(opposite) - minimum.expression),
    )


def limit_steps(minimum: Step) -> list[Step]:
    """Take the limits of the least energy in the penalty, the spread of the others and the target."""
    cases = [
        ("no_penalty", lam, 0, "Without a penalty only the ratio of distance and spread counts."),
        ("large_penalty", lam, sp.oo, "Under a large penalty every neuron costs the same."),
        ("equal_others", sigma, 0, "Where the others are equal, only the penalty costs energy."),
        ("far_target", t, sp.oo, "A target far away costs nothing."),
    ]
    return [
        Step(
            name=name,
            statement=statement,
            symbol=sp.Limit(MINIMUM, variable, end, dir="-" if end is sp.oo else "+"),
            expression=_around_mean(sp.limit(minimum.expression, variable, end)),
        )
        for name, variable, end, statement in cases
    ]


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


def _sum_over_others(energy: Step) -> sp.Sum:
    (total,) = energy.expression.atoms(sp.Sum)
    return total


def _target_and_penalty(energy: Step) -> sp.Expr:
    return energy.expression.doit(deep=False) - _sum_over_others(energy) / (M - 1)


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
