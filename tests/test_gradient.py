"""The gradient: every step of its derivation, and the numbers, against derivatives taken another way."""

from functools import partial

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simam_edu import SimAM, energy
from simam_edu.gradient import M, a, a_bar, derive, g, i, j, mu, simam_gradient, tau, x, y_bar, z

STATISTICS = ("shared", "population", "leave_one_out")
by_statistics = pytest.mark.parametrize("statistics", STATISTICS)


def batch(seed, shape):
    generator = np.random.default_rng(seed)
    return generator.normal(generator.normal(), 1.0, shape), generator.normal(size=shape)


def output(x, mean, scale):
    return x / (1 + np.exp(-(0.5 + ((x - mean) / scale) ** 2 / 4)))


def plain_output(x, lam, statistics="shared"):
    """SimAM of one channel by the definitions of its statistics, for complex numbers too."""
    if statistics == "leave_one_out":
        others = np.array([np.delete(x.ravel(), k) for k in range(x.size)])
        mean, var = others.mean(axis=1), ((others.T - others.mean(axis=1)) ** 2).mean(axis=0)
        return output(x, mean.reshape(x.shape), np.sqrt(var.reshape(x.shape) + lam))
    var = ((x - x.mean()) ** 2).sum() / (x.size - (statistics == "shared"))
    return output(x, x.mean(), np.sqrt(var + lam))


def slope(function, x, k):
    """The derivative as the imaginary part for an imaginary step, which rounds but does not cancel."""
    moved = np.asarray(x, dtype=complex).copy()
    moved[k] += 1e-30j
    return function(moved).sum().imag / 1e-30


@by_statistics
@pytest.mark.parametrize("lam", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (5, 6)])
def test_it_is_the_derivative_of_the_plain_formula(shape, lam, statistics):
    x, grad = batch(0, shape)
    loss = lambda values: grad * plain_output(values, lam, statistics)  # noqa: E731
    expected = [slope(loss, x, k) for k in np.ndindex(shape)]
    found = simam_gradient(x, grad, lam=lam, statistics=statistics)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12, atol=1e-13)


@by_statistics
def test_channels_do_not_see_each_other(statistics):
    x, grad = batch(1, (2, 3, 4, 5))
    found = simam_gradient(x, grad, statistics=statistics)
    for k in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[k], simam_gradient(x[k], grad[k], statistics=statistics))


@by_statistics
def test_the_module_has_this_gradient(statistics):
    x, grad = batch(5, (2, 3, 5, 7))
    leaf = torch.tensor(x, requires_grad=True)
    (found,) = torch.autograd.grad(SimAM(statistics=statistics)(leaf), leaf, torch.tensor(grad))
    expected = simam_gradient(x, grad, statistics=statistics)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-13)


# The steps of the derivation, at the second of four neurons.

STEPS, SIZE, LAM = derive(), 4, 0.3
X, GRAD = np.array([1.5, -0.7, 3.1, 0.4]), np.array([0.3, -1.2, 0.8, 0.5])
SCALE = np.sqrt(X.var(ddof=1) + LAM)
Z = (X - X.mean()) / SCALE
G = 1 / (1 + np.exp(-(0.5 + Z**2 / 4)))


def evaluated(name):
    """A step in numbers."""
    arrays = {x: X, z: Z, a: 0.5 + Z**2 / 4, g: G, y_bar: GRAD, a_bar: GRAD * X * G * (1 - G)}
    points = {base[k + 1]: value for base, array in arrays.items() for k, value in enumerate(array)}
    expression = STEPS[name].expression.subs({M: SIZE, i: 2, j: 2, mu: X.mean(), tau: SCALE})
    return float(expression.doit().subs(points))


STATISTICS_OF = np.array([X.mean(), SCALE])
BY_COMPLEX_STEP = {
    "by_mean": slope(lambda both: GRAD * output(X, *both), STATISTICS_OF, 0),
    "by_spread": slope(lambda both: GRAD * output(X, *both), STATISTICS_OF, 1),
    "mean_slope": slope(np.mean, X, 1),
    "spread_slope": slope(lambda x: np.sqrt(((x - x.mean()) ** 2).sum() / (SIZE - 1) + LAM), X, 1),
    "direct": GRAD[1] * G[1],  # the gain held fixed
    "direct deviation": slope(lambda x: GRAD * output(x, *STATISTICS_OF), X, 1),  # mean and spread held fixed
    "arriving": slope(lambda a: GRAD * X / (1 + np.exp(-a)), 0.5 + Z**2 / 4, 1),
    "gradient": simam_gradient(X[None], GRAD[None], lam=LAM)[0, 1],
}


@pytest.mark.parametrize("names", BY_COMPLEX_STEP)
def test_a_step_is_the_derivative_that_it_says(names):
    found = sum(evaluated(name) for name in names.split())
    assert found == pytest.approx(BY_COMPLEX_STEP[names], rel=1e-12)


def test_nothing_is_left_to_simplify_in_the_gradient():
    assert not STEPS["gradient"].expression.atoms(sp.Piecewise, sp.KroneckerDelta, sp.Derivative)


# Laws of the numbers.


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.builds(batch, st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 6), st.integers(2, 6))),
    st.sampled_from(STATISTICS),
    st.integers(-500, 500),
)
def test_it_is_linear_in_grad_and_blind_to_scale_and_its_sum_to_offsets(maps, statistics, power):
    (x, grad), lam = maps, (0.0, 1e-4, 1.0)[power % 3]
    found = simam_gradient(x, grad, lam=lam, statistics=statistics)
    # An offset of x is not seen by the gains.
    expected = (grad * energy.gain(x, lam=lam, statistics=statistics)).sum()
    assert np.isclose(found.sum(), expected, rtol=1e-9, atol=1e-9 * np.abs(found).sum())
    second = np.cos(power + np.arange(grad.size)).reshape(grad.shape)
    apart = 2 * found - simam_gradient(x, second, lam=lam, statistics=statistics)
    together = simam_gradient(x, 2 * grad - second, lam=lam, statistics=statistics)
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-9 * np.abs(apart).max())
    # Without a penalty the output is homogeneous.
    y = x * energy.gain(x, lam=0.0, statistics=statistics)
    found = simam_gradient(x, grad, lam=0.0, statistics=statistics)
    scale = np.abs(x * found).sum() + np.abs(grad * y).sum()
    assert np.isclose((x * found).sum(), (grad * y).sum(), rtol=1e-9, atol=1e-9 * scale)
    scaled = simam_gradient(np.ldexp(x, power), grad, lam=0.0, statistics=statistics)
    np.testing.assert_array_equal(scaled, found)


@pytest.mark.parametrize("statistics", ["shared", "population", "leave_one_out"])
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-160, 1e160, 1e300])
def test_no_scale_overflows(scale, statistics):
    x, grad = np.arange(6.0).reshape(2, 3) * scale, np.ones((2, 3))
    gradient = partial(simam_gradient, grad=grad, statistics=statistics)
    assert np.isfinite(gradient(x)).all()
    np.testing.assert_allclose(gradient(x, lam=0.0), gradient(x / scale, lam=0.0), rtol=1e-12)


@pytest.mark.parametrize(("x", "lam"), [([0, 0, 0, 1e80], 1e-4), ([0, 1e-100, 2e-100, 1], 0.0)])
def test_a_neuron_beyond_all_others_leaves_each_its_gain(x, lam):
    x, exact = np.array([x]), {"lam": lam, "statistics": "leave_one_out"}
    found = simam_gradient(x, np.ones_like(x), **exact)
    np.testing.assert_allclose(found, energy.gain(x, **exact), rtol=1e-12)


def test_a_large_mean_costs_no_digits():
    # The values are exact multiples of 2**-20, with and without the offset.
    x = np.round(np.random.default_rng(3).normal(size=(4, 4)) * 2**20) / 2**20
    x[0, 0] -= np.sum(x)  # the mean is exactly zero
    grad = np.random.default_rng(4).normal(size=(4, 4))
    without, moved, twice = (
        simam_gradient(x + offset, grad) - grad * energy.gain(x) for offset in (0.0, 2.0**30, 2.0**31)
    )
    message = "it is affine in the offset"
    np.testing.assert_allclose(moved - without, twice - moved, rtol=1e-10, err_msg=message)


@by_statistics
@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_at_a_constant_channel_the_direct_path_is_left(lam, statistics):
    grad = np.arange(4.0).reshape(2, 2)
    found = simam_gradient(np.full((2, 2), 7.0), grad, lam=lam, statistics=statistics)
    np.testing.assert_allclose(found, grad / (1 + np.exp(-0.5)), rtol=1e-12)


def test_an_outlier_among_equal_others_has_gain_one_when_it_is_left_out():
    x, grad = np.array([[1.0, 1.0, 1.0, 3.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])
    found, near = (simam_gradient(x, grad, lam=lam, statistics="leave_one_out") for lam in (0.0, 1e-12))
    np.testing.assert_allclose(found, near, rtol=1e-9)
    assert found[0, 3] != 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grad", np.ones((2, 3))),
        ("grad", np.full((2, 2), np.nan)),
        ("x", np.full((2, 2), np.nan)),
        ("lam", -1.0),
        ("statistics", "mean"),
    ],
)
def test_bad_input_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must"):
        simam_gradient(**({"x": np.ones((2, 2)), "grad": np.ones((2, 2))} | {name: value}))
