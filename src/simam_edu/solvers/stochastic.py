r"""Stochastic descent: each step looks at the target and at one other neuron, drawn at random.

With :math:`\Delta = (w, b) - (w_t, b_t)`, the gradient that one neuron :math:`x_i` gives is
:math:`A_i \Delta + G_i`, where :math:`A_i` is its Hessian and :math:`G_i` its gradient at the minimum. The
mean of all :math:`G_i` is zero and that of all :math:`A_i` is :math:`A`. A step is therefore the random
linear map

.. math::

    \begin{pmatrix} \Delta \\ 1 \end{pmatrix} \leftarrow
    (I - \eta B_i) \begin{pmatrix} \Delta \\ 1 \end{pmatrix} ,
    \qquad B_i = \begin{pmatrix} A_i & G_i \\ 0 & 0 \end{pmatrix} .

What it does on average is known exactly: the mean of :math:`(\Delta, 1) (\Delta, 1)^\top` goes through a
linear map as well, and the energy above its least value is half the trace of :math:`A` times its upper left
block.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg

from simam_edu.solvers.minimize import solve_linear
from simam_edu.solvers.problem import check_channel, check_start, energy_gradient, energy_hessian


def descend_stochastically(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    steps: Float[np.ndarray, "k"],
    generator: np.random.Generator,
    runs: int = 1,
    start: tuple[float, float] = (0.0, 0.0),
) -> Float[np.ndarray, "runs k+1 2"]:
    r"""Descend along the gradient that the target and one other neuron give, drawn anew for each step.

    .. math::

        (w, b) \leftarrow (w, b) - 2 \eta_k \bigl((w x_i + b + 1) (x_i, 1) + (w t + b - 1) (t, 1)
        + \lambda (w, 0)\bigr)

    Args:
        t: The target neuron, labelled +1.
        others: The :math:`M-1` other neurons, labelled -1; :math:`x_i` is drawn with equal probabilities.
        lam: The weight :math:`\lambda \ge 0` of the penalty.
        steps: The step sizes :math:`\eta_k`, one for each step, at least 0.
        generator: Draws the neurons.
        runs: Independent runs, which are taken side by side.
        start: The weight and bias to begin with.

    Returns:
        Every (w, b) on the way, the start included.

    Raises:
        ValueError: As for :func:`energy_gradient`, or if ``steps`` is no line of finite numbers of at least
            0, ``runs`` is not positive, or ``start`` is not finite.
    """
    t, others = check_channel(t, others, lam)
    steps = _check_steps(steps, start)
    if runs < 1:
        raise ValueError(f"runs must be at least 1, got {runs!r}; a mean needs a few hundred")
    path = np.empty((runs, steps.size + 1, 2))
    path[:, 0] = start
    for k, step in enumerate(steps):
        w, b = path[:, k].T  # (runs,)
        x = others[generator.integers(others.size, size=runs)]
        miss_of_other, miss_of_target = w * x + b + 1.0, w * t + b - 1.0
        path[:, k + 1, 0] = w - 2.0 * step * (miss_of_other * x + miss_of_target * t + lam * w)
        path[:, k + 1, 1] = b - 2.0 * step * (miss_of_other + miss_of_target)
    return path


def expected_excess(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    steps: Float[np.ndarray, "k"],
    start: tuple[float, float] = (0.0, 0.0),
) -> Float[np.ndarray, "k+1"]:
    """Return how far the energy of stochastic descent is above its least value, on average over all draws.

    This is computed, not sampled. In each step the mean products of the coordinates, counted from the
    minimum, go through a linear map, which is applied to them step by step.

    Args:
        t: The target neuron.
        others: The other neurons.
        lam: The weight of the penalty, at least 0.
        steps: The step sizes, as for :func:`descend_stochastically`.
        start: The weight and bias to begin with.

    Returns:
        The mean energy above the least one, before the first step and after each.

    Raises:
        ValueError: As for :func:`descend_stochastically`, or if the minimum is not unique.
    """
    noise = _noise(t, others, lam)
    steps = _check_steps(steps, start)
    state = np.append(np.array(start) - noise.minimum, 1.0)
    moment = np.outer(state, state).ravel()  # (9,)
    excess = np.empty(steps.size + 1)
    excess[0] = noise.excess(moment)
    for k, step in enumerate(steps):
        moment = moment - step * (noise.pull @ moment) + step**2 * (noise.scatter @ moment)
        excess[k + 1] = noise.excess(moment)
    return excess


def largest_mean_square_step(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return the constant step size from which on stochastic descent diverges on average.

    It is the smallest :math:`\eta > 0` at which the linear map of the second moments of :math:`\Delta` has
    the eigenvalue one, and never above the :math:`2/L` of :func:`largest_stable_step`: the mean of the
    squares cannot stay bounded where the square of the mean does not.

    Args:
        t: The target neuron.
        others: The other neurons.
        lam: The weight of the penalty, at least 0.

    Raises:
        ValueError: As for :func:`solve_linear`.
    """
    noise = _noise(t, others, lam)
    pull, scatter = noise.pull[_OF_DELTA], noise.scatter[_OF_DELTA]
    # One is an eigenvalue of I - eta pull + eta^2 scatter where pull v = eta scatter v.
    inverse = np.linalg.eigvals(linalg.solve(pull, scatter))
    return float(1.0 / np.max(inverse[np.abs(inverse.imag) < 1e-9 * np.abs(inverse)].real))


def noise_floor(t: float, others: Float[np.ndarray, "m"], *, lam: float, step: float) -> float:
    """Return how far above its least value the energy stays on average, with a constant step, in the end.

    Args:
        t: The target neuron.
        others: The other neurons.
        lam: The weight of the penalty, at least 0.
        step: The step size.

    Raises:
        ValueError: As for :func:`solve_linear`, or if ``step`` is not positive or so large that stochastic
            descent diverges on average.
    """
    noise = _noise(t, others, lam)
    limit = largest_mean_square_step(t, others, lam=lam)
    if not 0 < step < limit:
        raise ValueError(
            f"step must be positive and below {limit:.6g}, got {step!r}; from there on the energy grows"
        )
    moment = np.zeros((3, 3))
    moment[2, 2] = 1.0
    # What does not depend on delta drives the second moments of delta, until they take away as much.
    driven = step * noise.scatter[:, 8].reshape(3, 3)[:2, :2].ravel()
    settled = linalg.solve(noise.pull[_OF_DELTA] - step * noise.scatter[_OF_DELTA], driven)
    moment[:2, :2] = settled.reshape(2, 2)
    return noise.excess(moment.ravel())


_OF_DELTA = np.ix_([0, 1, 3, 4], [0, 1, 3, 4])  # the second moments of delta alone, among those of (delta, 1)


@dataclass(frozen=True, kw_only=True)
class _Noise:
    """What stochastic descent does to the second moments of ``(delta, 1)``, a matrix read row by row.

    A step takes them from m to m - step * pull m + step^2 * scatter m.
    """

    minimum: Float[np.ndarray, "2"]
    hessian: Float[np.ndarray, "2 2"]
    pull: Float[np.ndarray, "9 9"]
    scatter: Float[np.ndarray, "9 9"]

    def excess(self, moment: Float[np.ndarray, "9"]) -> float:
        return float(np.sum(self.hessian * moment.reshape(3, 3)[:2, :2]) / 2.0)


def _noise(t: float, others: Float[np.ndarray, "m"], lam: float) -> _Noise:
    t, others = check_channel(t, others, lam)
    fit = solve_linear(t, others, lam=lam)
    pulls = np.zeros((others.size, 3, 3))  # B_i
    for pull, x in zip(pulls, others[:, None], strict=True):
        pull[:2, :2] = energy_hessian(t, x, lam=lam)
        pull[:2, 2] = energy_gradient(fit.w, fit.b, t, x, lam=lam)
    mean, identity = pulls.mean(axis=0), np.eye(3)
    return _Noise(
        minimum=np.array([fit.w, fit.b]),
        hessian=mean[:2, :2],
        pull=np.kron(mean, identity) + np.kron(identity, mean),
        scatter=np.mean([np.kron(pull, pull) for pull in pulls], axis=0),
    )


def _check_steps(steps: Float[np.ndarray, "k"], start: tuple[float, float]) -> Float[np.ndarray, "k"]:
    steps = np.asarray(steps, dtype=np.float64)
    if steps.ndim != 1 or not (np.all(np.isfinite(steps)) and np.all(steps >= 0)):
        raise ValueError(
            f"steps must be a line of finite numbers of at least 0, got {steps}; numpy.full makes constants"
        )
    check_start(start)
    return steps
