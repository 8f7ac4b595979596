"""The gradient: every step of its derivation, and the numbers, against derivatives taken another way."""

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simam_edu import SimAM, energy
from simam_edu.gradient import M, a, a_bar, derive, g, i, j, mu, simam_gradient, tau, x, y_bar, z

STEPS = derive()
SIZE = 4
STATISTICS = ("shared", "population", "leave_one_out")


def plain_output(x, lam, statistics="shared"):
    """SimAM of one channel by the definitions of its statistics, for complex numbers too."""
    if statistics == "leave_one_out":
        mean = np.array([np.delete(x.ravel(), k).mean() for k in range(x.size)]).reshape(x.shape)
        others = [np.delete(x.ravel(), k) for k in range(x.size)]
        var = np.array([((rest - rest.mean()) ** 2).mean() for rest in others]).reshape(x.shape)
    else:
        mean = x.mean()
        var = ((x - mean) ** 2).sum() / (x.size - (statistics == "shared"))
    return x / (1 + np.exp(-(0.5 + (x - mean) ** 2 / (4 * (var + lam)))))


def gradient_by_complex_step(x, grad, lam, statistics="shared"):
    """The derivative as the imaginary part for an imaginary step, which rounds but does not cancel."""
    gradient = np.empty_like(x)
    for k in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[k] += 1e-30j
        gradient[k] = (grad * plain_output(moved, lam, statistics)).sum().imag / 1e-30
    return gradient


def batch(generator, shape):
    return generator.normal(generator.normal(), 1.0, shape), generator.normal(size=shape)


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("lam", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (3, 5), (8, 8)])
def test_it_is_the_derivative_of_the_plain_formula(shape, lam, statistics):
    x, grad = batch(np.random.default_rng(0), shape)
    expected = gradient_by_complex_step(x, grad, lam, statistics)
    found = simam_gradient(x, grad, lam=lam, statistics=statistics)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_channels_do_not_see_each_other(statistics):
    x, grad = batch(np.random.default_rng(1), (2, 3, 4, 5))
    found = simam_gradient(x, grad, statistics=statistics)
    for k in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[k], simam_gradient(x[k], grad[k], statistics=statistics))


MODULES = {
    "shared": {},
    "population": {"statistics": "population"},
    "leave_one_out": {"statistics": "leave_one_out"},
}


@pytest.mark.parametrize("backend", ["auto", "torch", "reference"])
@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 3, 5, 7), (1, 2, 32, 32)])
def test_the_module_has_this_gradient(shape, statistics, backend):
    x, grad = batch(np.random.default_rng(5), shape)
    leaf = torch.tensor(x, requires_grad=True)
    output = SimAM(backend=backend, **MODULES[statistics])(leaf)
    (found,) = torch.autograd.grad(output, leaf, torch.tensor(grad))
    expected = simam_gradient(x, grad, statistics=statistics)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-13)


def evaluated(expression, channel, lam):
    """A step in numbers, at the second of SIZE neurons."""
    values, grad = channel
    root = np.sqrt(values.var(ddof=1) + lam)
    score = (values - values.mean()) / root
    gain = 1 / (1 + np.exp(-(0.5 + score**2 / 4)))
    named = {x: values, z: score, a: 0.5 + score**2 / 4, g: gain, y_bar: grad}
    named[a_bar] = grad * values * gain * (1 - gain)
    expression = expression.subs({M: SIZE, i: 2, j: 2, mu: values.mean(), tau: root}).doit()
    points = {base[k + 1]: value for base, array in named.items() for k, value in enumerate(array)}
    return float(expression.subs(points))


def outputs(values, mean, root, grad):
    gain = 1 / (1 + np.exp(-(0.5 + ((values - mean) / root) ** 2 / 4)))
    return (grad * values * gain).sum()


@pytest.fixture
def channel():
    generator = np.random.default_rng(2)
    return generator.normal(1.0, 2.0, SIZE), generator.normal(size=SIZE)


def test_each_shared_step_is_a_derivative(channel):
    lam, step = 0.3, 1e-30
    values, grad = channel
    mean, root = values.mean(), np.sqrt(values.var(ddof=1) + lam)
    by_mean = outputs(values, mean + 1j * step, root, grad).imag / step
    by_spread = outputs(values, mean, root + 1j * step, grad).imag / step
    assert np.isclose(evaluated(STEPS["by_mean"].expression, channel, lam), by_mean, rtol=1e-12)
    assert np.isclose(evaluated(STEPS["by_spread"].expression, channel, lam), by_spread, rtol=1e-12)


def test_each_slope_is_a_derivative(channel):
    lam, step = 0.3, 1e-30
    moved = channel[0] + 1j * step * np.eye(SIZE)[1]
    root = np.sqrt(((moved - moved.mean()) ** 2).sum() / (SIZE - 1) + lam)
    assert np.isclose(evaluated(STEPS["mean_slope"].expression, channel, lam), moved.mean().imag / step)
    assert np.isclose(evaluated(STEPS["spread_slope"].expression, channel, lam), root.imag / step)


def test_the_own_paths_are_a_derivative_with_mean_and_spread_held_fixed(channel):
    lam, step = 0.3, 1e-30
    values, grad = channel
    moved = values + 1j * step * np.eye(SIZE)[1]
    own = outputs(moved, values.mean(), np.sqrt(values.var(ddof=1) + lam), grad).imag / step
    parts = [evaluated(STEPS[name].expression, channel, lam) for name in ("direct", "deviation")]
    assert np.isclose(sum(parts), own, rtol=1e-12)
    gain = 1 / (1 + np.exp(-(0.5 + (values[1] - values.mean()) ** 2 / (4 * (values.var(ddof=1) + lam)))))
    assert np.isclose(parts[0], grad[1] * gain, rtol=1e-12), "the direct path holds the gain fixed"


def test_the_last_step_is_the_oracle(channel):
    values, grad = channel
    expected = simam_gradient(values[None], grad[None], lam=0.3)[0, 1]
    assert np.isclose(evaluated(STEPS["gradient"].expression, channel, 0.3), expected, rtol=1e-12)


def test_nothing_is_left_to_simplify_and_every_step_shows_itself():
    assert not STEPS["gradient"].expression.atoms(sp.Piecewise, sp.KroneckerDelta, sp.Derivative)
    for name, step in STEPS.items():
        assert step.name == name
        assert step.statement.endswith(".")
        assert step.latex().count("=") >= 1


reproducible = settings(derandomize=True, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 6)


@reproducible
@given(seeds, sides, st.integers(2, 6), st.sampled_from([0.0, 1e-4, 1.0]), st.sampled_from(STATISTICS))
def test_an_offset_is_not_seen_by_the_gains(seed, height, width, lam, statistics):
    x, grad = batch(np.random.default_rng(seed), (height, width))
    gain = energy.gain(x, lam=lam, statistics=statistics)
    found = simam_gradient(x, grad, lam=lam, statistics=statistics)
    assert np.isclose(found.sum(), (grad * gain).sum(), rtol=1e-9, atol=1e-9 * np.abs(found).sum())


@reproducible
@given(seeds, sides, st.integers(2, 6), st.sampled_from(STATISTICS))
def test_without_a_penalty_the_output_is_homogeneous(seed, height, width, statistics):
    x, grad = batch(np.random.default_rng(seed), (height, width))
    y = x * energy.gain(x, lam=0.0, statistics=statistics)
    found = simam_gradient(x, grad, lam=0.0, statistics=statistics)
    scale = np.abs(x * found).sum() + np.abs(grad * y).sum()
    assert np.isclose((x * found).sum(), (grad * y).sum(), rtol=1e-9, atol=1e-9 * scale)


@reproducible
@given(seeds, st.integers(-500, 500), st.sampled_from(STATISTICS))
def test_a_power_of_two_changes_nothing(seed, power, statistics):
    x, grad = batch(np.random.default_rng(seed), (3, 4))
    found = simam_gradient(np.ldexp(x, power), grad, lam=0.0, statistics=statistics)
    np.testing.assert_array_equal(found, simam_gradient(x, grad, lam=0.0, statistics=statistics))


@reproducible
@given(seeds)
def test_the_gradient_is_linear_in_what_arrives(seed):
    generator = np.random.default_rng(seed)
    x, first = batch(generator, (3, 4))
    second = generator.normal(size=(3, 4))
    together = simam_gradient(x, 2 * first - second)
    apart = 2 * simam_gradient(x, first) - simam_gradient(x, second)
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-160, 1e160, 1e300])
def test_no_scale_overflows(scale):
    x, grad = np.arange(6.0).reshape(2, 3) * scale, np.ones((2, 3))
    assert np.isfinite(simam_gradient(x, grad)).all()
    small_lam = simam_gradient(x, grad, lam=0.0)
    np.testing.assert_allclose(small_lam, simam_gradient(x / scale, grad, lam=0.0), rtol=1e-12)


def test_a_large_mean_costs_no_digits():
    # The values are exact multiples of 2**-20, with and without the offset.
    x = np.round(np.random.default_rng(3).normal(size=(4, 4)) * 2**20) / 2**20
    x[0, 0] -= np.sum(x)  # the mean is exactly zero
    offset, grad = 2.0**30, np.random.default_rng(4).normal(size=(4, 4))
    gain = energy.gain(x)
    without = simam_gradient(x, grad) - grad * gain
    moved = simam_gradient(x + offset, grad) - grad * gain
    pure = simam_gradient(x + 2 * offset, grad) - grad * gain - moved
    np.testing.assert_allclose(moved - without, pure, rtol=1e-10, err_msg="it is affine in the offset")


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("lam", [0.0, 0.1])
def test_at_a_constant_channel_the_direct_path_is_left(lam, statistics):
    grad = np.arange(4.0).reshape(2, 2)
    found = simam_gradient(np.full((2, 2), 7.0), grad, lam=lam, statistics=statistics)
    np.testing.assert_allclose(found, grad / (1 + np.exp(-0.5)), rtol=1e-12)


def test_an_outlier_among_equal_others_has_gain_one_when_it_is_left_out():
    x, grad = np.array([[1.0, 1.0, 1.0, 3.0]]), np.array([[1.0, 2.0, 3.0, 4.0]])
    found = simam_gradient(x, grad, lam=0.0, statistics="leave_one_out")
    near = simam_gradient(x, grad, lam=1e-12, statistics="leave_one_out")
    np.testing.assert_allclose(found, near, rtol=1e-9)
    assert found[0, 3] != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grad": np.ones((2, 3))}, r"grad must have the shape of x, \(2, 2\), got \(2, 3\)"),
        ({"grad": np.full((2, 2), np.nan)}, "grad must be finite"),
        ({"grad": np.full((2, 2), np.inf)}, "grad must be finite"),
        ({"x": np.full((2, 2), np.nan)}, "x must be finite"),
        ({"x": np.ones((1, 1)), "grad": np.ones((1, 1))}, "two neurons"),
        ({"x": np.ones((2, 2), dtype=complex)}, "real numbers"),
        ({"lam": -1.0}, "lam must be"),
        ({"lam": np.nan}, "lam must be"),
        ({"statistics": "mean"}, "statistics must be one of"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    good = {"x": np.ones((2, 2)), "grad": np.ones((2, 2))}
    with pytest.raises(ValueError, match=message):
        simam_gradient(**(good | arguments))
