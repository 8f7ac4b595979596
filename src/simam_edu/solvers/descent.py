"""Gradient descent, and what decides how far its steps may go and how many it takes."""

import math

import numpy as np
from jaxtyping import Float

from simam_edu.solvers.problem import Fit, Problem, check_start, energy_hessian, standardize

_FAR = 1e100  # a diverging descent is stopped here, before its squares overflow


def largest_stable_step(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`2/L`, the step size at which gradient descent stops converging.

    :math:`L` is the larger eigenvalue of the Hessian. Along its eigenvector a step of
    size :math:`\eta` multiplies the error by :math:`1 - \eta L`, below -1 from
    :math:`2/L` on.

    >>> round(largest_stable_step(1.0, np.array([-1.0]), lam=0.0), 6)
    0.5
    """
    return 2.0 / _curvatures(t, others, lam)[1]


def condition_number(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`\kappa = L / \ell \ge 1`, the ratio of the Hessian's eigenvalues.

    It is how many times steeper the energy is in one direction than in the other, and
    it decides how many steps gradient descent takes.

    >>> round(condition_number(1.0, np.array([-1.0]), lam=0.0), 6)
    1.0
    """
    small, large = _curvatures(t, others, lam)
    return large / small


def descend(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    step: float | None = None,
    start: tuple[float, float] = (0.0, 0.0),
    max_iterations: int = 10_000,
    tolerance: float = 1e-8,
) -> Fit:
    r"""Find the minimum by gradient descent, in the coordinates as given.

    .. math:: (w, b) \leftarrow (w, b) - \eta\, \nabla e_t(w, b)

    Args:
        t: The target neuron.
        others: The other neurons.
        lam: The penalty.
        step: The step size :math:`\eta > 0`; by default :math:`2/(L + \ell)`, the fixed
            step that is fastest: it shrinks the error by :math:`(\kappa - 1)/(\kappa +
            1)` each time.
        start: The weight and bias to begin with; the default fits every neuron with 0.
        max_iterations: Steps, at least 1, after which to give up.
        tolerance: By which factor, above 0, the length of the gradient must have
        shrunk.

    Returns:
        The fit; not converged if it ran out of steps or diverged.
    """
    small, large = _curvatures(t, others, lam)
    step = 2.0 / (small + large) if step is None else step
    for name, value, advice in (
        ("step", step, "steps below largest_stable_step(...) converge"),
        ("tolerance", tolerance, "1e-8 is the default"),
        ("max_iterations", max_iterations, "10,000 is the default"),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value!r}; {advice}")
    check_start(start)
    problem = Problem(t=t, others=others, lam=lam)
    hessian, slope_at_zero = problem.hessian(), problem.gradient(np.zeros(2))
    point = np.array(start, dtype=np.float64)
    path, gradient = [point], hessian @ point + slope_at_zero
    enough = tolerance * math.hypot(*gradient)
    while math.hypot(*gradient) > enough and len(path) <= max_iterations and np.abs(point).max() < _FAR:
        point = point - step * gradient
        path.append(point)
        gradient = hessian @ point + slope_at_zero
    return problem.fit(
        point,
        path,
        iterations=len(path) - 1,
        evaluations=len(path),  # a gradient at every point, from two sums for all
        converged=math.hypot(*gradient) <= enough,
    )


def _curvatures(t: float, others: Float[np.ndarray, "m"], lam: float) -> tuple[float, float]:
    """Return the eigenvalues of the Hessian, the smaller first.

    The smaller comes from the determinant, which the shifted coordinates leave as it is
    up to the scale; an eigenvalue routine loses it from a condition number of about
    1e16 on.
    """
    problem = standardize(t, others, lam)
    hessian = energy_hessian(t, others, lam=lam)
    large = float(np.linalg.eigvalsh(hessian)[1])
    shifted = problem.hessian()
    determinant = shifted[0, 0] * shifted[1, 1] - shifted[0, 1] ** 2
    return float(determinant * problem.scale**2 / large), large
