"""The numerical solvers against the closed form, finite differences, theory and bad input."""

import math

import numpy as np
import pytest

from simam_edu import energy, solvers
from simam_edu.solvers.problem import Problem

SOLVERS = [solvers.solve_linear, solvers.solve_newton, solvers.solve_bfgs, solvers.descend]
by_solver = pytest.mark.parametrize("solve", SOLVERS, ids=lambda solve: solve.__name__)


def channel(seed=0, *, size=30, offset=0.0):
    return 2.5 + offset, np.random.default_rng(seed).normal(offset, 1.0, size - 1)


def random_channel(rng):
    """A channel with M from 2 to 1,024 and its mean, scale and penalty over six decades each."""
    size = math.floor(2.0 ** rng.uniform(1, 10.001))
    mean, far = (rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-3, 3) for _ in range(2))
    values = mean + 10.0 ** rng.uniform(-3, 3) * rng.normal(size=size)
    # Half of the targets are one of the channel, half stand out by any distance.
    t = values[0] if rng.random() < 0.5 else mean + far
    return float(t), values[1:], 10.0 ** rng.uniform(-6, 0)


def closed_form(t, others, lam):
    return float(energy.minimal_energy(t, others.mean(), others.var(), lam=lam))


@pytest.mark.parametrize(
    ("solve", "seed", "count", "rel"),
    [
        (solvers.solve_linear, 2021, 1000, 1e-8),
        (solvers.solve_newton, 2021, 1000, 1e-8),
        (solvers.solve_bfgs, 7, 200, 1e-7),  # its line search reaches about half of the digits
    ],
)
def test_solvers_agree_with_the_closed_form_on_many_channels(solve, seed, count, rel):
    rng, sizes = np.random.default_rng(seed), []
    for _ in range(count):
        t, others, lam = random_channel(rng)
        sizes.append(others.size + 1)
        fit = solve(t, others, lam=lam)
        where = f"M = {others.size + 1}, t = {t}, lam = {lam}"
        assert fit.energy == pytest.approx(closed_form(t, others, lam), rel=rel, abs=0), where
        assert fit.converged or solve is solvers.solve_bfgs, where
    assert (min(sizes), max(sizes) > 900) == (2, True)


@by_solver
def test_every_solver_finds_the_optimal_weight_and_bias(solve):
    t, others = channel()
    fit = solve(t, others, lam=0.05)
    expected = energy.optimal_weight_bias(t, others.mean(), others.var(), lam=0.05)
    assert fit.converged
    np.testing.assert_allclose((fit.w, fit.b), expected, rtol=1e-6)
    assert fit.energy == pytest.approx(energy.neuron_energy(fit.w, fit.b, t, others, lam=0.05), rel=1e-9)


@by_solver
@pytest.mark.parametrize(
    ("t", "others", "lam", "least"), [(2.0, [-1.0], 0.5, 4 * 0.5 / (9 + 2 * 0.5)), (3.0, [3.0] * 5, 0.1, 2.0)]
)
def test_one_other_and_a_constant_channel_are_solved(solve, t, others, lam, least):
    fit = solve(t, np.array(others), lam=lam)
    assert fit.energy == pytest.approx(least, rel=1e-9)
    if t == others[0]:
        assert fit.w == pytest.approx(0.0, abs=1e-12)


def test_the_shift_keeps_the_digits_far_from_zero():
    t, others = channel(offset=1e7)
    expected = closed_form(t - 1e7, others - 1e7, 1e-4)
    assert solvers.solve_linear(t, others, lam=1e-4).energy == pytest.approx(expected, rel=1e-7)
    hessian = solvers.energy_hessian(t, others, lam=1e-4)
    unshifted = np.linalg.solve(hessian, -solvers.energy_gradient(0.0, 0.0, t, others, lam=1e-4))
    lost = abs(float(energy.neuron_energy(*unshifted, t, others, lam=1e-4)) / expected - 1)
    assert lost > 1e-6, "without the shift this problem must be hard, or it tests nothing"


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    t, others = channel()
    found = solvers.solve_linear(t * scale, others * scale, lam=0.0).energy
    assert found == pytest.approx(closed_form(t, others, 0.0), rel=1e-12)


def test_gradient_and_hessian_are_the_finite_differences():
    t, others = channel(3)
    h, at = 1e-5, np.array([0.6, -0.8])

    def gradient(point):
        return solvers.energy_gradient(*point, t, others, lam=0.3)

    hessian = solvers.energy_hessian(t, others, lam=0.3)
    for k, off in enumerate(np.eye(2) * h):
        high, low = (energy.neuron_energy(*(at + sign * off), t, others, lam=0.3) for sign in (1, -1))
        assert gradient(at)[k] == pytest.approx((high - low) / (2 * h), rel=1e-7)
        np.testing.assert_allclose(hessian[k], (gradient(at + off) - gradient(at - off)) / (2 * h), rtol=1e-8)


def test_the_linear_solve_is_direct_and_newton_takes_one_step():
    linear, newton = (solve(*channel(), lam=1e-4) for solve in SOLVERS[:2])
    assert (linear.iterations, linear.path, newton.iterations) == (0, None, 1)


@by_solver
def test_evaluations_are_how_often_the_method_asks_for_a_sum(solve, monkeypatch):
    asked = []
    for name in ("energy", "gradient", "hessian"):
        method = getattr(Problem, name)
        monkeypatch.setattr(Problem, name, lambda *args, method=method: asked.append(1) or method(*args))
    fit = solve(*channel(), lam=0.05)
    if solve is solvers.descend:
        assert fit.evaluations == fit.iterations + 1, "a gradient at each point of the path"
    else:
        # scipy may keep a value that it asks for twice; the fit asks for its own energy once more.
        assert 0 <= fit.evaluations - (len(asked) - 1) <= 2


@pytest.mark.parametrize("solve", SOLVERS[1:], ids=lambda solve: solve.__name__)
def test_the_path_leads_from_the_start_to_the_fit(solve):
    t, others = channel()
    fit = solve(t, others, lam=0.05)
    assert fit.path.shape == (fit.iterations + 1, 2)
    np.testing.assert_allclose(fit.path[-1], (fit.w, fit.b))
    energies = energy.neuron_energy(*fit.path.T, t, others, lam=0.05)
    assert energies[0] == pytest.approx(2.0), "the start fits every neuron with zero"
    assert energies[-1] == pytest.approx(fit.energy, rel=1e-9)


def test_descent_starts_where_it_is_told_and_follows_the_gradient():
    t, others = channel()
    fit = solvers.descend(t, others, lam=0.05, start=(1.0, -2.0), step=0.01, max_iterations=3)
    np.testing.assert_array_equal(fit.path[0], (1.0, -2.0))
    gradient = solvers.energy_gradient(1.0, -2.0, t, others, lam=0.05)
    np.testing.assert_allclose(fit.path[1], fit.path[0] - 0.01 * gradient, rtol=1e-12)
    assert (fit.iterations, fit.converged) == (3, False)


def test_descent_from_the_minimum_stays_there():
    fit = solvers.descend(3.0, np.full(5, 3.0), lam=0.1)
    assert (fit.iterations, fit.converged) == (0, True)


@pytest.mark.parametrize("offset", [0.0, 1.0, 3.0, 8.0])
def test_descent_takes_as_many_steps_as_the_condition_number_says(offset):
    t, others = channel(offset=offset)
    kappa = solvers.condition_number(t, others, lam=1e-4)
    fit = solvers.descend(t, others, lam=1e-4, max_iterations=100_000)
    # With the fastest fixed step both directions shrink by the same factor.
    expected = math.log(1e8) / math.log((kappa + 1) / (kappa - 1))
    assert abs(fit.iterations - expected) <= 1 + 1e-6 * expected


@pytest.mark.parametrize(("share", "converged"), [(0.99, True), (1.01, False), (1e6, False)])
def test_descent_converges_below_the_largest_stable_step_and_diverges_above(share, converged):
    t, others = channel()
    step = share * solvers.largest_stable_step(t, others, lam=1e-4)
    fit = solvers.descend(t, others, lam=1e-4, step=step, max_iterations=5000)
    assert fit.converged == converged
    assert converged or 1e6 < fit.energy < math.inf
    assert share < 1e6 or fit.iterations < 100, "a wild step ends before it overflows"


def test_condition_number_and_stable_step_are_those_of_the_eigenvalues():
    t, others = channel(5)
    small, large = np.linalg.eigvalsh(solvers.energy_hessian(t, others, lam=0.2))
    assert solvers.condition_number(t, others, lam=0.2) == pytest.approx(large / small, rel=1e-10)
    assert solvers.largest_stable_step(t, others, lam=0.2) == pytest.approx(2 / large, rel=1e-12)


def test_the_condition_number_is_right_where_eigenvalue_routines_fail():
    t, others = channel(offset=1e6)
    determinant = 4 * ((t - others.mean()) ** 2 + 2 * others.var() + 2e-4)
    trace = np.trace(solvers.energy_hessian(t, others, lam=1e-4))
    assert solvers.condition_number(t, others, lam=1e-4) == pytest.approx(trace**2 / determinant, rel=1e-6)


STEPS = np.array([0.01, 0.01])
MINIMUM = {  # what needs a unique minimum
    **{solve.__name__: solve for solve in SOLVERS},
    "largest_stable_step": solvers.largest_stable_step,
    "condition_number": solvers.condition_number,
    "noise_floor": lambda t, others, *, lam: solvers.noise_floor(t, others, lam=lam, step=0.01),
    "largest_mean_square_step": solvers.largest_mean_square_step,
    "expected_excess": lambda t, others, *, lam: solvers.expected_excess(t, others, lam=lam, steps=STEPS),
}
CALLS = MINIMUM | {
    "energy_gradient": lambda t, others, *, lam: solvers.energy_gradient(0.1, 0.2, t, others, lam=lam),
    "energy_hessian": solvers.energy_hessian,
    "descend_stochastically": lambda t, others, *, lam: solvers.descend_stochastically(
        t, others, lam=lam, steps=STEPS, generator=np.random.default_rng(0)
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("t", "others", "lam", "message"),
    [
        (1.0, [0.0, 2.0], -1e-4, "lam must be a finite number of at least 0, got -0.0001"),
        (1.0, [0.0, 2.0], math.nan, "lam must be a finite number of at least 0, got nan"),
        (1.0, [0.0, 2.0], math.inf, "lam must be a finite number of at least 0, got inf"),
        (1.0, [], 0.1, r"others must be a line of at least one neuron, got shape \(0,\); flatten"),
        (1.0, [[0.0, 2.0]], 0.1, r"others must be a line of at least one neuron, got shape \(1, 2\)"),
        (1.0, 0.0, 0.1, r"others must be a line of at least one neuron, got shape \(\)"),
        ([1.0, 2.0], [0.0], 0.1, r"t must be one neuron, got shape \(2,\); fit the neurons one at a time"),
        (1.0, [0.0, math.nan], 0.1, "t and others must be finite, got nan or inf"),
        (math.inf, [0.0, 2.0], 0.1, "t and others must be finite, got nan or inf"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_channels_are_refused(name, t, others, lam, message):
    with pytest.raises(ValueError, match=message):
        CALLS[name](t, np.array(others), lam=lam)


@pytest.mark.parametrize("name", MINIMUM)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_valley_without_a_lowest_point_is_refused(name, value):
    message = "lam must be positive where t equals every other neuron, got lam = 0"
    with pytest.raises(ValueError, match=message):
        MINIMUM[name](value, np.full(7, value), lam=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.0}, "step must be positive and finite, got 0.0; steps below largest_stable_step"),
        ({"step": math.nan}, "step must be positive and finite, got nan"),
        ({"tolerance": -1.0}, "tolerance must be positive and finite, got -1.0"),
        ({"max_iterations": 0}, "max_iterations must be positive and finite, got 0"),
        ({"start": (0.0, math.inf)}, r"start must be a finite weight and bias, got \(0.0, inf\)"),
        ({"start": (0.0,)}, r"start must be a finite weight and bias, got \(0.0,\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_options_of_the_descent_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        solvers.descend(*channel(), lam=1e-4, **options)
