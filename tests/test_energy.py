"""The numpy oracle against sums written out, limits and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simam_edu import energy


def maps(
    seed: int, shape: tuple[int, ...] = (2, 3, 5, 4), loc: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    return np.random.default_rng(seed).normal(loc, scale, shape)


def energy_by_loop(w: float, b: float, t: float, others: list[float], lam: float) -> float:
    """Eq. (2), written as it is printed."""
    total = 0.0
    for x in others:
        total += (-1 - (w * x + b)) ** 2
    return total / len(others) + (1 - (w * t + b)) ** 2 + lam * w**2


def importance_by_loop(channel: np.ndarray, lam: float) -> np.ndarray:
    """M fits, one neuron at a time, from the definitions alone."""
    flat = channel.ravel()
    found = np.empty_like(flat)
    for i, t in enumerate(flat):
        others = np.delete(flat, i)
        w, b = energy.optimal_weight_bias(t, others.mean(), others.var(), lam=lam)
        found[i] = 1.0 / energy_by_loop(float(w), float(b), t, list(others), lam)
    return found.reshape(channel.shape)


def test_energy_is_the_printed_sum() -> None:
    others = maps(0, (7,))
    expected = energy_by_loop(0.7, -0.3, 1.9, list(others), 0.01)
    assert energy.neuron_energy(0.7, -0.3, 1.9, others, lam=0.01) == pytest.approx(expected, rel=1e-14)


def test_energy_broadcasts_over_leading_axes() -> None:
    others = maps(1, (4, 6, 9))
    w, b, t = maps(2, (4, 6)), maps(3, (4, 6)), maps(4, (4, 6))
    together = energy.neuron_energy(w, b, t, others, lam=0.1)
    for i, j in itertools.product(range(4), range(6)):
        alone = energy_by_loop(w[i, j], b[i, j], t[i, j], list(others[i, j]), 0.1)
        assert together[i, j] == pytest.approx(alone, rel=1e-13)


@pytest.mark.parametrize("lam", [1e-6, 1e-2, 1.0])
def test_closed_form_beats_every_neighbor(lam: float) -> None:
    others, t = maps(5, (30,)), 1.4
    w, b = energy.optimal_weight_bias(t, others.mean(), others.var(), lam=lam)
    least = energy.neuron_energy(w, b, t, others, lam=lam)
    assert least == pytest.approx(energy.minimal_energy(t, others.mean(), others.var(), lam=lam), rel=1e-12)
    for dw, db in itertools.product((-1e-3, 0, 1e-3), repeat=2):
        if dw or db:
            assert energy.neuron_energy(w + dw, b + db, t, others, lam=lam) > least


def test_printed_sign_of_eq_3_is_not_the_minimum() -> None:
    others, t, lam = maps(6, (30,)), 1.4, 1e-2
    mu, var = others.mean(), others.var()
    w, _ = energy.optimal_weight_bias(t, mu, var, lam=lam)
    printed = energy.neuron_energy(-w, 0.5 * (t + mu) * w, t, others, lam=lam)
    extra = 8 * (t - mu) ** 2 / ((t - mu) ** 2 + 2 * var + 2 * lam)
    assert printed - energy.minimal_energy(t, mu, var, lam=lam) == pytest.approx(extra, rel=1e-12)


@pytest.mark.parametrize("ddof", [0, 1])
def test_channel_statistics_are_numpys(ddof: int) -> None:
    x = maps(7)
    mu, var = energy.channel_statistics(x, ddof=ddof)
    assert mu.shape == var.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(mu[..., 0, 0], x.mean(axis=(2, 3)), rtol=1e-13)
    np.testing.assert_allclose(var[..., 0, 0], x.var(axis=(2, 3), ddof=ddof), rtol=1e-13)


def test_leave_one_out_statistics_are_those_of_the_others() -> None:
    x = maps(8)
    mu_t, var_t = energy.leave_one_out_statistics(x)
    for lead in np.ndindex(x.shape[:2]):
        flat = x[lead].ravel()
        for i in range(flat.size):
            others = np.delete(flat, i)
            assert mu_t[lead].ravel()[i] == pytest.approx(others.mean(), rel=1e-11, abs=1e-13)
            assert var_t[lead].ravel()[i] == pytest.approx(others.var(), rel=1e-11)


@pytest.mark.parametrize("lam", [0.0, 1e-4, 0.5])
def test_leave_one_out_importance_is_m_fits(lam: float) -> None:
    x = maps(9, (5, 4), loc=3.0)
    np.testing.assert_allclose(
        energy.importance(x, lam=lam, statistics="leave_one_out"), importance_by_loop(x, lam), rtol=1e-11
    )


@pytest.mark.parametrize(("statistics", "ddof"), [("shared", 1), ("population", 0)])
def test_shared_importance_is_the_inverse_of_eq_5(statistics: energy.Statistics, ddof: int) -> None:
    x = maps(10)
    mu, var = energy.channel_statistics(x, ddof=ddof)
    expected = 1.0 / energy.minimal_energy(x, mu, var, lam=1e-3)
    np.testing.assert_allclose(energy.importance(x, lam=1e-3, statistics=statistics), expected, rtol=1e-12)


def test_the_three_statistics_differ() -> None:
    x = maps(11, (4, 4))
    found = [energy.importance(x, statistics=s) for s in ("shared", "population", "leave_one_out")]
    for one, other in itertools.combinations(found, 2):
        assert np.abs(one - other).max() > 1e-3


def test_gain_is_the_sigmoid_of_the_importance() -> None:
    x = maps(12)
    np.testing.assert_allclose(energy.gain(x), 1 / (1 + np.exp(-energy.importance(x))), rtol=1e-15)
    assert energy.gain(x).min() >= 1 / (1 + np.exp(-0.5))
    assert energy.gain(x).max() < 1


@given(
    scale=st.floats(1e-150, 1e150),
    offset=st.floats(-1e6, 1e6),
    seed=st.integers(0, 2**32 - 1),
    statistics=st.sampled_from(["shared", "population", "leave_one_out"]),
)
@settings(max_examples=60, deadline=None)
def test_importance_is_unchanged_by_scale_and_offset_at_lam_zero(
    scale: float, offset: float, seed: int, statistics: energy.Statistics
) -> None:
    x = np.round(maps(seed, (4, 4)) * 2**20) / 2**20  # so that the offset below rounds nothing away
    x[0, 0] += 1.0
    moved = scale * (x + np.round(offset))
    np.testing.assert_allclose(
        energy.importance(moved, lam=0, statistics=statistics),
        energy.importance(x, lam=0, statistics=statistics),
        rtol=1e-6,
    )


@given(seed=st.integers(0, 2**32 - 1), side=st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_mean_importance_is_a_fixed_budget(seed: int, side: int) -> None:
    x, neurons = maps(seed, (side, side)), side * side
    budget = 0.5 + (neurons - 1) / (4 * neurons)
    assert energy.importance(x, lam=0).mean() == pytest.approx(budget, rel=1e-12)


def test_large_mean_loses_no_digits() -> None:
    spread = np.round(maps(13, (8, 8)) * 2**20) / 2**20  # 1e8 + spread is then exact in float64
    np.testing.assert_allclose(energy.importance(spread + 2.0**27), energy.importance(spread), rtol=1e-9)


@pytest.mark.parametrize("statistics", ["shared", "population", "leave_one_out"])
@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_constant_channel_has_importance_one_half(statistics: energy.Statistics, lam: float) -> None:
    np.testing.assert_array_equal(
        energy.importance(np.full((3, 3), 0.1), lam=lam, statistics=statistics), 0.5
    )


def test_lone_outlier_without_penalty_has_infinite_exact_importance() -> None:
    x = np.zeros((3, 3))
    x[1, 1] = 2.0
    exact = energy.importance(x, lam=0, statistics="leave_one_out")
    assert exact[1, 1] == np.inf
    assert energy.gain(x, lam=0, statistics="leave_one_out")[1, 1] == 1.0
    assert np.isfinite(energy.importance(x, lam=0)).all()


@pytest.mark.parametrize("value", [1e-320, 1e-200, 1e200, 1.7e308])
def test_extreme_scales_neither_overflow_nor_vanish(value: float) -> None:
    x = value * np.array([[1.0, -1.0], [0.5, 0.25]])
    expected = energy.importance(np.array([[1.0, -1.0], [0.5, 0.25]]), lam=0)
    np.testing.assert_allclose(energy.importance(x, lam=0), expected, rtol=1e-3 if value < 1e-300 else 1e-12)


@pytest.mark.parametrize("lam", [-1e-9, np.nan, np.inf])
def test_bad_lam_is_refused(lam: float) -> None:
    x = maps(14, (3, 3))
    for call in (
        lambda: energy.importance(x, lam=lam),
        lambda: energy.gain(x, lam=lam),
        lambda: energy.minimal_energy(1.0, 0.0, 1.0, lam=lam),
        lambda: energy.optimal_weight_bias(1.0, 0.0, 1.0, lam=lam),
        lambda: energy.neuron_energy(1.0, 0.0, 1.0, x, lam=lam),
    ):
        with pytest.raises(ValueError, match="lam must be a finite number of at least 0"):
            call()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 1, 1)), "at least two neurons"),
        (np.zeros(5), "at least two neurons"),
        (np.zeros((2, 2), dtype=complex), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
    ],
)
def test_bad_maps_are_refused(x: np.ndarray, message: str) -> None:
    for call in (
        energy.importance,
        energy.gain,
        energy.leave_one_out_statistics,
        lambda x: energy.channel_statistics(x, ddof=1),
    ):
        with pytest.raises(ValueError, match=message):
            call(x)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="statistics must be one of"):
        energy.importance(np.eye(2), statistics="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ddof must be 0 or 1"):
        energy.channel_statistics(np.eye(2), ddof=2)
    with pytest.raises(ValueError, match="others must hold at least one"):
        energy.neuron_energy(1.0, 0.0, 1.0, np.zeros((3, 0)), lam=0.1)
    with pytest.raises(ValueError, match="var must be finite and at least 0"):
        energy.minimal_energy(1.0, 0.0, -1.0, lam=0.1)
    for call in (energy.minimal_energy, energy.optimal_weight_bias):
        with pytest.raises(ValueError, match="no minimum is unique"):
            call(1.0, 1.0, 0.0, lam=0.0)


def test_integers_are_taken_as_numbers() -> None:
    np.testing.assert_array_equal(
        energy.gain(np.arange(9).reshape(3, 3)), energy.gain(np.arange(9.0).reshape(3, 3))
    )


def test_empty_batch_stays_empty() -> None:
    assert energy.gain(np.zeros((0, 3, 4, 4))).shape == (0, 3, 4, 4)
