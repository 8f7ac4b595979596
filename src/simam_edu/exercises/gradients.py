"""Exercises of the chapter on gradient, memory and the kernel for the GPU."""

import math

import numpy as np

from simam_edu.exercises._exercise import Exercise

ELEMENTS = 128 * 64 * 8 * 8  # of the batch in the exercise that counts bytes
CHIP_BYTES = 32 * 1024  # what a program keeps


def by_hand(x, grad, lam):
    M, tau = x.size, np.sqrt(x.var(ddof=1) + lam)
    z = (x - x.mean()) / tau
    gain = 1 / (1 + np.exp(-0.5 - z**2 / 4))
    part = grad * x * gain * (1 - gain) / (2 * tau)
    shared = (part * z).sum() / M + z * (part * z**2).sum() / (M - 1)
    return grad * gain + part * z - shared


def forward_derivative(x, change, lam):
    M, tau = x.size, np.sqrt(x.var(ddof=1) + lam)
    z = (x - x.mean()) / tau
    gain = 1 / (1 + np.exp(-0.5 - z**2 / 4))
    # The projection of the change.
    of_score = change - change.mean() - z * (z * change).sum() / (M - 1)
    return gain * change + x * gain * (1 - gain) * z / (2 * tau) * of_score


def channels(g):
    kinds = ((2, 2), 0.5, 1e-4), ((3, 4), -2.0, 0.5), ((5, 5), 3.0, 0.0)  # shape, mean, penalty
    return [(g.normal(mean, 1.0, shape), g.normal(size=shape), lam) for shape, mean, lam in kinds]


def own_least_time(operations, moved, peak, bandwidth):
    return max(operations / peak, moved / bandwidth)


def computations(g):
    moved, peaks, bandwidths = g.uniform([1e6, 5e12, 2e11], [1e9, 7e13, 4e12], (6, 3)).T
    factors = (0.02, 0.5, 0.9, 1.3, 4.0, 60.0)  # of the corner of the roof
    return list(zip(moved * factors * peaks / bandwidths, moved, peaks, bandwidths, strict=True))


def own_idle_part(positions):
    tile = 1
    while tile < positions:
        tile *= 2
    return 1 - positions / tile


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("backward", "a function of (x, grad, lam) that returns the gradient by the input of one channel", by_hand, {
        " + part * z - shared -> ": "This is the direct path alone, as if the gains were constants. They depend on the input; see 'Four ways from an input to the loss'.",
        " - shared -> ": "Here the mean and the spread are constants. Every neuron moves both, and with them the gain of all others; see 'What all neurons share'.",
        " + z * (part * z**2).sum() / (M - 1) -> ": "The path through the mean is there, the one through the spread is missing; see 'What all neurons share'.",
        "(part * z).sum() / M + -> ": "The path through the spread is there, the one through the mean is missing; see 'What all neurons share'.",
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
    Exercise("least_time", "a function of (operations, moved, peak, bandwidth) that returns the least time by the roofline, in seconds", own_least_time, {
        "max(operations / peak, -> (operations / peak +": "This adds the two times, as if the chip waited with computing until all is moved. The roofline lets both run at once; see 'The roof over a computation'.",
        "max -> min": "This is the shorter of the two times. Both things have to be done; see 'The roof over a computation'.",
        "max(operations / peak, moved / bandwidth) -> moved / bandwidth": "This is the time to move the bytes. It is right left of the corner of the roof only; see 'The roof over a computation'.",
        "max(operations / peak, moved / bandwidth) -> min(peak, bandwidth * operations / moved)": "This is the speed that the roof allows. Asked for is the time.",
    }, computations),
    Exercise("idle_part", "a function of a number of positions that returns the part of its tile that is masked", own_idle_part, {
        "1 - positions / tile -> tile / positions - 1": "This counts the masked elements as a part of the map. Asked for is their part of the tile.",
        "1 - positions / tile -> positions / tile": "This is the part of the tile that holds the map.",
        "tile < positions -> tile <= positions": "For a map that is a power of two already this takes a tile twice as large. Then nothing needs to be masked; see 'The kernel, line by line'.",
    }, lambda _: [(n,) for n in (2, 3, 49, 64, 65, 3136, 4096, 777, 5000)]),
    # A position has four bytes in float32, and the positions are rounded up to a power of two.
    Exercise("largest_square_on_chip", "the side of the largest square map in float32 that a program keeps on chip, as a whole number", math.isqrt(CHIP_BYTES // 4), {
        64: "That map fits, but it is not the largest. The positions are rounded up to a power of two, not the side; see 'Where it ends'.",
        math.isqrt(CHIP_BYTES): "Here each position takes one byte. A float32 takes four.",
        math.sqrt(CHIP_BYTES / 4): "That is the root of the number of positions. A side is a whole number, and the map must not be larger.",
    }),
)
