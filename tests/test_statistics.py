"""The statistics of a study: against other ways to compute them, and against simulated studies."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from simam_edu.experiments.statistics import estimate, holm, power, runs_needed, welch


def intervals_agree(found, test, level=0.95):
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(level)))


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_and_the_test_are_those_of_student_paired_and_of_welch(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 2.0, size=seed + 2)
    for level in (0.9, 0.95):
        found = estimate(values, level=level)
        assert (found.n, found.mean) == (len(values), pytest.approx(values.sum() / len(values)))
        std = np.sqrt(np.sum((values - values.mean()) ** 2) / (len(values) - 1))
        assert found.std == pytest.approx(std)
        intervals_agree(found, stats.ttest_1samp(values, 0.0), level)
    assert estimate(values).clear == (estimate(values).p < 0.05)
    assert not estimate([values[0]] * 2).clear, "no spread says nothing"
    a, b = rng.normal(92.0, 0.1, 5), rng.normal(92.2, 0.4, 5)
    intervals_agree(estimate(a - b), stats.ttest_rel(a, b))
    found = welch(a.mean(), a.std(ddof=1), b.mean(), b.std(ddof=1), n=5)
    assert found.mean == pytest.approx(a.mean() - b.mean())
    intervals_agree(found, stats.ttest_ind(a, b, equal_var=False))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_holds_the_truth_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    found = [estimate(values) for values in rng.normal(0.3, 0.2, (1000, n))]
    held = np.mean([e.low <= 0.3 <= e.high for e in found])
    assert abs(held - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 1000)


@pytest.mark.parametrize("values", [[2.5], [0.5] * 3, [0.3] * 3, [0.1] * 10, [0.0, 0.0]])
def test_one_value_and_values_without_spread_are_not_tested(values):
    found = estimate(values)
    assert (found.mean, found.p) == (pytest.approx(values[0]), None)
    if len(values) == 1:
        assert (found.std, found.low, found.high, found.clear) == (None, None, None, False)
    else:
        assert found.std == 0.0
        assert found.low == found.high == pytest.approx(values[0])
    assert welch(92.0, 0.0, 91.0, 0.0, n=5).p is None


TABLE = {"mean": 92.0, "std": 0.1, "other_mean": 91.0, "other_std": 0.1, "n": 5}
PLAN = {"delta": 0.3, "std": 0.2}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        *((estimate, {"values": bad}) for bad in ([], [1.0, np.nan], [np.inf], 1.0, [[1.0]])),
        *((estimate, {"values": [1.0, 2.0], "level": bad}) for bad in (95, 0.0)),
        *((welch, TABLE | {name: bad}) for name, bad in (
            ("n", 1), ("std", -0.1), ("other_std", -0.1), ("mean", np.nan)
        )),
        *((holm, {"p_values": bad}) for bad in ([-0.1], [1.1], [0.5, np.nan])),
        *((runs_needed, PLAN | {name: bad}) for name, bad in (
            ("std", 0.0), ("std", np.nan), ("delta", np.inf), ("delta", 0.0), ("chance", 1.0),
            ("alpha", 0.0), ("delta", 1e-9),
        )),
        (power, PLAN | {"n": 1}),
    ],
)  # fmt: skip
def test_bad_values_tables_p_values_and_impossible_plans_are_refused(function, arguments):
    names = "|".join([*arguments, "means and standard deviations"])
    with pytest.raises(ValueError, match=rf"^({names}) must"):
        function(**arguments)


def by_closed_testing(p):
    """Holm's correction from its idea: a claim stands if every set of claims with it falls to Bonferroni."""
    every = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(every, size)]
    return [min(1.0, max(len(s) * min(p[k] for k in s) for s in sets if i in s)) for i in every]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.01, 0.04, 0.2, 1.0]) | st.floats(0.0, 1.0), max_size=7))
def test_holm_is_closed_testing_with_bonferroni(p):
    assert holm(p) == pytest.approx(by_closed_testing(p))


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_how_often_simulated_studies_find_it(paired):
    rng = np.random.default_rng(1)
    delta, std, n, studies = 0.3, 0.2, 4, 4000
    if paired:
        found = stats.ttest_1samp(rng.normal(delta, std, (studies, n)), 0.0, axis=1)
    else:
        a, b = rng.normal(delta, std, (studies, n)), rng.normal(0.0, std, (studies, n))
        found = stats.ttest_ind(a, b, axis=1)
    promised = power(delta, std, n=n, paired=paired)
    assert abs(np.mean(found.pvalue < 0.05) - promised) < 4 * np.sqrt(promised * (1 - promised) / studies)


@pytest.mark.parametrize(("delta", "n"), [(0.0, 3), (0.3, 2), (0.3, 5), (1.0, 4), (-0.3, 30)])
@pytest.mark.parametrize("paired", [True, False])
def test_power_is_the_integral_over_all_deviations_a_sample_may_have(delta, n, paired):
    """Given the sample's deviation the mean is normal; the deviation has a scaled chi distribution."""
    std, freedom = 0.4, n - 1 if paired else 2 * (n - 1)
    error = std / np.sqrt(n if paired else n / 2)
    threshold = stats.t.isf(0.025, freedom)

    def found(ratio):
        """The chance to be significant where the sample's deviation is `ratio` of the true one."""
        tails = stats.norm.sf([threshold * ratio - delta / error, threshold * ratio + delta / error])
        return tails.sum() * stats.chi.pdf(ratio * np.sqrt(freedom), freedom) * np.sqrt(freedom)

    assert power(0.0, std, n=n, alpha=0.02) == pytest.approx(0.02)
    expected, _ = integrate.quad(found, 0.0, np.inf, epsabs=1e-10)
    assert power(delta, std, n=n, paired=paired) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    ratio=st.floats(0.01, 200.0),
    chance=st.floats(0.1, 0.99),
    alpha=st.floats(0.001, 0.2),
    paired=st.booleans(),
)
def test_runs_needed_are_enough_and_one_less_is_not(ratio, chance, alpha, paired):
    n = runs_needed(ratio, 1.0, chance=chance, paired=paired, alpha=alpha)
    assert chance <= power(ratio, 1.0, n=n, paired=paired, alpha=alpha) <= 1.0 + 1e-12
    assert n == 2 or power(ratio, 1.0, n=n - 1, paired=paired, alpha=alpha) < chance
