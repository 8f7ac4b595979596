"""Exercises of the appendix on stochastic descent."""

import numpy as np

from simam_edu.exercises._exercise import Exercise


def batch_gradient(w, b, t, batch, lam):
    miss, miss_t = w * batch + b + 1, w * t + b - 1
    # Means, not sums, over the batch; the target and the penalty count fully in every batch.
    by_weight = np.mean(miss * batch) + miss_t * t + lam * w
    return 2 * by_weight, 2 * (np.mean(miss) + miss_t)


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("batch_gradient", "a function of (w, b, t, batch, lam) that returns the two entries of the stochastic gradient", batch_gradient, {
        ("mean(miss * -> sum(miss *", "mean(miss) -> sum(miss)"): "The others are summed here, so a larger batch pulls harder and the target loses weight. The energy has their mean: an unbiased guess of a mean is a mean; see 'One neuron at a time'.",
        (
            "np.mean(miss * batch) + miss_t * t -> np.sum(miss * batch + miss_t * t / batch.size) / (batch.size + 1)",
            "(np.mean(miss) + miss_t) -> (np.sum(miss) + miss_t) / (batch.size + 1)",
        ): "The target is one among equals here. In the energy it counts as much as all others together, in every batch; see Eq. (2) of the paper.",
        (" + miss_t * t -> ", " + miss_t) -> )"): "The target is missing. It is not drawn, it is there in every step; see 'One neuron at a time'.",
        " + lam * w -> ": "The penalty is missing. It does not depend on the draw, so its derivative is there in every step.",
        ("return 2 * -> return ", ", 2 * ( -> , ("): "This is half of it: the derivative of a square has a factor two. The mean over all draws is then half the gradient, so it is not unbiased.",
    }, lambda g: [(*g.normal(0, 2, 3).tolist(), g.normal(1, 2, size), g.uniform(0.1, 1)) for size in (1, 2, 3, 8)]),
)
