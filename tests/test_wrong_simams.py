"""The wrong SimAMs: each is what the book says it is, and is caught by the checks that it names."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from simam_edu import SimAM, energy
from simam_edu.exercises import wrong_simams
from simam_edu.mistakes import HINTS, OTHERS, PARTS, changed, gated, ten_lines
from simam_edu.wrong_simams import CHECKS, GALLERY, batches, caught, close, gains, right

SAMPLES = batches(np.random.default_rng(1))
NOISE = SAMPLES["noise"]
LAM = 1e-4
each = pytest.mark.parametrize("name", GALLERY)

# How far the gains of each exhibit are off on its batch, at least.
OFF = {
    "constant": 0.25,
    "no half": 0.12,
    "clamped": 0.08,
    "population": 0.03,
    "lambda twice": 0.03,
    "energy as gain": 0.4,
    "no keepdims": 0.05,
    "printed sign": 0.4,
    "whole batch": 0.2,
    "across channels": 0.2,
    "naive variance": 0.3,
    "half precision": 0.25,
}
CATCHING = {
    "constant": {"values"},
    "no half": {"floor", "flat", "budget", "values"},
    "clamped": {"values"},
    "population": {"budget", "values"},
    "lambda twice": {"values"},
    "energy as gain": {"floor", "flat", "budget", "values"},
    "no keepdims": {"uneven", "flat", "order", "alone", "budget", "values"},
    "printed sign": {"floor", "budget", "values"},
    "whole batch": {"flat", "alone", "budget", "values"},
    "across channels": {"flat", "alone", "budget", "values"},
    "naive variance": {"high"},
    "half precision": {"flat", "shift", "scale", "budget", "high", "values"},
}


def distance(name, batch):
    return float(np.abs(gains(GALLERY[name], SAMPLES[batch], LAM) - gains(right, SAMPLES[batch], LAM)).max())


@each
def test_an_exhibit_runs_and_is_off_on_its_batch(name):
    assert GALLERY[name](NOISE, LAM).shape == NOISE.shape
    assert distance(name, GALLERY[name].batch) > OFF[name]


@each
@pytest.mark.parametrize("seed", range(5))
def test_an_exhibit_is_caught_by_these_checks_and_no_others(name, seed):
    x = np.random.default_rng(seed).normal(size=NOISE.shape)
    found = {check for check, is_caught in caught(GALLERY[name], x).items() if is_caught}
    assert found == CATCHING[name]


def in_torch(x, lam):
    return SimAM(lam=lam)(torch.from_numpy(x.copy())).numpy()


def by_loop(x, lam):
    y = np.empty_like(x)
    for place in np.ndindex(x.shape[:2]):
        mean = math.fsum(x[place].ravel()) / x[place].size
        var = math.fsum((x[place].ravel() - mean) ** 2) / (x[place].size - 1)
        for k in np.ndindex(x.shape[2:]):
            d = (x[place][k] - mean) ** 2
            y[place][k] = x[place][k] / (1 + math.exp(-0.5 - (d and d / (4 * (var + lam)))))
    return y


@pytest.mark.parametrize("candidate", [right, in_torch, by_loop], ids=["oracle", "torch", "loop"])
def test_a_right_simam_passes_every_check(candidate):
    assert not any(caught(candidate, NOISE).values())


# A candidate for each check to fail: a check that let everything through would be none.
FAILING = {
    "shape": lambda x, lam: right(x, lam).ravel(),
    "finite": lambda x, lam: np.where(x > 2, np.nan, right(x, lam)),
    "uneven": GALLERY["no keepdims"],
    "floor": lambda x, _: 1.1 * x,
    "flat": lambda x, lam: x * (0.9 * energy.gain(x, lam=lam) + 0.1),
    "order": lambda x, lam: right(x, lam) * np.linspace(0.5, 1, len(x)).reshape(-1, 1, 1, 1),
    "alone": lambda x, lam: right(x, lam) / len(x),
    "shift": lambda x, _: x * expit(x),
    "scale": lambda x, lam: x * energy.gain(x, lam=lam + 0.1),
    "budget": lambda x, lam: x * energy.gain(x, lam=lam, statistics="leave_one_out"),
    "high": lambda x, lam: right(x.astype(np.float32).astype(np.float64), lam),
    "values": lambda x, _: right(x, 0.0),
}


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_can_fail_and_asks_a_question(check):
    assert caught(FAILING[check], NOISE)[check]
    assert CHECKS[check].__doc__.endswith("?")


def test_what_raises_is_caught_by_every_check():
    def stops(x, lam):
        raise RuntimeError(f"{x.shape}, {lam}")

    assert all(caught(stops, NOISE).values())


# What each exhibit computes, by code that is not its own.


def printed(x):
    """The gain by the energy of the line with the printed sign, from two others of the same moments."""
    mu, var = (float(value.squeeze()) for value in energy.channel_statistics(x, ddof=1))
    others = np.array([mu - math.sqrt(var), mu + math.sqrt(var)])
    w, b = energy.optimal_weight_bias(x, mu, var, lam=LAM)
    cost = energy.neuron_energy(-w, -b, x, others, lam=LAM)
    assert np.all(energy.neuron_energy(w, b, x, others, lam=LAM) < cost)
    return expit(1 / cost)


def one_wide_image(x):
    wide = energy.gain(np.concatenate(list(x), axis=-1), lam=LAM)
    return np.stack(np.split(wide, len(x), axis=-1))


def mean_importance(x):
    return energy.importance(x, lam=LAM).mean(axis=(-2, -1), keepdims=True) + 0 * x


BY_OTHER_CODE = {  # of each exhibit: batches, and its gains
    "constant": (["levels"], lambda x: expit(mean_importance(x))),
    "no half": (["noise"], lambda x: expit(energy.importance(x, lam=LAM) - 0.5)),
    "clamped": (["noise", "quiet"], lambda x: energy.gain(x, lam=0.0)),  # no penalty above the limit
    "population": (["noise", "small"], lambda x: energy.gain(x, lam=LAM, statistics="population")),
    "lambda twice": (["noise", "quiet"], lambda x: energy.gain(x, lam=2 * LAM)),
    "energy as gain": (["outlier"], lambda x: expit(1 / energy.importance(x, lam=LAM))),
    "printed sign": (["outlier"], printed),
    "whole batch": (["levels"], one_wide_image),
    "across channels": (
        ["levels"],
        lambda x: np.moveaxis(energy.gain(np.moveaxis(x, 1, -1)[..., None], lam=LAM)[..., 0], -1, 1),
    ),
    "naive variance": (["noise", "levels"], lambda x: energy.gain(x, lam=LAM)),  # until the mean is large
}
CASES = [(name, batch) for name, (batches, _) in BY_OTHER_CODE.items() for batch in batches]


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_an_exhibit_computes_what_is_said_of_it(name, batch):
    x = SAMPLES[batch]
    atol = 1e-11 if (name, batch) == ("naive variance", "levels") else 1e-12
    np.testing.assert_allclose(gains(GALLERY[name], x, LAM), BY_OTHER_CODE[name][1](x), rtol=0, atol=atol)


def test_a_clamp_has_no_variance_below_the_limit():
    x = 0.1 * SAMPLES["quiet"]
    mu, var = energy.channel_statistics(x, ddof=1)
    assert np.all(4 * var < LAM)
    np.testing.assert_allclose(
        gains(GALLERY["clamped"], x, LAM), expit((x - mu) ** 2 / LAM + 0.5), rtol=1e-12
    )


def test_without_the_axes_the_mean_is_that_of_image_row_and_channel_column():
    found = gains(GALLERY["no keepdims"], NOISE, LAM)
    for n, c, i, j in ((0, 0, 0, 0), (1, 2, 3, 4), (7, 0, 5, 5)):
        d = (NOISE[n, c, i, j] - NOISE[i, j].mean()) ** 2
        squares = [(NOISE[i, j, k, m] - NOISE[k, m].mean()) ** 2 for k in range(8) for m in range(8)]
        expected = expit(d / (4 * (math.fsum(squares) / 63 + LAM)) + 0.5)
        assert found[n, c, i, j] == pytest.approx(expected, rel=1e-12)


def test_without_the_axes_uneven_sizes_raise():
    with pytest.raises(ValueError, match="broadcast"):
        GALLERY["no keepdims"](NOISE[:2, :3], LAM)


def test_half_precision_is_coarse_until_the_sum_overflows_and_silent_then():
    assert distance("half precision", "noise") < 5e-3
    found = gains(GALLERY["half precision"], SAMPLES["loud"], LAM)
    np.testing.assert_allclose(found, expit(0.5), atol=1e-3)
    assert np.isnan(gains(GALLERY["half precision"], 20 * SAMPLES["loud"], LAM)).any()


# The list of mistakes that the exercise on the ten lines shares.


@pytest.mark.parametrize("batch", ["noise", "small", "levels", "quiet"])
def test_the_ten_lines_that_all_are_changes_of_are_right(batch):
    np.testing.assert_allclose(ten_lines(SAMPLES[batch], LAM), right(SAMPLES[batch], LAM), rtol=1e-12)


def test_what_is_changed_must_stand_there_once():
    for change in ("nowhere -> here", "axes -> axis"):
        with pytest.raises(ValueError, match="must stand once in the source, stands"):
            changed(ten_lines, change)


def test_every_hint_belongs_to_a_mistake_and_no_two_are_equal():
    assert {*OTHERS, *(name for part in PARTS for name, *_ in part)} == HINTS.keys()
    assert len(set(HINTS.values())) == len(HINTS)


# The rest of the module.


def test_the_right_one_is_the_oracle():
    np.testing.assert_array_equal(right(NOISE, LAM), NOISE * energy.gain(NOISE, lam=LAM))


def test_the_gate_is_the_sigmoid_of_scipy_and_does_not_overflow():
    importance = np.array([-1e300, -40.0, -1.0, 0.0, 0.5, np.inf])
    np.testing.assert_allclose(gated(np.full(6, -2.0), importance), -2 * expit(importance), atol=1e-15)


@pytest.mark.parametrize("bad", [0.5 + 2e-6, np.nan, np.inf])
def test_close_is_a_millionth_and_nothing_else(bad):
    assert close(np.array([0.5, 0.5 + 5e-7]), 0.5)
    assert not close(np.array([0.5, bad]), 0.5)


def test_batches_are_what_their_names_say():
    again = batches(np.random.default_rng(1))
    assert all(np.array_equal(again[name], x) for name, x in SAMPLES.items())
    assert set(NOISE.shape) == {8}
    assert SAMPLES["small"].shape[-2:] == (2, 2)
    assert SAMPLES["quiet"].var() == pytest.approx(LAM, rel=0.2)
    assert SAMPLES["high"].mean() == pytest.approx(1e8)
    assert np.ptp(SAMPLES["levels"].mean(axis=(-2, -1))) > 5
    assert energy.importance(SAMPLES["outlier"]).max() > 8
    assert (SAMPLES["loud"] ** 2).sum(axis=(-2, -1)).min() > np.finfo(np.float16).max.astype(float)
    assert all(np.all(x != 0) for x in SAMPLES.values()), "gains are read off as quotients"


@each
def test_an_exhibit_shows_its_source(name):
    source = GALLERY[name]._repr_markdown_()
    assert source.startswith(f"```python\ndef {GALLERY[name].function.__name__}(x: Maps, lam: float)")
    assert source.endswith("\n```")
    assert len(source.splitlines()) <= 13, "an exhibit is a few lines"
    assert repr(GALLERY[name]) in source


# The exercises of the page.


def test_the_mystery_is_on_the_wall_and_caught_by_values_alone():
    assert [key for key, found in caught(wrong_simams.mystery, NOISE).items() if found] == ["values"]
    assert np.array_equal(wrong_simams.mystery(NOISE, 0.1), GALLERY[wrong_simams.MYSTERY](NOISE, 0.1))


def test_repaired_gains_are_those_of_simam():
    found = gains(GALLERY["population"], NOISE, 0.0)
    np.testing.assert_allclose(wrong_simams.repaired_gain(found, 64), energy.gain(NOISE, lam=0.0), rtol=1e-12)


def test_the_missing_check_catches_the_constant_copy_and_passes_simam():
    assert wrong_simams.farthest_first(NOISE, energy.gain(NOISE))
    for name in ("constant", "energy as gain", "printed sign"):
        assert not wrong_simams.farthest_first(NOISE, gains(GALLERY[name], NOISE, LAM))


def test_each_lenient_check_lets_something_wrong_through():
    (exercise,) = (e for e in wrong_simams.EXERCISES if e.name == "farthest_first")
    cases = wrong_simams.judged_gains(np.random.default_rng(0))
    for lenient in exercise.mistakes[1:]:  # with ties, and over the batch
        assert any(lenient.answer(*case) and not exercise.solution(*case) for case in cases)


def test_the_telling_penalty_is_found_by_a_search():
    x = np.random.default_rng(0).normal(size=(3, 4))
    ratios = np.linspace(0.01, 5, 500)

    def difference(ratio):
        lam = ratio * x.var(ddof=1)
        return (energy.importance(x, lam=lam) - energy.importance(x, lam=2 * lam)).max()

    (exercise,) = (e for e in wrong_simams.EXERCISES if e.name == "telling_penalty")
    found = ratios[np.argmax([difference(ratio) for ratio in ratios])]
    assert found == pytest.approx(exercise.solution, abs=0.01)
