"""Exercises of the chapter on gradient descent."""

from typing import Any

import numpy as np

from simam_edu.exercises.checking import Exercise, Mistake
from simam_edu.solvers import energy_gradient


def first_steps(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets above, below and at the mean, and step sizes."""
    cases = [(3.0, 1.0, 0.5), (-2.0, 0.5, 0.1), (1.0, 1.0, 0.2)]
    for _ in range(4):
        t, mu = generator.normal(0, 3, 2)
        cases.append((float(t), float(mu), float(generator.uniform(0.01, 0.4))))
    return cases


def batches(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Points, and batches of one, two and more others."""
    cases = []
    for size in (1, 2, 3, 8):
        w, b, t = (float(value) for value in generator.normal(0, 2, 3))
        cases.append((w, b, t, generator.normal(1, 2, size), float(generator.uniform(0.1, 1))))
    return cases


def statistics(generator: np.random.Generator) -> list[tuple[Any, ...]]:
    """Targets and statistics of the others; in some, the curvature along the weight is the smaller one."""
    cases = [(3.0, 0.5, 0.6, 1e-4), (0.3, -0.2, 0.1, 0.0), (-4.0, -1.0, 2.0, 0.5)]
    for _ in range(5):
        t, mu = generator.normal(0, 2, 2)
        var, lam = generator.uniform(0.1, 2, 2)
        cases.append((float(t), float(mu), float(var), float(lam)))
    return cases


def batch_gradient(w: float, b: float, t: float, batch: np.ndarray, lam: float) -> Any:
    """The gradient that a batch of others gives, as if it were all of them."""
    return energy_gradient(w, b, t, batch, lam=lam)


def parts(w: float, b: float, t: float, batch: np.ndarray, lam: float) -> tuple[np.ndarray, ...]:
    """The parts of the gradient of the others, a row each, of the target and of the penalty."""
    of_others = 2 * (w * batch + b + 1)[:, None] * np.stack([batch, np.ones(batch.size)], axis=1)
    of_target = 2 * (w * t + b - 1) * np.array([t, 1.0])
    return of_others, of_target, np.array([2 * lam * w, 0.0])


def with_sums(*point: Any) -> Any:
    """The others summed in the place of averaged."""
    of_others, of_target, of_penalty = parts(*point)
    return of_others.sum(axis=0) + of_target + of_penalty


def with_target_as_one_of_them(*point: Any) -> Any:
    """One mean over the batch and the target together."""
    of_others, of_target, of_penalty = parts(*point)
    return np.vstack([of_others, of_target]).mean(axis=0) + of_penalty


def without_target(*point: Any) -> Any:
    """The target forgotten."""
    of_others, _, of_penalty = parts(*point)
    return of_others.mean(axis=0) + of_penalty


def without_penalty(*point: Any) -> Any:
    """The penalty forgotten."""
    of_others, of_target, _ = parts(*point)
    return of_others.mean(axis=0) + of_target


def halved(*point: Any) -> Any:
    """The factor two of the squares forgotten."""
    return batch_gradient(*point) / 2


def half_hessian(t: float, mu: float, var: float, lam: float) -> np.ndarray:
    """Half of the Hessian, which is the matrix of the two linear equations."""
    return np.array([[t**2 + mu**2 + var + lam, t + mu], [t + mu, 2.0]])


def curvatures(*channel: float) -> np.ndarray:
    """The eigenvalues of the Hessian, the smaller first."""
    return 2 * np.linalg.eigvalsh(half_hessian(*channel))


def round_bowl(t: float, mu: float, var: float, lam: float) -> Any:
    """The midpoint, and half the root of the denominator of the closed form."""
    return (t + mu) / 2, np.sqrt((t - mu) ** 2 + 2 * (var + lam)) / 2


def at_the_mean(t: float, mu: float, var: float, lam: float) -> Any:
    """The others' mean and standard deviation, as one standardizes data."""
    return mu, np.sqrt(var + 0 * (t + lam))


def with_the_whole_root(t: float, mu: float, var: float, lam: float) -> Any:
    """The scale for which the entry of the weight is one."""
    c, s = round_bowl(t, mu, var, lam)
    return c, 2 * s


def with_the_old_penalty(t: float, mu: float, var: float, lam: float) -> Any:
    """The penalty kept as it is: the entry of the weight is D' / s^2 + 2 lam."""
    _, left = round_bowl(t, mu, var, 0.0)
    return (t + mu) / 2, left / np.sqrt(1 - lam / 2)


def with_the_square(t: float, mu: float, var: float, lam: float) -> Any:
    """The square of the scale in the place of the scale."""
    c, s = round_bowl(t, mu, var, lam)
    return c, s**2


EXERCISES = (
    Exercise(
        name="first_step",
        asks="a function of (t, mu, eta) that returns the weight and the bias after one step from (0, 0), in this order",
        truth=lambda t, mu, eta: (2 * eta * (t - mu), 0.0),
        inputs=first_steps,
        mistakes=(
            Mistake(
                answer=lambda t, mu, eta: (-2 * eta * (t - mu), 0.0),
                hint="This step goes uphill: the gradient is added. Descent takes it off; see 'How large a step'.",
            ),
            Mistake(
                answer=lambda t, mu, eta: (eta * (t - mu), 0.0),
                hint="The step is half as long as it should be: the derivative of a square has a factor two, and the energy has no one half in front to cancel it.",
            ),
            Mistake(
                answer=lambda t, mu, eta: (2 * eta * (t + mu), 4 * eta),
                hint="Here the others are pulled to +1 like the target. Their label is -1, so their mean enters with the other sign; look at both entries again.",
            ),
            Mistake(
                answer=lambda t, mu, eta: (2 * eta * t, 2 * eta),  # noqa: ARG005
                hint="This follows the target alone. The others pull as well, all of them together as strongly as the one target.",
            ),
        ),
    ),
    Exercise(
        name="batch_gradient",
        asks="a function of (w, b, t, batch, lam) that returns the two entries of the stochastic gradient",
        truth=batch_gradient,
        inputs=batches,
        mistakes=(
            Mistake(
                answer=with_sums,
                hint="The others are summed here, so a larger batch pulls harder and the target loses weight. The energy has their mean: an unbiased guess of a mean is a mean; see 'One neuron at a time'.",
            ),
            Mistake(
                answer=with_target_as_one_of_them,
                hint="The target is one among equals here. In the energy it counts as much as all others together, in every batch; see Eq. (2) of the paper.",
            ),
            Mistake(
                answer=without_target,
                hint="The target is missing. It is not drawn, it is there in every step; see 'One neuron at a time'.",
            ),
            Mistake(
                answer=without_penalty,
                hint="The penalty is missing. It does not depend on the draw, so its derivative is there in every step.",
            ),
            Mistake(
                answer=halved,
                hint="This is half of it: the derivative of a square has a factor two. The mean over all draws is then half the gradient, so it is not unbiased.",
            ),
        ),
    ),
    Exercise(
        name="largest_step",
        asks="a function of (t, mu, var, lam) that returns the step size from which on gradient descent does not converge",
        truth=lambda t, mu, var, lam: 2 / curvatures(t, mu, var, lam)[1],
        inputs=statistics,
        mistakes=(
            Mistake(
                answer=lambda t, mu, var, lam: 4 / curvatures(t, mu, var, lam)[1],
                hint="This is twice the limit: it takes the eigenvalue of the two linear equations, which are the gradient divided by two. The Hessian is twice their matrix.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam: 1 / curvatures(t, mu, var, lam)[1],
                hint="With this step the steep direction lands on its minimum at once. It may overshoot and still come closer; see 'How large a step' for how far.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam: 2 / curvatures(t, mu, var, lam).sum(),
                hint="This is the fastest fixed step, or 2 over the trace: at this step both directions shrink equally. The limit is larger; see 'How many steps' and 'How large a step'.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam: 2 / curvatures(t, mu, var, lam)[0],
                hint="This takes the smaller eigenvalue. The flat direction would allow such steps, but the steep one diverges long before.",
            ),
            Mistake(
                answer=lambda t, mu, var, lam: 2 / np.diag(2 * half_hessian(t, mu, var, lam)).max(),
                hint="This takes the larger entry on the diagonal of the Hessian. It is no eigenvalue unless weight and bias do not mix; the true L is larger.",
            ),
        ),
    ),
    Exercise(
        name="round_bowl",
        asks="a function of (t, mu, var, lam) that returns the shift c and the scale s, in this order",
        truth=round_bowl,
        inputs=statistics,
        mistakes=(
            Mistake(
                answer=at_the_mean,
                hint="This standardizes the others. It helps, but the target then still mixes weight and bias: in the new coordinates t' + mu' is not zero.",
            ),
            Mistake(
                answer=with_the_whole_root,
                hint="The shift is right. With this scale the entry of the Hessian for the weight is one, and the one for the bias is four; see 'How large a step'.",
            ),
            Mistake(
                answer=with_the_old_penalty,
                hint="The shift is right. For the scale the penalty was left as it was; in the new coordinates it is the old one over the square of the scale; see 'A change of coordinates'.",
            ),
            Mistake(
                answer=with_the_square,
                hint="The shift is right. This is the square of the scale: the variance scales by it, the values by its root.",
            ),
        ),
    ),
)
