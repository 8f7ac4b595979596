"""The symbolic derivation against numbers that know nothing of it, and against the laws of a minimum."""

from functools import partial

import numpy as np
import pytest
import sympy as sp

from simam_edu import derivation as d
from simam_edu.derivation import derive, derive_gradient
from simam_edu.energy import neuron_energy
from simam_edu.solvers import energy_gradient, energy_hessian, solve_linear

STEPS = derive()
Y_T, Y_O, Y = sp.symbols("y_t y_o y", real=True)
ANY = derive(target_label=Y_T, other_label=Y_O)
ORDER = """energy expanded_energy sum sum_of_squares moment_energy gradient hessian determinant
    bias_of_weight weight bias minimum excess importance decision_point printed_sign
    no_penalty large_penalty equal_others far_target"""
OF_GRADIENT = """score importance loss arriving direct deviation by_mean by_spread
    mean_slope spread_slope gradient"""


@pytest.mark.parametrize(("steps", "order"), [(STEPS, ORDER), (derive_gradient(), OF_GRADIENT)])
def test_a_derivation_gives_each_step_in_order_as_a_sentence_and_an_equation(steps, order):
    assert list(steps) == order.split()
    for step in steps.values():
        assert step.statement.endswith(".")
        latex = step.latex()
        assert " = " in latex
        assert "Dummy" not in latex
        assert "-1 + M" not in latex, "M - 1 is how people write it"
        assert step._repr_latex_() == rf"$\displaystyle {latex}$"


def of(name, steps=STEPS):
    return steps[name].expression


def number(expression, **values):
    """Evaluate a step at numbers given by the names of the module's symbols."""
    return sp.sympify(expression).subs({getattr(d, name): value for name, value in values.items()})


LINE = (0.7, -0.4)


def random_channel(seed):
    rng = np.random.default_rng(seed)
    others = rng.normal(rng.normal(0, 2), rng.uniform(0.3, 2), rng.integers(1, 12))
    return {"t": float(rng.normal(0, 3)), "others": others, "lam": float(10 ** rng.uniform(-3, 0))}


def at(expression, t, others, lam):
    """Evaluate a step at a channel and at LINE."""
    expression = sp.sympify(expression).subs(d.M, len(others) + 1).doit()
    expression = expression.subs({d.x[k + 1]: value for k, value in enumerate(others)})
    moments = {"t": t, "mu": others.mean(), "sigma": others.std(), "lam": lam}
    return np.array(number(expression, w=LINE[0], b=LINE[1], **moments), dtype=float)


BY_OTHER_CODE = {
    **dict.fromkeys(("energy", "expanded_energy", "moment_energy"), partial(neuron_energy, *LINE)),
    "gradient": lambda **channel: energy_gradient(*LINE, **channel)[:, None],
    "hessian": energy_hessian,
    "determinant": lambda **channel: np.linalg.det(energy_hessian(**channel)),
    "sum": lambda *, others, **_: others.sum(),
    "sum_of_squares": lambda *, others, **_: (others**2).sum(),
    "weight": lambda **channel: solve_linear(**channel).w,
    "bias": lambda **channel: solve_linear(**channel).b,
    "minimum": lambda **channel: solve_linear(**channel).energy,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BY_OTHER_CODE)
def test_a_step_at_numbers_is_what_other_code_finds(name, seed):
    channel = random_channel(seed)
    found = at(of(name), **channel)
    np.testing.assert_allclose(found, BY_OTHER_CODE[name](**channel), rtol=1e-8, atol=1e-10)


BEST = {d.w: of("weight"), d.b: of("bias")}
# What the numbered equations of the book say of the steps is proven in tests/book/equations.
ZERO = {
    "the slope by the weight vanishes": of("gradient")[0].subs(BEST),
    "the slope by the bias vanishes": of("gradient")[1].subs(BEST),
    "the Hessian is that of sympy": (of("hessian") - sp.hessian(of("moment_energy"), (d.w, d.b))).norm(),
    "the importance is the inverse of the minimum": of("importance") * of("minimum") - 1,
    "the decision point is the midpoint for any labels": of("decision_point", ANY) - (d.t + d.mu) / 2,
}


@pytest.mark.parametrize("law", ZERO)
def test_a_law_of_the_steps_holds_for_all_symbols(law):
    assert sp.simplify(ZERO[law]) == 0


def test_the_hessian_is_definite_unless_all_neurons_are_equal_and_nothing_is_penalized():
    flat = {"t": 2, "mu": 2, "sigma": 0, "lam": 0}
    assert number(of("determinant"), **flat) == 0
    for off in ({"t": 3}, {"sigma": 1}, {"lam": 1}):
        assert number(of("hessian"), **(flat | off)).is_positive_definite, off


NEAR = {"no_penalty": ("lam", 1e-12), "large_penalty": ("lam", 1e12)}
NEAR |= {"equal_others": ("sigma", 1e-6), "far_target": ("t", 1e6)}


@pytest.mark.parametrize("name", NEAR)
def test_a_limit_is_approached(name):
    point = {"t": 3.0, "mu": 1.0, "sigma": 0.5, "lam": 0.2}
    near = float(number(of("minimum"), **(point | dict([NEAR[name]]))))
    assert near == pytest.approx(float(number(of(name), **point)), abs=1e-9)


# With floats in the steps, sympy found no solution for some of these.
@pytest.mark.parametrize("label", [1.25, 0.1, np.float32(0.1), 0.95, 1e-5, 3e7, np.int8(3), 2.5 * Y])
def test_a_label_of_any_numeric_type_is_its_rational_number(label):
    steps = derive(target_label=label, other_label=Y_O)
    assert not any(step.expression.atoms(sp.Float) for step in steps.values())
    rational = {Y_T: sp.Rational(str(label)) if label != 2.5 * Y else sp.Rational(5, 2) * Y}
    assert sp.simplify(of("minimum", steps) - of("minimum", ANY).subs(rational)) == 0


def test_the_names_of_all_symbols_in_the_steps_are_reserved():
    sides = [side for step in STEPS.values() for side in (step.symbol, step.expression)]
    names = {symbol.name for side in sides for symbol in side.atoms(sp.Symbol)}
    assert names - {"+", "-", r"\det A"} <= d.RESERVED, "plus and minus are the sides of a limit"


OWN, NO_NUMBER = "must not have the derivation's own", "must be a finite real number or expression of sympy"
REFUSED = [
    *((label, OWN) for label in (d.w, d.mu, d.lam, d.M, d.x[1], 1 + 2 * d.w, sp.Symbol("b", positive=True))),
    *((label, NO_NUMBER) for label in (sp.I, 1 + 2j, sp.oo, float("inf"), Y + sp.oo, float("nan"))),
]


@pytest.mark.parametrize(("label", "message"), REFUSED, ids=str)
@pytest.mark.parametrize("which", ["target_label", "other_label"])
def test_a_label_that_is_taken_or_no_finite_real_number_is_refused(which, label, message):
    with pytest.raises(ValueError, match=f"{which} {message}"):
        derive(**{which: label})


@pytest.mark.parametrize(("target", "other"), [(1, 1), (0, 0.0), (Y, Y), (2.5, sp.Rational(5, 2))], ids=str)
def test_equal_labels_are_refused(target, other):
    with pytest.raises(ValueError, match="target_label must differ from other_label, got"):
        derive(target_label=target, other_label=other)
