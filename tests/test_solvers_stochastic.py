"""Stochastic descent against its expectation, the exact means against sampling and theory, and bad input."""

import math

import numpy as np
import pytest

from simam_edu import energy, solvers

LAM = 0.05


def channel(seed=0, *, size=12):
    rng = np.random.default_rng(seed)
    return 2.5, rng.normal(0.5, 1.0, size - 1)


def constant(step, count):
    return np.full(count, step)


def limit(t, others):
    return solvers.largest_mean_square_step(t, others, lam=LAM)


def test_a_step_follows_the_gradient_of_the_neuron_drawn():
    t, others = channel()
    path = solvers.descend_stochastically(
        t, others, lam=LAM, steps=np.array([0.1, 0.02]), generator=np.random.default_rng(1), runs=50
    )
    assert path.shape == (50, 3, 2)
    for k, step in enumerate((0.1, 0.02)):
        for before, after in zip(path[:, k], path[:, k + 1], strict=True):
            slopes = [solvers.energy_gradient(*before, t, x, lam=LAM) for x in others[:, None]]
            residuals = np.abs((before - after) / step - slopes).max(axis=1)
            assert residuals.min() < 1e-12, "the step must be that of one of the neurons"


def test_every_neuron_is_drawn_equally_often():
    t, others = channel(size=5)
    path = solvers.descend_stochastically(
        t, others, lam=LAM, steps=np.array([0.1]), generator=np.random.default_rng(2), runs=20_000
    )
    mean_step = (path[:, 0] - path[:, 1]).mean(axis=0) / 0.1
    expected = solvers.energy_gradient(0.0, 0.0, t, others, lam=LAM)
    np.testing.assert_allclose(mean_step, expected, atol=0.1)


def test_the_same_generator_gives_the_same_path():
    options = {"lam": LAM, "steps": constant(0.01, 20), "start": (1.0, -1.0)}
    paths = [
        solvers.descend_stochastically(*channel(), generator=np.random.default_rng(3), **options)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*paths)
    np.testing.assert_array_equal(paths[0][0, 0], (1.0, -1.0))


def test_with_one_other_it_is_gradient_descent():
    t, others = 2.0, np.array([-0.5])
    step = 0.5 * solvers.largest_stable_step(t, others, lam=LAM)
    descent = solvers.descend(t, others, lam=LAM, step=step, max_iterations=30)
    path = solvers.descend_stochastically(
        t, others, lam=LAM, steps=constant(step, descent.iterations), generator=np.random.default_rng(0)
    )
    np.testing.assert_allclose(path[0], descent.path, rtol=1e-10)
    least = solvers.solve_linear(t, others, lam=LAM).energy
    excess = solvers.expected_excess(t, others, lam=LAM, steps=constant(step, descent.iterations))
    expected = energy.neuron_energy(*descent.path.T, t, others, lam=LAM) - least
    np.testing.assert_allclose(excess, expected, atol=1e-12)
    assert solvers.noise_floor(t, others, lam=LAM, step=step) == pytest.approx(0.0, abs=1e-15)
    assert limit(t, others) == pytest.approx(solvers.largest_stable_step(t, others, lam=LAM), rel=1e-9)


def test_the_expected_excess_is_the_mean_over_all_sequences():
    """Three steps on three others: 27 equally likely paths, each followed to its end."""
    t, others, steps = 1.5, np.array([-1.0, 0.2, 0.9]), (0.1, 0.05, 0.2)
    ends = [np.array([0.3, -0.4])]
    for step in steps:
        ends = [p - step * solvers.energy_gradient(*p, t, x, lam=LAM) for p in ends for x in others[:, None]]
    assert len(ends) == 27
    least = solvers.solve_linear(t, others, lam=LAM).energy
    expected = np.mean([energy.neuron_energy(*p, t, others, lam=LAM) for p in ends]) - least
    found = solvers.expected_excess(t, others, lam=LAM, steps=np.array(steps), start=(0.3, -0.4))
    assert found.shape == (4,)
    assert found[-1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_the_expected_excess_ends_on_the_noise_floor(share):
    t, others = channel(1)
    step = share * limit(t, others)
    excess = solvers.expected_excess(t, others, lam=LAM, steps=constant(step, 4000))
    assert excess[-1] == pytest.approx(solvers.noise_floor(t, others, lam=LAM, step=step), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_energy_is_bounded_below_the_limit_and_grows_above(seed):
    t, others = channel(seed)
    edge = limit(t, others)
    assert edge < solvers.largest_stable_step(t, others, lam=LAM)
    below, above = (
        solvers.expected_excess(t, others, lam=LAM, steps=constant(f * edge, 3000)) for f in (0.99, 1.01)
    )
    assert below[-1] == pytest.approx(below[-500], rel=1e-3)
    assert above[-1] > 100 * above[-500]


def test_small_steps_leave_a_quarter_of_step_times_noise():
    t, others = channel(2)
    best = solvers.solve_linear(t, others, lam=LAM)
    slopes = [solvers.energy_gradient(best.w, best.b, t, x, lam=LAM) for x in others[:, None]]
    expected = 1e-6 * np.var(slopes, axis=0).sum() / 4
    assert solvers.noise_floor(t, others, lam=LAM, step=1e-6) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [0.1, -0.1]}, "steps must be a line of finite numbers of at least 0, got"),
        ({"steps": [math.nan]}, "steps must be a line of finite numbers of at least 0, got"),
        ({"steps": 0.1}, "steps must be a line of finite numbers of at least 0, got 0.1; numpy.full"),
        ({"start": (0.0, math.nan)}, r"start must be a finite weight and bias, got \(0.0, nan\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_options_are_refused(options, message):
    options = {"lam": LAM, "steps": [0.1]} | options
    with pytest.raises(ValueError, match=message):
        solvers.expected_excess(*channel(), **options)
    with pytest.raises(ValueError, match=message):
        solvers.descend_stochastically(*channel(), generator=np.random.default_rng(0), **options)


def test_no_runs_are_refused():
    with pytest.raises(ValueError, match="runs must be at least 1, got 0"):
        solvers.descend_stochastically(
            *channel(), lam=LAM, steps=constant(0.1, 3), generator=np.random.default_rng(0), runs=0
        )


@pytest.mark.parametrize("share", [0.0, -1.0, 1.0001, math.nan])
def test_there_is_no_floor_for_a_step_that_does_not_settle(share):
    t, others = channel()
    with pytest.raises(ValueError, match=r"step must be positive and below .*, got .*; from there on"):
        solvers.noise_floor(t, others, lam=LAM, step=share * limit(t, others))
