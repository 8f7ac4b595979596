"""The solvers, by steps and by expectation, against the closed form, differences, theory and bad input."""

import math
from functools import partial
from itertools import pairwise

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
    ("solve", "rel"),
    # The line search of BFGS reaches about half of the digits.
    [(solvers.solve_linear, 1e-8), (solvers.solve_newton, 1e-8), (solvers.solve_bfgs, 1e-6)],
)
def test_solvers_agree_with_the_closed_form_on_many_channels(solve, rel):
    rng = np.random.default_rng(2021)
    for _ in range(200):
        t, others, lam = random_channel(rng)
        fit = solve(t, others, lam=lam)
        where = f"M = {others.size + 1}, t = {t}, lam = {lam}"
        assert fit.energy == pytest.approx(closed_form(t, others, lam), rel=rel, abs=0), where
        assert fit.converged or solve is solvers.solve_bfgs, where


@by_solver
def test_every_solver_finds_the_optimal_weight_and_bias_by_a_path_from_zero(solve):
    t, others = channel()
    fit = solve(t, others, lam=0.05)
    expected = energy.optimal_weight_bias(t, others.mean(), others.var(), lam=0.05)
    assert fit.converged
    np.testing.assert_allclose((fit.w, fit.b), expected, rtol=1e-6)
    assert fit.energy == pytest.approx(energy.neuron_energy(fit.w, fit.b, t, others, lam=0.05), rel=1e-9)
    if solve is solvers.solve_linear:
        assert (fit.iterations, fit.path) == (0, None), "it is direct"
        return
    assert fit.iterations == 1 or solve is not solvers.solve_newton
    assert fit.path.shape == (fit.iterations + 1, 2)
    np.testing.assert_allclose(fit.path[-1], (fit.w, fit.b))
    np.testing.assert_allclose(fit.path[0], 0.0, atol=0)


@by_solver
@pytest.mark.parametrize(("t", "others", "w"), [(2.0, [-1.0], 0.6), (3.0, [3.0] * 5, 0.0)])
def test_one_other_and_a_constant_channel_are_solved(solve, t, others, w):
    assert solve(t, np.array(others), lam=0.5).w == pytest.approx(w, rel=1e-6, abs=1e-12)


def test_the_shift_keeps_the_digits_far_from_zero():
    t, others = channel(offset=1e7)
    expected = closed_form(t - 1e7, others - 1e7, 1e-4)
    assert solvers.solve_linear(t, others, lam=1e-4).energy == pytest.approx(expected, rel=1e-7)


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


def test_descent_follows_the_gradient():
    t, others = channel()
    fit = solvers.descend(t, others, lam=0.05, step=0.01, max_iterations=3)
    for before, after in pairwise(fit.path):
        gradient = solvers.energy_gradient(*before, t, others, lam=0.05)
        np.testing.assert_allclose(after, before - 0.01 * gradient, rtol=1e-12)
    assert (fit.iterations, fit.converged) == (3, False)


@pytest.mark.parametrize("offset", [0.0, 3.0])
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


def test_condition_number_and_stable_step_are_those_of_the_eigenvalues_and_right_where_routines_fail():
    t, others = channel(5)
    small, large = np.linalg.eigvalsh(solvers.energy_hessian(t, others, lam=0.2))
    assert solvers.condition_number(t, others, lam=0.2) == pytest.approx(large / small, rel=1e-10)
    assert solvers.largest_stable_step(t, others, lam=0.2) == pytest.approx(2 / large, rel=1e-12)
    t, others = channel(offset=1e6)
    determinant = 4 * ((t - others.mean()) ** 2 + 2 * others.var() + 2e-4)
    trace = np.trace(solvers.energy_hessian(t, others, lam=1e-4))
    assert solvers.condition_number(t, others, lam=1e-4) == pytest.approx(trace**2 / determinant, rel=1e-6)


LAM = 0.05  # of all that is stochastic


def crowd(seed=0, *, size=12):
    return 2.5, np.random.default_rng(seed).normal(0.5, 1.0, size - 1)


def limit(t, others):
    return solvers.largest_mean_square_step(t, others, lam=LAM)


def test_a_step_follows_the_gradient_of_the_neuron_drawn():
    t, others = crowd()
    steps, generator = np.array([0.1, 0.02]), np.random.default_rng(1)
    path = solvers.descend_stochastically(
        t, others, lam=LAM, steps=steps, generator=generator, runs=50, start=(1.0, -1.0)
    )
    np.testing.assert_array_equal(path[:, 0], np.full((50, 2), (1.0, -1.0)))
    for k, step in enumerate(steps):
        for before, after in zip(path[:, k], path[:, k + 1], strict=True):
            slopes = [solvers.energy_gradient(*before, t, x, lam=LAM) for x in others[:, None]]
            residuals = np.abs((before - after) / step - slopes).max(axis=1)
            assert residuals.min() < 1e-12, "the step must be that of one of the neurons"


def test_every_neuron_is_drawn_equally_often():
    t, others = crowd(size=5)
    path = solvers.descend_stochastically(
        t, others, lam=LAM, steps=np.array([0.1]), generator=np.random.default_rng(2), runs=20_000
    )
    mean_step = (path[:, 0] - path[:, 1]).mean(axis=0) / 0.1
    expected = solvers.energy_gradient(0.0, 0.0, t, others, lam=LAM)
    np.testing.assert_allclose(mean_step, expected, atol=0.1)


def test_the_expected_excess_is_the_mean_over_all_sequences():
    """Three steps on three others: 27 equally likely paths, each followed to its end."""
    t, others, steps = 1.5, np.array([-1.0, 0.2, 0.9]), (0.1, 0.05, 0.2)
    ends = [np.zeros(2)]
    for step in steps:
        ends = [p - step * solvers.energy_gradient(*p, t, x, lam=LAM) for p in ends for x in others[:, None]]
    least = solvers.solve_linear(t, others, lam=LAM).energy
    expected = np.mean([energy.neuron_energy(*p, t, others, lam=LAM) for p in ends]) - least
    found = solvers.expected_excess(t, others, lam=LAM, steps=np.array(steps))
    assert found.shape == (4,)
    assert found[[0, -1]] == pytest.approx([2.0 - least, expected], rel=1e-10)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_the_expected_excess_ends_on_the_noise_floor(share):
    t, others = crowd(1)
    step = share * limit(t, others)
    excess = solvers.expected_excess(t, others, lam=LAM, steps=np.full(4000, step))
    assert excess[-1] == pytest.approx(solvers.noise_floor(t, others, lam=LAM, step=step), rel=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_the_mean_energy_is_bounded_below_the_limit_and_grows_above(seed):
    t, others = crowd(seed)
    edge = limit(t, others)
    assert edge < solvers.largest_stable_step(t, others, lam=LAM)
    below, above = (
        solvers.expected_excess(t, others, lam=LAM, steps=np.full(3000, f * edge)) for f in (0.99, 1.01)
    )
    assert below[-1] == pytest.approx(below[-500], rel=1e-3)
    assert above[-1] > 100 * above[-500]


STEPS = np.array([0.01, 0.01])
SAMPLED = partial(solvers.descend_stochastically, steps=STEPS, generator=np.random.default_rng(0))
EXCESS, FLOOR = partial(solvers.expected_excess, steps=STEPS), partial(solvers.noise_floor, step=0.01)
ANY_LAM = [partial(solvers.energy_gradient, 0.1, 0.2), solvers.energy_hessian, SAMPLED]
MINIMUM = [*SOLVERS, solvers.largest_stable_step, solvers.condition_number, EXCESS, FLOOR]
MINIMUM += [solvers.largest_mean_square_step]
NO_CHANNEL = [
    *((1.0, [0.0, 2.0], lam, "lam must be a finite number of at least 0") for lam in (-1e-4, math.nan)),
    *((1.0, others, 0.1, "others must be a line of at least one finite number")
      for others in ([], [[0.0, 2.0]], 0.0, [0.0, math.nan])),
    *((t, [0.0, 2.0], 0.1, "t must be a finite number") for t in (math.inf, [1.0, 2.0])),
]  # fmt: skip
VALLEYS = [(v, [v] * 7, 0.0, "lam must be positive where t equals") for v in (0.0, 0.1, 1e6 / 3)]
OPTIONS = [
    *((solvers.descend, {"step": step}, "step must be a finite positive") for step in (0.0, math.nan)),
    (solvers.descend, {"max_iterations": 0}, "max_iterations must be a whole number of at least 1"),
    *((SAMPLED, {"start": (0.0, bad)}, "start must be a finite number") for bad in (math.inf, math.nan)),
    *((call, {"steps": steps}, "steps must be a line of finite numbers of at least 0, got")
      for call in (EXCESS, SAMPLED) for steps in (np.array([0.1, -0.1]), np.array([math.nan]))),
    *((partial(solvers.energy_gradient, *line), {}, f"{name} must be a finite number")
      for line, name in (((math.nan, 0.2), "w"), ((0.1, math.inf), "b"))),
    (SAMPLED, {"start": (0.5,)}, "start must be a weight and a bias"),
    (SAMPLED, {"runs": 0}, "runs must be a whole number of at least 1"),
    *((solvers.noise_floor, {"step": share * limit(*channel())}, "step must be positive and below")
      for share in (0.0, 1.0001, math.nan)),
]  # fmt: skip
REFUSED = [
    *((call, *row[:2], {"lam": row[2]}, row[3]) for call in (*MINIMUM, *ANY_LAM) for row in NO_CHANNEL),
    *((call, *row[:2], {"lam": row[2]}, row[3]) for call in MINIMUM for row in VALLEYS),
    *((call, *channel(), {"lam": 0.05} | options, message) for call, options, message in OPTIONS),
]


@pytest.mark.parametrize(("call", "t", "others", "options", "message"), REFUSED)
def test_bad_channels_valleys_without_a_minimum_and_bad_options_are_refused(
    call, t, others, options, message
):
    with pytest.raises(ValueError, match=message):
        call(t, np.array(others), **options)
