"""The minimum by linear algebra and by scipy's minimizers."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

from simam_edu.solvers.problem import Fit, Problem, standardize


def solve_linear(t: float, others: Float[np.ndarray, "m"], *, lam: float) -> Fit:
    r"""Find the minimum by setting the gradient to zero: two linear equations.

    .. math:: A \begin{pmatrix} w_t \\ b_t \end{pmatrix} = -\nabla e_t(0, 0)

    >>> fit = solve_linear(4.0, np.array([0.0, 1.0, 2.0]), lam=0.0)
    >>> round(fit.energy, 6)
    0.258065
    """
    problem = standardize(t, others, lam)
    solution = np.linalg.solve(problem.hessian(), -problem.gradient(np.zeros(2)))
    return problem.fit(solution, None, iterations=0, evaluations=2, converged=True)


def solve_newton(t: float, others: Float[np.ndarray, "m"], *, lam: float, tolerance: float = 1e-12) -> Fit:
    """Find the minimum by scipy's Newton method in a trust region.

    The energy is quadratic, so one Newton step reaches the minimum; the trust region
    starts wide enough not to cut it short. It stops at a gradient of length
    ``tolerance``, by default about a thousand times its rounding error.
    """
    options = {"gtol": tolerance, "initial_trust_radius": 100.0, "max_trust_radius": 1e4}
    problem = standardize(t, others, lam)
    return _minimize(problem, method="trust-exact", hess=lambda _: problem.hessian(), options=options)


def solve_bfgs(t: float, others: Float[np.ndarray, "m"], *, lam: float, tolerance: float = 1e-8) -> Fit:
    """Find the minimum by scipy's BFGS, which learns the Hessian from gradients.

    It stops at a gradient of length ``tolerance``, by default the least at which the
    line search still sees the energy fall: energies have half as many good digits as
    gradients.
    """
    return _minimize(standardize(t, others, lam), method="BFGS", options={"gtol": tolerance})


def _minimize(problem: Problem, **how: Any) -> Fit:
    path = [np.zeros(2)]
    result = optimize.minimize(
        problem.energy,
        path[0],
        jac=problem.gradient,
        callback=lambda point: path.append(point.copy()),
        **how,
    )
    return problem.fit(
        result.x,
        path,
        iterations=int(result.nit),
        evaluations=int(result.nfev + result.njev + result.get("nhev", 0)),
        converged=bool(result.success),
    )
