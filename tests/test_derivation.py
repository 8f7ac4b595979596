"""The symbolic derivation against numbers that know nothing of it, and against the laws of a minimum."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from scipy import optimize

from simam_edu import derivation as d
from simam_edu.derivation import derive

STEPS = derive()
SWAPPED = derive(target_label=-1, other_label=1)
LABELS = {
    (1, -1): STEPS,
    (-1, 1): SWAPPED,
    (1, 0): derive(target_label=1, other_label=0),
    (3, -2): derive(target_label=3, other_label=-2),
}
ORDER = [
    *("energy", "expanded_energy", "sum", "sum_of_squares", "moment_energy", "gradient", "hessian"),
    *("determinant", "bias_of_weight", "weight", "bias", "minimum", "excess", "importance"),
    *("decision_point", "printed_sign", "no_penalty", "large_penalty", "equal_others", "far_target"),
]


def number(expression, **values):
    """Evaluate a step at numbers given by the names of the module's symbols."""
    return sp.sympify(expression).subs({getattr(d, name): value for name, value in values.items()})


def energy_of_numbers(w, b, t, others, lam, labels=(1.0, -1.0)):
    """Eq. (2), written for numpy."""
    return np.mean((labels[1] - (w * others + b)) ** 2) + (labels[0] - (w * t + b)) ** 2 + lam * w**2


def random_channel(seed):
    rng = np.random.default_rng(seed)
    others = rng.normal(rng.normal(0, 2), rng.uniform(0.3, 2), rng.integers(1, 12))
    return float(rng.normal(0, 3)), others, float(10 ** rng.uniform(-3, 0))


def moments(t, others, lam):
    return {"t": t, "mu": float(others.mean()), "sigma": float(others.std()), "lam": lam}


by_seed = pytest.mark.parametrize("seed", range(8))


def test_the_steps_come_in_order_and_say_what_they_are():
    assert list(STEPS) == ORDER
    for name, step in STEPS.items():
        assert step.name == name
        assert step.statement.endswith(".")


@pytest.mark.parametrize("name", ORDER)
def test_every_step_prints_as_an_equation(name):
    latex = STEPS[name].latex()
    assert " = " in latex
    assert "Dummy" not in latex
    assert "-1 + M" not in latex, "M - 1 is how people write it"
    assert STEPS[name]._repr_latex_() == rf"$\displaystyle {latex}$"


@by_seed
@pytest.mark.parametrize("name", ["energy", "expanded_energy"])
def test_the_sums_are_the_energy_of_numbers(name, seed):
    t, others, lam = random_channel(seed)
    w, b = 0.7, -0.4
    expression = STEPS[name].expression.subs(d.M, len(others) + 1).doit()
    values = {d.x[k + 1]: value for k, value in enumerate(others)}
    found = number(expression.subs(values), w=w, b=b, t=t, lam=lam)
    assert float(found) == pytest.approx(energy_of_numbers(w, b, t, others, lam), rel=1e-12)


@by_seed
def test_the_two_sums_are_numpys(seed):
    t, others, lam = random_channel(seed)
    values = moments(t, others, lam) | {"M": len(others) + 1}
    assert float(number(STEPS["sum"].expression, **values)) == pytest.approx(others.sum(), rel=1e-12)
    squares = float(number(STEPS["sum_of_squares"].expression, **values))
    assert squares == pytest.approx((others**2).sum(), rel=1e-12)


@by_seed
def test_energy_and_gradient_in_moments_are_those_of_the_sums(seed):
    t, others, lam = random_channel(seed)
    w, b, h = -0.3, 0.9, 1e-5
    values = moments(t, others, lam) | {"w": w, "b": b}
    found = float(number(STEPS["moment_energy"].expression, **values))
    assert found == pytest.approx(energy_of_numbers(w, b, t, others, lam), rel=1e-12)
    gradient = np.array(number(STEPS["gradient"].expression, **values), dtype=float).ravel()
    by_differences = [
        energy_of_numbers(w + dw, b + db, t, others, lam) - energy_of_numbers(w - dw, b - db, t, others, lam)
        for dw, db in ((h, 0), (0, h))
    ]
    np.testing.assert_allclose(gradient, np.array(by_differences) / (2 * h), rtol=1e-7, atol=1e-7)


@by_seed
@pytest.mark.parametrize("labels", LABELS)
def test_weight_bias_and_minimum_are_what_scipy_finds(seed, labels):
    t, others, lam = random_channel(seed)
    steps = LABELS[labels]
    result = optimize.minimize(
        lambda p: energy_of_numbers(*p, t, others, lam, labels),
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14, "maxfev": 4000},
    )
    values = moments(t, others, lam)
    found = [float(number(steps[name].expression, **values)) for name in ("weight", "bias", "minimum")]
    np.testing.assert_allclose(found, [*result.x, result.fun], rtol=1e-6, atol=1e-6)


def test_the_gradient_vanishes_at_the_solution():
    at_solution = {d.w: STEPS["weight"].expression, d.b: STEPS["bias"].expression}
    slopes = STEPS["gradient"].expression.subs(at_solution).applyfunc(sp.simplify)
    assert slopes == sp.zeros(2, 1)


def test_a_linear_solve_finds_the_same_as_the_two_substitutions():
    matrix, right = sp.linear_eq_to_matrix(list(STEPS["gradient"].expression), d.w, d.b)
    solution = matrix.LUsolve(right)
    for name, found in zip(("weight", "bias"), solution, strict=True):
        assert sp.simplify(found - STEPS[name].expression) == 0, name


def test_the_hessian_is_symmetric_and_its_determinant_is_the_denominator():
    hessian = STEPS["hessian"].expression
    assert hessian == hessian.T
    assert hessian == sp.hessian(STEPS["moment_energy"].expression, (d.w, d.b)).applyfunc(sp.factor)
    denominator = (d.t - d.mu) ** 2 + 2 * d.sigma**2 + 2 * d.lam
    assert sp.expand(STEPS["determinant"].expression - 4 * denominator) == 0
    for name in ("weight", "minimum"):
        numerator = sp.simplify(STEPS[name].expression * STEPS["determinant"].expression)
        assert sp.expand(numerator).is_polynomial(d.t, d.mu, d.sigma, d.lam), name


@by_seed
def test_the_hessian_is_positive_definite_on_numbers(seed):
    t, others, lam = random_channel(seed)
    hessian = np.array(number(STEPS["hessian"].expression, **moments(t, others, lam)), dtype=float)
    assert np.linalg.eigvalsh(hessian).min() > 0


def test_the_determinant_is_zero_only_where_all_neurons_are_equal_and_nothing_is_penalized():
    determinant = STEPS["determinant"].expression
    assert number(determinant, t=2, mu=2, sigma=0, lam=0) == 0
    for off in ({"t": 3}, {"sigma": 1}, {"lam": 1}):
        assert number(determinant, **({"t": 2, "mu": 2, "sigma": 0, "lam": 0} | off)) > 0, off


def test_the_excess_is_what_the_energy_rises_off_the_minimum():
    v, a = sp.symbols("Delta_w Delta_b", real=True)
    off = {d.w: STEPS["weight"].expression + v, d.b: STEPS["bias"].expression + a}
    rise = STEPS["moment_energy"].expression.subs(off) - STEPS["minimum"].expression
    assert sp.simplify(rise - STEPS["excess"].expression) == 0


def test_the_importance_is_one_half_plus_the_squared_score():
    score = (d.t - d.mu) ** 2 / (d.sigma**2 + d.lam)
    assert sp.simplify(STEPS["importance"].expression - sp.Rational(1, 2) - score / 4) == 0
    assert sp.simplify(STEPS["importance"].expression * STEPS["minimum"].expression) == 1


def test_the_decision_point_is_the_midpoint_for_any_labels():
    y_t, y_o = sp.symbols("y_t y_o", real=True)
    for steps in (STEPS, SWAPPED, derive(target_label=y_t, other_label=y_o)):
        assert sp.expand(steps["decision_point"].expression - (d.t + d.mu) / 2) == 0


@by_seed
def test_the_printed_sign_costs_what_it_is_said_to(seed):
    t, others, lam = random_channel(seed)
    values = moments(t, others, lam)
    w, b, least = (float(number(STEPS[name].expression, **values)) for name in ("weight", "bias", "minimum"))
    cost = energy_of_numbers(-w, -b, t, others, lam) - least
    assert float(number(STEPS["printed_sign"].expression, **values)) == pytest.approx(cost, rel=1e-9)
    distance, spread = (t - others.mean()) ** 2, others.var() + lam
    assert cost == pytest.approx(8 * distance / (distance + 2 * spread), rel=1e-9)


def test_the_printed_formulas_are_the_optimum_for_swapped_labels():
    for name in ("weight", "bias"):
        assert sp.simplify(SWAPPED[name].expression + STEPS[name].expression) == 0, name
    assert sp.simplify(SWAPPED["minimum"].expression - STEPS["minimum"].expression) == 0


def test_other_labels_scale_the_minimum_by_their_squared_half_distance():
    y_t, y_o = sp.symbols("y_t y_o", real=True)
    other = derive(target_label=y_t, other_label=y_o)["minimum"].expression
    assert sp.simplify(other - STEPS["minimum"].expression * ((y_t - y_o) / 2) ** 2) == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("no_penalty", {"lam": 1e-12}),
        ("large_penalty", {"lam": 1e12}),
        ("equal_others", {"sigma": 1e-6}),
        ("far_target", {"t": 1e6}),
    ],
)
def test_the_limits_are_approached(name, values):
    point = {"t": 3.0, "mu": 1.0, "sigma": 0.5, "lam": 0.2}
    near = float(number(STEPS["minimum"].expression, **(point | values)))
    assert near == pytest.approx(float(number(STEPS[name].expression, **point)), abs=1e-9)


Y = sp.Symbol("y", real=True)


@pytest.mark.parametrize(
    ("target", "other"),
    [(1, 1), (0, 0), (Y, Y), (0.1, Fraction(1, 10)), (np.float32(2.5), sp.Float(2.5)), (sp.Symbol("y"), Y)],
    ids=str,
)
def test_equal_labels_are_refused(target, other):
    with pytest.raises(ValueError, match="target_label must differ from other_label, got"):
        derive(target_label=target, other_label=other)


# Each pair stands for two rationals; with floats in the steps, sympy found no solution for some.
FLOATS = (2.5, 1.25), (0.95, 0.05), (0.1, -0.3), (1e-5, 3e7)
PAIRS = {
    **{f"{a} {b}": (a, b, sp.Rational(str(a)), sp.Rational(str(b))) for a, b in FLOATS},
    "numpy's floats": (np.float32(0.1), np.float16(-0.3), sp.Rational(1, 10), sp.Rational(-3, 10)),
    "numpy's integers": (np.int8(3), np.uint16(1), 3, 1),
    "fraction and decimal": (Fraction(5, 4), Decimal("0.3"), sp.Rational(5, 4), sp.Rational(3, 10)),
    "sympy's floats": (sp.Float(0.95), sp.Float(0.05), sp.Rational(19, 20), sp.Rational(1, 20)),
    "a float in an expression": (2.5 * Y, 0.1, sp.Rational(5, 2) * Y, sp.Rational(1, 10)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_label_of_any_numeric_type_gives_the_steps_of_the_rational_label(pair):
    found = derive(target_label=pair[0], other_label=pair[1])
    assert found == derive(target_label=pair[2], other_label=pair[3])


def test_the_names_of_all_symbols_in_the_steps_are_reserved():
    names = {
        symbol.name
        for step in STEPS.values()
        for side in (step.symbol, step.expression)
        for symbol in side.atoms(sp.Symbol)
    }
    assert names - {"+", "-", r"\det A"} <= d.RESERVED, "plus and minus are the sides of a limit"


TAKEN = [d.w, d.b, d.t, d.mu, d.sigma, d.lam, d.s, d.M, d.i, d.x[1], 1 + 2 * d.w, sp.Function("f")(d.t)]
OTHERWISE = [sp.Symbol(name, positive=True) for name in ("w", "b", "mu", "mu_t", "lambda", "M", "x")]


@pytest.mark.parametrize("label", TAKEN + OTHERWISE, ids=str)
@pytest.mark.parametrize("which", ["target_label", "other_label"])
def test_a_label_with_a_name_of_the_derivation_is_refused(which, label):
    with pytest.raises(ValueError, match=f"{which} must not have the derivation's own .* in it, got"):
        derive(**{which: label})


NO_LABELS = {
    "unreal": [sp.I, 1 + sp.I, sp.sqrt(-2), 1 + 2j, sp.Symbol("y", imaginary=True)],
    "infinite": [sp.oo, -sp.oo, sp.zoo, float("inf"), -np.inf, Decimal("Infinity"), Y + sp.oo],
    "no number": [sp.nan, float("nan"), np.float32("nan"), Decimal("NaN"), None],
    "a truth value": [True, False, np.True_, sp.true, sp.Eq(Y, 1)],
    "text": ["1", "y", "1/2", b"1"],
    "many": [[1], np.array([1, 2]), sp.Matrix([1]), sp.MatrixSymbol("Y", 2, 2)],
    "no common factor": [sp.Symbol("y", commutative=False)],
}


@pytest.mark.parametrize("label", [label for listed in NO_LABELS.values() for label in listed], ids=repr)
@pytest.mark.parametrize("which", ["target_label", "other_label"])
def test_what_is_no_finite_real_number_is_refused_as_a_label(which, label):
    with pytest.raises(ValueError, match=f"{which} must be"):
        derive(**{which: label})
