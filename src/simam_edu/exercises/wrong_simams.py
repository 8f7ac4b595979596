"""Exercises of the chapter with the wrong SimAMs."""

import math
from typing import Any

import numpy as np
from scipy import special

from simam_edu import energy
from simam_edu.exercises.checking import Exercise, Mistake
from simam_edu.gallery import GALLERY, gains

MYSTERY = "lambda twice"


def mystery(x: np.ndarray, lam: float) -> np.ndarray:
    """Return what one of the exhibits makes of a batch; which one is the question."""
    return GALLERY[MYSTERY](x, lam)


def copied_gains(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Gains of the copy that divides by M, from the least one upwards, and sizes of maps."""
    cases: list[tuple[Any, ...]] = []
    for side in (2, 4, 8):
        x = generator.normal(size=(1, 1, side, side))
        cases.append((gains(GALLERY["population"], x, 0.0), side**2))
    return [*cases, (float(special.expit(0.5)), 9), (0.7, 2)]


def repaired(gain: Any, M: int, *, factor: float | None = None) -> Any:
    """The gain with 1/(M-1) from the gain with 1/M, both without a penalty."""
    ratio = (M - 1) / M if factor is None else factor
    return special.expit(0.5 + ratio * (special.logit(gain) - 0.5))


def judged_gains(generator: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Batches with right gains and with those of exhibits; one with a low outlier, one half right."""
    x = generator.normal(size=(2, 2, 4, 4))
    low = x.copy()
    low[..., 1, 2] = -9.0
    x[0, 0, 2, 2] = 9.0  # the farthest of the batch stands where the half right gains are right
    half_right = energy.gain(x)
    half_right[1, 1] = gains(GALLERY["energy as gain"], x, 1e-4)[1, 1]
    wrong = [gains(GALLERY[name], x, 1e-4) for name in ("constant", "energy as gain", "no half")]
    return [(x, energy.gain(x)), (low, energy.gain(low)), (x, half_right), *((x, found) for found in wrong)]


def farthest_first(x: np.ndarray, gains: np.ndarray) -> bool:
    """Whether the farthest neuron of every channel has a larger gain than all the others."""
    distance = _rows(np.abs(x - x.mean(axis=(-2, -1), keepdims=True)))
    return _leads(distance, _rows(gains))


def _rows(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(-1, maps.shape[-2] * maps.shape[-1])


def _leads(by: np.ndarray, found: np.ndarray) -> bool:
    """Whether in each row the largest entry of the first has the largest of the second, alone."""
    first = np.take_along_axis(found, by.argmax(axis=1)[:, None], axis=1)
    return bool(np.all((found >= first).sum(axis=1) == 1))


def with_ties(x: np.ndarray, gains: np.ndarray) -> bool:
    """Equal gains pass."""
    distance = _rows(np.abs(x - x.mean(axis=(-2, -1), keepdims=True)))
    first = np.take_along_axis(_rows(gains), distance.argmax(axis=1)[:, None], axis=1)
    return bool(np.all(_rows(gains) <= first + 1e-12))


def over_the_batch(x: np.ndarray, gains: np.ndarray) -> bool:
    """Only the farthest neuron of the whole batch is looked at."""
    distance = np.abs(x - x.mean(axis=(-2, -1), keepdims=True))
    return _leads(distance.reshape(1, -1), gains.reshape(1, -1))


EXERCISES = (
    Exercise(
        name="which_exhibit",
        asks="the name of an exhibit, as text",
        truth=MYSTERY,
        mistakes=(
            Mistake(
                answer="clamped",
                hint="The clamped copy passes the same checks, but its gains are never below the right ones. On which side do those of the mystery lie, where the penalty is as large as the variance? See 'Seen in public copies'.",
            ),
            Mistake(
                answer="constant",
                hint="The constant copy passes the same checks, but it gives one channel one gain. Look at the gains of a single channel.",
            ),
            Mistake(
                answer="naive variance",
                hint="The naive variance is caught by the check 'high' and no other. Hold the mystery against all checks with caught; see 'Which check catches which'.",
            ),
            Mistake(
                answer="population",
                hint="Dividing by M changes the budget, so the check 'budget' would catch it, also without a penalty. Hold the mystery against all checks with caught; see 'Which check catches which'.",
            ),
        ),
    ),
    Exercise(
        name="repaired_gain",
        asks="a function of (gain, M) that returns the right gain for that of the copy that divides by M",
        truth=repaired,
        inputs=copied_gains,
        mistakes=(
            Mistake(
                answer=lambda gain, M: repaired(gain, M, factor=M / (M - 1)),
                hint="This goes the other way. The copy divides by a variance that is too small, so its gains are too large; see 'Seen in public copies'.",
            ),
            Mistake(
                answer=lambda gain, M: special.expit((M - 1) / M * special.logit(gain)),
                hint="Here the whole importance is scaled, with the constant one half in it. Only the part with the squared score depends on the variance.",
            ),
            Mistake(
                answer=lambda gain, M: (M - 1) / M * gain,
                hint="Here the gain itself is scaled. The variance stands inside the sigmoid, so the gain must be turned into an importance first.",
            ),
        ),
    ),
    Exercise(
        name="farthest_first",
        asks="a function of (x, gains) that returns whether the farthest neuron of every channel has a larger gain than all the others",
        truth=farthest_first,
        inputs=judged_gains,
        mistakes=(
            Mistake(
                answer=lambda x, gains: _leads(_rows(x), _rows(gains)),
                hint="This looks at the neuron with the largest value. The farthest neuron may lie below the mean: SimAM is blind to the side.",
            ),
            Mistake(
                answer=with_ties,
                hint="This lets equal gains pass, and with them the copy that gives a whole channel one gain. The farthest neuron must be ahead of all the others.",
            ),
            Mistake(
                answer=over_the_batch,
                hint="This looks at one neuron, the farthest of the whole batch. A copy that is right for one channel and wrong for another passes.",
            ),
        ),
    ),
    Exercise(
        name="telling_penalty",
        asks="the penalty over the variance at which the two importances differ most, as a number",
        truth=1 / math.sqrt(2),
        rtol=1e-3,
        mistakes=(
            Mistake(
                answer=1.0,
                hint="Where the penalty equals the variance, the right importance has lost half of what comes from the score. The difference of the two is a little past its highest point there.",
            ),
            Mistake(
                answer=math.sqrt(2),
                hint="This is the variance over the penalty. Asked for is the penalty over the variance.",
            ),
            Mistake(
                answer=0.5,
                hint="This is the square of the right answer, or the place where the copy's penalty equals the variance. The derivative of the difference does not vanish there.",
            ),
            Mistake(
                answer=0.0,
                hint="Without a penalty both are the same: twice nothing is nothing. This is where the difference is smallest.",
            ),
        ),
    ),
)
