r"""Stochastic descent: each step sees the target and one other neuron.

With :math:`\Delta = (w, b) - (w_t, b_t)`, the gradient that one neuron :math:`x_i`
gives is :math:`A_i \Delta + G_i`, where :math:`A_i` is its Hessian and :math:`G_i` its
gradient at the minimum. A step is therefore the random linear map

.. math::

    \begin{pmatrix} \Delta \\ 1 \end{pmatrix} \leftarrow
    (I - \eta B_i) \begin{pmatrix} \Delta \\ 1 \end{pmatrix} ,
    \qquad B_i = \begin{pmatrix} A_i & G_i \\ 0 & 0 \end{pmatrix} .

What it does on average is known exactly: the mean of :math:`(\Delta, 1) (\Delta,
1)^\top` goes through a linear map as well, and the energy above its least value is half
the trace of the Hessian :math:`A` times its upper left block.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from simam_edu.arguments import check_number, check_whole
from simam_edu.solvers.minimize import solve_linear
from simam_edu.solvers.problem import as_given


def descend_stochastically(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    steps: Float[np.ndarray, "k"],
    generator: np.random.Generator,
    runs: int = 1,
    start: tuple[float, float] = (0.0, 0.0),
) -> Float[np.ndarray, "{runs} k+1 2"]:
    r"""Return every (w, b) of runs of a descent whose steps see one other neuron.

    .. math::

        (w, b) \leftarrow (w, b) - 2 \eta_k \bigl((w x_i + b + 1) (x_i, 1) + (w t + b - 1) (t, 1)
        + \lambda (w, 0)\bigr)

    ``steps`` are the step sizes :math:`\eta_k \ge 0`. ``generator`` draws each
    :math:`x_i` with equal probabilities, independently for each of the ``runs``. All
    begin at ``start``.

    >>> one, step = np.array([-1.0]), np.array([0.25])
    >>> descend_stochastically(1.0, one, lam=0.0, steps=step, generator=np.random.default_rng(0))
    array([[[0., 0.],
            [1., 0.]]])
    """
    channel, steps = as_given(t, others, lam), _checked_steps(steps)
    check_whole("runs", runs, least=1, why="a mean needs a few hundred")
    path = np.empty((runs, steps.size + 1, 2))
    if len(start) != 2:
        raise ValueError(f"start must be a weight and a bias, got {start!r}; (0.0, 0.0) is the default")
    path[:, 0] = [check_number("start", value, why="(0.0, 0.0) is the default") for value in start]
    for k, step in enumerate(steps):
        w, b = path[:, k].T  # (runs,)
        x = channel.others[generator.integers(channel.others.size, size=runs)]
        of_other, of_target = w * x + b + 1.0, w * channel.t + b - 1.0  # residuals
        path[:, k + 1, 0] = w - 2.0 * step * (of_other * x + of_target * channel.t + lam * w)
        path[:, k + 1, 1] = b - 2.0 * step * (of_other + of_target)
    return path


def expected_excess(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    steps: Float[np.ndarray, "k"],
) -> Float[np.ndarray, "k+1"]:
    """Return the mean energy above the least one, at (0, 0) and after each step.

    It is computed, not sampled: in each step the second moments of (w, b), counted from
    the minimum, go through a linear map. For the arguments see
    :func:`descend_stochastically`.

    >>> expected_excess(1.0, np.array([-1.0]), lam=0.0, steps=np.array([0.1, 0.25])).round(9)
    array([2.  , 0.72, 0.  ])
    """
    moments = _moments(t, others, lam)
    state = np.append(-moments.minimum, 1.0)
    moment = np.outer(state, state).ravel()  # (9,)
    excess = [moments.excess(moment[_OF_DELTA])]
    for step in _checked_steps(steps):
        moment = moment - step * (moments.first @ moment) + step**2 * (moments.second @ moment)
        excess.append(moments.excess(moment[_OF_DELTA]))
    return np.array(excess)


def largest_mean_square_step(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return the constant step size from which on stochastic descent diverges.

    It is the smallest :math:`\eta > 0` at which the linear map of the second moments of
    :math:`\Delta` has the eigenvalue one, and never above :func:`largest_stable_step`.

    >>> round(largest_mean_square_step(1.0, np.array([-1.0]), lam=0.0), 6)
    0.5
    """
    moments = _moments(t, others, lam)
    first, second = moments.first[_DELTA_BY_DELTA], moments.second[_DELTA_BY_DELTA]
    # One is an eigenvalue of I - eta first + eta^2 second where first v = eta second v.
    inverse = np.linalg.eigvals(linalg.solve(first, second))
    return float(1.0 / np.max(inverse[np.abs(inverse.imag) < 1e-9 * np.abs(inverse)].real))


def noise_floor(t: float, others: Float[np.ndarray, "m"], *, lam: float, step: float) -> float:
    """Return the mean excess energy at which a constant step ends.

    The ``step`` must be positive and below :func:`largest_mean_square_step`.

    >>> noise_floor(1.0, np.array([-1.0]), lam=0.0, step=0.1)
    0.0
    """
    moments = _moments(t, others, lam)
    limit = largest_mean_square_step(t, others, lam=lam)
    if not 0 < step < limit:
        raise ValueError(
            f"step must be positive and below {limit:.6g}, got {step!r}; from there on the energy grows"
        )
    # What does not depend on delta drives its second moments, until they take away as much.
    driven = step * moments.second[_OF_DELTA, 8]
    settled = linalg.solve((moments.first - step * moments.second)[_DELTA_BY_DELTA], driven)
    return moments.excess(settled)


_OF_DELTA = [0, 1, 3, 4]  # the second moments of delta alone
_DELTA_BY_DELTA = np.ix_(_OF_DELTA, _OF_DELTA)


class _Moments(NamedTuple):
    """What a step does to the second moments m of ``(delta, 1)``, read row by row.

    It takes them to m - step * first m + step^2 * second m.
    """

    minimum: Float[np.ndarray, "2"]
    hessian: Float[np.ndarray, "2 2"]
    first: Float[np.ndarray, "9 9"]
    second: Float[np.ndarray, "9 9"]

    def excess(self, of_delta: Float[np.ndarray, "4"]) -> float:
        return float(self.hessian.ravel() @ of_delta / 2.0)


def _moments(t: float, others: Float[np.ndarray, "m"], lam: float) -> _Moments:
    channel, fit = as_given(t, others, lam), solve_linear(t, others, lam=lam)
    minimum = np.array([fit.w, fit.b])
    steps = np.zeros((channel.others.size, 3, 3))  # B_i
    for step, x in zip(steps, channel.others[:, None], strict=True):
        alone = replace(channel, others=x)
        step[:2, :2], step[:2, 2] = alone.hessian(), alone.gradient(minimum)
    mean, identity = steps.mean(axis=0), np.eye(3)
    return _Moments(
        minimum=minimum,
        hessian=mean[:2, :2],
        first=np.kron(mean, identity) + np.kron(identity, mean),
        second=np.mean([np.kron(step, step) for step in steps], axis=0),
    )


def _checked_steps(steps: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    steps = np.asarray(steps, dtype=np.float64)
    if steps.ndim != 1 or not (np.all(np.isfinite(steps)) and np.all(steps >= 0)):
        raise ValueError(
            f"steps must be a line of finite numbers of at least 0, got {steps}; numpy.full makes constants"
        )
    return steps
