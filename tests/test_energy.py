"""Laws of the energy over the whole range of float64, compared with exact rational arithmetic.

A float64 is a fraction, so every formula here has one exact value. pytest makes every warning of numpy an
error.
"""

import math
import sys
from fractions import Fraction
from functools import partial
from typing import cast, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simam_edu import energy

LARGEST, SMALLEST = Fraction(sys.float_info.max), Fraction(5e-324)
STATISTICS = get_args(energy.Statistics)
EXACT = 1e-12  # what a dozen roundings may cost, relative
HALF_GAIN = 1.0 / (1.0 + math.exp(-0.5))

reproducible = settings(max_examples=150, derandomize=True, deadline=None)
finite = st.floats(allow_nan=False, allow_infinity=False)
penalties = st.one_of(st.just(0.0), st.just(1e-4), st.floats(0.0, sys.float_info.max))
kinds = st.sampled_from(STATISTICS)
shapes = st.sampled_from([(1, 2), (2, 1), (1, 3), (2, 2), (1, 5), (2, 3), (3, 3), (3, 4)])


@st.composite
def channels(draw):
    """One channel of finite values of any magnitude."""
    shape = draw(shapes)
    steps = draw(arrays(np.int64, shape, elements=st.integers(-9, 9))).astype(float)
    kind = draw(st.sampled_from(["any", "mixed", "offset", "levels", "spike"]))
    if kind == "any":
        return draw(arrays(np.float64, shape, elements=finite))
    if kind == "mixed":
        return np.ldexp(steps, draw(arrays(np.int64, shape, elements=st.integers(-1074, 1020))))
    base = draw(finite)
    if kind == "offset":  # a few neighbors of one number: huge mean, least possible deviations
        return base + steps * (math.ulp(base) if abs(base) < sys.float_info.max / 2 else 0.0)
    if kind == "levels":
        return np.where(steps > 0, base, draw(finite))
    crowd = np.ldexp(steps, draw(st.integers(-1074, 900)))
    crowd[-1, -1] = base
    return crowd


@st.composite
def points(draw):
    """A target, a mean, a variance and a penalty with one minimum; t may be a neighbor of mu."""
    t, var, lam = draw(finite), draw(penalties), draw(penalties)
    mu = draw(st.one_of(finite, st.just(math.nextafter(t, 0.0)), st.just(t), st.just(-t)))
    return t, mu, var, 5e-324 if t == mu and var == lam == 0 else lam


any_channel = given(x=channels(), lam=penalties, statistics=kinds)


# Exact values


def fractions(x):
    return [Fraction(float(value)) for value in x.ravel()]


def exact_statistics(values, ddof):
    mu = sum(values, Fraction(0)) / len(values)
    return mu, sum(((value - mu) ** 2 for value in values), Fraction(0)) / (len(values) - ddof)


def exact_point_statistics(x, statistics):
    """The mean and variance that each neuron is compared with, from the definitions."""
    values = fractions(x)
    if statistics == "leave_one_out":
        return [exact_statistics(values[:i] + values[i + 1 :], 0) for i in range(len(values))]
    return [exact_statistics(values, 1 if statistics == "shared" else 0)] * len(values)


def exact_importance(x, lam, statistics):
    """The importance of each neuron, None where it is infinite; one half where t equals mu."""
    found = []
    for t, (mu, var) in zip(fractions(x), exact_point_statistics(x, statistics), strict=True):
        scale = var + Fraction(lam)
        squared = (t - mu) ** 2 / scale if scale else (None if t != mu else Fraction(0))
        found.append(None if squared is None else Fraction(1, 2) + squared / 4)
    return found


def agrees(found, exact, rel=EXACT, abs_=16 * SMALLEST):
    """Whether a float is the exact value up to rounding, and inf beyond the largest float."""
    if math.isinf(found):
        return exact is None or abs(exact) * (1 + Fraction(rel)) > LARGEST
    return exact is not None and abs(Fraction(float(found)) - exact) <= Fraction(rel) * abs(exact) + abs_


def assert_agree(found, exact, rel=EXACT):
    for index, (one, other) in enumerate(zip(found.ravel(), exact, strict=True)):
        shown = "inf" if other is None or other > LARGEST else float(other)
        assert agrees(float(one), other, rel), f"value {index} is {one!r}, exactly it is {shown}"


def statistics_of(x, statistics):
    if statistics == "leave_one_out":
        return energy.leave_one_out_statistics(x)
    return energy.channel_statistics(x, ddof=1 if statistics == "shared" else 0)


# Accuracy


@any_channel
@example(x=np.array([[2.0**1021, 0.0]]), lam=2.0**1018, statistics="leave_one_out")  # just below overflow
@example(
    x=np.array([[0.1, 0.3, 0.2, 1e10]]), lam=0.0, statistics="leave_one_out"
)  # a spike hides no variance
@reproducible
def test_importance_is_the_exact_one(x, lam, statistics):
    assert_agree(energy.importance(x, lam=lam, statistics=statistics), exact_importance(x, lam, statistics))


@given(x=channels(), statistics=kinds)
@example(x=np.array([[1.0, -0.9]]) * sys.float_info.max, statistics="leave_one_out")
@reproducible
def test_statistics_are_the_exact_ones_and_overflow_is_refused(x, statistics):
    means, variances = zip(*exact_point_statistics(x, statistics), strict=True)
    if max(variances) > LARGEST:
        with pytest.raises(ValueError, match="the variance of x must be at most"):
            statistics_of(x, statistics)
        return
    mu, var = (np.broadcast_to(found, x.shape) for found in statistics_of(x, statistics))
    assert_agree(var, variances)
    assert np.all(np.isfinite(mu)), "a mean lies between the values"
    slack = max(map(abs, fractions(x))) * Fraction(1e-15) + SMALLEST  # a rounding of the largest value
    for found, mean in zip(mu.ravel(), means, strict=True):
        assert agrees(float(found), mean, abs_=slack), f"the mean is {found!r}, exactly it is {float(mean)!r}"


@given(point=points())
@settings(reproducible, max_examples=300)
def test_weight_bias_and_minimal_energy_are_the_exact_ones(point):
    (t, mu, var, lam), at = map(Fraction, point), point[:3]
    denominator = (t - mu) ** 2 + 2 * var + 2 * lam
    least = float(energy.minimal_energy(*at, lam=point[3]))
    assert 0 <= least <= 2
    assert agrees(least, 4 * (var + lam) / denominator)
    weight = 2 * (t - mu) / denominator
    if abs(weight) > LARGEST:
        with pytest.raises(ValueError, match="exceeds the largest float64"):
            energy.optimal_weight_bias(*at, lam=point[3])
        return
    w_t, b_t = energy.optimal_weight_bias(*at, lam=point[3])
    assert agrees(float(w_t), weight)
    assert agrees(float(b_t), -(t + mu) / 2 * weight)


@given(w=finite, b=finite, t=finite, others=arrays(np.float64, 3, elements=finite), lam=penalties)
@example(w=1.0, b=0.0, t=0.0, others=np.full(3, 2.0**511.75), lam=0.0)  # the mean is a float, the sum is not
@example(w=1e160, b=0.0, t=0.0, others=np.zeros(3), lam=1e-100)  # the square of w is none
@reproducible
def test_neuron_energy_is_exact_up_to_rounding(w, b, t, others, lam):
    exact, slack = Fraction(lam) * Fraction(w) ** 2, Fraction(0)
    for x, label, weight in [(t, 1, Fraction(1)), *((x, -1, Fraction(1, 3)) for x in others)]:
        product = Fraction(w) * Fraction(float(x))
        residual = label - (product + Fraction(b))
        rounding = Fraction(1e-15) * (1 + abs(product) + abs(Fraction(b)))
        exact += weight * residual**2
        slack += weight * (2 * abs(residual) + rounding) * rounding
    found = float(energy.neuron_energy(w, b, t, others, lam=lam))
    if math.isinf(found):
        assert exact + slack > LARGEST * (1 - Fraction(EXACT))
    else:
        assert agrees(found, exact, abs_=slack + 16 * SMALLEST)


# Invariances


@given(
    x=shapes.flatmap(lambda shape: arrays(np.int64, shape, elements=st.integers(-(2**20), 2**20))),
    power=st.integers(-400, 400),
    sign=st.sampled_from([-1.0, 1.0]),
    offset=st.integers(-(2**40), 2**40),
    lam=st.floats(2.0**-200, 2.0**200),
    statistics=kinds,
    data=st.data(),
)
@reproducible
def test_scale_offset_and_order_play_no_part_if_the_penalty_is_scaled_too(
    x, power, sign, offset, lam, statistics, data
):
    order = data.draw(st.permutations(range(x.size)))
    moved = sign * np.ldexp(x + offset, power).ravel()[order].reshape(x.shape)
    found = energy.importance(moved, lam=math.ldexp(lam, 2 * power), statistics=statistics)
    expected = energy.importance(x, lam=lam, statistics=statistics)
    np.testing.assert_allclose(found.ravel(), expected.ravel()[order], rtol=EXACT)


# Bounds


@any_channel
@reproducible
def test_gain_is_the_sigmoid_of_the_importance_and_both_are_within_their_bounds(x, lam, statistics):
    found = energy.importance(x, lam=lam, statistics=statistics)
    gains = energy.gain(x, lam=lam, statistics=statistics)
    assert np.all(found >= 0.5)
    assert np.all((gains >= HALF_GAIN) & (gains <= 1))
    np.testing.assert_allclose(gains, 1 / (1 + np.exp(-found)), rtol=1e-15)


@given(value=finite, side=st.integers(2, 40), lam=penalties, statistics=kinds)
@reproducible
def test_constant_channels_have_one_half(value, side, lam, statistics):
    x = np.full((side, side + 1), value)
    np.testing.assert_array_equal(energy.importance(x, lam=lam, statistics=statistics), 0.5)
    mu, var = energy.channel_statistics(x, ddof=1)
    assert (mu.item(), var.item()) == (value, 0)


# Orderings


@given(x=channels(), lams=st.tuples(penalties, penalties), statistics=kinds)
@reproducible
def test_importance_grows_with_the_distance_from_the_mean_and_falls_with_the_penalty(x, lams, statistics):
    values = fractions(x)
    mu, _ = exact_statistics(values, 0)
    nearest_first = sorted(range(x.size), key=lambda i: abs(values[i] - mu))
    less, more = (energy.importance(x, lam=lam, statistics=statistics) for lam in sorted(lams))
    found = less.ravel()[nearest_first]
    assert np.all(found[1:] >= found[:-1] * (1 - EXACT))
    assert np.all(less >= more)


# Definitions, shapes and refusals


def maps(seed, shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_neuron_energy_is_the_printed_sum_and_broadcasts():
    others, w, b, t = maps(1, (4, 6, 9)), maps(2, (4, 6)), maps(3, (4, 6)), maps(4, (4, 6))
    together = energy.neuron_energy(w, b, t, others, lam=0.1)
    for at in np.ndindex(4, 6):
        of_others = sum((-1 - (w[at] * x + b[at])) ** 2 for x in others[at]) / 9
        alone = of_others + (1 - (w[at] * t[at] + b[at])) ** 2 + 0.1 * w[at] ** 2
        scalar = energy.neuron_energy(float(w[at]), b[at], t[at], others[at], lam=0.1)
        assert [together[at], scalar] == pytest.approx([alone, alone], rel=1e-13)


def test_integers_are_numbers_and_an_empty_batch_stays_empty():
    integers = np.arange(9).reshape(3, 3)
    np.testing.assert_array_equal(energy.gain(integers), energy.gain(integers.astype(float)))
    assert energy.gain(np.zeros((0, 3, 4, 4))).shape == (0, 3, 4, 4)
    shapes = [part.shape for part in energy.channel_statistics(np.zeros((2, 3, 4, 4)), ddof=0)]
    assert shapes == [(2, 3, 1, 1)] * 2


def test_channels_of_a_batch_do_not_touch_each_other():
    alone = np.array([[[5e-324, 0.0, 1e-310]], [[1e300, -1e300, 3e299]], [[1.0, 2.0, 9.0]]])
    for statistics in STATISTICS:
        together = energy.importance(alone, statistics=statistics)
        for found, x in zip(together, alone, strict=True):
            np.testing.assert_array_equal(found, energy.importance(x, statistics=statistics))


X, POINT = maps(14, (3, 3)), {"t": 1.0, "mu": 0.0, "var": 1.0}
OF_MAPS = [energy.importance, energy.gain, energy.leave_one_out_statistics,
           partial(energy.channel_statistics, ddof=1)]  # fmt: skip
OF_POINTS = [partial(f, **POINT, lam=0.1) for f in (energy.minimal_energy, energy.optimal_weight_bias)]
OF_A_LINE = partial(energy.neuron_energy, w=X[0], b=X[0], t=X[0], others=X, lam=0.1)
NOT_FINITE = [np.nan, np.inf, -np.inf]
REFUSED = [
    *((partial(f, lam=lam), "lam must be a finite number of at least 0")
      for f in (partial(energy.importance, X), partial(energy.gain, X), *OF_POINTS, OF_A_LINE)
      for lam in (-1e-9, np.nan, np.inf)),
    *((partial(f, x), message) for f in OF_MAPS for x, message in (
        (np.zeros((2, 3, 1, 1)), "at least two neurons"), (np.zeros(5), "at least two neurons"),
        (np.zeros((2, 2), dtype=complex), "real numbers"), (np.array([["a", "b"]]), "real numbers"),
        *((np.array([[1.0, bad]]), "x must be finite") for bad in NOT_FINITE))),
    *((partial(f, **{name: bad}), f"{name} must be finite")
      for f in OF_POINTS for name in POINT for bad in (*NOT_FINITE, [0.0, np.nan])),
    *((partial(f, var=-1.0), "var must be finite and at least 0") for f in OF_POINTS),
    *((partial(f, mu=1.0, var=0.0, lam=0.0), "no minimum is unique") for f in OF_POINTS),
    *((partial(OF_A_LINE, **{name: bad * np.ones(3)}), f"{name} must be finite")
      for name in ("w", "b", "t", "others") for bad in NOT_FINITE),
    (partial(OF_A_LINE, others=np.zeros(0)), "others must hold at least one"),
    (partial(energy.importance, X, statistics="mean"), "statistics must be one of shared, population, leave"),
    (partial(energy.channel_statistics, X, ddof=2), "ddof must be 0 or 1, got 2"),
    *((partial(energy.channel_statistics, np.array([x]), ddof=1), "got .* up to 1e[+]200; divide x by")
      for x in ([1e200, 0.0], [1e200, 0.0, 1e200])),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.usefixtures("unchecked")
def test_a_penalty_of_single_precision_counts_in_double():
    # The penalty over the square of the largest value, about 1e-44, is hardly a float32.
    x, lam = np.array([[1e20, 0.0, 0.0]]), cast(float, np.float32(1e-4))
    single, double = (energy.importance(x, lam=one, statistics="leave_one_out") for one in (lam, float(lam)))
    np.testing.assert_array_equal(single, double)
