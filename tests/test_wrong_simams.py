"""The wrong SimAMs: each is what the book says it is, and is caught by the checks that it names."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from simam_edu import SimAM, energy
from simam_edu.exercises import wrong_simams
from simam_edu.mistakes import HINTS, OTHERS, PARTS, changed, ten_lines
from simam_edu.wrong_simams import CHECKS, GALLERY, batches, caught, gains, right

SAMPLES = batches(np.random.default_rng(1))
NOISE, LAM = SAMPLES["noise"], 1e-4
SAMPLES["quieter"] = 0.1 * SAMPLES["quiet"]

# How far the gains of each exhibit are off on its batch, at least, and the checks that catch it.
EXHIBITS = {
    "constant": (0.25, "values"),
    "no half": (0.12, "floor flat budget values"),
    "clamped": (0.08, "values"),
    "population": (0.03, "budget values"),
    "lambda twice": (0.03, "values"),
    "energy as gain": (0.4, "floor flat budget values"),
    "no keepdims": (0.05, "uneven flat order alone budget values"),
    "printed sign": (0.4, "floor budget values"),
    "whole batch": (0.2, "flat alone budget values"),
    "across channels": (0.2, "flat alone budget values"),
    "naive variance": (0.3, "high"),
    "half precision": (0.25, "flat shift scale budget high values"),
}


@pytest.mark.parametrize("name", GALLERY)
def test_an_exhibit_is_off_on_its_batch_and_caught_by_these_checks_and_no_others(name):
    exhibit, (off, checks) = GALLERY[name], EXHIBITS[name]
    x = SAMPLES[exhibit.batch]
    assert np.abs(gains(exhibit, x, LAM) - gains(right, x, LAM)).max() > off
    for seed in range(3):
        found = caught(exhibit, np.random.default_rng(seed).normal(size=NOISE.shape))
        assert [check for check in CHECKS if found[check]] == checks.split()


@pytest.mark.parametrize("name", GALLERY)
def test_an_exhibit_shows_its_source(name):
    function, source = GALLERY[name].function, GALLERY[name]._repr_markdown_()
    assert source == f"```python\n{GALLERY[name]!r}\n```"
    assert f"def {function.__name__}(x: Maps, lam: float)" in source
    assert function.__doc__ in source
    assert len(source.splitlines()) <= 13, "an exhibit is a few lines"


def in_torch(x, lam):
    return SimAM(lam=lam)(torch.from_numpy(x.copy())).numpy()


@pytest.mark.parametrize("candidate", [right, in_torch, ten_lines])
def test_a_right_simam_passes_every_check(candidate):
    assert not any(caught(candidate, NOISE).values())


# No exhibit fails these two; a check that let everything through would be none.
FAILING = {
    "shape": lambda x, lam: right(x, lam).ravel(),
    "finite": lambda x, lam: np.where(x > 2, np.nan, right(x, lam)),
}


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_can_fail_and_asks_a_question(check):
    by_exhibit = any(check in checks.split() for _, checks in EXHIBITS.values())
    assert by_exhibit or caught(FAILING[check], NOISE)[check]
    assert CHECKS[check].__doc__.endswith("?")
    assert caught(lambda x, _: len(x) // 0, NOISE)[check], "what raises is caught"


# What each exhibit computes, by code that is not its own.


def printed(x):
    """The gain by the energy of the line with the printed sign, from two others of the same moments."""
    mu, var = (float(value.squeeze()) for value in energy.channel_statistics(x, ddof=1))
    others = np.array([mu - math.sqrt(var), mu + math.sqrt(var)])
    w, b = energy.optimal_weight_bias(x, mu, var, lam=LAM)
    return expit(1 / energy.neuron_energy(-w, -b, x, others, lam=LAM))


def one_wide_image(x):
    wide = energy.gain(np.concatenate(list(x), axis=-1), lam=LAM)
    return np.stack(np.split(wide, len(x), axis=-1))


def of_other_channels(x):
    return np.moveaxis(energy.gain(np.moveaxis(x, 1, -1)[..., None], lam=LAM)[..., 0], -1, 1)


def below_the_limit(x):
    return expit((x - x.mean(axis=(2, 3), keepdims=True)) ** 2 / LAM + 0.5)


def without_axes(x):
    mean = x.mean(axis=(2, 3))  # of the channel whose image is the row and whose number the column
    var = ((x - mean) ** 2).sum(axis=(2, 3)) / 63
    return expit((x - mean) ** 2 / (4 * (var + LAM)) + 0.5)


def importance(x):
    return energy.importance(x, lam=LAM)


def simam(x):
    return energy.gain(x, lam=LAM)


CASES = [  # an exhibit, a batch, its gains there, and how closely they agree
    ("constant", "levels", lambda x: expit(importance(x).mean(axis=(2, 3), keepdims=True) + 0 * x), 1e-12),
    ("no half", "noise", lambda x: expit(importance(x) - 0.5), 1e-12),
    ("clamped", "noise", lambda x: energy.gain(x, lam=0.0), 1e-12),  # no penalty above the limit
    ("clamped", "quieter", below_the_limit, 1e-12),
    ("population", "small", lambda x: energy.gain(x, lam=LAM, statistics="population"), 1e-12),
    ("lambda twice", "quiet", lambda x: energy.gain(x, lam=2 * LAM), 1e-12),
    ("energy as gain", "outlier", lambda x: expit(1 / importance(x)), 1e-12),
    ("no keepdims", "noise", without_axes, 1e-12),
    ("printed sign", "outlier", printed, 1e-12),
    ("whole batch", "levels", one_wide_image, 1e-12),
    ("across channels", "levels", of_other_channels, 1e-12),
    ("naive variance", "levels", simam, 1e-11),  # until the mean is large
    ("half precision", "noise", simam, 5e-3),
    ("half precision", "loud", lambda x: np.full_like(x, expit(0.5)), 1e-3),  # the sum has overflowed
]


@pytest.mark.parametrize(("name", "batch", "gain", "atol"), CASES)
def test_an_exhibit_computes_what_is_said_of_it(name, batch, gain, atol):
    x = SAMPLES[batch]
    np.testing.assert_allclose(gains(GALLERY[name], x, LAM), gain(x), rtol=0, atol=atol)


def test_the_exhibits_that_stop_or_lose_all_digits():
    with pytest.raises(ValueError, match="broadcast"):
        GALLERY["no keepdims"](NOISE[:2, :3], LAM)
    assert np.isnan(gains(GALLERY["half precision"], 20 * SAMPLES["loud"], LAM)).any()


# The list of mistakes that the exercise on the ten lines shares, and the rest of the module.


@pytest.mark.parametrize("batch", ["noise", "small", "levels", "quiet"])
def test_the_ten_lines_that_all_are_changes_of_are_the_oracle(batch):
    x = SAMPLES[batch]
    np.testing.assert_allclose(ten_lines(x, LAM), right(x, LAM), rtol=1e-12)


@pytest.mark.parametrize("change", ["nowhere -> here", "axes -> axis"])
def test_what_is_changed_must_stand_there_once(change):
    with pytest.raises(ValueError, match="must stand once in the source, stands"):
        changed(ten_lines, change)


def test_every_hint_belongs_to_a_mistake_and_no_two_are_equal():
    assert {name for part in (*PARTS, OTHERS) for name, *_ in part} == HINTS.keys()
    assert len(set(HINTS.values())) == len(HINTS)


# The exercises of the page.

EXERCISES = {exercise.name: exercise for exercise in wrong_simams.EXERCISES}


def test_the_mystery_is_on_the_wall_and_caught_by_values_alone():
    assert [key for key, found in caught(wrong_simams.mystery, NOISE).items() if found] == ["values"]
    assert np.array_equal(wrong_simams.mystery(NOISE, 0.1), GALLERY[wrong_simams.MYSTERY](NOISE, 0.1))


def test_repaired_gains_are_those_of_simam():
    found = wrong_simams.repaired_gain(gains(GALLERY["population"], NOISE, 0.0), 64)
    np.testing.assert_allclose(found, energy.gain(NOISE, lam=0.0), rtol=1e-12)


def test_the_missing_check_catches_what_lenient_ones_let_through():
    assert wrong_simams.farthest_first(NOISE, energy.gain(NOISE))
    for name in ("constant", "energy as gain", "printed sign"):
        assert not wrong_simams.farthest_first(NOISE, gains(GALLERY[name], NOISE, LAM))


def test_the_telling_penalty_is_found_by_a_search():
    x = np.random.default_rng(0).normal(size=(3, 4))
    ratios = np.linspace(0.01, 5, 500)
    lams = ratios * x.var(ddof=1)
    apart = [(energy.importance(x, lam=lam) - energy.importance(x, lam=2 * lam)).max() for lam in lams]
    assert ratios[np.argmax(apart)] == pytest.approx(EXERCISES["telling_penalty"].solution, abs=0.01)
