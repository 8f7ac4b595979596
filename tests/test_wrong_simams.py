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
NOISE, LAM = SAMPLES["noise"], 1e-4
each = pytest.mark.parametrize("name", GALLERY)

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


def off(name, batch):
    return np.abs(gains(GALLERY[name], SAMPLES[batch], LAM) - gains(right, SAMPLES[batch], LAM)).max()


@each
def test_an_exhibit_is_off_on_its_batch_and_shows_its_source(name):
    exhibit = GALLERY[name]
    assert exhibit(NOISE, LAM).shape == NOISE.shape
    assert off(name, exhibit.batch) > EXHIBITS[name][0]
    source = exhibit._repr_markdown_()
    assert source.startswith(f"```python\ndef {exhibit.function.__name__}(x: Maps, lam: float)")
    assert source.endswith("\n```")
    assert len(source.splitlines()) <= 13, "an exhibit is a few lines"
    assert repr(exhibit) in source
    assert exhibit.function.__doc__ in source


@each
@pytest.mark.parametrize("seed", range(3))
def test_an_exhibit_is_caught_by_these_checks_and_no_others(name, seed):
    found = caught(GALLERY[name], np.random.default_rng(seed).normal(size=NOISE.shape))
    assert [check for check in CHECKS if found[check]] == EXHIBITS[name][1].split()


def in_torch(x, lam):
    return SimAM(lam=lam)(torch.from_numpy(x.copy())).numpy()


@pytest.mark.parametrize("candidate", [right, in_torch, ten_lines])
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
    assert caught(lambda x, _: len(x) // 0, NOISE)[check], "what raises is caught"


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


def of_other_channels(x):
    return np.moveaxis(energy.gain(np.moveaxis(x, 1, -1)[..., None], lam=LAM)[..., 0], -1, 1)


def below_the_limit(x):
    mu, var = energy.channel_statistics(x, ddof=1)
    assert np.all(4 * var < LAM)
    return expit((x - mu) ** 2 / LAM + 0.5)


def without_axes(x):
    mean = x.mean(axis=(2, 3))[
        None, None
    ]  # of the channel whose image is the row and whose number the column
    var = ((x - mean) ** 2).sum(axis=(2, 3))[None, None] / 63
    return expit((x - mean) ** 2 / (4 * (var + LAM)) + 0.5)


def importance(x):
    return energy.importance(x, lam=LAM)


SAMPLES["quieter"], SAMPLES["louder"] = 0.1 * SAMPLES["quiet"], 20 * SAMPLES["loud"]
BY_OTHER_CODE = [  # an exhibit, batches, and its gains
    ("constant", "levels", lambda x: expit(importance(x).mean(axis=(-2, -1), keepdims=True) + 0 * x)),
    ("no half", "noise", lambda x: expit(importance(x) - 0.5)),
    ("clamped", "noise quiet", lambda x: energy.gain(x, lam=0.0)),  # no penalty above the limit
    ("clamped", "quieter", below_the_limit),
    ("population", "noise small", lambda x: energy.gain(x, lam=LAM, statistics="population")),
    ("lambda twice", "noise quiet", lambda x: energy.gain(x, lam=2 * LAM)),
    ("energy as gain", "outlier", lambda x: expit(1 / importance(x))),
    ("no keepdims", "noise", without_axes),
    ("printed sign", "outlier", printed),
    ("whole batch", "levels", one_wide_image),
    ("across channels", "levels", of_other_channels),
    ("naive variance", "noise", lambda x: energy.gain(x, lam=LAM)),  # until the mean is large
]
CASES = [(name, batch, gain, 1e-12) for name, listed, gain in BY_OTHER_CODE for batch in listed.split()]
CASES += [
    ("naive variance", "levels", lambda x: energy.gain(x, lam=LAM), 1e-11),
    ("half precision", "noise", lambda x: energy.gain(x, lam=LAM), 5e-3),
    ("half precision", "loud", lambda x: np.full_like(x, expit(0.5)), 1e-3),  # the sum has overflowed
]


@pytest.mark.parametrize(("name", "batch", "gain", "atol"), CASES)
def test_an_exhibit_computes_what_is_said_of_it(name, batch, gain, atol):
    x = SAMPLES[batch]
    np.testing.assert_allclose(gains(GALLERY[name], x, LAM), gain(x), rtol=0, atol=atol)


def test_the_exhibits_that_stop_or_lose_all_digits():
    with pytest.raises(ValueError, match="broadcast"):
        GALLERY["no keepdims"](NOISE[:2, :3], LAM)
    assert np.isnan(gains(GALLERY["half precision"], SAMPLES["louder"], LAM)).any()


# The list of mistakes that the exercise on the ten lines shares, and the rest of the module.


@pytest.mark.parametrize("batch", ["noise", "small", "levels", "quiet"])
def test_the_ten_lines_that_all_are_changes_of_are_the_oracle(batch):
    x = SAMPLES[batch]
    np.testing.assert_array_equal(right(x, LAM), x * energy.gain(x, lam=LAM))
    np.testing.assert_allclose(ten_lines(x, LAM), right(x, LAM), rtol=1e-12)


@pytest.mark.parametrize("change", ["nowhere -> here", "axes -> axis"])
def test_what_is_changed_must_stand_there_once(change):
    with pytest.raises(ValueError, match="must stand once in the source, stands"):
        changed(ten_lines, change)


def test_every_hint_belongs_to_a_mistake_and_no_two_are_equal():
    assert {*OTHERS, *(name for part in PARTS for name, *_ in part)} == HINTS.keys()
    assert len(set(HINTS.values())) == len(HINTS)


def test_the_gate_is_the_sigmoid_of_scipy_and_does_not_overflow():
    far = np.array([-1e300, -40.0, -1.0, 0.0, 0.5, np.inf]).reshape(1, 1, 2, 3)
    np.testing.assert_allclose(gated(np.full_like(far, -2.0), far), -2 * expit(far), atol=1e-15)


@pytest.mark.parametrize("bad", [0.5 + 2e-6, np.nan, np.inf])
def test_close_is_a_millionth_and_nothing_else(bad):
    assert close(np.array([0.5, 0.5 + 5e-7]), 0.5)
    assert not close(np.array([0.5, bad]), 0.5)


def test_batches_are_what_their_names_say():
    again = batches(np.random.default_rng(1))
    assert all(np.array_equal(x, SAMPLES[name]) for name, x in again.items())
    assert set(NOISE.shape) == {8}
    assert SAMPLES["small"].shape[-2:] == (2, 2)
    assert SAMPLES["quiet"].var() == pytest.approx(LAM, rel=0.2)
    assert SAMPLES["high"].mean() == pytest.approx(1e8)
    assert np.ptp(SAMPLES["levels"].mean(axis=(-2, -1))) > 5
    assert energy.importance(SAMPLES["outlier"]).max() > 8
    assert (SAMPLES["loud"] ** 2).sum(axis=(-2, -1)).min() > np.finfo(np.float16).max.astype(float)
    assert all(np.all(x != 0) for x in SAMPLES.values()), "gains are read off as quotients"


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
    exercise = EXERCISES["farthest_first"]
    cases = exercise.inputs(np.random.default_rng(0))
    for lenient in exercise.mistakes[1:]:  # with ties, and over the batch
        assert any(lenient.answer(*case) and not exercise.solution(*case) for case in cases)


def test_the_telling_penalty_is_found_by_a_search():
    x = np.random.default_rng(0).normal(size=(3, 4))
    ratios = np.linspace(0.01, 5, 500)
    lams = ratios * x.var(ddof=1)
    apart = [(energy.importance(x, lam=lam) - energy.importance(x, lam=2 * lam)).max() for lam in lams]
    assert ratios[np.argmax(apart)] == pytest.approx(EXERCISES["telling_penalty"].solution, abs=0.01)
