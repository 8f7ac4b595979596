"""Exercises of the chapter on gradient descent."""

import numpy as np

from simam_edu.exercises._exercise import Exercise, rows


def first_step(t, mu, eta):
    # At (0, 0) the line is zero everywhere: it misses the others by 1 and the target by -1.
    # In the slope of the bias the two misses cancel, as the labels do.
    return 2 * eta * (t - mu), 0.0


def largest_step(t, mu, var, lam):
    half_trace = t**2 + mu**2 + var + lam + 2  # half the sum of the eigenvalues
    D = (t - mu) ** 2 + 2 * (var + lam)  # a quarter of their product
    return 2 / (half_trace + np.sqrt(half_trace**2 - 4 * D))


def round_bowl(t, mu, var, lam):
    D = (t - mu) ** 2 + 2 * (var + lam)
    # A mixes weight and bias by 2 (t' + mu'): the midpoint makes it zero. What is left has the
    # entries D / alpha^2 and 4, which are equal for this alpha.
    return (t + mu) / 2, np.sqrt(D) / 2


def STATISTICS(g):
    return [(0.3, -0.2, 0.1, 0.0), *rows(g.normal(0, 2, (7, 2)), g.uniform(0.1, 2, (7, 2)))]


EXERCISES = (  # a mistake a line: what is changed in the solution, and the hint
    Exercise("first_step", "a function of (t, mu, eta) that returns the weight and the bias after one step from (0, 0), in this order", first_step, {
        "return 2 -> return -2": "This step goes uphill: the gradient is added. Descent takes it off; see 'How large a step'.",
        "return 2 * -> return": "The step is half as long as it should be: the derivative of a square has a factor two, and the energy has no one half in front to cancel it.",
        "(t - mu), 0.0 -> (t + mu), 4 * eta": "Here the others are pulled to +1 like the target. Their label is -1, so their mean enters with the other sign; look at both entries again.",
        "(t - mu), 0.0 -> t, 2 * eta": "This follows the target alone. The others pull as well, all of them together as strongly as the one target.",
    }, lambda g: [(1.0, 1.0, 0.2), *rows(g.normal(0, 3, (5, 2)), g.uniform(0.01, 0.4, (5, 1)))]),
    Exercise("largest_step", "a function of (t, mu, var, lam) that returns the step size from which on gradient descent does not converge", largest_step, {
        "return 2 -> return 4": "This is twice the limit: it takes the eigenvalue of the two linear equations, which are the gradient divided by two. The Hessian is twice their matrix.",
        "return 2 -> return 1": "With this step the steep direction lands on its minimum at once. It may overshoot and still come closer; see 'How large a step' for how far.",
        "(half_trace + np.sqrt(half_trace**2 - 4 * D)) -> (2 * half_trace)": "This is the fastest fixed step, or 2 over the trace: at this step both directions shrink equally. The limit is larger; see 'How many steps' and 'How large a step'.",
        "half_trace + np -> half_trace - np": "This takes the smaller eigenvalue. The flat direction would allow such steps, but the steep one diverges long before.",
        "(half_trace + np.sqrt(half_trace**2 - 4 * D)) -> max(2 * half_trace - 4, 4)": "This takes the larger entry on the diagonal of the Hessian. It is no eigenvalue unless weight and bias do not mix; the true L is larger.",
    }, STATISTICS),
    Exercise("round_bowl", "a function of (t, mu, var, lam) that returns the shift c and the scale s, in this order", round_bowl, {
        "(t + mu) / 2, np.sqrt(D) / 2 -> mu, np.sqrt(var)": "This standardizes the others. It helps, but the target then still mixes weight and bias: in the new coordinates t' + mu' is not zero.",
        "np.sqrt(D) / 2 -> np.sqrt(D)": "The shift is right. With this scale the entry of the Hessian for the weight is one, and the one for the bias is four; see 'How large a step'.",
        ("(var + lam) -> var", "np.sqrt(D) / 2 -> np.sqrt(D / (4 - 2 * lam))"): "The shift is right. For the scale the penalty was left as it was; in the new coordinates it is the old one over the square of the scale; see 'A change of coordinates'.",
        "np.sqrt(D) / 2 -> D / 4": "The shift is right. This is the square of the scale: the variance scales by it, the values by its root.",
    }, STATISTICS),
)
