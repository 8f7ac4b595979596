"""The minimum by linear algebra, by scipy's minimizers and by gradient descent."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

from simam_edu.arguments import check_number, check_whole
from simam_edu.solvers.problem import Fit, Problem, as_given, standardized

_NEAR = 1e-8  # a descent ends when its gradient has shrunk by this factor
_FAR = 1e100  # and a diverging one when it gets here, before its squares overflow


def solve_linear(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    r"""Find the minimum by setting the gradient to zero: two linear equations.

    .. math:: A \begin{pmatrix} w_t \\ b_t \end{pmatrix} = -\nabla e_t(0, 0)

    >>> fit = solve_linear(4.0, np.array([0.0, 1.0, 2.0]), lam=0.0)
    >>> round(fit.energy, 6)
    0.258065
    """
    problem = standardized(as_given(t, others, lam))
    solution = np.linalg.solve(problem.hessian(), -problem.gradient(np.zeros(2)))
    return problem.fit(solution, None, iterations=0, evaluations=2, converged=True)


def solve_newton(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    """Find the minimum by scipy's Newton method in a trust region.

    The energy is quadratic, so one Newton step reaches the minimum; the trust region
    starts wide enough not to cut it short. It stops at a gradient of length 1e-12, about
    a thousand times its rounding error.

    >>> solve_newton(4.0, np.array([0.0, 1.0, 2.0]), lam=0.0).iterations
    1
    """
    problem = standardized(as_given(t, others, lam))
    options = {"gtol": 1e-12, "initial_trust_radius": 100.0, "max_trust_radius": 1e4}
    return _minimize(problem, method="trust-exact", hess=lambda _: problem.hessian(), options=options)


def solve_bfgs(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    """Find the minimum by scipy's BFGS, which learns the Hessian from gradients.

    It stops at a gradient of length 1e-8, the least at which the line search still sees
    the energy fall: energies have half as many good digits as gradients.

    >>> round(solve_bfgs(4.0, np.array([0.0, 1.0, 2.0]), lam=0.0).energy, 6)
    0.258065
    """
    problem = standardized(as_given(t, others, lam))
    return _minimize(problem, method="BFGS", options={"gtol": 1e-8})


def _minimize(problem: Problem, **how: Any) -> Fit:
    path = [np.zeros(2)]
    result = optimize.minimize(
        problem.energy,
        path[0],
        jac=problem.gradient,
        callback=lambda point: path.append(point.copy()),
        **how,
    )
    evaluations = int(result.nfev + result.njev + result.get("nhev", 0))
    found = {"evaluations": evaluations, "converged": bool(result.success)}
    return problem.fit(result.x, path, iterations=int(result.nit), **found)


def descend(
    t: float,
    others: Float[np.ndarray, "m"],
    *,
    lam: float,
    step: float | None = None,
    max_iterations: int = 10_000,
) -> Fit:
    r"""Find the minimum by gradient descent, in the coordinates as given.

    .. math:: (w, b) \leftarrow (w, b) - \eta\, \nabla e_t(w, b)

    The step size ``step``, :math:`\eta > 0`, is :math:`2/(L + \ell)` by default, the
    fixed one that is fastest: it shrinks the error by :math:`(\kappa - 1)/(\kappa + 1)`
    each time. The descent starts at (0, 0), which fits every neuron with 0, and ends
    when the length of the gradient has shrunk by the factor 1e-8. The fit has not
    converged if it took ``max_iterations``, at least 1, or diverged.

    >>> descend(1.0, np.array([-1.0]), lam=0.0).iterations
    1
    """
    fastest = 2.0 / sum(_curvatures(t, others, lam))
    step = fastest if step is None else step
    step = check_number("step", step, above=0.0, why="below largest_stable_step(...) it converges")
    check_whole("max_iterations", max_iterations, least=1, why="10,000 is the default")
    problem = as_given(t, others, lam)
    point, hessian = np.zeros(2), problem.hessian()
    gradient = slope_at_zero = problem.gradient(point)
    path, enough = [point], _NEAR * math.hypot(*gradient)
    while math.hypot(*gradient) > enough and len(path) <= max_iterations and np.abs(point).max() < _FAR:
        point = point - step * gradient
        path.append(point)
        gradient = hessian @ point + slope_at_zero
    steps = len(path) - 1  # there is a gradient at every point, from two sums for all
    converged = math.hypot(*gradient) <= enough
    return problem.fit(point, path, iterations=steps, evaluations=steps + 1, converged=converged)


def largest_stable_step(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`2/L`, the step size at which gradient descent stops converging.

    :math:`L` is the larger eigenvalue of the Hessian. Along its eigenvector a step of
    size :math:`\eta` multiplies the error by :math:`1 - \eta L`.

    >>> round(largest_stable_step(1.0, np.array([-1.0]), lam=0.0), 6)
    0.5
    """
    return 2.0 / _curvatures(t, others, lam)[1]


def condition_number(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> float:
    r"""Return :math:`\kappa = L / \ell \ge 1`, the ratio of the Hessian's eigenvalues.

    It decides how many steps gradient descent takes.

    >>> round(condition_number(1.0, np.array([-1.0]), lam=0.0), 6)
    1.0
    """
    small, large = _curvatures(t, others, lam)
    return large / small


def _curvatures(t: float, others: Float[np.ndarray, "m"], lam: float) -> tuple[float, float]:
    """Return the eigenvalues of the Hessian, the smaller first.

    The smaller comes from the determinant, which the shifted coordinates leave as it is
    up to the scale; an eigenvalue routine loses it from a condition number of about
    1e16 on.
    """
    problem = as_given(t, others, lam)
    large = float(np.linalg.eigvalsh(problem.hessian())[1])
    shifted = standardized(problem)
    (by_weight, mixed), (_, by_bias) = shifted.hessian()
    determinant = by_weight * by_bias - mixed**2
    return float(determinant * shifted.scale**2 / large), large
