"""The numpy oracle against sums written out, and what it refuses."""

import itertools
from typing import cast, get_args

import numpy as np
import pytest

from simam_edu import energy

STATISTICS = get_args(energy.Statistics)
CALLS = [energy.minimal_energy, energy.optimal_weight_bias]


def maps(seed, shape=(2, 3, 5, 4), loc=0.0):
    return np.random.default_rng(seed).normal(loc, 1.0, shape)


def energy_by_loop(w, b, t, others, lam):
    """Eq. (2), written as it is printed."""
    total = 0.0
    for x in others:
        total += (-1 - (w * x + b)) ** 2
    return total / len(others) + (1 - (w * t + b)) ** 2 + lam * w**2


def importance_by_loop(channel, lam):
    """M fits, one neuron at a time, from the definitions alone."""
    found = []
    for i, t in enumerate(channel.ravel()):
        others = np.delete(channel, i)
        w, b = energy.optimal_weight_bias(t, others.mean(), others.var(), lam=lam)
        found.append(1.0 / energy_by_loop(w, b, t, others, lam))
    return np.reshape(found, channel.shape)


def test_neuron_energy_is_the_printed_sum_and_broadcasts():
    others, w, b, t = maps(1, (4, 6, 9)), maps(2, (4, 6)), maps(3, (4, 6)), maps(4, (4, 6))
    together = energy.neuron_energy(w, b, t, others, lam=0.1)
    for at in np.ndindex(4, 6):
        alone = energy_by_loop(w[at], b[at], t[at], others[at], 0.1)
        assert together[at] == pytest.approx(alone, rel=1e-13)
        scalar = energy.neuron_energy(float(w[at]), b[at], t[at], others[at], lam=0.1)
        assert scalar == pytest.approx(alone, rel=1e-13)


@pytest.mark.parametrize("lam", [1e-6, 1e-2, 1.0])
def test_closed_form_is_below_every_neighbor_and_the_printed_sign_is_not(lam):
    others, t = maps(5, (30,)), 1.4
    mu, var = others.mean(), others.var()
    w, b = energy.optimal_weight_bias(t, mu, var, lam=lam)
    least = energy.minimal_energy(t, mu, var, lam=lam)
    assert energy.neuron_energy(w, b, t, others, lam=lam) == pytest.approx(least, rel=1e-12)
    for dw, db in set(itertools.product((-1e-3, 0, 1e-3), repeat=2)) - {(0, 0)}:
        assert energy.neuron_energy(w + dw, b + db, t, others, lam=lam) > least
    printed = energy.neuron_energy(-w, 0.5 * (t + mu) * w, t, others, lam=lam)
    extra = 8 * (t - mu) ** 2 / ((t - mu) ** 2 + 2 * var + 2 * lam)
    assert printed - least == pytest.approx(extra, rel=1e-12)


@pytest.mark.parametrize("ddof", [0, 1])
def test_channel_statistics_are_numpys(ddof):
    x = maps(7)
    mu, var = energy.channel_statistics(x, ddof=ddof)
    assert mu.shape == var.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(mu[..., 0, 0], x.mean(axis=(2, 3)), rtol=1e-13)
    np.testing.assert_allclose(var[..., 0, 0], x.var(axis=(2, 3), ddof=ddof), rtol=1e-13)


@pytest.mark.parametrize("lam", [0.0, 1e-4, 0.5])
def test_leave_one_out_importance_is_m_fits(lam):
    x = maps(9, (5, 4), loc=3.0)
    found = energy.importance(x, lam=lam, statistics="leave_one_out")
    np.testing.assert_allclose(found, importance_by_loop(x, lam), rtol=1e-11)


@pytest.mark.parametrize(("statistics", "ddof"), [("shared", 1), ("population", 0)])
def test_importance_is_the_inverse_of_eq_5(statistics, ddof):
    x = maps(10)
    expected = 1.0 / energy.minimal_energy(x, *energy.channel_statistics(x, ddof=ddof), lam=1e-3)
    np.testing.assert_allclose(energy.importance(x, lam=1e-3, statistics=statistics), expected, rtol=1e-12)


def test_the_three_statistics_differ():
    found = [energy.importance(maps(11, (4, 4)), statistics=statistics) for statistics in STATISTICS]
    for one, other in itertools.combinations(found, 2):
        assert np.abs(one - other).max() > 1e-3


def test_gain_is_the_sigmoid_of_the_importance():
    x = maps(12)
    np.testing.assert_allclose(energy.gain(x), 1 / (1 + np.exp(-energy.importance(x))), rtol=1e-15)
    assert energy.gain(x).max() < 1


def test_lone_outlier_without_penalty_has_infinite_leave_one_out_importance():
    x = np.zeros((3, 3))
    x[1, 1] = 2.0
    assert energy.importance(x, lam=0, statistics="leave_one_out")[1, 1] == np.inf
    assert energy.gain(x, lam=0, statistics="leave_one_out")[1, 1] == 1.0
    assert np.isfinite(energy.importance(x, lam=0)).all()


def test_integers_are_numbers_and_an_empty_batch_stays_empty():
    integers = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(energy.gain(integers), energy.gain(integers.astype(float)))
    assert energy.gain(np.zeros((0, 3, 4, 4))).shape == (0, 3, 4, 4)


def test_channels_of_a_batch_do_not_touch_each_other():
    alone = np.array([[[5e-324, 0.0, 1e-310]], [[1e300, -1e300, 3e299]], [[1.0, 2.0, 9.0]]])
    for statistics in STATISTICS:
        together = energy.importance(alone, statistics=statistics)
        for found, x in zip(together, alone, strict=True):
            np.testing.assert_array_equal(found, energy.importance(x, statistics=statistics))


X, Y = maps(14, (3, 3)), np.eye(2)
REFUSED = [
    *((lambda lam=lam, call=call: call(lam), "lam must be a finite number of at least 0")
      for lam in (-1e-9, np.nan, np.inf)
      for call in (
          lambda lam: energy.importance(X, lam=lam),
          lambda lam: energy.gain(X, lam=lam),
          lambda lam: energy.minimal_energy(1.0, 0.0, 1.0, lam=lam),
          lambda lam: energy.optimal_weight_bias(1.0, 0.0, 1.0, lam=lam),
          lambda lam: energy.neuron_energy(1.0, 0.0, 1.0, X, lam=lam))),
    *((lambda x=x, call=call: call(x), message)
      for x, message in (
          (np.zeros((2, 3, 1, 1)), "at least two neurons"), (np.zeros(5), "at least two neurons"),
          (np.zeros((2, 2), dtype=complex), "real numbers"), (np.array([["a", "b"]]), "real numbers"),
          (np.array([[1.0, np.nan]]), "x must be finite"), (np.array([[1.0, np.inf]]), "x must be finite"))
      for call in (energy.importance, energy.gain, energy.leave_one_out_statistics,
                   lambda x: energy.channel_statistics(x, ddof=1))),
    *((lambda values=values, call=call: call(*values, lam=0.1), message)
      for bad in (np.nan, np.inf, -np.inf)
      for values, message in (((bad, 0.0, 1.0), "t must be finite"),
                              (([0.0, 1.0], [0.0, bad], 1.0), "mu must be finite"),
                              ((0.0, 0.0, bad), "var must be finite and at least 0"))
      for call in CALLS),
    *((lambda call=call: call(1.0, 1.0, 0.0, lam=0.0), "no minimum is unique") for call in CALLS),
    *((lambda name=name, bad=bad: energy.neuron_energy(
        **{key: np.full(3, bad if key == name else 1.0) for key in "wbt"},
        others=np.full(3, bad if name == "others" else 1.0), lam=0.1), f"{name} must be finite")
      for name in ("w", "b", "t", "others") for bad in (np.nan, np.inf)),
    (lambda: energy.minimal_energy(1.0, 0.0, -1.0, lam=0.1), "var must be finite and at least 0"),
    (lambda: energy.importance(Y, statistics="mean"), "statistics must be one of shared, population, leave"),
    (lambda: energy.channel_statistics(Y, ddof=2), "ddof must be 0 or 1, got 2"),
    (lambda: energy.neuron_energy(1.0, 0.0, 1.0, np.zeros((3, 0)), lam=0.1), "others must hold at least one"),
    *((lambda x=x: energy.channel_statistics(np.array(x), ddof=1),
       r"must be at most 1.8e308, got .* up to 1e\+200; divide x by")
      for x in ([[1e200, 0.0]], [[1e200, 0.0, 1e200]])),
    (lambda: energy.leave_one_out_statistics(np.array([[1e200, 0.0, 0.0]])), "variance of x must be at most"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_importance_needs_no_variance_in_float64_and_one_other_has_none():
    assert np.isfinite(energy.importance(np.array([[1e200, 0.0, 1e200]]))).all()
    mu_t, var_t = energy.leave_one_out_statistics(np.array([[1e200, 0.0]]))
    np.testing.assert_array_equal([mu_t, var_t], [[[0.0, 1e200]], [[0.0, 0.0]]])


@pytest.mark.usefixtures("unchecked")
def test_a_penalty_of_single_precision_counts_in_double():
    # The penalty over the square of the largest value, about 1e-44, is hardly a float32.
    x, lam = np.array([[1e20, 0.0, 0.0]]), cast(float, np.float32(1e-4))
    single, double = (energy.importance(x, lam=one, statistics="leave_one_out") for one in (lam, float(lam)))
    np.testing.assert_array_equal(single, double)
