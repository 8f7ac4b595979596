"""Exercises of the chapter on gradients, memory and precision."""

import math
from typing import Any

import numpy as np

from simam_edu import energy
from simam_edu.exercises.checking import Exercise, Mistake
from simam_edu.gradient import simam_gradient

SHAPE = (128, 64, 8, 8)  # of the batch in the exercise that counts bytes
ELEMENTS = math.prod(SHAPE)


def backward(x: np.ndarray, grad: np.ndarray, lam: float) -> np.ndarray:
    """Return the gradient by the input of one channel."""
    return simam_gradient(x, grad, lam=lam)


def channels(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return maps of several sizes and means, what arrives at their outputs, and penalties."""
    shapes, means, lams = ((2, 2), (3, 4), (5, 5)), (0.5, -2.0, 3.0), (1e-4, 0.5, 0.0)
    return [
        (generator.normal(mean, 1.0, shape), generator.normal(size=shape), lam)
        for shape, mean, lam in zip(shapes, means, lams, strict=True)
    ]


def parts(x: np.ndarray, lam: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gain, the score with the penalty in it, and the slope of the output by the score's half."""
    mu, var = energy.channel_statistics(x, ddof=1)
    tau = np.sqrt(var + lam)
    gain = energy.gain(x, lam=lam)
    return gain, (x - mu) / tau, x * gain * (1 - gain) / (2 * tau)


def direct(x: np.ndarray, grad: np.ndarray, lam: float) -> Any:
    """The direct path alone."""
    return grad * energy.gain(x, lam=lam)


def statistics_held(x: np.ndarray, grad: np.ndarray, lam: float) -> Any:
    """The gradient with mean and spread held fixed."""
    gain, z, slope = parts(x, lam)
    return grad * gain + grad * slope * z


def spread_held(x: np.ndarray, grad: np.ndarray, lam: float) -> Any:
    """The gradient with the spread held fixed."""
    return statistics_held(x, grad, lam) - np.mean(grad * parts(x, lam)[2] * parts(x, lam)[1])


def mean_held(x: np.ndarray, grad: np.ndarray, lam: float) -> Any:
    """The gradient with the mean held fixed."""
    _, z, slope = parts(x, lam)
    return statistics_held(x, grad, lam) - z * np.sum(grad * slope * z**2) / (x.size - 1)


def forward(x: np.ndarray, change: np.ndarray, lam: float) -> np.ndarray:
    """Return how the output changes, to first order: the Jacobian times the change of the input."""
    gain, z, slope = parts(x, lam)
    of_spread = z * np.sum(z * change) / (x.size - 1)
    found: np.ndarray = gain * change + slope * z * (change - change.mean() - of_spread)
    return found


def without_shared(x: np.ndarray, change: np.ndarray, lam: float) -> Any:
    """The change with mean and spread held fixed."""
    gain, z, slope = parts(x, lam)
    return gain * change + slope * z * change


def gain_alone(x: np.ndarray, change: np.ndarray, lam: float) -> Any:
    """The change of the gain, without that of the input it multiplies."""
    return forward(x, change, lam) - energy.gain(x, lam=lam) * change


def stable_gain(x: np.ndarray, lam: float) -> np.ndarray:
    """Return the gain, right to the last digits of single precision."""
    return energy.gain(x.astype(np.float64), lam=lam)


def single_maps(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Return float32 maps: ordinary, of large values, with a mean that dwarfs the spread, and on a grid.

    The sums of the last are exact in float32 and those of its squares are not: its mean and the deviations
    are right, however they are computed, and the difference of two squares is not.
    """
    maps = [
        scale * (generator.normal(size=(8, 8)) + mean)
        for scale, mean in ((1.0, 0.0), (1e15, 1.0), (1.0, 3e5))
    ]
    maps.append(256 + np.round(256 * generator.normal(size=(8, 8))) / 256)
    return [(x.astype(np.float32), 1e-4) for x in maps]


def gain_by_rounded_mean(x: np.ndarray, lam: float) -> np.ndarray:
    """The gain as the ten lines have it, in the type of the input."""
    squares = (x - x.mean()) ** 2
    found: np.ndarray = 1 / (1 + np.exp(-(squares / (4 * (squares.sum() / (x.size - 1) + lam)) + 0.5)))
    return found


def gain_by_one_pass(x: np.ndarray, lam: float) -> np.ndarray:
    """The gain with the mean of the squares less the square of the mean, in the type of the input."""
    var = ((x**2).mean() - x.mean() ** 2) * x.size / (x.size - 1)
    found: np.ndarray = 1 / (1 + np.exp(-((x - x.mean()) ** 2 / (4 * (var + lam)) + 0.5)))
    return found


EXERCISES = (
    Exercise(
        name="backward",
        asks="a function of (x, grad, lam) that returns the gradient by the input of one channel",
        truth=backward,
        inputs=channels,
        mistakes=(
            Mistake(
                answer=direct,
                hint="This is the direct path alone, as if the gains were constants. They depend on the input; see 'Four ways from an input to the loss'.",
            ),
            Mistake(
                answer=statistics_held,
                hint="Here the mean and the spread are constants. Every neuron moves both, and with them the gain of all others; see 'What all neurons share'.",
            ),
            Mistake(
                answer=spread_held,
                hint="The path through the mean is there, the one through the spread is missing; see 'What all neurons share'.",
            ),
            Mistake(
                answer=mean_held,
                hint="The path through the spread is there, the one through the mean is missing; see 'What all neurons share'.",
            ),
            Mistake(
                answer=lambda x, grad, lam: simam_gradient(x, grad, lam=lam, statistics="population"),
                hint="This is the gradient for the variance with 1/M. The module has 1/(M-1), in the spread and once more in the path through it.",
            ),
            Mistake(
                answer=lambda x, grad, lam: 2 * backward(x, grad, lam) - direct(x, grad, lam),
                hint="All that goes through the importance is twice too large. The importance has a quarter of the squared score, whose derivative is half the score.",
            ),
            Mistake(
                answer=forward,
                hint="This multiplies with the Jacobian. A gradient travels backward, by its transpose: what is summed over is what arrives, not what leaves.",
            ),
        ),
    ),
    Exercise(
        name="forward_derivative",
        asks="a function of (x, change, lam) that returns the change of the output to first order",
        truth=forward,
        inputs=channels,
        mistakes=(
            Mistake(
                answer=backward,
                hint="This is the gradient, the product with the transpose of the Jacobian. The Jacobian is not symmetric: rows are outputs and columns inputs; see 'The Jacobian of one channel'.",
            ),
            Mistake(
                answer=without_shared,
                hint="Here the mean and the spread do not move. A change of the input moves both; see 'The Jacobian of one channel'.",
            ),
            Mistake(
                answer=gain_alone,
                hint="This is the change that comes from the gain. The input itself changes too, and it is multiplied by the gain.",
            ),
            Mistake(
                answer=lambda x, change, lam: energy.gain(x, lam=lam) * change,
                hint="Here the gain is a constant. It changes with the input; see 'The Jacobian of one channel'.",
            ),
        ),
    ),
    Exercise(
        name="saved_bytes",
        asks=f"how many bytes the ten lines keep for the backward pass of a float16 batch of shape {SHAPE}, whole copies of the input only, as a number",
        truth=4 * 2 * ELEMENTS,
        mistakes=(
            Mistake(
                answer=4 * 4 * ELEMENTS,
                hint="This is right for float32. A float16 has two bytes.",
            ),
            Mistake(
                answer=2 * ELEMENTS,
                hint="This is one copy: what an analytic backward keeps. Count the tensors in 'What is kept for the backward pass'.",
            ),
            Mistake(
                answer=4 * ELEMENTS,
                hint="Four times the number of elements is either a number of elements and not of bytes, or one copy in float32. The ten lines keep more; see 'What is kept for the backward pass'.",
            ),
            Mistake(
                answer=3 * 2 * ELEMENTS,
                hint="One copy is missing. The last product needs both of its factors; see 'What is kept for the backward pass'.",
            ),
        ),
    ),
    Exercise(
        name="stable_gain",
        asks="a function of (x, lam) that returns the gain of a float32 map with no more error than its last digits",
        truth=stable_gain,
        inputs=single_maps,
        needs_digits=True,
        mistakes=(
            Mistake(
                answer=gain_by_rounded_mean,
                hint="Where the mean is far larger than the spread, its rounding is as large as a digit of every deviation that matters; see 'A mean far larger than the spread'.",
                erratic=1e-6,
            ),
            Mistake(
                answer=gain_by_one_pass,
                hint="The mean of the squares less the square of the mean is a small difference of large numbers, and here nothing of it is left; see 'A mean far larger than the spread'.",
                erratic=1e-6,
            ),
        ),
    ),
)
