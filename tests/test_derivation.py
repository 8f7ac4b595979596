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
Y_T, Y_O = sp.symbols("y_t y_o", real=True)
SWAPPED, ANY = derive(target_label=-1, other_label=1), derive(target_label=Y_T, other_label=Y_O)
LABELS = {(1, -1): STEPS, (-1, 1): SWAPPED}
LABELS |= {(y_t, y_o): derive(target_label=y_t, other_label=y_o) for y_t, y_o in ((1, 0), (3, -2))}
ORDER = [
    *("energy", "expanded_energy", "sum", "sum_of_squares", "moment_energy", "gradient", "hessian"),
    *("determinant", "bias_of_weight", "weight", "bias", "minimum", "excess", "importance"),
    *("decision_point", "printed_sign", "no_penalty", "large_penalty", "equal_others", "far_target"),
]


@pytest.mark.parametrize("name", ORDER)
def test_derive_gives_each_step_in_order_as_a_sentence_and_an_equation(name):
    assert list(STEPS) == ORDER
    step, latex = STEPS[name], STEPS[name].latex()
    assert step.name == name
    assert step.statement.endswith(".")
    assert " = " in latex
    assert "Dummy" not in latex
    assert "-1 + M" not in latex, "M - 1 is how people write it"
    assert step._repr_latex_() == rf"$\displaystyle {latex}$"


def number(expression, **values):
    """Evaluate a step at numbers given by the names of the module's symbols."""
    return sp.sympify(expression).subs({getattr(d, name): value for name, value in values.items()})


def energy_of_numbers(w, b, t, others, lam, labels=(1.0, -1.0)):
    """Eq. (2), written for numpy."""
    return np.mean((labels[1] - (w * others + b)) ** 2) + (labels[0] - (w * t + b)) ** 2 + lam * w**2


def slopes_of_numbers(w, b, *channel, h=1e-5):
    moved = ((w + h, b, w - h, b), (w, b + h, w, b - h))
    energies = [[energy_of_numbers(*line, *channel) for line in (m[:2], m[2:])] for m in moved]
    return [(above - below) / (2 * h) for above, below in energies]


def cost_of_the_printed_sign(t, others, lam):
    distance, spread = (t - others.mean()) ** 2, others.var() + lam
    return 8 * distance / (distance + 2 * spread)


@pytest.fixture(params=range(8))
def channel(request):
    """A target, its others and a penalty."""
    rng = np.random.default_rng(request.param)
    others = rng.normal(rng.normal(0, 2), rng.uniform(0.3, 2), rng.integers(1, 12))
    return float(rng.normal(0, 3)), others, float(10 ** rng.uniform(-3, 0))


def moments(t, others, lam):
    return {"t": t, "mu": float(others.mean()), "sigma": float(others.std()), "lam": lam}


W, B = 0.7, -0.4
BY_NUMPY = {
    "energy": lambda *channel: energy_of_numbers(W, B, *channel),
    "expanded_energy": lambda *channel: energy_of_numbers(W, B, *channel),
    "moment_energy": lambda *channel: energy_of_numbers(W, B, *channel),
    "gradient": lambda *channel: slopes_of_numbers(W, B, *channel),
    "sum": lambda _, others, __: others.sum(),
    "sum_of_squares": lambda _, others, __: (others**2).sum(),
    "printed_sign": cost_of_the_printed_sign,
}


@pytest.mark.parametrize("name", BY_NUMPY)
def test_a_step_at_numbers_is_what_numpy_finds(name, channel):
    others = channel[1]
    expression = STEPS[name].expression.subs(d.M, len(others) + 1).doit()
    expression = expression.subs({d.x[k + 1]: value for k, value in enumerate(others)})
    found = np.array(number(expression, w=W, b=B, **moments(*channel)), dtype=float).ravel()
    tolerance = 1e-7 if name == "gradient" else 1e-9 if name == "printed_sign" else 1e-12
    np.testing.assert_allclose(found, np.ravel(BY_NUMPY[name](*channel)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("labels", LABELS)
def test_weight_bias_and_minimum_are_what_scipy_finds(labels, channel):
    result = optimize.minimize(
        lambda p: energy_of_numbers(*p, *channel, labels),
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14, "maxfev": 4000},
    )
    names = ("weight", "bias", "minimum")
    found = [float(number(LABELS[labels][name].expression, **moments(*channel))) for name in names]
    np.testing.assert_allclose(found, [*result.x, result.fun], rtol=1e-6, atol=1e-6)


def test_the_printed_sign_costs_what_its_line_costs_more(channel):
    names = ("weight", "bias", "minimum", "printed_sign")
    w, b, least, cost = (float(number(STEPS[name].expression, **moments(*channel))) for name in names)
    assert cost == pytest.approx(energy_of_numbers(-w, -b, *channel) - least, rel=1e-9)


def test_the_hessian_is_positive_definite_on_numbers(channel):
    hessian = np.array(number(STEPS["hessian"].expression, **moments(*channel)), dtype=float)
    assert np.linalg.eigvalsh(hessian).min() > 0


def of(name, steps=STEPS):
    return steps[name].expression


MATRIX, RIGHT = sp.linear_eq_to_matrix(list(of("gradient")), d.w, d.b)
BY_SOLVE = MATRIX.LUsolve(RIGHT)
DISTANCE2, SPREAD = (d.t - d.mu) ** 2, d.sigma**2 + d.lam
OFF = dict(zip((d.w, d.b), sp.symbols("Delta_w Delta_b", real=True), strict=True))
MIDPOINT = (d.t + d.mu) / 2
ZERO = {
    "the slope by the weight vanishes": of("gradient")[0].subs({d.w: of("weight"), d.b: of("bias")}),
    "the slope by the bias vanishes": of("gradient")[1].subs({d.w: of("weight"), d.b: of("bias")}),
    "a linear solve finds the weight": BY_SOLVE[0] - of("weight"),
    "a linear solve finds the bias": BY_SOLVE[1] - of("bias"),
    "the determinant is four denominators": of("determinant") - 4 * (DISTANCE2 + 2 * SPREAD),
    "the Hessian is symmetric": of("hessian")[0, 1] - of("hessian")[1, 0],
    "the excess is the rise off the minimum": of("moment_energy").subs(
        {d.w: of("weight") + OFF[d.w], d.b: of("bias") + OFF[d.b]}
    )
    - of("minimum")
    - of("excess"),
    "the importance is one half plus the squared score": of("importance") - (DISTANCE2 / SPREAD + 2) / 4,
    "the importance is the inverse of the minimum": of("importance") * of("minimum") - 1,
    "the decision point is the midpoint": of("decision_point") - MIDPOINT,
    "it is for swapped labels": of("decision_point", SWAPPED) - MIDPOINT,
    "it is for any labels": of("decision_point", ANY) - MIDPOINT,
    "swapped labels give the printed weight": of("weight", SWAPPED) + of("weight"),
    "swapped labels give the printed bias": of("bias", SWAPPED) + of("bias"),
    "swapped labels have the same minimum": of("minimum", SWAPPED) - of("minimum"),
    "labels scale the minimum": of("minimum", ANY) - of("minimum") * ((Y_T - Y_O) / 2) ** 2,
}


@pytest.mark.parametrize("law", ZERO)
def test_a_law_of_the_steps_holds_for_all_symbols(law):
    assert sp.simplify(ZERO[law]) == 0


def test_the_hessian_is_that_of_sympy_and_its_determinant_clears_the_fractions():
    by_sympy = sp.hessian(of("moment_energy"), (d.w, d.b)).applyfunc(sp.factor)
    assert of("hessian") == by_sympy
    for name in ("weight", "minimum"):
        numerator = sp.simplify(of(name) * of("determinant"))
        assert sp.expand(numerator).is_polynomial(d.t, d.mu, d.sigma, d.lam), name


def test_the_determinant_is_zero_only_where_all_neurons_are_equal_and_nothing_is_penalized():
    flat = {"t": 2, "mu": 2, "sigma": 0, "lam": 0}
    assert number(of("determinant"), **flat) == 0
    for off in ({"t": 3}, {"sigma": 1}, {"lam": 1}):
        assert number(of("determinant"), **(flat | off)) > 0, off


NEAR = {"no_penalty": ("lam", 1e-12), "large_penalty": ("lam", 1e12)}
NEAR |= {"equal_others": ("sigma", 1e-6), "far_target": ("t", 1e6)}


@pytest.mark.parametrize("name", NEAR)
def test_a_limit_is_approached(name):
    point = {"t": 3.0, "mu": 1.0, "sigma": 0.5, "lam": 0.2}
    near = float(number(of("minimum"), **(point | dict([NEAR[name]]))))
    assert near == pytest.approx(float(number(of(name), **point)), abs=1e-9)


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
    sides = [side for step in STEPS.values() for side in (step.symbol, step.expression)]
    names = {symbol.name for side in sides for symbol in side.atoms(sp.Symbol)}
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
