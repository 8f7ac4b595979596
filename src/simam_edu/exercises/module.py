"""Exercises of the chapter on the module."""

from simam_edu.exercises._exercise import Exercise
from simam_edu.mistakes import HINTS, mutations
from simam_edu.wrong_simams import right


def batches(g):
    kinds = [  # shape, mean, standard deviation, penalty: on each some mistake shows, on the first mixed-up axes
        ((4, 4, 4, 4), 1.0, 2.0, 0.5),
        ((2, 3, 4, 5), 0.5, 1.0, 1e-4),
        ((1, 2, 3, 3), 25.0, 50.0, 0.0),
        ((2, 2, 6, 2), 0.05, 0.1, 0.01),
        ((2, 3, 4, 4), 0.05, 0.1, 0.5),  # a penalty above all squared distances, times four
        ((1, 2, 8, 8), 300.0, 1.0, 1e-4),  # a mean that float32 can bear, if it is subtracted first
        ((1, 2, 8, 8), 1e8, 1.0, 1e-4),  # and one that float64 can
        ((1, 2, 32, 32), 0.0, 30.0, 1e-4),  # a sum of squares that float16 cannot hold
    ]
    return [(g.normal(mean, scale, shape), lam) for shape, mean, scale, lam in kinds]


# The mistakes that show where the mean is far larger than the standard deviation, as rounding errors.
UNSTABLE = {HINTS["naive variance"]: {5, 6}}

EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("simam", "a function of (x, lam) that returns SimAM of a batch of shape (n, c, h, w)", right, {
        wrong: (hint, UNSTABLE.get(hint, set())) for wrong, hint in mutations()
    }, batches),
    Exercise("means_of_a_batch", "how many means SimAM computes for a batch of shape (64, 16, 32, 32), as a number", 64 * 16, {
        16: "One mean for each channel, shared by the images of the batch, is what batch norm has; see 'From the formula to tensors'.",
        64: "One mean for each image, shared by its channels, is what layer norm has; see 'From the formula to tensors'.",
        64 * 32 * 32: "This is one mean for each position of each image, over the channels; see 'From the formula to tensors'.",
    }),
    Exercise("silent_shapes", "of the shapes (n, c, 8, 8) with n and c from 1 to 8, how many run without keepdim and come out wrong, as a number", 3, {
        1: "An axis of length one fits an axis of any length, so (8, 8, 8, 8) is not alone; see 'What the printed lines get wrong'.",
        4: "That many run. One image with one channel has one mean, which fits every neuron; see 'What the printed lines get wrong'.",
        64: "Most of these shapes do not fit, and torch says so; see 'What the printed lines get wrong'.",
    }),
)
