"""Exercises of the chapter on gradients, memory and precision."""

import numpy as np

from simam_edu import energy
from simam_edu.exercises._exercise import Exercise
from simam_edu.mistakes import changed

ELEMENTS = 128 * 64 * 8 * 8  # of the batch in the exercise that counts bytes


def by_hand(x, grad, lam):
    M, tau = x.size, np.sqrt(x.var(ddof=1) + lam)
    z = (x - x.mean()) / tau
    gain = 1 / (1 + np.exp(-0.5 - z**2 / 4))
    part = grad * x * gain * (1 - gain) / (2 * tau)
    return grad * gain + part * z - (part * z).sum() / M - z * (part * z**2).sum() / (M - 1)


def forward_derivative(x, change, lam):
    M, tau = x.size, np.sqrt(x.var(ddof=1) + lam)
    z = (x - x.mean()) / tau
    gain = 1 / (1 + np.exp(-0.5 - z**2 / 4))
    of_score = change - change.mean() - z * (z * change).sum() / (M - 1)  # the projection of the change
    return gain * change + x * gain * (1 - gain) * z / (2 * tau) * of_score


def channels(g):
    kinds = ((2, 2), 0.5, 1e-4), ((3, 4), -2.0, 0.5), ((5, 5), 3.0, 0.0)  # shape, mean, penalty
    return [(g.normal(mean, 1.0, shape), g.normal(size=shape), lam) for shape, mean, lam in kinds]


def ten_lines(x, lam):
    """The gain as the ten lines have it, in the type of the input."""
    squares = (x - x.mean()) ** 2
    return 1 / (1 + np.exp(-(squares / (4 * (squares.sum() / (x.size - 1) + lam)) + 0.5)))


def single_maps(g):
    """Return float32 maps: ordinary, of large values, with a mean that dwarfs the spread, and on a grid."""
    maps = [scale * (g.normal(size=(8, 8)) + mean) for scale, mean in ((1.0, 0.0), (1e15, 1.0), (1.0, 3e5))]
    # In float32 the sums of the last are exact and those of its squares are not: its mean and the deviations
    # are right, however they are computed, and the difference of two squares is not.
    maps.append(256 + np.round(256 * g.normal(size=(8, 8))) / 256)
    return [(x.astype(np.float32), 1e-4) for x in maps]


# fmt: off
EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("backward", "a function of (x, grad, lam) that returns the gradient by the input of one channel", by_hand, {
        " + part * z - (part * z).sum() / M - z * (part * z**2).sum() / (M - 1) -> ": "This is the direct path alone, as if the gains were constants. They depend on the input; see 'Four ways from an input to the loss'.",
        " - (part * z).sum() / M - z * (part * z**2).sum() / (M - 1) -> ": "Here the mean and the spread are constants. Every neuron moves both, and with them the gain of all others; see 'What all neurons share'.",
        " - z * (part * z**2).sum() / (M - 1) -> ": "The path through the mean is there, the one through the spread is missing; see 'What all neurons share'.",
        " - (part * z).sum() / M -> ": "The path through the spread is there, the one through the mean is missing; see 'What all neurons share'.",
        ("ddof=1 -> ddof=0", "(M - 1) -> M"): "This is the gradient for the variance with 1/M. The module has 1/(M-1), in the spread and once more in the path through it.",
        "(2 * tau) -> tau": "All that goes through the importance is twice too large. The importance has a quarter of the squared score, whose derivative is half the score.",
        forward_derivative: "This multiplies with the Jacobian. A gradient travels backward, by its transpose: what is summed over is what arrives, not what leaves.",
    }, channels),
    Exercise("forward_derivative", "a function of (x, change, lam) that returns the change of the output to first order", forward_derivative, {
        by_hand: "This is the gradient, the product with the transpose of the Jacobian. The Jacobian is not symmetric: rows are outputs and columns inputs; see 'The Jacobian of one channel'.",
        " - change.mean() - z * (z * change).sum() / (M - 1) -> ": "Here the mean and the spread do not move. A change of the input moves both; see 'The Jacobian of one channel'.",
        "gain * change + -> ": "This is the change that comes from the gain. The input itself changes too, and it is multiplied by the gain.",
        "gain * change + x -> gain * change + 0 * x": "Here the gain is a constant. It changes with the input; see 'The Jacobian of one channel'.",
    }, channels),
    Exercise("saved_bytes", "how many bytes the ten lines keep for the backward pass of a float16 batch of shape (128, 64, 8, 8), whole copies of the input only, as a number", 4 * 2 * ELEMENTS, {
        4 * 4 * ELEMENTS: "This is right for float32. A float16 has two bytes.",
        2 * ELEMENTS: "This is one copy: what an analytic backward keeps. Count the tensors in 'What is kept for the backward pass'.",
        4 * ELEMENTS: "Four times the number of elements is either a number of elements and not of bytes, or one copy in float32. The ten lines keep more; see 'What is kept for the backward pass'.",
        3 * 2 * ELEMENTS: "One copy is missing. The last product needs both of its factors; see 'What is kept for the backward pass'.",
    }),
    Exercise("stable_gain", "a function of (x, lam) that returns the gain of a float32 map with no more error than its last digits", lambda x, lam: energy.gain(x.astype(np.float64), lam=lam), {
        ten_lines: ("Where the mean is far larger than the spread, its rounding is as large as a digit of every deviation that matters; see 'A mean far larger than the spread'.", 1e-6),
        changed(ten_lines, "squares.sum() -> ((x**2).mean() - x.mean() ** 2) * x.size"): ("The mean of the squares less the square of the mean is a small difference of large numbers, and here nothing of it is left; see 'A mean far larger than the spread'.", 1e-6),
    }, single_maps, needs_digits=True),
)
